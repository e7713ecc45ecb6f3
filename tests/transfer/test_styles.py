"""Style targets of lanes: in regions, in colors, and the whole objective of regions against NumPy float64."""

import jax
import numpy as np
import oracle
import pytest

from nst_jax.errors import InputError
from nst_jax.loss import targets
from nst_jax.loss.conventions import STYLE_LOSSES
from nst_jax.loss.style_losses import SCALES
from nst_jax.network.layers import EDGES
from nst_jax.network.receptive import propagated
from nst_jax.pictures import images
from nst_jax.transfer import recolor
from nst_jax.transfer.arguments import levels
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.guides import Guides
from nst_jax.transfer.lanes import table
from nst_jax.transfer.problem import Problem
from nst_jax.transfer.region_names import Region
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.styles import Styles
from nst_jax.transfer.stylizing import evaluate, stylize
from nst_jax.transfer.sweeping import objective, sweep

LAYERS = ("conv1_1", "conv2_1")
LOW = {"content_layers": ("conv1_2",), "style_layers": LAYERS}
HEIGHT, WIDTH = 32, 48


def soft(first, last, height=HEIGHT, width=WIDTH):
    """White from one column to another, with a soft edge at the first."""
    mask = np.zeros((height, width), np.float32)
    mask[:, first:last] = 1
    mask[:, max(0, first - 3) : first] = 0.5
    return mask


