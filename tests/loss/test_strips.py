"""Strips: the values and gradients of the whole picture, in float64, for every way to cut."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from nst_jax.errors import InputError
from nst_jax.loss import losses, strips, targets
from nst_jax.loss.conventions import STYLE_LOSSES
from nst_jax.loss.objective import Objective
from nst_jax.loss.regions import Regions
from nst_jax.loss.style_losses import columns
from nst_jax.loss.targets import Targets
from nst_jax.loss.weighting import loss_weights
from nst_jax.network.layers import CONVOLUTIONS, halvings
from nst_jax.network.vgg import features, prepare
from nst_jax.transfer.minimizing import minimize

STYLES = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")


@pytest.fixture(autouse=True)
def double():
    """Strips round differently, and in float32 the network's kinks would make per mille of that."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def params64(params):
    with jax.enable_x64(True):
        return jax.tree.map(lambda x: jnp.asarray(np.asarray(x), jnp.float64), params)


def random(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).uniform(size=shape))


def goal(params, images, contents, styles, pool="avg", padding="zero", tv=0.0, separate=False):
    """An objective of these layers for as many lanes as there are images; `separate`: each with targets of its own."""
    lanes, height, width = images.shape[:3]
    own = lanes if separate else 1
    channels = {
        layer: CONVOLUTIONS[layer.replace("pool", "conv").split("_")[0] + "_1"][1] for layer in (*contents, *styles)
    }
    given = Targets(
        {
            layer: 300 * random(1, own, height >> halvings(layer), width >> halvings(layer), channels[layer])
            for layer in contents
        },
        {layer: 300 * random(2, own, channels[layer], channels[layer]) for layer in styles},
    )
    alpha, beta = np.linspace(0.5, 1.0, lanes) * bool(contents), np.linspace(1.0, 2.0, lanes) * bool(styles)
    weights = loss_weights(alpha, beta, content_layers=contents, style_layers=styles, tv=tv)
    weights = jax.tree.map(lambda x: jnp.asarray(np.asarray(x), jnp.float64), weights)
    return Objective(params, given, weights, pool, padding)


@partial(jax.jit)
def evaluate(objective, images):
    """The terms, and the gradient of all lanes' totals."""

    def total(images):
        terms = objective(images)
        return jnp.sum(terms.total), terms

    gradient, terms = jax.grad(total, has_aux=True)(images)
    return terms, gradient


def assert_the_same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for got, wanted in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("size", "cuts", "contents", "styles", "pool"),
    [
        ((95, 32), (48, 24, 12, 6), ("conv4_2",), STYLES, "avg"),  # strips of one row of the pool they end with
        ((67, 45), (5, 3), ("conv3_1",), STYLES[:3], "max"),  # every pool drops a row or a column
        ((64, 33), (5, 4), ("conv1_2", "conv2_2"), ("conv1_1", "conv2_1"), "avg"),  # nothing behind the strips
        ((67, 45), (5, 1, 2), ("conv2_2",), ("pool2", "conv3_2"), "max"),  # a segment's last layer is a style layer
        ((70, 40), (100, 100), ("pool3",), (), "avg"),  # nothing wanted in the first segment; more strips than rows
        ((67, 45), (5,), ("conv1_1",), (), "avg"),
        ((67, 45), (4, 2), (), ("pool1",), "avg"),
        ((95, 32), (48, 24, 12, 6), ("conv4_2",), STYLES, "binomial"),
        ((67, 45), (5, 3), ("conv3_1",), STYLES[:3], "binomial"),  # an odd last row is seen, in the last strip
        ((70, 40), (100, 100), ("pool3",), (), "binomial"),
    ],
    ids=str,
)
def test_every_part_and_the_gradient_are_the_whole_pictures(params64, size, cuts, contents, styles, pool):
    images = random(0, 1, *size, 3)
    whole = goal(params64, images, contents, styles, pool, tv=0.1)
    assert_the_same(evaluate(whole.replace(strips=cuts), images), evaluate(whole, images))


@pytest.mark.parametrize(("padding", "pool"), [("reflect", "binomial"), ("replicate", "max")])
def test_the_border_is_the_pictures_and_no_strips(params64, padding, pool):
    images = random(0, 1, 67, 45, 3)
    whole = goal(params64, images, ("conv3_1",), STYLES[:3], pool, padding)
    expected = evaluate(whole, images)
    assert_the_same(evaluate(whole.replace(strips=(9, 5)), images), expected)
    other = evaluate(whole.replace(padding="zero"), images)
    assert abs(other[0].total - expected[0].total) > 1e-3 * expected[0].total


