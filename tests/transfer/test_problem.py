"""What lanes share: targets once for each picture, one objective for any choice of lanes, start images."""

import re
from collections import Counter

import jax
import numpy as np
import pytest
from small_sweep import LANES, lane, problem

from nst_jax import loss
from nst_jax.errors import InputError
from nst_jax.loss import targets
from nst_jax.loss.objective import Objective
from nst_jax.loss.targets import Targets
from nst_jax.measures import measures
from nst_jax.transfer import recolor

MIXED = (
    lane(0),
    lane(1, 0.5, content="upside", style="other", layers="conv1_1"),
    lane(2, 2.0, content_layers=(("conv1_1", 1.0),), style_layers=(), beta=0.0, style=""),
    lane(3, 0.0, layers="conv2_1", style="other", content_layers=()),
)


@pytest.fixture(scope="module")
def mixed(params, picture):
    return problem(params, picture, MIXED)


def test_layers_that_any_lane_uses_in_the_network_s_order(mixed):
    assert mixed.content_layers == ("conv1_1", "conv2_1")
    assert mixed.style_layers == ("conv1_1", "conv2_1")
    assert mixed.shape == (32, 48, 3)


def test_layers_of_zero_weight_are_left_out(params, picture):
    lanes = (
        lane(0, content_layers=(("conv1_1", 1.0), ("conv5_1", 0.0)), style_layers=(("conv1_1", 1), ("conv4_1", 0))),
        lane(1, 0.0, content_layers=(("conv3_1", 1.0),)),  # α is zero
    )
    found = problem(params, picture, lanes)
    assert (found.content_layers, found.style_layers) == (("conv1_1",), ("conv1_1", "conv2_1"))


@pytest.mark.parametrize("number", range(4))
def test_each_lane_is_the_objective_of_its_own_pictures_and_layers(params, picture, mixed, number):
    own = MIXED[number]
    photo = picture("photograph", 32, 48)
    photo = photo[::-1] if own.content == "upside" else photo
    painting = picture("painting", 40, 36) if own.style == "painting" else picture("photograph", 36, 40)
    alone = Objective(
        params,
        Targets(
            loss.content_targets(params, photo[None], tuple(dict(own.content_layers))) if own.alpha else {},
            loss.style_targets(params, painting[None], tuple(dict(own.style_layers))) if own.beta else {},
        ),
        loss.loss_weights(
            own.alpha, own.beta, content_layers=dict(own.content_layers), style_layers=dict(own.style_layers)
        ),
    )
    image = jax.numpy.asarray(picture("painting", 32, 48))[None]
    call = jax.jit(Objective.__call__)
    expected = call(alone, image)
    found = jax.tree.map(lambda value: value[number : number + 1], call(mixed.objective(range(4)), image.repeat(4, 0)))
    for name in ("total", "content", "style"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-4, err_msg=name)
    for layer in dict(own.style_layers):
        np.testing.assert_allclose(found.style_layers[layer], expected.style_layers[layer], rtol=1e-4)


def test_pictures_are_measured_by_the_lane_s_own_photograph_and_painting(params, picture, monkeypatch):
    """Each of the problem's pictures, and noise, is represented once, however many lanes there are."""
    made, seen = picture("painting", 32, 48), []
    summarize = measures.summarize
    monkeypatch.setattr(measures, "summarize", lambda params, image, *rest, **options: (
        seen.append(image.tobytes()) or summarize(params, image, *rest, **options)))  # fmt: skip
    fresh = problem(params, picture, MIXED)
    assert seen == []  # only when something is measured
    found = [fresh.measure(lane, made) for lane in MIXED * 2]
    assert Counter(Counter(seen).values()) == {1: 3, 8: 1}
    photo, layers = picture("photograph", 32, 48), ("conv1_1", "conv2_1")
    expected = [
        measures.measure(params, made, photo, picture("painting", 40, 36), layers),
        measures.measure(params, made, photo[::-1], picture("photograph", 36, 40), layers),
        measures.measure(params, made, photo, None, layers),
        measures.measure(params, made, None, picture("photograph", 36, 40), layers),
    ]
    for one, other in zip(found, expected * 2, strict=True):
        np.testing.assert_allclose(one.row(), other.row(), rtol=1e-4)


def test_objectives_of_as_many_lanes_have_the_same_shapes(mixed):
    shapes = [
        jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), mixed.objective(chosen))
        for chosen in ((0, 1), (2, 3), (3, 3))
    ]
    assert shapes[0] == shapes[1] == shapes[2]


