"""What is asked of TPU and GPU, where products are rounded unless asked otherwise: seen in the traced programs."""

from collections import Counter
from functools import partial

import jax
import jax.numpy as jnp
import pytest
from jax.extend import core
from platforms import believed

from nst_jax import loss
from nst_jax.loss.objective import Objective
from nst_jax.loss.targets import Targets
from nst_jax.network import layers
from nst_jax.optim.loop import DEFAULT_OPTIMIZER, advance, begin

SIZE = 64
OF_GRADIENT = 2 * (13 + 5)  # convolutions and Gram matrices as far as conv5_1, forward and backward
ASKED = {"float32": "HIGHEST", "tensorfloat32": "HIGH", "bfloat16": "DEFAULT"}


@pytest.fixture(autouse=True, params=["cuda", "tpu"])
def accelerator(request):
    """The algorithms of accelerators; nothing of the kind is needed for tracing."""
    with believed(request.param):
        yield


def shaped(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


NETWORK = {
    "params": {
        name: {"kernel": shaped(3, 3, *channels), "bias": shaped(channels[1])}
        for name, channels in layers.CONVOLUTIONS.items()
    },
    "preprocessing": {"mean": shaped(3), "scale": shaped(3)},
}
IMAGES = shaped(1, SIZE, SIZE, 3)


def goal(precision=None, strips=()):
    """Equation 7, of shapes alone; without a precision, as it is by default."""
    targets = Targets(
        jax.eval_shape(loss.content_targets, NETWORK, IMAGES),
        jax.eval_shape(loss.style_targets, NETWORK, IMAGES),
    )
    loss_weights = jax.eval_shape(loss.loss_weights)
    chosen = {} if precision is None else {"precision": precision}
    return Objective(NETWORK, targets, loss_weights, strips=strips, **chosen)


def gradient(goal, images):
    return jax.grad(lambda images: jnp.sum(goal(images).total))(images)


def asked(function, *arguments):
    """What is asked of each product in a function's program, and in those inside it."""
    found = []

    def look(program):
        for equation in program.eqns:
            if equation.primitive.name in ("dot_general", "conv_general_dilated"):
                precision = equation.params["precision"]
                first, second = precision if isinstance(precision, tuple) else (precision, precision)
                assert first == second
                found.append(first and first.name)
            for inner in core.jaxprs_in_params(equation.params):
                look(inner)

    look(jax.make_jaxpr(function)(*arguments).jaxpr)
    return Counter(found)


@pytest.mark.parametrize("strips", [(), (2, 2)], ids=str)
def test_default_asks_for_float32_in_all_of_the_gradient(strips):
    products = asked(gradient, goal(strips=strips), IMAGES)
    assert set(products) == {"HIGHEST"}
    assert products["HIGHEST"] >= OF_GRADIENT


@pytest.mark.parametrize(("precision", "name"), ASKED.items())
def test_what_is_chosen_is_asked_of_all_of_the_gradient(precision, name):
    assert asked(gradient, goal(precision), IMAGES) == {name: OF_GRADIENT}


@pytest.mark.parametrize(("precision", "name"), ASKED.items())
def test_what_is_chosen_is_asked_of_the_targets(precision, name):
    for function, products in ((loss.content_targets, 10), (loss.style_targets, 13 + 5)):
        assert asked(partial(function, precision=precision), NETWORK, IMAGES) == {name: products}


def test_the_optimizer_multiplies_in_float32_whatever_is_chosen():
    def products(precision):
        rough = goal(precision)
        carry = jax.eval_shape(partial(begin, optimizer=DEFAULT_OPTIMIZER), IMAGES, rough.unknown(1))
        return asked(partial(advance, count=1, optimizer=DEFAULT_OPTIMIZER), rough, carry)

    own = products("float32")["HIGHEST"] - OF_GRADIENT
    assert own > 0
    assert products("bfloat16") == {"DEFAULT": OF_GRADIENT, "HIGHEST": own}
