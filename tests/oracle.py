"""The network and equations 1 to 7 in NumPy float64, written from the papers and not from `nst_jax`.

A layer's activation is [N, height, width], and the matrix F of the paper its reshape to N rows and M columns.
"""

import numpy as np

NETWORK = [
    *("conv1_1", "conv1_2", "pool1"),
    *("conv2_1", "conv2_2", "pool2"),
    *("conv3_1", "conv3_2", "conv3_3", "conv3_4", "pool3"),
    *("conv4_1", "conv4_2", "conv4_3", "conv4_4", "pool4"),
    *("conv5_1", "conv5_2", "conv5_3", "conv5_4", "pool5"),
]


def convolve(x, kernel, bias, padding="zero"):
    """[in, height, width] and HWIO [3, 3, in, out] -> [out, height, width]: cross-correlation."""
    _, height, width = x.shape
    modes: dict = {"zero": "constant", "reflect": "reflect", "replicate": "edge"}
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode=modes[padding])
    result = np.zeros((kernel.shape[3], height * width))
    for row in range(3):
        for column in range(3):
            window = padded[:, row : row + height, column : column + width]
            result += kernel[row, column].T @ window.reshape(len(x), -1)
    return result.reshape(-1, height, width) + bias[:, None, None]


def pool(x, kind):
    """2x2 windows with stride two; what does not fill a window is left out. Binomial: 4x4, the border repeated."""
    height, width = x.shape[1] // 2, x.shape[2] // 2
    result = np.zeros((len(x), height, width))
    for row in range(height):
        for column in range(width):
            if kind == "binomial":
                rows, columns = (
                    np.clip(np.arange(2 * n - 1, 2 * n + 3), 0, side - 1)
                    for n, side in ((row, x.shape[1]), (column, x.shape[2]))
                )
                taps = np.array([1, 3, 3, 1]) / 8
                result[:, row, column] = np.einsum("nij,i,j->n", x[:, rows][:, :, columns], taps, taps)
                continue
            window = x[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            result[:, row, column] = window.mean((1, 2)) if kind == "avg" else window.max((1, 2))
    return result


def activations(params, image, layers, kind="avg", padding="zero"):
    """{layer: [N, height, width]} of one image [height, width, 3], 0..1."""
    mean, scale = (np.asarray(params["preprocessing"][name], np.float64) for name in ("mean", "scale"))
    x = np.moveaxis((255 * np.asarray(image, np.float64) - mean) * scale, 2, 0)
    found = {}
    for name in NETWORK:
        if name.startswith("pool"):
            x = pool(x, kind)
        else:
            weights = params["params"][name]
            kernel, bias = (np.asarray(weights[name], np.float64) for name in ("kernel", "bias"))
            x = convolve(x, kernel, bias, padding)
            x = np.maximum(x, 0)
        if name in layers:
            found[name] = x
        if len(found) == len(layers):
            return found
    raise KeyError(layers)


def matrix(activation):
    """F, N rows and M columns."""
    return activation.reshape(len(activation), -1)


def content_loss(f, p):
    """Equation 1, of matrices."""
    return 0.5 * sum((f[i, j] - p[i, j]) ** 2 for i in range(f.shape[0]) for j in range(f.shape[1]))


def content_gradient(f, p):
    """Equation 2."""
    return np.where(f > 0, f - p, 0)


def style_loss(f, a):
    """Equations 3 and 4, of matrices of any numbers of columns: each Gram matrix over its own number of positions.

    With equal numbers that is (G - A)² / (4 N² M²).
    """
    filters, positions = f.shape
    gram, target = f @ f.T, a @ a.T * (positions / a.shape[1])
    return ((gram - target) ** 2).sum() / (4 * filters**2 * positions**2)


def style_gradient(f, a):
    """Equation 6, for style activations of as many positions."""
    filters, positions = f.shape
    return np.where(f > 0, (f.T @ (f @ f.T - a @ a.T)).T / (filters**2 * positions**2), 0)


def total_variation(image):
    """Squared differences of neighbors, in 8-bit levels."""
    levels = 255 * np.asarray(image, np.float64)
    return ((levels[1:] - levels[:-1]) ** 2).sum() + ((levels[:, 1:] - levels[:, :-1]) ** 2).sum()


def descriptors(params, image, layers, kind, pool="avg", padding="zero"):
    """{layer: G / M, or the means and then the standard deviations of its filters}."""
    found = {}
    for layer, activation in activations(params, image, layers, pool, padding).items():
        f = matrix(activation)
        found[layer] = f @ f.T / f.shape[1] if kind == "gram" else np.concatenate([f.mean(1), f.std(1)])
    return found


def mean_std_loss(f, a):
    """Σ (μ - μ')² + Σ (σ - σ')² over filters, of matrices of any numbers of columns."""
    return ((f.mean(1) - a.mean(1)) ** 2).sum() + ((f.std(1) - a.std(1)) ** 2).sum()


def mean_std_gradient(f, a):
    """Of `mean_std_loss` with respect to F."""
    mean, deviation = f.mean(1, keepdims=True), f.std(1, keepdims=True)
    toward = mean - a.mean(1, keepdims=True) + (1 - a.std(1, keepdims=True) / deviation) * (f - mean)
    return 2 * toward / f.shape[1]


def root(symmetric):
    """The root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(symmetric)
    return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T


def bures(c, d):
    """tr(C + D - 2 (D^½ C D^½)^½) of positive definite matrices, and the map T = D^½ (D^½ C D^½)^-½ D^½."""
    half = root(d)
    values, vectors = np.linalg.eigh(half @ c @ half)
    values = np.maximum(values, 0)
    return np.trace(c) + np.trace(d) - 2 * np.sqrt(values).sum(), half @ (vectors / np.sqrt(values)) @ vectors.T @ half


def wasserstein_loss(f, a, share=0.0):
    """|μ - μ'|² and `bures` of the covariances, of matrices of any numbers of columns.

    Each variance has `share` of the mean of both pictures' mean power added.
    """
    noise = share * ((f**2).sum() / f.shape[1] + (a**2).sum() / a.shape[1]) / 2 * np.eye(len(f))
    return ((f.mean(1) - a.mean(1)) ** 2).sum() + bures(*(np.cov(m, bias=True) + noise for m in (f, a)))[0]


def wasserstein_gradient(f, a, share=0.0):
    """Of `wasserstein_loss` with respect to F."""
    noise = share * ((f**2).sum() / f.shape[1] + (a**2).sum() / a.shape[1]) / 2 * np.eye(len(f))
    c, d = (np.cov(m, bias=True) + noise for m in (f, a))
    one, mean = np.eye(len(f)), f.mean(1, keepdims=True)
    rest, back = one - bures(c, d)[1], one - bures(d, c)[1]
    through_noise = share / 2 * (np.trace(rest) + np.trace(back)) * f
    return 2 * (mean - a.mean(1, keepdims=True) + rest @ (f - mean) + through_noise) / f.shape[1]
