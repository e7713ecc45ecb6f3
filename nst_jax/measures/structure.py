"""The structure of a picture's luminance: how alike two are, the scale, whether a grid shows. In float64."""

import math

import numpy as np

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, of gamma-encoded RGB
_SIGMA, _RADIUS, _K1, _K2 = 1.5, 5, 0.01, 0.03  # as Wang et al. chose them
LOCAL = 1 / 16  # of the longest side: standard deviation of the window within which structure is local
GRIDS = (2, 4, 8)
"""Periods in pixels: of the network's positions after one, two and three poolings, where conv4_2 is."""
_PATCH = 4 * max(GRIDS)
_ROUNDING = 1 / 12 / 255**2  # variance of what rounding a channel to 8 bits changes; luminance changes by less


def luminance(image: np.ndarray) -> np.ndarray:
    """Takes a picture's luma, as video and Wang et al. use it (ITU-R BT.601).

    Args:
      image: [height, width, 3] float RGB, 0..1.

    Returns:
      [height, width] float64, 0..1.
    """
    red, green, blue = np.moveaxis(np.asarray(image, np.float64), -1, 0)
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def similarity(plane: np.ndarray, other: np.ndarray) -> float:
    """Takes the mean structural similarity of Wang, Bovik, Sheikh & Simoncelli (IEEE Trans. Image Proc. 13, 2004).

    Their equation 13 under a window of 11x11 pixels, a Gaussian of standard deviation 1.5, with K1 = 0.01, K2 = 0.03
    and L = 1, averaged over all places where the window is within the picture (equation 17).

    Args:
      plane: [height, width] float64, 0..1, both sides at least 11.
      other: of the same shape.

    Returns:
      1 for equal planes, about 0 for unrelated ones; not below -1.
    """
    mean, mean_other = _windowed(plane), _windowed(other)
    variances = _windowed(plane**2) - mean**2 + _windowed(other**2) - mean_other**2
    covariance = _windowed(plane * other) - mean * mean_other
    numerator = (2 * mean * mean_other + _K1**2) * (2 * covariance + _K2**2)
    return float(np.mean(numerator / ((mean**2 + mean_other**2 + _K1**2) * (variances + _K2**2))))


def _windowed(plane: np.ndarray) -> np.ndarray:
    """The Gaussian-weighted mean around each place that has a whole window."""
    kernel = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
    for axis in (0, 1):
        plane = np.lib.stride_tricks.sliding_window_view(plane, 2 * _RADIUS + 1, axis) @ (kernel / kernel.sum())
    return plane


def correlation_length(plane: np.ndarray) -> float:
    """Finds the scale of local structure in pixels: where the autocorrelation has fallen to 1/e.

    As the texture of surfaces is measured (ISO 25178-2): what varies slowly, the composition, is removed by subtracting
    a Gaussian-weighted local mean, whose standard deviation is LOCAL of the longest side; of the rest, the
    autocorrelation is averaged over directions (the standard takes the direction of fastest decay, and 0.2). The
    distance is linearly interpolated between rings of lags. For noise under a Gaussian blur of standard deviation s
    it is 2 s, for a grating of period p 0.28 p, while these are small beside the window; for white noise 0.76.

    Args:
      plane: [height, width] float64.

    Returns:
      The distance, at most half of the shortest side; NaN for a plane of one value, which has no structure.
    """
    if np.ptp(plane) == 0:
        return math.nan
    reach = min(plane.shape) // 2
    detail = plane - _local_mean(plane, LOCAL * max(plane.shape))
    radii, covariance = _rings(_autocovariance(detail - detail.mean(), reach))
    below = np.flatnonzero(covariance < covariance[0] / math.e)
    if not below.size:
        return float(reach)
    after = below[0]
    part = (covariance[after - 1] - covariance[0] / math.e) / (covariance[after - 1] - covariance[after])
    return float(radii[after - 1] + part * (radii[after] - radii[after - 1]))


def _local_mean(plane: np.ndarray, deviation: float) -> np.ndarray:
    """The Gaussian-weighted mean of what of the window is within the picture."""
    padded = [side + math.ceil(6 * deviation) for side in plane.shape]
    down, across = np.fft.fftfreq(padded[0]), np.fft.rfftfreq(padded[1])
    gain = np.exp(-2 * (math.pi * deviation) ** 2 * (down[:, None] ** 2 + across**2))

    def blurred(x: np.ndarray) -> np.ndarray:
        return np.fft.irfft2(np.fft.rfft2(x, padded) * gain, padded)[: plane.shape[0], : plane.shape[1]]

    return blurred(plane) / blurred(np.ones_like(plane))


