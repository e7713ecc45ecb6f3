"""Similarity against scikit-image; the scale of structure and grids against sums written out and against theory."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq
from scipy.special import j0
from skimage.metrics import structural_similarity

from nst_jax.measures import structure

SIDES = st.tuples(st.integers(11, 24), st.integers(11, 24))
LEVELS = st.integers(0, 255).map(lambda level: level / 255)


def planes(shape, elements=LEVELS):
    return arrays.arrays(np.float64, shape, elements=elements)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(height, width))


# -- luminance


def test_luminance_is_a_weighted_mean():
    for color, expected in (((1, 1, 1), 1.0), ((0, 0, 0), 0.0), ((1, 0, 0), 0.299), ((0, 1, 0), 0.587)):
        image = np.broadcast_to(np.float32(color), (2, 3, 3))
        np.testing.assert_allclose(structure.luminance(image), np.full((2, 3), expected), rtol=1e-12)
    assert structure.luminance(np.zeros((2, 3, 3), np.float32)).dtype == np.float64


# -- similarity


def as_wang(plane: np.ndarray, other: np.ndarray) -> float:
    """scikit-image's, set to what the paper says."""
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    return structural_similarity(plane, other, **options)


@pytest.mark.parametrize("strength", [0.0, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(48, 64), (11, 11), (51, 33)], ids=str)
def test_similarity_against_scikit_image(picture, shape, strength):
    plane = structure.luminance(picture("photograph", 64, 64))[: shape[0], : shape[1]]
    other = np.clip(plane + strength * noise(*shape), 0, 1)
    assert structure.similarity(plane, other) == pytest.approx(as_wang(plane, other), rel=1e-10)


def test_similarity_of_a_photograph_and_a_painting_against_scikit_image(picture):
    photo, painting = (structure.luminance(picture(name, 48, 64)) for name in ("photograph", "painting"))
    assert structure.similarity(photo, painting) == pytest.approx(as_wang(photo, painting), rel=1e-10)
    assert structure.similarity(photo, painting) < 0.5


@settings(max_examples=30, deadline=None)
@given(SIDES.flatmap(lambda shape: st.tuples(planes(shape), planes(shape))))
def test_similarity_of_any_two(pair):
    plane, other = pair
    found = structure.similarity(plane, other)
    assert found == pytest.approx(as_wang(plane, other), rel=1e-7, abs=1e-9)
    assert found == pytest.approx(structure.similarity(other, plane), abs=1e-12)
    assert -1 <= found <= 1
    assert structure.similarity(plane, plane) == pytest.approx(1, abs=1e-12)


def test_similarity_of_two_greys_is_that_of_their_means():
    """The paper's l(x, y), equation 6: there is no contrast and no structure to differ."""
    dark, light = np.full((20, 20), 0.2), np.full((20, 20), 0.6)
    expected = (2 * 0.2 * 0.6 + 0.01**2) / (0.2**2 + 0.6**2 + 0.01**2)
    assert structure.similarity(dark, light) == pytest.approx(expected, rel=1e-9)


def test_a_negative_is_unlike():
    plane = 0.5 + 0.1 * noise(40, 40)
    assert structure.similarity(plane, 1 - plane) < -0.8


# -- the scale of structure


def written_out(plane: np.ndarray) -> float:
    """The definition with all sums over pixels and pairs of pixels written out."""
    height, width = plane.shape
    y, x = (grid.ravel() for grid in np.mgrid[:height, :width])
    down, across = y[:, None] - y, x[:, None] - x
    radius = np.hypot(down, across)
    window = np.exp(-(radius**2) / (2 * (max(plane.shape) / 16) ** 2))
    values = plane.ravel() - window @ plane.ravel() / window.sum(1)
    values -= values.mean()
    products = values[:, None] * values
    reach = min(height, width) // 2
    lags = {
        (dy, dx): products[(down == dy) & (across == dx)].mean()
        for dy in range(-reach, reach + 1)
        for dx in range(-reach, reach + 1)
        if round(math.hypot(dy, dx)) <= reach
    }
    before = (0.0, lags[0, 0])
    for ring in range(1, reach + 1):
        inside = [lag for lag in lags if round(math.hypot(*lag)) == ring]
        after = (np.mean([math.hypot(*lag) for lag in inside]), np.mean([lags[lag] for lag in inside]))
        if after[1] < lags[0, 0] / math.e:
            return float(np.interp(lags[0, 0] / math.e, (after[1], before[1]), (after[0], before[0])))
        before = after
    return float(reach)


@pytest.mark.parametrize("blur", [0, 1, 3])
def test_scale_against_the_definition(blur):
    plane = gaussian_filter(noise(32, 36), blur) + np.linspace(0, 1, 36)
    assert structure.correlation_length(plane) == pytest.approx(written_out(plane), rel=1e-6)


