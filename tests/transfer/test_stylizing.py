"""One picture from Python: the command's defaults, scales, callbacks, blends; and the loss of any picture."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nst_jax.errors import InputError
from nst_jax.loss.objective import Term
from nst_jax.optim.status import Status
from nst_jax.pictures.noise import white_noise
from nst_jax.transfer import stylizing
from nst_jax.transfer.minimizing import minimize
from nst_jax.transfer.presence import Found
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.stylizing import evaluate, stylize
from nst_jax.transfer.sweeping import objective, sweep

SMALL = {"size": 48, "content_layers": ("conv2_1",), "style_layers": ("conv1_1", "conv2_1")}


pytestmark = pytest.mark.usefixtures("optax_mixes_dtypes")


@pytest.fixture(scope="module")
def pair(picture):
    return picture("photograph", 32, 48), picture("painting", 40, 48)


def test_a_picture_is_a_sweep_of_one_lane(params, pair):
    one = stylize(*pair, params=params, evaluations=8, **SMALL)
    (other,) = sweep(*pair, params=params, evaluations=8, batch=1, **SMALL)
    np.testing.assert_allclose(one.image, other.image, atol=1e-3)  # another program where there are four devices
    assert one.lane == other.lane
    assert one.evaluations == 8
    assert one.status is Status.RUNNING
    assert one.losses.total < one.history[0].losses.total


def test_settings_at_once_and_by_name_are_the_same(params, pair):
    one = stylize(*pair, params=params, evaluations=4, **SMALL)
    for other in (
        stylize(*pair, Settings(evaluations=4, **SMALL), params=params),
        stylize(*pair, Settings(**SMALL), params=params, evaluations=4),
        stylize(*pair, params=params, evaluations=4, **SMALL | {"size": "original"}),
        stylize(*pair, Settings(**SMALL | {"size": 64}), params=params, evaluations=4, size="original"),
    ):
        np.testing.assert_array_equal(other.image, one.image)


def test_scales_are_gone_through_and_told_of(params, picture):
    photo, painting = picture("photograph", 64, 96), picture("painting", 64, 96)
    steps = []
    made = stylize(photo, painting, params=params, scales=2, evaluations=10, callback=steps.append, every=3,
                   **SMALL | {"size": 96})  # fmt: skip
    numbers = [record.evaluations for step in steps for record in step.records]
    assert numbers == list(range(1, 11))
    ends = [step.records[-1].evaluations for step in steps]
    assert {3, 6, 9, 4, 10} <= set(ends)
    assert {step.scale.name for step in steps} == {"48x32", "96x64"}
    assert [scale.evaluations for scale in steps[0].scales] == [4, 6]
    for step in steps:
        assert step.image.shape == (step.scale.height, step.scale.width, 3)
    assert made.image.shape == (64, 96, 3)
    assert made.strips == ((), ())
    assert made.evaluations == 10


def test_a_callback_stops_it(params, picture):
    photo, painting = picture("photograph", 64, 96), picture("painting", 64, 96)
    made = stylize(photo, painting, params=params, scales=2, evaluations=10, callback=lambda step: True,
                   **SMALL | {"size": 96})  # fmt: skip
    assert made.image.shape == (32, 48, 3)  # the picture so far
    assert made.evaluations == 1


@pytest.mark.parametrize("every", [0, -1])
def test_every_so_many_evaluations_are_some(params, pair, every):
    """It never ended."""
    with pytest.raises(InputError, match=rf"^every: {every} is not allowed; must be at least 1$"):
        stylize(*pair, params=params, every=every, **SMALL)


def test_too_little_memory_means_strips(params, picture):
    """And where even those do not fit, one line before anything is computed."""
    photo, painting = picture("photograph", 160, 160), picture("painting", 160, 160)
    small = SMALL | {"size": 160, "evaluations": 2, "params": params}
    whole = stylize(photo, painting, **small)
    cut = stylize(photo, painting, memory=60_000_000, **small)
    assert whole.strips == ((),)
    assert cut.strips[0]
    np.testing.assert_allclose(cut.losses.total, whole.losses.total, rtol=1e-5)
    with pytest.raises(InputError, match="memory: one lane needs"):
        stylize(photo, painting, memory=1_000_000, **small)


def test_a_blend_of_two_paintings(params, pair):
    photo, painting = pair
    alone = stylize(photo, [painting, painting[::-1]], params=params, style_blend=(1.0, 0.0), evaluations=2, **SMALL)
    expected = stylize(photo, painting, params=params, evaluations=2, **SMALL)
    np.testing.assert_allclose(alone.losses.total, expected.losses.total, rtol=1e-6)
    with pytest.raises(InputError, match="style_blend: 2 given for 1"):
        stylize(photo, painting, params=params, style_blend=(1.0, 1.0), **SMALL)


def test_what_a_researcher_brings(params, pair):
    photo, painting = pair
    grey = Term(lambda images: ((images - 0.5) ** 2).sum((1, 2, 3)), 1e9, "grey")
    made = stylize(photo, painting, params=params, start=painting[:32], terms=[grey], optimizer=optax.adam(0.02),
                   evaluations=6, **SMALL)  # fmt: skip
    assert made.losses.terms["grey"] < 0.9 * made.history[0].losses.terms["grey"]
    with pytest.raises(InputError, match=r"^term 'lost': is nan at the start of 0_picture; must be finite$"):
        stylize(photo, painting, params=params, terms=[Term(lambda x: x.sum((1, 2, 3)) * jnp.nan, name="lost")],
                evaluations=3, **SMALL)  # fmt: skip


def test_the_loss_of_any_picture_is_what_is_minimized(params, pair):
    made = stylize(*pair, params=params, evaluations=4, **SMALL)
    found = evaluate(made.image, *pair, params=params, **SMALL)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(made.losses), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)
    assert evaluate(pair[0], *pair, params=params, **SMALL).content < 1e-9 * found.content
    with pytest.raises(InputError, match=r"^content: 48x32 cannot be brought to 48x48, which has another aspect$"):
        evaluate(np.zeros((48, 48, 3)), *pair, params=params)


def test_losses_without_a_weight_are_told_of(params, pair):
    both = evaluate(pair[1][:32], *pair, params=params, **SMALL)
    for zero in ({"alpha": 0.0, "beta": 1.0}, {"alpha": 1.0, "beta": 0.0}, {"style_weights": (1.0, 0.0)}):
        found = evaluate(pair[1][:32], *pair, params=params, **SMALL, **zero)
        assert found.content == both.content
        assert found.style_layers == both.style_layers
    made = stylize(*pair, params=params, evaluations=1, alpha=1.0, beta=0.0, **SMALL)
    assert made.losses.style_layers["conv1_1"] > 0
    assert made.measures.to_noise["conv1_1"] > 0


def test_weights_that_are_zero_in_float32_are_refused(params, pair):
    with pytest.raises(InputError, match=r"^alpha and beta: both are zero in float32; at least one must be positive$"):
        stylize(*pair, params=params, alpha=1e-60, beta=0.0)


def file_of(image):
    return np.rint(image * 255).astype(np.float32) / 255


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("init", ["noise", "content"])
def test_the_picture_of_the_file_is_the_one_that_was_minimized(params, pair, optimizer, init):
    """It never leaves 0..1, at either scale; what is reported is the loss of the file, to what eight bits cost."""
    inside = []
    made = stylize(
        *pair, params=params, evaluations=30, scales=1, optimizer=optimizer, init=init, ratio=1e-5, noise=30.0,
        callback=lambda step: inside.append((step.image.min(), step.image.max())), **SMALL
    )  # fmt: skip
    assert min(least for least, _ in inside) >= 0
    assert max(most for _, most in inside) <= 1
    assert ((made.image == 0) | (made.image == 1)).any()
    filed = evaluate(file_of(made.image), *pair, params=params, ratio=1e-5, **SMALL)
    np.testing.assert_allclose(made.losses.total, filed.total, rtol=0.01)


def test_without_bounds_it_is_the_plain_algorithm(params, pair):
    plain = stylize(*pair, params=params, evaluations=30, ratio=1e-5, bounds="none", **SMALL)
    assert plain.image.min() < 0
    assert plain.image.max() > 1
    goal = objective(*pair, params=params, ratio=1e-5, **SMALL)
    start = white_noise(0, 32, 48)[None]
    same = minimize(goal, start, evaluations=30, bounds=(-np.inf, np.inf))
    np.testing.assert_allclose(plain.image, same.images[0], atol=1e-5)


def test_a_content_start_stays_inside_through_its_scales(params, picture):
    """Detail of the photograph added to an enlarged picture leaves 0..1."""
    photo, painting = (picture(name, 64, 96) for name in ("photograph", "painting"))
    photo = np.where(np.indices((64, 96)).sum(0)[..., None] % 2, photo, 1 - photo)
    seen = []
    made = stylize(
        photo, painting, params=params, init="content", scales=2, evaluations=8,
        callback=lambda step: seen.append(step.image), every=1, **SMALL | {"size": 96},
    )  # fmt: skip
    assert {image.shape[0] for image in seen} == {32, 64}
    assert min(image.min() for image in seen) >= 0
    assert max(image.max() for image in seen) <= 1
    assert made.image.min() == 0


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_frozen_pixels_keep_their_start(params, picture, optimizer):
    """To the bit, at each of two scales."""
    photo, painting = (picture(name, 64, 96) for name in ("photograph", "painting"))
    mask = np.zeros((64, 96), bool)
    mask[16:48, 24:72] = True
    for scales in (1, 2):
        made = stylize(
            photo, painting, params=params, init="content", frozen=mask, scales=scales, evaluations=8,
            optimizer=optimizer, **SMALL | {"size": 96},
        )  # fmt: skip
        np.testing.assert_array_equal(made.image[mask], photo[mask])
        assert (made.image != photo)[~mask].mean() > 0.9


def test_a_lane_s_frozen_pixels_are_its_own_start_s(params, pair):
    mask = np.arange(48) < np.full((32, 1), 10)
    lanes = list(sweep(*pair, params=params, seed=[0, 1], frozen=mask, evaluations=4, **SMALL))
    for seed, lane in enumerate(lanes):
        np.testing.assert_array_equal(lane.image[mask], np.asarray(white_noise(seed, 32, 48))[mask])


@pytest.mark.parametrize(("mask", "words"), [
    (np.zeros((32, 48), complex), "complex128 (32, 48) is no mask; must be bool"),
    (np.zeros((48, 32), bool), "32x48 cannot be brought to 48x32, which has another aspect"),
    (np.zeros((32, 48, 3), bool), r"bool (32, 48, 3) is no mask; must be bool [height, width]"),
    (np.full((32, 48), 2.0, np.float32), "holds values outside of 0..1"),
    (np.full((32, 48), np.nan, np.float32), "holds values outside of 0..1"),
])  # fmt: skip
def test_masks_that_cannot_be(params, pair, mask, words):
    with pytest.raises(InputError, match=f"^frozen: {re.escape(words)}"):
        stylize(*pair, params=params, frozen=mask, **SMALL)


def test_a_presence_is_searched_for_once_and_then_a_ratio(params, picture, monkeypatch):
    """With all that the picture is made of; what cannot be reached is warned of."""
    photo, painting = picture("photograph", 32, 48), picture("painting", 40, 48)
    heard = []

    def ratios_for(presences, content, style, settings, **options):
        heard.append((presences, content, style, settings, options))
        return [Found(presences[0], 0.07, 0.3, False)]

    monkeypatch.setattr(stylizing, "ratios_for", ratios_for)
    low = {"content_layers": ("conv2_1",), "style_layers": ("conv1_1",), "size": 48, "evaluations": 3}
    keep = np.zeros((32, 48), bool)
    with pytest.warns(UserWarning, match=r"presence 0.9: cannot be reached; the nearest is 0.30, at α/β 0.07$"):
        made = stylize(photo, painting, presence=0.9, keep=keep, start=photo, params=params, **low)
    ((presences, content, style, settings, options),) = heard
    assert (presences, settings.size, settings.presence, settings.ratio) == ([0.9], 48, None, None)
    assert content.shape == photo.shape
    assert [one.shape for one in style] == [painting.shape]
    assert (options["keep"] is keep, options["start"] is photo, options["params"] is params) == (True, True, True)
    assert (made.lane.alpha, made.lane.presence, made.lane.expected) == (0.07, 0.9, 0.3)
    plain = stylize(photo, painting, ratio=0.07, keep=keep, start=photo, params=params, **low)
    np.testing.assert_array_equal(made.image, plain.image)


def test_no_picture_that_is_there_is_evaluated_at_a_presence(picture):
    photo = picture("photograph", 32, 48)
    with pytest.raises(InputError, match=r"^presence: not allowed for a picture that is there; give a ratio$"):
        evaluate(photo, photo, photo, presence=0.5)
