"""The whole loop as JAX lowers it for platforms that are not there: algorithms, precisions, custom calls, dtypes."""

import re
from collections import Counter
from functools import partial

import jax
import jax.numpy as jnp
import pytest
from jax import export
from platforms import NAMES, lowered

from nst_jax import loss
from nst_jax.loss.objective import Objective
from nst_jax.loss.targets import Targets
from nst_jax.network import vgg
from nst_jax.optim.loop import DEFAULT_OPTIMIZER, advance, begin
from nst_jax.topologies import shapes
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import table
from nst_jax.transfer.settings import Settings

OF_GRADIENT = 2 * (13 + 5)
"""Convolutions and Gram matrices as far as conv5_1, forward and backward."""
FIRST = 2
"""conv1_1, forward and backward: products of columns on CPU and TPU."""
POINTS = 36
"""Of Winograd's tiles: as many products of matrices at once, which nothing else of the loop has."""
LACKING = {"cpu": (), "cuda": ("lapack", "hip"), "rocm": ("lapack", "cu"), "tpu": ("lapack", "cu", "hip")}
"""How the names of custom calls begin that a platform does not have."""


ASKED = {"tensorfloat32": "HIGH", "bfloat16": "DEFAULT", "bfloat16-activations": "DEFAULT"}
"""Of JAX, in the words of StableHLO, where it is not float32's."""
LANES = table(["photo"], ["painting"], Axes(), Settings())
NETWORK = shapes.network(LANES)
IMAGES = jax.ShapeDtypeStruct((2, 64, 64, 3), jnp.float32)


def exported(platform, precision="float32", strips=()):
    """The loop's StableHLO, of shapes alone, with parameters as they are prepared for the platform."""
    targets = Targets(
        jax.eval_shape(loss.content_targets, NETWORK, IMAGES), jax.eval_shape(loss.style_targets, NETWORK, IMAGES)
    )
    prepared = jax.eval_shape(partial(vgg.prepare, layers="conv5_1", platform=platform), NETWORK)
    weights = jax.eval_shape(lambda: jax.tree.map(lambda one: jnp.full(2, one), loss.loss_weights()))
    goal = Objective(prepared, targets, weights, precision=precision, strips=strips)
    carry = jax.eval_shape(partial(begin, optimizer=DEFAULT_OPTIMIZER), IMAGES, goal.unknown(2))
    leaves, structure = jax.tree.flatten((goal, carry))

    def flat(*leaves):
        goal, carry = jax.tree.unflatten(structure, leaves)
        return jax.tree.leaves(advance(goal, carry, 3, DEFAULT_OPTIMIZER))

    return export.export(jax.jit(flat), platforms=[platform])(*leaves).mlir_module()


def products(program):
    """The precision asked of each convolution, and of each other product; "none" where none is."""
    found = {"convolution": [], "dot_general": []}
    for line in program.splitlines():
        for name, asked in found.items():
            if f"stablehlo.{name}" in line:
                asked.append((re.findall(r"precision (\w+)>|precision = \[(\w+)", line) or [("none", "")])[0])
    return {name: Counter("".join(one) for one in asked) for name, asked in found.items()}


@pytest.mark.parametrize("strips", [(), (2,)], ids=str)
@pytest.mark.parametrize("platform", NAMES)
def test_the_loop_for_each_platform(platform, strips):
    program = exported(platform, strips=strips)
    found = products(program)
    winograd = [line for line in program.splitlines() if "dot_general" in line and f"tensor<{POINTS}x" in line]
    assert bool(winograd) == (platform == "cpu")
    if platform == "cpu":
        assert not found["convolution"]
    else:
        assert set(found["convolution"]) == set(found["dot_general"]) == {"HIGHEST"}
        convolutions = 2 * 13 - (FIRST if platform == "tpu" else 0)
        assert strips or found["convolution"]["HIGHEST"] == convolutions
    assert not re.search(r"x(f64|i64|complex<f64>)>", program)
    assert "x3xcomplex<f32>" in program  # the Fourier transforms'
    calls = set(re.findall(r"custom_call @(\w+)", program))
    assert not [call for call in calls if call.startswith(LACKING[platform])]


@pytest.mark.parametrize(("precision", "name"), ASKED.items())
@pytest.mark.parametrize("platform", ["cuda", "rocm", "tpu"])
def test_the_network_s_products_are_asked_for_as_chosen(platform, precision, name):
    """The optimizer's stay in float32."""
    found = products(exported(platform, precision))
    together = sum(found.values(), Counter())
    assert together[name] + together["none"] == OF_GRADIENT
    assert set(together) <= {name, "HIGHEST", "none"}
    assert together["HIGHEST"] == products(exported(platform))["dot_general"]["HIGHEST"] - (
        OF_GRADIENT - products(exported(platform))["convolution"]["HIGHEST"]
    )


@pytest.mark.parametrize(("precision", "name"), [("float32", "HIGHEST"), *ASKED.items()])
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_the_targets_products_are_asked_for_as_chosen(platform, precision, name):
    for function, count in ((loss.content_targets, 10), (loss.style_targets, 13 + 5)):
        found = products(lowered(partial(function, precision=precision), NETWORK, IMAGES, platform=platform))
        together = sum(found.values(), Counter())
        assert together[name] + together["none"] == count
        assert name == "DEFAULT" or not together["none"]
