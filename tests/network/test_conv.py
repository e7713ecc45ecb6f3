"""The block against JAX's own convolution in float64, by either algorithm, and its frozen parameters."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as Spec
from platforms import NAMES, believed, lowered

from nst_jax import loss
from nst_jax.loss import objective
from nst_jax.network import conv
from nst_jax.network.conv import conv3x3_relu

block = jax.jit(conv3x3_relu)  # one program instead of one for each of its operations


def reference(x, kernel, bias, padding="zero"):
    numbers = ("NHWC", "HWIO", "NHWC")
    precision = lax.Precision.HIGHEST
    modes = {"zero": "constant", "reflect": "reflect", "replicate": "edge"}
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode=modes[padding])
    y = lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=numbers, precision=precision)
    return jax.nn.relu(y + bias)


def arrays(batch, height, width, incoming, outgoing, dtype=np.float64):
    random = np.random.default_rng(0)
    x = random.normal(size=(batch, height, width, incoming)).astype(dtype)
    kernel = random.normal(size=(3, 3, incoming, outgoing)).astype(dtype)
    bias = random.normal(size=outgoing).astype(dtype)
    weights = random.normal(size=(batch, height, width, outgoing)).astype(dtype)  # of a scalar function of the result
    return x, kernel, bias, weights


def gradient(function, weights):
    return jax.jit(jax.grad(lambda x, *rest: jnp.sum(weights * jnp.sin(function(x, *rest)))))


def products(function, *arguments, platform="cpu"):
    """How many convolutions and matrix products a function's program has."""
    program = lowered(function, *arguments, platform=platform)
    return program.count("stablehlo.convolution("), program.count("stablehlo.dot_general ")


COLUMNS = [(1, 8, 8, 3, 4), (2, 7, 5, 4, 3), (1, 1, 1, 2, 2), (3, 1, 6, 1, 1), (1, 8, 8, 3, 16), (2, 5, 6, 16, 3)]
WINOGRAD = [(1, 8, 8, 16, 16), (2, 7, 5, 16, 24), (4, 1, 1, 16, 16), (1, 13, 3, 32, 16), (1, 2, 2, 16, 16)]


def by(shape, platform):
    """Convolutions and matrix products of one block."""
    columns = shape in COLUMNS and platform == "tpu"
    return (0, 1) if platform == "cpu" or columns else (1, 0)


BLOCKS = [(shape, platform) for shape in COLUMNS for platform in ("cpu", "cuda", "tpu")] + [
    (shape, platform) for shape in WINOGRAD for platform in ("cpu", "cuda")
]
"""TPUs convolve as GPUs do where there are many channels."""
SMALL = {True: (2, 4, 3, 3, 20), False: (2, 7, 9, 16, 20)}  # by whether columns do them


@pytest.mark.parametrize(("shape", "platform"), BLOCKS, ids=str)
def test_value_and_input_gradient_equal_jax_in_float64(shape, platform):
    block = partial(conv3x3_relu)  # a function that jit has not traced for another platform
    with jax.enable_x64(True), believed(platform):
        x, kernel, bias, weights = arrays(*shape)
        assert products(block, x, kernel, bias) == by(shape, platform)
        value = jax.jit(block)(x, kernel, bias)
        assert value.dtype == np.float64
        np.testing.assert_allclose(value, reference(x, kernel, bias), rtol=1e-11, atol=1e-11)
        found, expected = (gradient(function, weights)(x, kernel, bias) for function in (block, reference))
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("padding", ["reflect", "replicate"])
@pytest.mark.parametrize(("shape", "platform"), [
    block for block in BLOCKS if block[0] in (COLUMNS[1], COLUMNS[2], COLUMNS[4], *WINOGRAD[1:])], ids=str)  # fmt: skip
