"""The convolution against JAX's own, in float64, and its frozen kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from nst_jax.conv import conv3x3


def reference(x, kernel, bias):
    numbers = ("NHWC", "HWIO", "NHWC")
    precision = lax.Precision.HIGHEST
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=numbers, precision=precision) + bias


def arrays(batch, height, width, incoming, outgoing, dtype=np.float64):
    random = np.random.default_rng(0)
    x = random.normal(size=(batch, height, width, incoming)).astype(dtype)
    kernel = random.normal(size=(3, 3, incoming, outgoing)).astype(dtype)
    bias = random.normal(size=outgoing).astype(dtype)
    weights = random.normal(size=(batch, height, width, outgoing)).astype(dtype)  # of a scalar function of the result
    return x, kernel, bias, weights


def gradient(convolution, weights):
    return jax.grad(lambda x, kernel, bias: jnp.sum(weights * jnp.sin(convolution(x, kernel, bias))))


SHAPES = [(1, 8, 8, 3, 4), (2, 7, 5, 4, 3), (1, 1, 1, 2, 2), (3, 1, 6, 1, 1), (1, 2, 3, 5, 2)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_value_and_input_gradient_equal_jax_in_float64(shape):
    with jax.enable_x64(True):
        x, kernel, bias, weights = arrays(*shape)
        value = conv3x3(x, kernel, bias)
        assert value.dtype == np.float64
        np.testing.assert_allclose(value, reference(x, kernel, bias), rtol=1e-12, atol=1e-12)
        found, expected = (gradient(function, weights)(x, kernel, bias) for function in (conv3x3, reference))
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_jit_and_loops_give_the_same_gradient():
    x, kernel, bias, weights = arrays(2, 7, 9, 3, 5, np.float32)
    slope = gradient(conv3x3, weights)

    def in_a_loop(x):
        return lax.fori_loop(0, 1, lambda _, total: total + slope(x, kernel, bias), jnp.zeros_like(x))

    expected = slope(x, kernel, bias)
    np.testing.assert_allclose(jax.jit(slope)(x, kernel, bias), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(jax.jit(in_a_loop)(x), expected, rtol=1e-5, atol=1e-5)


def test_vmap_over_images_and_over_kernels():
    x, kernel, bias, weights = arrays(2, 5, 6, 3, 4, np.float32)
    images = np.stack([x, 2 * x, -x])
    found = jax.vmap(gradient(conv3x3, weights), (0, None, None))(images, kernel, bias)
    expected = np.stack([gradient(reference, weights)(image, kernel, bias) for image in images])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    kernels = np.stack([kernel, -kernel])
    found = jax.vmap(conv3x3, (None, 0, None))(x, kernels, bias)
    np.testing.assert_allclose(found, np.stack([reference(x, k, bias) for k in kernels]), rtol=1e-4, atol=1e-4)


def test_kernel_and_bias_are_frozen_and_no_gradient_of_theirs_is_computed():
    x, kernel, bias, weights = arrays(1, 6, 6, 3, 4, np.float32)

    def loss(x, kernel, bias):
        return jnp.sum(weights * conv3x3(x, kernel, bias))

    gradients = jax.grad(loss, (0, 1, 2))
    _, of_kernel, of_bias = gradients(x, kernel, bias)
    assert not np.any(of_kernel)
    assert not np.any(of_bias)
    assert (
        str(jax.make_jaxpr(gradients)(x, kernel, bias)).count("conv_general_dilated[") == 2
    )  # forward, input gradient


@pytest.mark.parametrize("precision", ["float32", "tensorfloat32", "bfloat16"])
def test_precision_is_asked_of_both_passes(precision):
    x, kernel, bias, weights = arrays(1, 6, 6, 3, 4, np.float32)
    slope = gradient(lambda *a: conv3x3(*a, precision), weights)
    lowered = jax.jit(slope).lower(x, kernel, bias).as_text()
    name = {"float32": "HIGHEST", "tensorfloat32": "HIGH", "bfloat16": "DEFAULT"}[precision]
    assert lowered.count("stablehlo.convolution") == 2
    assert lowered.count(f"precision_config = [#stablehlo<precision {name}>") == (2 if name != "DEFAULT" else 0) or (
        name == "DEFAULT" and "precision HIGH" not in lowered
    )
