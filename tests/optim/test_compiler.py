"""Programs: compiled once, known again by key and shapes, and not kept for ever."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.optim import compiler
from nst_jax.optim.compiler import Programs


def step(scale, state):
    return {"x": state["x"] * scale}


def program(programs, key="key", shape=(3,), function=step):
    arguments = (jnp.float32(2), {"x": jnp.ones(shape, jnp.float32)})
    return programs(function, arguments, donate=1, key=(key,), result=arguments[1])


def test_the_same_key_and_shapes_are_one_program():
    programs = Programs()
    first = program(programs)
    assert program(programs) is first
    assert program(programs, "other") is not first
    assert program(programs, shape=(4,)) is not first
    with jax.enable_x64(True):
        assert program(programs) is not first
    state = {"x": jnp.arange(3.0)}
    np.testing.assert_array_equal(first(jnp.float32(2), state)["x"], [0, 2, 4])
    assert state["x"].is_deleted()
    assert first.memory_analysis().argument_size_in_bytes >= 12


def test_the_latest_are_remembered():
    """Trap: a program for each new optimizer was kept for ever."""
    programs = Programs(most=2)
    one, two = program(programs, "1"), program(programs, "2")
    assert program(programs, "1") is one  # and the latest now
    program(programs, "3")
    assert program(programs, "1") is one
    assert len(programs._known) == 2
    assert program(programs, "2") is not two


def test_options_are_those_that_this_compiler_knows():
    assert jax.jit(lambda x: x + 1).lower(0.0).compile(compiler.options("cpu"))(1.0) == 2
    assert compiler._known({"xla_no_such_option": True}) is False
    assert compiler.options("cpu")
    assert compiler.options("gpu") == compiler.options("tpu") == {}


def test_the_platform_is_that_of_the_arguments():
    """Not the default one; what says nothing of where it is will be on the default device."""
    shape = jax.ShapeDtypeStruct((2,), jnp.float32)
    assert compiler.platform_of((shape, 3)) == "cpu"
    elsewhere = SimpleNamespace(device_set=[SimpleNamespace(platform="tpu")])
    assert compiler.platform_of({"a": shape, "b": SimpleNamespace(sharding=elsewhere)}) == "tpu"
