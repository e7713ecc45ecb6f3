"""Programs that an earlier run traced and lowered: the same outcome, found again, never in the way."""

from functools import partial

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.cli import program_cache
from nst_jax.loss.objective import Objective, Targets, content_targets, loss_weights, style_targets
from nst_jax.optim import compiler
from nst_jax.optim.lbfgs import LBFGS
from nst_jax.optim.minimize import DEFAULT_OPTIMIZER, advance, begin, minimize, program
from nst_jax.pictures import start
from nst_jax.transfer import traced


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache of a process that has traced nothing yet."""
    monkeypatch.setattr(program_cache, "folder", tmp_path / "compiled")
    monkeypatch.setattr(traced, "_ready", {})
    return tmp_path / "compiled"


def step(settings, state, count):
    """Of the structure that a step has: what stays, what is replaced, a count."""
    return {"x": state["x"] * settings + count.astype(jnp.float32), "y": jnp.sin(state["y"])}, state["x"].sum()


def run(settings="", shape=(300, 2)):
    """The outcome of `step` by way of `traced.program`, and the donated state."""
    state = {"x": jnp.ones(shape), "y": jnp.full(shape, 0.5)}
    arguments = (jnp.float32(3), state, jnp.int32(2))
    made = traced.program(step, "step", settings, arguments, 1, jax.eval_shape(step, *arguments))
    return made(*arguments), state


def forget(monkeypatch):
    """As a new process has it; tracing is then an error."""
    monkeypatch.setattr(traced, "_ready", {})
    monkeypatch.setattr(traced.export, "export", lambda _: pytest.fail("traced again"))


def test_pytrees_go_in_and_out_and_the_state_is_donated(folder):
    (found, total), state = run()
    np.testing.assert_array_equal(found["x"], 5)
    np.testing.assert_array_equal(found["y"], jnp.sin(jnp.full((300, 2), 0.5)))
    assert total == 600
    assert state["x"].is_deleted()
    assert state["y"].is_deleted()


def test_a_program_is_found_again(folder, monkeypatch):
    run()
    (kept,) = folder.iterdir()
    assert kept.name.startswith("step-")
    forget(monkeypatch)
    (found, _), _ = run()
    np.testing.assert_array_equal(found["x"], 5)
    assert list(folder.iterdir()) == [kept]


@pytest.mark.parametrize("damage", [b"", b"no program", "half", "one byte"])
def test_damaged_programs_are_made_anew(folder, monkeypatch, damage):
    run()
    (kept,) = folder.iterdir()
    sound = kept.read_bytes()
    middle = len(sound) // 2
    ways = {"half": sound[:middle], "one byte": sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :]}
    kept.write_bytes(ways[damage] if isinstance(damage, str) else damage)
    monkeypatch.setattr(traced, "_ready", {})
    (found, _), _ = run()
    np.testing.assert_array_equal(found["x"], 5)
    forget(monkeypatch)
    run()


def test_a_cache_that_cannot_be_written_ends_no_run(folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(program_cache, "folder", tmp_path / "file")
    (found, _), _ = run()
    np.testing.assert_array_equal(found["x"], 5)


def test_without_a_cache_nothing_is_kept(folder, monkeypatch):
    monkeypatch.setattr(program_cache, "folder", None)
    run()
    assert not folder.exists()


def test_each_program_has_a_file_of_its_own(folder, monkeypatch):
    """By settings, shapes, and this package's source."""
    for count, arguments in enumerate([{}, {"settings": "other"}, {"shape": (3, 2)}], start=1):
        for _ in range(2):
            run(**arguments)
            assert len(list(folder.iterdir())) == count
    monkeypatch.setattr(traced, "_source", lambda: "another")
    run()
    assert len(list(folder.iterdir())) == 4


@pytest.fixture(scope="module")
def goal(params, picture):
    """Of the first layers, of a picture of 32x48."""
    targets = Targets(
        content_targets(params, picture("photograph", 32, 48)[None], ("conv1_1",)),
        style_targets(params, picture("painting", 32, 48)[None], ("conv1_1",)),
    )
    weights = loss_weights(content_layers=("conv1_1",), style_layers=("conv1_1",))
    return jax.device_put(Objective(params, targets, weights))


IMAGES = start.white_noise(0, 32, 48)[None]


def test_minimizing_through_it_is_minimizing(goal, folder, monkeypatch):
    """To the byte, when the program is made and when it is found again; and so it is without a cache."""
    plain = jax.jit(partial(advance, optimizer=DEFAULT_OPTIMIZER), compiler_options=compiler.options())
    expected, rows = plain(goal, begin(goal, IMAGES, DEFAULT_OPTIMIZER), jnp.int32(5))
    found = [minimize(goal, IMAGES, steps=5)]
    monkeypatch.setattr(program_cache, "folder", None)
    monkeypatch.setattr(traced, "_ready", {})
    found.append(minimize(goal, IMAGES, steps=5))
    monkeypatch.setattr(program_cache, "folder", folder)
    forget(monkeypatch)
    found.append(minimize(goal, IMAGES, steps=5))
    for result in found:
        np.testing.assert_array_equal(result.images, expected.optimizer.image)
        np.testing.assert_array_equal(result.losses.total, rows.losses.total[4])


def test_settings_of_network_and_optimizer_make_another_program(goal, folder):
    minimize(goal, IMAGES, steps=1)
    minimize(goal.replace(pool="max"), IMAGES, steps=1)
    minimize(goal, IMAGES, steps=1, optimizer=LBFGS(7, precondition=DEFAULT_OPTIMIZER.precondition))
    assert len(list(folder.iterdir())) == 3


def test_what_others_wrote_is_not_kept(goal, folder):
    """Nobody could tell whether its source has changed."""

    @flax.struct.dataclass
    class Mine(Objective):
        pass

    minimize(Mine(goal.params, goal.targets, goal.loss_weights), IMAGES, steps=1)
    minimize(goal, IMAGES, steps=1, optimizer=LBFGS())  # its preconditioner is a function
    assert not folder.exists()


def test_the_loop_is_compiled_once(folder, goal, monkeypatch):
    """By whoever asks first what memory it takes; and what comes out of a chunk goes into the next."""
    count = []
    compiled = compiler.compiled
    monkeypatch.setattr(compiler, "compiled", lambda *arguments: (count.append(arguments), compiled(*arguments))[1])
    assert program(goal, IMAGES, DEFAULT_OPTIMIZER).memory_analysis().temp_size_in_bytes > 0
    minimize(goal, IMAGES, steps=6)  # in chunks of 1, 2 and 3
    assert len(count) == 1