@pytest.fixture(scope="module")
def photo(picture):
    return picture("photograph", HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def paintings(picture):
    return [picture("painting", 40, 36), picture("photograph", 34, 44)[:, ::-1]]


def moments(f, t):
    """Guided: F and the squared channel, of [N, height, width] and [height, width], in float64."""
    f, weights = oracle.matrix(f), np.ravel(t).astype(np.float64) ** 2
    weights /= weights.sum()
    mean = f @ weights
    gram = (f * weights) @ f.T
    return gram, mean, np.sqrt(np.maximum(np.diag(gram) - mean**2, 0))


def region_loss(f, t, a, s, style_loss):
    (gram, mean, deviation), (other, its_mean, its_deviation) = moments(f, t), moments(a, s)
    if style_loss == "gram":
        return ((gram - other) ** 2).sum() / (4 * len(gram) ** 2)
    distance = ((mean - its_mean) ** 2).sum() + ((deviation - its_deviation) ** 2).sum()
    return SCALES[style_loss] * distance


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("style_loss", ["gram", "mean-std"])
def test_the_objective_of_regions_against_numpy_float64(params, photo, paintings, edges, style_loss):
    """One with a mask of its painting, and the rest with another painting; the network is the real one."""
    sky, part = soft(20, 48), soft(10, 30, 40, 36)
    goal = objective(
        photo, paintings[1], region=[Region(sky, paintings[0], part)], params=params, region_edges=edges,
        style_loss=style_loss, ratio=1e-3, style_size=44, region_weights=(2.0, 0.5), **LOW,
    )  # fmt: skip
    made = np.random.default_rng(0).uniform(size=(1, HEIGHT, WIDTH, 3)).astype(np.float32)
    losses = jax.device_get(goal(made))
    at_size = [images.fit(one, 44) for one in paintings]
    f, first, second = (oracle.activations(params, image, LAYERS) for image in (made[0], *at_size))
    stretched = np.clip((sky - 0.1) / 0.8, 0, 1)
    rest = 1 - stretched
    own = np.clip((levels(part, *at_size[0].shape[:2], "region") - 0.1) / 0.8, 0, 1)
    everywhere = np.ones(at_size[1].shape[:2], np.float32)
    channels = [propagated(mask, LAYERS, edges) for mask in (stretched, rest, own, everywhere)]
    style = 0.0
    for layer in LAYERS:
        of_sky = region_loss(f[layer], channels[0][layer], first[layer], channels[2][layer], style_loss)
        of_rest = region_loss(f[layer], channels[1][layer], second[layer], channels[3][layer], style_loss)
        expected = 2.0 * stretched.mean() * of_sky + 0.5 * rest.mean() * of_rest
        np.testing.assert_allclose(losses.style_layers[layer][0], expected, rtol=2e-4)
        style += expected / 2
    np.testing.assert_allclose(losses.style[0], style, rtol=2e-4)


@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
def test_one_region_that_covers_everything_is_the_plain_objective(params, photo, paintings, style_loss):
    everything = Region(np.ones((HEIGHT, WIDTH), bool), paintings[0])
    options = {"params": params, "style_loss": style_loss, **LOW}
    made = np.random.default_rng(0).uniform(size=(1, HEIGHT, WIDTH, 3)).astype(np.float32)

    def value_and_slope(goal):
        return jax.jit(jax.value_and_grad(lambda images: goal(images).total.sum()))(made)

    guided = value_and_slope(objective(photo, None, region=[everything], **options))
    plain = value_and_slope(objective(photo, paintings[0], **options))
    np.testing.assert_allclose(guided[0], plain[0], rtol=1e-4)
    np.testing.assert_allclose(guided[1], plain[1], rtol=2e-3, atol=2e-3 * np.abs(plain[1]).max())


def test_what_regions_do_not_cover_is_the_photograph_at_every_scale(params, photo, paintings):
    mask = np.zeros((HEIGHT * 2, WIDTH * 2), bool)
    mask[:, :40] = True
    outcome = stylize(
        np.repeat(np.repeat(photo, 2, 0), 2, 1), None, region=[Region(mask, paintings[0])], params=params, size=96,
        scales=2, evaluations=6, **LOW,
    )  # fmt: skip
    photograph = np.repeat(np.repeat(photo, 2, 0), 2, 1)
    np.testing.assert_array_equal(outcome.image[:, 40:], photograph[:, 40:])
    assert np.abs(outcome.image[:, :38] - photograph[:, :38]).max() > 0.05
    assert np.isfinite(outcome.measures.wasserstein["conv1_1"])


def test_a_sweep_over_regions_is_the_lanes_one_by_one(params, photo, paintings):
    """Weights of regions share a program; their edges are two."""
    region = [Region(soft(20, 48), paintings[0])]
    common = {"region": region, "params": params, "size": 48, "evaluations": 3, "ratio": 1e-3, **LOW}
    lanes = list(
        sweep(
            photo, paintings[1], region_weights=[(1.0, 1.0), (0.2, 3.0)], region_edges=["inside", "all"],
            style_scale=[1.0, 1.5], **common,
        )
    )  # fmt: skip
    assert len(lanes) == 8
    for outcome in lanes:
        own = dict(outcome.lane.own)
        alone = stylize(
            photo, paintings[1], style_scale=own.get("style_scale", 1.0),
            region_weights=own.get("region_weights", (1.0, 1.0)), scales=1,
            region_edges="all" if "edges all" in outcome.name.replace("_", " ") else "inside", **common,
        )  # fmt: skip
        assert outcome.losses.total == pytest.approx(alone.losses.total, rel=1e-3)


def test_weights_of_a_lane_are_as_many_as_regions(params, photo, paintings):
    region = [Region(soft(20, 48), paintings[0])]
    with pytest.raises(InputError, match="region_weights: 1 given for 2 regions"):
        list(sweep(photo, paintings[1], region=region, params=params, region_weights=[(1.0, 1.0), (2.0,)], **LOW))


def test_a_painting_is_matched_to_the_colors_of_its_region(params, photo, paintings):
    """Of the part that its mask shows, to those of the photograph's region."""
    masks = {"sky": soft(24, 48), "part": soft(10, 30, *paintings[0].shape[:2])}
    settings = Settings(region=("sky=one:part",), color="match", **LOW)
    lanes = table(["photo"], [""], Axes(), settings)
    problem = Problem(params, {"photo": photo}, {"one": paintings[0]}, lanes, masks=masks)
    guides = Guides(settings, masks, HEIGHT, WIDTH, LAYERS, rest=False)
    own, guidance = guides.of_painting(guides.regions[0], *paintings[0].shape[:2])
    matched = recolor.match_colors(paintings[0], photo, "pca", (own, guides.masks[0]))
    inside = np.average(matched.reshape(-1, 3), 0, own.ravel())
    np.testing.assert_allclose(inside, np.average(photo.reshape(-1, 3), 0, guides.masks[0].ravel()), atol=1e-5)
    channels = {layer: np.moveaxis(each, 0, -1)[None] for layer, each in guidance.channels.items()}
    expected = targets.style_targets(params, matched[None], LAYERS, guides=channels)
    for layer, target in problem.objective([0]).targets.style.items():
        np.testing.assert_allclose(target, expected[layer], rtol=1e-4, atol=1e-3)


def test_the_mixture_has_of_each_painting_its_share_and_of_the_photograph_what_it_keeps(params, photo, paintings):
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[:, :12] = 1
    settings = Settings(region=("left=one",), **LOW)
    (lane,) = table(["photo"], [""], Axes(), settings).lanes
    network = {"pool": "avg", "padding": "zero", "precision": "float32"}
    guides = Guides(settings, {"left": mask}, HEIGHT, WIDTH, LAYERS, rest=False)
    styles = Styles(params, {"photo": photo}, {"one": paintings[0]}, LAYERS, settings, network, guides)
    mixed = styles.mixture(lane, "wasserstein")
    whole = targets.style_targets(params, paintings[0][None], LAYERS, style_loss="wasserstein")
    kept = propagated(1 - mask, LAYERS, "simple")
    f = oracle.activations(params, photo, LAYERS)
    for layer in LAYERS:
        gram, mean, _ = moments(f[layer], kept[layer])
        expected = 0.25 * np.asarray(whole[layer][0]) + 0.75 * np.concatenate([gram, mean[:, None]], 1)
        np.testing.assert_allclose(mixed[layer][0], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_evaluate_tells_of_regions(params, photo, paintings):
    region = [Region(soft(20, 48), paintings[0])]
    losses = evaluate(photo, photo, paintings[1], region=region, params=params, style_size=48, **LOW)
    goal = objective(photo, paintings[1], region=region, params=params, style_size=48, **LOW)
    assert losses.style == pytest.approx(float(goal(photo[None]).style[0]), rel=1e-4)