def _autocovariance(plane: np.ndarray, reach: int) -> np.ndarray:
    """[2 reach + 1, 2 reach + 1]: the mean product of all pairs of pixels at each lag; lag zero is in the middle."""
    height, width = plane.shape
    padded = height + reach, width + reach
    products = np.fft.irfft2(np.abs(np.fft.rfft2(plane, padded)) ** 2, padded)
    lags = np.arange(-reach, reach + 1)
    return products[np.ix_(lags, lags)] / ((height - abs(lags))[:, None] * (width - abs(lags)))


def _rings(lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over rings one pixel wide around the middle: of the radius and of the value."""
    reach = len(lags) // 2
    across = np.arange(-reach, reach + 1)
    radius = np.hypot(across[:, None], across)
    ring = np.rint(radius).astype(int)
    within = ring <= reach
    count = np.bincount(ring[within])
    return np.bincount(ring[within], radius[within]) / count, np.bincount(ring[within], lags[within]) / count


def grids(plane: np.ndarray) -> dict[int, float]:
    """Finds how far grids stand out: their power over what the frequencies around them let expect.

    The spectrum is a mean of local ones (Welch, IEEE Trans. Audio Electroacoust. 15, 1967): of patches of 32x32 pixels
    that overlap by half, their mean removed, under a Hann window. A patch counts relative to the geometric mean of its
    power, so that smooth areas, where a grid shows, count as much as those full of detail; rounding to 8 bits
    is added, so that what is less than that does not count. A grid of period p has the frequencies (k/p, l/p), without
    those that a grid of period p/2 has too. Of the logarithms of the power at each

        the two beside it / 2 + the two above and below / 2 - the four at the corners / 4

    is what it is expected to be, each two bins away, where the window lets nothing of any of the grids through. That is
    exact for any product of a function of rows and one of columns, hence for the lines of a picture's spectrum along
    both axes and for its fold at half a cycle a pixel; of a power of the frequency, up to fourth order.

    Args:
      plane: [height, width] float64, 0..1, both sides at least 32.

    Returns:
      {period in pixels: geometric mean of the ratios}: 1 for a plane of one value, and in the mean over noises of any
      power law, whose standard deviations are 0.13, 0.07 and 0.04 at 192x128 pixels. Photographs of that size are
      within 0.5..1.5, 0.8..1.25 and 0.85..1.15.
    """
    power = np.log(_local_spectrum(plane))
    across, down = (_beside(power, axis) for axis in (1, 0))
    over = power - across - down + _beside(across, 0)
    found = {}
    for period in GRIDS:
        ratios, odd = over[:: _PATCH // period, :: _PATCH // period], np.arange(period) % 2 == 1
        found[period] = math.exp(ratios[odd[:, None] | odd].mean())
    return found


def _local_spectrum(plane: np.ndarray) -> np.ndarray:
    """[_PATCH, _PATCH]: the mean power of patches, each over its own geometric mean."""
    taper = np.sin(math.pi * (np.arange(_PATCH) + 0.5) / _PATCH) ** 2
    window = np.outer(taper, taper)
    tops, lefts = ([*range(0, side - _PATCH, _PATCH // 2), side - _PATCH] for side in plane.shape)
    total = np.zeros_like(window)
    for top in tops:  # one row of patches at a time, since all of a large picture's are many times its size
        patches = np.lib.stride_tricks.sliding_window_view(plane[top : top + _PATCH], window.shape)[0, lefts]
        detail = patches - (patches * window).sum((1, 2), keepdims=True) / window.sum()
        power = np.abs(np.fft.fft2(detail * window)) ** 2 + _ROUNDING * (window**2).sum()
        total += (power / np.exp(np.log(power).mean((1, 2), keepdims=True))).sum(0)
    return total / (len(tops) * len(lefts))


def _beside(power: np.ndarray, axis: int) -> np.ndarray:
    """The mean of what is two bins away to either side; frequencies wrap around."""
    return (np.roll(power, 2, axis) + np.roll(power, -2, axis)) / 2