def test_scale_of_a_picture_against_the_definition(picture):
    plane = structure.luminance(picture("painting", 36, 32))
    assert structure.correlation_length(plane) == pytest.approx(written_out(plane), rel=1e-6)


@pytest.mark.parametrize("blur", [1.0, 1.5, 2.0, 3.0])
def test_scale_of_blurred_noise(blur):
    """Its autocorrelation is a Gaussian of variance 2 s²; what the local mean takes away makes it a sum of three."""
    side = 256
    window = side / 16
    terms = [(1, 2 * blur**2), (-2, 2 * blur**2 + window**2), (1, 2 * blur**2 + 2 * window**2)]

    def autocovariance(r):
        return sum(sign / variance * math.exp(-(r**2) / (2 * variance)) for sign, variance in terms)

    expected = brentq(lambda r: autocovariance(r) - autocovariance(0) / math.e, 0.1, 4 * blur)
    found = [structure.correlation_length(gaussian_filter(noise(side, side, seed), blur)) for seed in range(3)]
    assert np.mean(found) == pytest.approx(expected, rel=0.03)
    assert expected == pytest.approx(2 * blur, rel=0.08)


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2])
@pytest.mark.parametrize("period", [5.0, 8.0, 12.5, 20.0])
def test_scale_of_a_grating(period, angle):
    """Averaged over directions, the autocorrelation of a cosine is a Bessel function."""
    y, x = np.mgrid[:160, :192]
    plane = np.cos(2 * math.pi / period * (x * math.cos(angle) + y * math.sin(angle)))
    expected = period / (2 * math.pi) * brentq(lambda z: j0(z) - 1 / math.e, 0, 2.4)
    assert structure.correlation_length(plane) == pytest.approx(expected, rel=0.06)
    assert expected == pytest.approx(0.28 * period, rel=0.01)


def test_scale_of_white_noise():
    assert structure.correlation_length(noise(128, 128)) == pytest.approx(0.76, abs=0.02)


def test_scale_grows_with_blur(picture):
    plane = structure.luminance(picture("painting", 128, 160))
    found = [structure.correlation_length(gaussian_filter(plane, blur)) for blur in (0, 0.5, 1, 2, 3, 5)]
    assert found == sorted(found)
    assert found[-1] > 2 * found[0]


def test_composition_does_not_count():
    """The same strokes, alone and on a landscape."""
    strokes = gaussian_filter(noise(128, 192), 2.0)
    strokes /= strokes.std()
    y, x = np.mgrid[:128, :192]
    landscape = 5 * np.tanh((y - 64) / 60) + 3 * np.cos(x / 40)
    alone, together = structure.correlation_length(strokes), structure.correlation_length(strokes + landscape)
    assert together == pytest.approx(alone, rel=0.05)


@settings(max_examples=30, deadline=None)
@given(SIDES.flatmap(planes), st.floats(0.1, 10), st.floats(-1, 1))
def test_scale_of_anything(plane, contrast, brightness):
    found = structure.correlation_length(plane)
    if np.ptp(plane) == 0:
        assert math.isnan(found)
        return
    assert 0 < found <= min(plane.shape) // 2
    changes = (plane.T, plane[::-1], plane[:, ::-1], contrast * plane + brightness, -plane)
    for changed in changes[: None if np.ptp(plane) > 0.01 else 3]:
        assert structure.correlation_length(changed) == pytest.approx(found, rel=1e-4)


# -- grids


def colored(exponent: float, seed: int = 0, deviation: float = 0.05) -> np.ndarray:
    """Noise whose amplitude is a power of the frequency, as a file of 192x128 pixels holds it."""
    spectrum = np.fft.fft2(noise(128, 192, seed))
    radius = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(192))
    radius[0, 0] = np.inf
    plane = np.fft.ifft2(spectrum / radius**exponent).real
    return np.rint(255 * (0.5 + deviation * plane / plane.std())) / 255