def test_targets_are_computed_once_for_each_picture(params, picture, monkeypatch):
    calls = Counter()
    for name in ("content_targets", "style_targets"):
        original = getattr(targets, name)

        def counted(*args, name=name, original=original, **options):
            calls[name] += 1
            return original(*args, **options)

        monkeypatch.setattr(targets, name, counted)
    found = problem(params, picture, MIXED * 5)
    found.objective(range(4))
    found.objective(range(3))
    assert calls == {"content_targets": 2, "style_targets": 2}


def test_one_target_is_not_repeated_for_each_lane(params, picture):
    goal = problem(params, picture, LANES).objective(range(len(LANES)))
    assert {target.shape[0] for target in jax.tree.leaves(goal.targets)} == {1}
    assert {weight.shape for weight in jax.tree.leaves(goal.loss_weights)} == {(len(LANES),)}


def test_contents_of_different_sizes_are_refused(params, picture):
    pictures = {"photo": picture("photograph", 32, 48), "upside": picture("photograph", 32, 47)}
    with pytest.raises(InputError, match=re.escape("photo 48x32, upside 47x32")):
        problem(params, picture, MIXED, contents=pictures)


COLORS = (
    lane(0, own=(("color", "luminance"),)),
    lane(1, own=(("color", "match"), ("color_match", "monge"))),
    lane(2, content="upside", own=(("color", "luminance"), ("tv", 1e-3))),
    lane(3, 1.0),
)


def test_lanes_with_colors_of_their_own(params, picture):
    """Luminance: equation 7 of grey pictures, whatever colors an image has; match: of a painting that was recolored."""
    colored = problem(params, picture, COLORS)
    photo, painting = picture("photograph", 32, 48), picture("painting", 40, 36)
    image = picture("painting", 32, 48)
    grey = np.repeat(image.mean(-1, keepdims=True), 3, -1)  # which stands for it in the objective
    found = colored.objective(range(4))(np.stack([image] * 4))
    cases = [
        (recolor.grey(photo), recolor.match_luminance(painting, photo), grey, COLORS[0]),
        (photo, recolor.match_colors(painting, photo, "monge"), image, COLORS[1]),
        (recolor.grey(photo[::-1]), recolor.match_luminance(painting, photo[::-1]), grey, COLORS[2]),
        (photo, painting, image, COLORS[3]),
    ]
    for number, (content, style, seen, own) in enumerate(cases):
        plain = (lane(0, own.alpha, own=tuple(item for item in own.own if item[0] == "tv")),)
        contents = {"photo": content}
        alone = problem(params, picture, plain, contents=contents, styles={"painting": style})
        expected = alone.objective([0])(seen[None]).total[0]
        np.testing.assert_allclose(found.total[number], expected, rtol=1e-5)


def test_a_grey_image_stays_grey(params, picture):
    """Its gradient has three equal channels, and it moves as one of luminance alone would."""
    goal = problem(params, picture, COLORS).objective(range(4))
    image = recolor.grey(picture("painting", 32, 48))
    gradient = np.asarray(jax.grad(lambda images: goal(images).total.sum())(np.stack([image] * 4)))
    for number in (0, 2):
        assert (gradient[number] == gradient[number][..., :1]).all()
    assert (gradient[3] != gradient[3][..., :1]).any()


def test_what_luminance_stands_for_has_the_photograph_s_colors_within_bounds(params, picture):
    own = problem(params, picture, COLORS)
    boxes = own.boxes(range(4))
    photo = picture("photograph", 32, 48)
    assert boxes.lower.shape == boxes.upper.shape == (4, 32, 48, 1)
    assert (boxes.lower[3].min(), boxes.upper[3].max()) == (0, 1)
    for edge in (boxes.lower[0], boxes.upper[0]):
        made = own.picture(COLORS[0], np.broadcast_to(edge, (32, 48, 3)))
        assert made.min() > -1e-6
        assert made.max() < 1 + 1e-6
        np.testing.assert_allclose(recolor.chroma(made), recolor.chroma(photo), atol=1e-6)
        np.testing.assert_allclose(own.picture(COLORS[0], made), made, atol=1e-6)
    assert own.picture(COLORS[3], photo) is photo


def test_paintings_at_sizes_of_lanes(params, picture):
    lanes = (lane(0), lane(1, own=(("style_scale", 0.5),)))
    paintings = {"painting": picture("painting", 40, 36), ("painting", 0.5): picture("painting", 80, 72)}
    both = problem(params, picture, lanes, styles=paintings).objective([0, 1])
    for number, painting in enumerate(paintings.values()):
        alone = problem(params, picture, (lane(0),), styles={"painting": painting}).objective([0])
        for layer, target in alone.targets.style.items():
            np.testing.assert_allclose(both.targets.style[layer][number], target[0], rtol=1e-5)