@pytest.mark.parametrize("separate", [True, False])
def test_lanes(params64, separate):
    """With targets of their own or shared; and as slots of a sweep are, over two devices."""
    images = random(0, 2, 37, 32, 3)
    whole = goal(params64, images, ("conv2_1", "pool2"), ("conv1_1", "conv2_1"), separate=separate)
    cut = whole.replace(strips=(5, 3))
    expected = evaluate(whole, images)
    assert_the_same(evaluate(cut, images), expected)
    mesh = Mesh(np.array(jax.devices()[:2]), ("lanes",))
    lanes, shared = P("lanes"), P()
    specs = Objective(
        jax.tree.map(lambda _: shared, cut.params),
        jax.tree.map(lambda _: lanes if separate else shared, cut.targets),
        jax.tree.map(lambda leaf: lanes if leaf.shape[0] == 2 else shared, cut.loss_weights),
        strips=cut.strips,
    )
    spread = jax.shard_map(evaluate, mesh=mesh, in_specs=(specs, lanes), out_specs=lanes, check_vma=False)
    assert_the_same(jax.jit(spread)(cut, images), expected)


def test_vmap_and_prepared_parameters(params64):
    images = random(0, 3, 37, 32, 3)
    params = prepare(params64, ("pool2",))
    whole = goal(params, images[:1], ("pool2",), ("conv2_1",))
    cut = whole.replace(strips=(4, 4))

    def one(objective, image):
        return evaluate(objective, image[None])

    assert_the_same(*(jax.vmap(partial(one, objective))(images) for objective in (cut, whole)))


def test_a_run(params64):
    """Strips within the optimizer's loop."""
    begin = random(0, 1, 40, 32, 3)
    whole = goal(params64, begin, ("conv2_2",), ("conv1_1", "conv2_1"))
    with jax.numpy_dtype_promotion("standard"):  # the optimizer mixes dtypes
        found, expected = (
            minimize(objective, begin, evaluations=8) for objective in (whole.replace(strips=(3, 3)), whole)
        )
    np.testing.assert_allclose(found.images, expected.images, atol=1e-9)
    assert_the_same(found.losses, expected.losses)


def test_targets_in_strips(params64, monkeypatch):
    """As `features` gives them, once a picture is large enough to be cut; Gram matrices without targets."""
    images = random(0, 1, 67, 45, 3)
    layers = ("conv1_2", "pool2", "conv3_1")
    whole = features(params64, images, layers)
    monkeypatch.setattr(strips, "SLAB_PIXELS", 500)
    assert strips.for_values(67, 45) == (7, 4, 4, 2)
    assert_the_same(targets.content_targets(params64, images, layers), whole)
    found = targets.style_targets(params64, images, layers)
    assert_the_same(found, {layer: losses.style_representation(value) for layer, value in whole.items()})


@pytest.mark.parametrize("cuts", [(2, 2, 2, 2, 2), (0,), (2, -1)], ids=str)
def test_strips_that_would_be_passed_over_are_refused(params64, cuts):
    whole = goal(params64, random(0, 1, 32, 32, 3), ("conv1_1",), ())
    with pytest.raises(InputError, match=r"^strips \(.*\): must be at most 4 numbers, each at least 1$"):
        whole.replace(strips=cuts)(random(0, 1, 32, 32, 3))


@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
def test_regions_in_strips(params64, style_loss):
    """Guides are cut along with the picture; of two images, one layer with one region and one with two."""
    images, layers = random(0, 2, 70, 48, 3), {"conv1_2": 1, "conv2_1": 2, "conv3_1": 2}
    guides = {
        layer: random(3, 1, 70 >> halvings(layer), 48 >> halvings(layer), count) for layer, count in layers.items()
    }
    channels = {"conv1_2": 64, "conv2_1": 128, "conv3_1": 256}
    style = {
        layer: 300 * random(2, 1, count, channels[layer], columns(style_loss, channels[layer]))
        for layer, count in layers.items()
    }
    whole = goal(params64, images, ("conv2_2",), ())
    regions = Regions(guides, {layer: random(4, 2, count) for layer, count in layers.items()})
    whole = replace(
        whole, regions=regions, style_loss=style_loss, targets=whole.targets._replace(style=style),
        loss_weights=whole.loss_weights._replace(style_layers={layer: random(5, 2) for layer in layers}),
    )  # fmt: skip
    (values, slope), (cut, its_slope) = (
        jax.jit(jax.value_and_grad(lambda images, own=own: own(images).total.sum()))(images)
        for own in (whole, replace(whole, strips=(4, 3, 2)))
    )
    np.testing.assert_allclose(cut, values, rtol=1e-10)
    np.testing.assert_allclose(its_slope, slope, rtol=1e-6, atol=1e-9 * np.abs(slope).max())