def test_other_paddings_equal_jax_in_float64(shape, padding, platform):
    """By the same algorithms; a side of one position is replicated, as NumPy does."""
    block = partial(conv3x3_relu, padding=padding)
    expected = partial(reference, padding=padding)
    with jax.enable_x64(True), believed(platform):
        x, kernel, bias, weights = arrays(*shape)
        assert products(block, x, kernel, bias) == by(shape, platform)
        slopes = []
        for function in (block, expected):
            value = jax.jit(lambda x, function=function: jnp.sum(weights * jnp.sin(function(x, kernel, bias))))
            slopes.append(jax.jit(jax.value_and_grad(value))(x))
        np.testing.assert_allclose(slopes[0][0], slopes[1][0], rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(slopes[0][1], slopes[1][1], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("padding", ["zero", "reflect", "replicate"])
@pytest.mark.parametrize("shape", [COLUMNS[1], WINOGRAD[1]], ids=str)
def test_the_plain_block_leaves_every_shape_to_jax(shape, padding):
    plain = partial(conv.plain3x3_relu, padding=padding)
    with jax.enable_x64(True):
        x, kernel, bias, _ = arrays(*shape)
        assert products(plain, x, kernel, bias) == (1, 0)
        found = jax.jit(plain)(x, kernel, bias)
        np.testing.assert_allclose(found, reference(x, kernel, bias, padding), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("columns", [True, False])
def test_a_loop_gives_the_same_gradient(columns):
    x, kernel, bias, weights = arrays(*SMALL[columns], np.float32)
    slope = gradient(conv3x3_relu, weights)

    def in_a_loop(x):
        return lax.fori_loop(0, 1, lambda _, total: total + slope(x, kernel, bias), jnp.zeros_like(x))

    expected = slope(x, kernel, bias)
    np.testing.assert_allclose(jax.jit(in_a_loop)(x), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("columns", [True, False])
def test_vmap_over_images_and_over_kernels(columns):
    x, kernel, bias, weights = arrays(*SMALL[columns], np.float64)
    with jax.enable_x64(True):
        images = np.stack([x, 2 * x, -x])
        found = jax.jit(jax.vmap(gradient(conv3x3_relu, weights), (0, None, None)))(images, kernel, bias)
        expected = np.stack([gradient(reference, weights)(image, kernel, bias) for image in images])
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
        kernels = np.stack([kernel, -kernel])
        found = jax.jit(jax.vmap(conv3x3_relu, (None, 0, None)))(x, kernels, bias)
        expected = np.stack([reference(x, k, bias) for k in kernels])
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("columns", [True, False])
def test_images_on_several_devices(columns):
    _, *shape = SMALL[columns]
    x, kernel, bias, weights = arrays(8, *shape, np.float32)

    def slope(x, weights, kernel, bias):
        return gradient(conv3x3_relu, weights)(x, kernel, bias)

    mesh = Mesh(np.array(jax.devices()[:4]), "image")
    images, everywhere = Spec("image"), Spec()
    spread = jax.shard_map(slope, mesh=mesh, in_specs=(images, images, everywhere, everywhere), out_specs=images)
    found, expected = jax.jit(spread)(x, weights, kernel, bias), slope(x, weights, kernel, bias)
    assert len(found.sharding.device_set) == 4
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_a_transformed_kernel_changes_nothing_but_who_transforms_it():
    with jax.enable_x64(True):
        x, kernel, bias, weights = arrays(*SMALL[False])
        transformed = conv.transform(kernel)
        found, expected = block(x, kernel, bias, transformed), block(x, kernel, bias)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
        slope = gradient(conv3x3_relu, weights)
        found, expected = slope(x, kernel, bias, transformed), slope(x, kernel, bias)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
        given, made = (str(jax.make_jaxpr(slope)(x, kernel, bias, u)).count("mul ") for u in (transformed, None))
        assert given < made
        assert transformed.backward is not None
        found = slope(x, kernel, bias, transformed._replace(backward=None))
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
    assert conv.transform(arrays(*COLUMNS[1])[1]) is None


@pytest.mark.parametrize("columns", [True, False])
def test_kernel_and_bias_are_frozen_and_no_gradient_of_theirs_is_computed(columns):
    x, kernel, bias, weights = arrays(*SMALL[columns], np.float32)

    def loss(x, kernel, bias):
        return jnp.sum(weights * conv3x3_relu(x, kernel, bias))

    gradients = jax.grad(loss, (0, 1, 2))
    _, of_kernel, of_bias = jax.jit(gradients)(x, kernel, bias)
    assert not np.any(of_kernel)
    assert not np.any(of_bias)
    assert products(gradients, x, kernel, bias) == (0, 2)  # forward, input gradient


@pytest.mark.parametrize("platform", NAMES)
@pytest.mark.parametrize("columns", [True, False])
def test_the_platform_decides_when_a_program_is_lowered(columns, platform):
    """Not when it is traced, and not by the default one, which is CPU here: forward and input gradient."""
    x, kernel, bias, weights = arrays(*SMALL[columns], np.float32)
    found = products(gradient(conv3x3_relu, weights), x, kernel, bias, platform=platform)
    assert found == ((0, 2) if by(COLUMNS[0] if columns else WINOGRAD[0], platform) == (0, 1) else (2, 0))


@pytest.mark.parametrize("padding", ["zero", "reflect"])
@pytest.mark.parametrize(("precision", "name"), [
    ("float32", "HIGHEST"), ("tensorfloat32", "HIGH"), ("bfloat16", "DEFAULT")])  # fmt: skip
@pytest.mark.parametrize(("platform", "columns"), [("cuda", False), ("cuda", True), ("tpu", False), ("tpu", True)])
def test_precision_is_asked_of_both_passes(precision, name, padding, platform, columns):
    x, kernel, bias, weights = arrays(*SMALL[columns], np.float32)
    slope = gradient(lambda *a: conv3x3_relu(*a, None, precision, padding), weights)
    program = lowered(slope, x, kernel, bias, platform=platform)
    products = [line for line in program.splitlines() if "stablehlo.convolution(" in line or "dot_general " in line]
    assert len(products) == 2
    for line in products:
        asked = set(re.findall(r"(?:#stablehlo<)?precision (\w+)|precision = \[(\w+), \2\]", line))
        assert {word for pair in asked for word in pair if word} <= {name}, line
        assert asked or name == "DEFAULT", line


@pytest.mark.slow
def test_the_whole_loss_and_gradient_are_as_exact_as_with_plain_convolutions(monkeypatch, params, picture):
    photograph, painting = (picture(name, 37, 58)[None] for name in ("photograph", "painting"))
    start = (0.7 * photograph + 0.3 * painting).astype(np.float32)

    targets = loss.Targets(loss.content_targets(params, photograph), loss.style_targets(params, painting))

    def outcome(dtype, plain):
        if plain:
            monkeypatch.setattr(conv, "FEWEST_CHANNELS", 10**6)
        cast = jax.tree.map(lambda a: jnp.asarray(a, dtype), (start, params, targets, WEIGHTING))
        value, slope = jax.jit(jax.value_and_grad(total))(*cast)
        monkeypatch.undo()
        return float(value), np.asarray(slope, np.float64)

    def total(images, params, targets, loss_weights):
        return jnp.sum(objective.Objective(params, targets, loss_weights)(images).total)

    found, plain = outcome(np.float32, False), outcome(np.float32, True)
    with jax.enable_x64(True):
        exact, exact_by_winograd = outcome(np.float64, True), outcome(np.float64, False)
    assert exact_by_winograd[0] == pytest.approx(exact[0], rel=1e-12)
    np.testing.assert_allclose(exact_by_winograd[1], exact[1], rtol=1e-7, atol=1e-10 * np.abs(exact[1]).max())
    assert found[0] == pytest.approx(exact[0], rel=1e-5)
    assert plain[0] == pytest.approx(exact[0], rel=1e-5)
    error, plain_error = (np.linalg.norm(slope - exact[1]) / np.linalg.norm(exact[1]) for _, slope in (found, plain))
    # A ReLU whose input is nearly zero may open or close: such a jump is the network's, by either algorithm.
    assert error < max(3 * plain_error, 2e-3)


WEIGHTING = loss.loss_weights()