def dots(period: int, shape=(128, 192), shift=(0, 0)) -> np.ndarray:
    """Of height one, and a third of that against it between: with all frequencies of the grid, none of a finer one."""
    plane = np.zeros(shape)
    plane[shift[0] % (period // 2) :: period // 2, shift[1] % (period // 2) :: period // 2] = -1 / 3
    plane[shift[0] % period :: period, shift[1] % period :: period] = 1
    return plane


def grids_written_out(plane: np.ndarray) -> dict[int, float]:
    """The definition, without a Fourier transform of NumPy's."""
    side = 32
    tops, lefts = (sorted({*range(0, length - side + 1, side // 2), length - side}) for length in plane.shape)
    taper = [math.sin(math.pi * (n + 0.5) / side) ** 2 for n in range(side)]
    window = np.array([[a * b for b in taper] for a in taper])
    wave = np.exp(-2j * math.pi / side * np.outer(np.arange(side), np.arange(side)))
    local = []
    for top in tops:
        for left in lefts:
            patch = plane[top : top + side, left : left + side]
            patch = (patch - (patch * window).sum() / window.sum()) * window
            power = np.abs(wave @ patch @ wave.T) ** 2 + (window**2).sum() / 12 / 255**2
            local.append(power / np.exp(np.log(power).mean()))
    level = np.log(np.mean(local, 0))
    found = {}
    for period in (2, 4, 8):
        ratios = []
        for k in range(period):
            for m in range(period):
                v, u = k * side // period, m * side // period
                around = {(i, j): level[(v + i) % side, (u + j) % side] for i in (-2, 0, 2) for j in (-2, 0, 2)}
                if k % 2 or m % 2:
                    sides = around[0, -2] + around[0, 2] + around[-2, 0] + around[2, 0]
                    corners = sum(around[i, j] for i in (-2, 2) for j in (-2, 2))
                    ratios.append(around[0, 0] - sides / 2 + corners / 4)
        found[period] = math.exp(np.mean(ratios))
    return found


@pytest.mark.parametrize("shape", [(32, 32), (48, 64), (61, 43)], ids=str)
def test_grids_against_the_definition(picture, shape):
    plane = structure.luminance(picture("photograph", *shape)) + 0.01 * dots(4, shape)
    assert structure.grids(plane) == pytest.approx(grids_written_out(plane), rel=1e-9)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.5])
def test_no_grid_stands_out_of_noise(exponent):
    found = np.array([list(structure.grids(colored(exponent, seed)).values()) for seed in range(40)])
    np.testing.assert_allclose(found.mean(0), 1, atol=0.06)
    np.testing.assert_allclose(found.std(0), [0.13, 0.07, 0.04], rtol=0.3)


@pytest.mark.parametrize("name", ["photograph", "painting"])
def test_no_grid_stands_out_of_pictures(picture, name):
    found = structure.grids(structure.luminance(picture(name, 128, 192)))
    assert 0.5 < found[2] < 1.5
    assert 0.8 < found[4] < 1.25
    assert 0.85 < found[8] < 1.15


@pytest.mark.parametrize("period", [2, 4, 8])
def test_a_faint_grid_raises_its_own_measure(period):
    """Dots of 1, 4 and 16 levels of 255 in noise of a deviation of 13, most of it in low frequencies as in pictures."""
    height = {2: 1, 4: 4, 8: 16}[period] / 255
    plane = colored(1.0)
    before, after = structure.grids(plane), structure.grids(np.rint(255 * (plane + height * dots(period))) / 255)
    assert after[period] > 1.5 * before[period]
    for other in {2, 4, 8} - {period}:
        assert after[other] == pytest.approx(before[other], abs=0.15)


@pytest.mark.parametrize("period", [2, 4, 8])
def test_a_grid_is_found_wherever_it_begins(period):
    planes = [0.5 + 0.01 * dots(period, (97, 75), shift) for shift in ((0, 0), (1, 0), (1, 1), (2, 3))]
    found = [structure.grids(plane)[period] for plane in planes]
    np.testing.assert_allclose(found, found[0], rtol=1e-6)
    assert found[0] > 10


def test_a_grid_in_a_smooth_area_counts_beside_a_textured_one():
    """Dots of one level in a sky; the other half has a hundred times that."""
    sky, leaves = np.full((128, 96), 0.7), 0.5 + 0.4 * noise(128, 96).clip(-1, 1)
    without, with_grid = (np.hstack([sky + height * dots(4)[:, :96], leaves]) for height in (0, 1 / 255))
    assert structure.grids(with_grid)[4] > 1.5 * structure.grids(without)[4]


def test_lines_along_both_axes_are_no_grid():
    """Trap: the power of rows and columns of different brightness is on the axes, where a grid has its own."""
    rows, columns = noise(32, 1) ** 3, noise(1, 32, seed=1) ** 3
    assert structure.grids(100 * rows * columns) == pytest.approx({2: 1, 4: 1, 8: 1}, rel=1e-3)


def test_no_grid_in_a_plane_of_one_value():
    assert structure.grids(np.full((40, 50), 0.3)) == pytest.approx({2: 1, 4: 1, 8: 1}, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.integers(32, 70), st.integers(32, 70)).flatmap(planes), st.floats(-1, 1))
def test_grids_of_anything(plane, brightness):
    found = structure.grids(plane)
    assert all(0 < value < math.inf for value in found.values())
    for changed in (plane.T, -plane, plane + brightness):
        assert structure.grids(changed) == pytest.approx(found, rel=1e-6)
