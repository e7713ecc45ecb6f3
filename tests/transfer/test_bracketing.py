"""Ratios at which made-up curves take the values that are asked: smooth, noisy, steep, flat ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_jax.transfer.bracketing import rising, search


def curve(low=0.2, high=0.98, middle=-2.5, steepness=2.0):
    """A rising function of ratios, from `low` to `high`, and the batches that it was asked for."""
    batches = []

    def measure(ratios):
        batches.append(list(ratios))
        return [low + (high - low) / (1 + np.exp(-steepness * (np.log10(ratio) - middle))) for ratio in ratios]

    return measure, batches


FIRST = [10**-3.5, 1e-3, 10**-2.5]


@settings(deadline=None)
@given(
    st.floats(0, 0.4),
    st.floats(0.9, 1),
    st.floats(-5, 1),
    st.floats(1, 2.5),
    st.lists(st.floats(0, 1), min_size=1, max_size=4),
    st.integers(2, 6),
)
def test_what_a_curve_takes_is_found(low, high, middle, steepness, asked, count):
    """Within .05, wherever it rises, as steep as those of pictures; what it never takes has the nearest it does."""
    measure, batches = curve(low, high, middle, steepness)
    points = search(measure, asked, list(np.logspace(-4, -1, count)), rounds=12)
    assert all(len(batch) == count for batch in batches)
    for value, point in zip(asked, points, strict=True):
        assert measure([point.ratio])[0] == pytest.approx(np.clip(value, low, high), abs=0.05)
        assert point.value == pytest.approx(np.clip(value, low, high), abs=0.05)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.floats(0.3, 0.9), st.floats(-3.5, -1.5))
def test_noise_is_borne(seed, asked, middle):
    """Of .01, which lets nearby values fall."""
    measure, batches = curve(middle=middle)
    noise = np.random.default_rng(seed)
    (point,) = search(lambda ratios: list(np.add(measure(ratios), noise.normal(0, 0.01, len(ratios)))), [asked], FIRST)
    assert len(batches) <= 4
    assert measure([point.ratio])[0] == pytest.approx(asked, abs=0.06)


def test_a_good_guess_takes_one_round():
    measure, batches = curve(middle=-3)
    (point,) = search(measure, [0.6], FIRST)
    assert len(batches) == 1
    assert measure([point.ratio])[0] == pytest.approx(0.6, abs=0.02)


def test_several_share_what_is_measured():
    measure, batches = curve()
    points = search(measure, [0.8, 0.4, 0.6], list(np.logspace(-4, -1, 5)))
    assert len(batches) <= 2
    assert [point.value for point in points] == [0.8, 0.4, 0.6]
    assert points[1].ratio < points[2].ratio < points[0].ratio


def test_what_cannot_be_reached_has_the_nearest():
    measure, batches = curve(low=0.4, high=0.9)
    low, high = search(measure, [0.1, 0.99], FIRST)
    assert low.value == pytest.approx(0.4, abs=0.02)
    assert high.value == pytest.approx(0.9, abs=0.02)
    assert 1e-7 < low.ratio < 1e-3 < high.ratio < 1e2  # no more extreme than it helps
    assert len(batches) <= 4


def test_a_step_ends():
    """Values between its two sides are nowhere."""
    batches = []

    def measure(ratios):
        batches.append(ratios)
        return [0.2 if ratio < 2e-3 else 0.9 for ratio in ratios]

    (point,) = search(measure, [0.5], FIRST, rounds=20)
    assert len(batches) < 5
    assert point.ratio == pytest.approx(2e-3, rel=0.5)


def test_what_is_not_a_number_does_not_count():
    measure, _ = curve()
    (point,) = search(lambda ratios: [np.nan, *measure(ratios)[1:]], [0.5], FIRST)
    assert measure([point.ratio])[0] == pytest.approx(0.5, abs=0.05)
    assert search(lambda ratios: [np.nan] * len(ratios), [0.5], FIRST) == []


def test_no_ratio_leaves_the_bounds():
    measure, batches = curve(middle=-9)
    search(measure, [0.3], FIRST, decades=(-5.0, 0.0))
    assert min(map(min, batches)) >= 1e-5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_rising_is_the_nearest_monotone_curve(values):
    """It rises, has the same mean, and is left as it is once it does."""
    made = rising(np.array(values))
    assert np.all(np.diff(made) >= 0)
    assert made.mean() == pytest.approx(np.mean(values))
    np.testing.assert_array_equal(rising(made), made)
    np.testing.assert_array_equal(rising(np.sort(values)), np.sort(values))
