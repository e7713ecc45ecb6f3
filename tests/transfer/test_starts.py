"""Where lanes start: noise, the photograph, a picture, the scale before; and what their pictures stay in."""

import re

import numpy as np
import pytest
from small_sweep import lane

from nst_jax.errors import InputError
from nst_jax.pictures import images
from nst_jax.pictures.noise import white_noise
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.starts import Starts


@pytest.fixture(scope="module")
def contents(picture):
    photo = picture("photograph", 32, 48)
    return {"photo": photo, "upside": photo[::-1]}


def test_noise_is_of_the_lane_s_seed_and_of_the_settings_deviation(contents):
    starts = Starts(contents, Settings(noise=5.0))
    made = [np.asarray(starts.of(lane(number, seed=seed))) for number, seed in enumerate((3, 3, 4))]
    np.testing.assert_array_equal(made[0], white_noise(3, 32, 48, 5.0))
    np.testing.assert_array_equal(made[1], made[0])
    assert np.abs(made[2] - made[0]).max() > 1 / 255


def test_the_lane_s_own_photograph(contents):
    starts = Starts(contents, Settings(init="content"))
    np.testing.assert_array_equal(starts.of(lane(0)), contents["photo"])
    np.testing.assert_array_equal(starts.of(lane(1, content="upside")), contents["upside"])


def test_a_picture_for_all_or_one_for_each_lane(contents, picture):
    given = picture("painting", 64, 50)
    np.testing.assert_array_equal(Starts(contents, Settings(), given).of(lane(1)), images.resize(given, 32, 48))
    each = Starts(contents, Settings(), {"lane0": contents["photo"], "lane1": contents["upside"]})
    np.testing.assert_array_equal(each.of(lane(1)), contents["upside"])


def test_a_start_that_is_not_there(contents):
    with pytest.raises(InputError, match=re.escape("init: 'a.png' is not allowed; must be noise or content")):
        Starts(contents, Settings(init="a.png"))


def test_the_scale_before_with_the_photograph_s_detail_where_it_counts(contents):
    gray = np.full((16, 24, 3), 0.5, np.float32)
    lanes = (lane(0), lane(1, 0.0))
    after = Starts(contents, Settings()).after({one.name: gray for one in lanes}, lanes)
    photo = contents["photo"]
    detail = photo - images.resize(images.resize(photo, 16, 24), 32, 48)
    assert np.abs(detail).max() > 0.05
    np.testing.assert_allclose(after.of(lanes[0]), 0.5 + detail, atol=1e-6)
    np.testing.assert_allclose(after.of(lanes[1]), 0.5, atol=1e-6)


def test_frozen_pixels_stay_the_start_s_at_every_scale(contents):
    frozen = np.zeros((32, 48), bool)
    frozen[:8] = True
    starts = Starts(contents, Settings(init="content"), frozen=frozen)
    after = starts.after({"lane0": np.full((16, 24, 3), 0.5, np.float32)}, [lane(0)])
    np.testing.assert_array_equal(after.of(lane(0))[:8], contents["photo"][:8])
    assert not np.array_equal(after.of(lane(0))[8:], contents["photo"][8:])
    for one in (starts, after):
        box = one.boxes([lane(0), lane(1)], np.float32)
        np.testing.assert_array_equal(box.frozen, np.broadcast_to(frozen[..., None], (2, 32, 48, 1)))


@pytest.mark.parametrize(("bounds", "expected"), [("box", (0, 1)), ("none", (-np.inf, np.inf))])
def test_bounds_are_the_settings(contents, bounds, expected):
    box = Starts(contents, Settings(bounds=bounds)).boxes([lane(0)] * 3, np.float32)
    np.testing.assert_array_equal(box.lower, np.full(3, expected[0], np.float32))
    np.testing.assert_array_equal(box.upper, np.full(3, expected[1], np.float32))
    assert box.frozen is None


def test_what_is_kept_is_the_photograph_from_the_start(contents):
    """Whatever the start, and with what is frozen beside it."""
    kept, frozen = np.zeros((32, 48), bool), np.zeros((32, 48), bool)
    kept[:8], frozen[-4:] = True, True
    starts = Starts(contents, Settings(), None, frozen, kept)
    noise = Starts(contents, Settings())
    made = np.asarray(starts.of(lane(0)))
    np.testing.assert_array_equal(made[:8], contents["photo"][:8])
    np.testing.assert_array_equal(made[8:], np.asarray(noise.of(lane(0)))[8:])
    box = starts.boxes([lane(0)], np.float32)
    np.testing.assert_array_equal(np.asarray(box.frozen)[0, ..., 0], kept | frozen)
    assert np.asarray(Starts(contents, Settings(), kept=kept).boxes([lane(0)], np.float32).frozen).sum() == kept.sum()
