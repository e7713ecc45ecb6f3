"""Winograd's convolution against JAX's own in float64, in one piece, in strips and in groups of images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from nst_jax.network import winograd

convolve = jax.jit(lambda x, transformed: winograd.convolve((x,), transformed))
transform = jax.jit(winograd.transform_kernel)


def reference(x, kernel):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=numbers, precision=lax.Precision.HIGHEST
    )


def turn(kernel):
    return np.swapaxes(kernel[::-1, ::-1], 2, 3)


def arrays(batch, height, width, incoming, outgoing, dtype=np.float64):
    random = np.random.default_rng(0)
    x = random.normal(size=(batch, height, width, incoming)).astype(dtype)
    return x, random.normal(size=(3, 3, incoming, outgoing)).astype(dtype)


SHAPES = [
    (1, 1, 1, 1, 1),
    (1, 2, 2, 3, 2),
    (1, 4, 4, 2, 3),
    (2, 5, 3, 4, 2),
    (1, 32, 12, 5, 4),
    (1, 37, 23, 4, 6),
    (3, 28, 41, 3, 5),
    (4, 8, 7, 6, 5),
    (6, 3, 9, 5, 5),
]


@pytest.mark.parametrize("strip_bytes", [winograd.STRIP_BYTES, 1.0], ids=["whole", "pieces"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_both_directions_equal_jax_in_float64(monkeypatch, shape, strip_bytes):
    monkeypatch.setattr(winograd, "STRIP_BYTES", strip_bytes)
    with jax.enable_x64(True):
        x, kernel = arrays(*shape)
        transformed = transform(kernel)
        found = jax.jit(lambda *a: winograd.convolve((a[0],), a[1]))(x, transformed)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, reference(x, kernel), rtol=1e-11, atol=1e-11)
        back = arrays(*shape[:3], shape[4], shape[3])[0]
        found = jax.jit(lambda *a: winograd.convolve((a[0],), a[1], turned=True, channels=2))(back, transformed)
        np.testing.assert_allclose(found, reference(back, turn(kernel)), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("strip_bytes", [winograd.STRIP_BYTES, 1.0], ids=["whole", "pieces"])
@pytest.mark.parametrize("shape", [(1, 3, 3, 1, 1), (2, 5, 3, 4, 2), *((1, rows, 23, 4, 6) for rows in range(33, 39))])
def test_other_margins(monkeypatch, shape, strip_bytes):
    """None for inputs with a border of their own, two for their gradient; rows of tiles filled to each degree."""
    monkeypatch.setattr(winograd, "STRIP_BYTES", strip_bytes)
    with jax.enable_x64(True):
        x, kernel = arrays(*shape)
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        for margin, expected in ((0, reference(x, kernel)[:, 1:-1, 1:-1]), (2, reference(padded, kernel))):
            found = jax.jit(lambda x, u, margin=margin: winograd.convolve((x,), u, margin=margin))(x, transform(kernel))
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("strip_bytes", [winograd.STRIP_BYTES, 1.0], ids=["whole", "pieces"])
def test_what_is_done_before_and_after_sees_every_position_once(monkeypatch, strip_bytes):
    monkeypatch.setattr(winograd, "STRIP_BYTES", strip_bytes)
    with jax.enable_x64(True):
        x, kernel = arrays(2, 19, 10, 4, 3)
        mask = np.random.default_rng(1).normal(size=x.shape)

        @jax.jit
        def convolve(x, mask, transformed):
            before, after = lambda x, mask: jnp.where(mask > 0, x + 1, 0), lambda y: jnp.maximum(y + 0.5, 0)
            return winograd.convolve((x, mask), transformed, before=before, after=after)

        found = convolve(x, mask, transform(kernel))
        expected = jnp.maximum(reference(np.where(mask > 0, x + 1, 0), kernel) + 0.5, 0)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


def test_pieces_are_what_the_test_above_says(monkeypatch):
    monkeypatch.setattr(winograd, "STRIP_BYTES", 1.0)
    whole, pieces = (
        str(jax.make_jaxpr(lambda x, u: winograd.convolve((x,), u))(x, transform(kernel)))
        for x, kernel in (arrays(1, 2, 2, 3, 2, np.float32), arrays(1, 37, 23, 4, 6, np.float32))
    )
    assert "scan[" not in whole
    assert "scan[" in pieces


@pytest.mark.parametrize(
    ("batch", "down", "across", "channels", "expected"),
    [
        (1, 64, 64, (64, 64), (1, 4)),  # 434 tiles fit: 6 rows, and 4 divides 64
        (1, 67, 64, (64, 64), (1, 6)),  # nothing from 3 to 6 divides 67: twelve strips, the last one shorter
        (20, 8, 8, (512, 512), (5, 8)),  # 512 tiles: 8 images, of which 5 divides 20
        (1, 4, 4, (512, 512), (1, 4)),
        (1, 3, 5000, (64, 64), (1, 1)),  # never less than a row
        (7, 30, 30, (64, 64), (1, 10)),
    ],
)
def test_how_much_is_worked_on_at_once(monkeypatch, batch, down, across, channels, expected):
    monkeypatch.setattr(winograd, "STRIP_BYTES", 8e6)
    assert winograd._strip(batch, down, across, channels, 4) == expected


@pytest.mark.parametrize("shape", [(1, 32, 32, 64, 64), (1, 4, 4, 512, 512), (1, 33, 18, 128, 64)], ids=str)
def test_rounding_of_float32(shape):
    x, kernel = arrays(*shape)
    found = convolve(x.astype(np.float32), transform(kernel.astype(np.float32)))
    assert found.dtype == np.float32
    with jax.enable_x64(True):
        expected = np.asarray(reference(x, kernel))
    assert np.linalg.norm(found - expected) < 5e-6 * np.linalg.norm(expected)


def test_the_turned_kernel_needs_no_transform_of_its_own():
    with jax.enable_x64(True):
        _, kernel = arrays(1, 1, 1, 2, 3)
        points = transform(kernel).reshape(6, 6, 2, 3)
        turned = transform(turn(kernel)).reshape(6, 6, 3, 2)
        reciprocal = [5, 3, 4, 1, 2, 0]
        np.testing.assert_allclose(np.swapaxes(points[np.ix_(reciprocal, reciprocal)], 2, 3), turned, atol=1e-14)
