"""Programs that an earlier run traced and lowered: the same outcome, found again, never in the way."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.loss.objective import Objective, Term
from nst_jax.loss.targets import Targets, content_targets, style_targets
from nst_jax.loss.weighting import loss_weights
from nst_jax.optim import compiler
from nst_jax.optim.box import boxes
from nst_jax.optim.compiler import Programs
from nst_jax.optim.engine import Engine
from nst_jax.optim.lbfgs import LBFGS
from nst_jax.optim.loop import DEFAULT_OPTIMIZER, advance, begin
from nst_jax.pictures import noise
from nst_jax.transfer import traced
from nst_jax.transfer.minimizing import _Given, minimize
from nst_jax.transfer.stylizing import stylize
from nst_jax.transfer.sweeping import sweep
from nst_jax.transfer.traced import TracedPrograms


@pytest.fixture
def folder(tmp_path):
    """An empty cache."""
    return tmp_path / "compiled"


def step(settings, state, count):
    """Of the structure that a step has: what stays, what is replaced, a count."""
    return {"x": state["x"] * settings + count.astype(jnp.float32), "y": jnp.sin(state["y"])}, state["x"].sum()


def run(folder, settings="", shape=(300, 2)):
    """The outcome of `step` as a new process has it, and the donated state."""
    state = {"x": jnp.ones(shape), "y": jnp.full(shape, 0.5)}
    arguments = (jnp.float32(3), state, jnp.int32(2))
    made = TracedPrograms(folder)(step, arguments, donate=1, key=(settings,), result=jax.eval_shape(step, *arguments))
    return made(*arguments), state


def no_tracing(monkeypatch):
    """From now on tracing is an error."""
    monkeypatch.setattr(traced.export, "export", lambda _: pytest.fail("traced again"))


def test_pytrees_go_in_and_out_and_the_state_is_donated(folder):
    (found, total), state = run(folder)
    np.testing.assert_array_equal(found["x"], 5)
    np.testing.assert_array_equal(found["y"], jnp.sin(jnp.full((300, 2), 0.5)))
    assert total == 600
    assert state["x"].is_deleted()
    assert state["y"].is_deleted()


def test_a_program_is_found_again(folder, monkeypatch):
    run(folder)
    (kept,) = folder.iterdir()
    assert kept.name.startswith("advance-")
    no_tracing(monkeypatch)
    (found, _), _ = run(folder)
    np.testing.assert_array_equal(found["x"], 5)
    assert list(folder.iterdir()) == [kept]


@pytest.mark.parametrize("damage", [b"", b"no program", "half", "one byte"])
def test_damaged_programs_are_made_anew(folder, monkeypatch, damage):
    run(folder)
    (kept,) = folder.iterdir()
    sound = kept.read_bytes()
    middle = len(sound) // 2
    ways = {"half": sound[:middle], "one byte": sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :]}
    kept.write_bytes(ways[damage] if isinstance(damage, str) else damage)
    (found, _), _ = run(folder)
    np.testing.assert_array_equal(found["x"], 5)
    no_tracing(monkeypatch)
    run(folder)


def test_a_cache_that_cannot_be_written_ends_no_run(tmp_path):
    (tmp_path / "file").touch()
    (found, _), _ = run(tmp_path / "file")
    np.testing.assert_array_equal(found["x"], 5)


def test_without_a_cache_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(None)
    assert list(tmp_path.iterdir()) == []


def test_each_program_has_a_file_of_its_own(folder, monkeypatch):
    """By settings, shapes, and this package's source."""
    for count, arguments in enumerate([{}, {"settings": "other"}, {"shape": (3, 2)}], start=1):
        for _ in range(2):
            run(folder, **arguments)
            assert len(list(folder.iterdir())) == count
    monkeypatch.setattr(traced, "_source", lambda: "another")
    run(folder)
    assert len(list(folder.iterdir())) == 4


def test_the_source_is_that_of_all_rooms(tmp_path, monkeypatch):
    """Trap: only modules beside this one were hashed, so that another room's change would have run a stale program."""
    package = tmp_path / "nst_jax"
    for room in ("transfer", "loss"):
        (package / room).mkdir(parents=True)
    (package / "loss" / "losses.py").write_text("one = 1\n")
    monkeypatch.setattr(traced, "__file__", str(package / "transfer" / "traced.py"))
    before = traced._source.__wrapped__()
    (package / "loss" / "losses.py").write_text("one = 2\n")
    changed = traced._source.__wrapped__()
    (package / "loss" / "losses.py").rename(package / "loss" / "other.py")
    assert len({before, changed, traced._source.__wrapped__()}) == 3


def test_the_caller_hears_of_each_program_once(folder):
    heard = []
    compile = TracedPrograms(folder, after=lambda: heard.append(1))
    state = {"x": jnp.ones(3), "y": jnp.ones(3)}
    arguments = (jnp.float32(3), state, jnp.int32(2))
    result = jax.eval_shape(step, *arguments)
    for key, count in ((("a",), 1), (("a",), 1), (("b",), 2), ((object(),), 3)):
        compile(step, arguments, donate=1, key=key, result=result)
        assert len(heard) == count


@pytest.fixture(scope="module")
def goal(params, picture):
    """Of the first layers, of a picture of 32x48."""
    targets = Targets(
        content_targets(params, picture("photograph", 32, 48)[None], ("conv1_1",)),
        style_targets(params, picture("painting", 32, 48)[None], ("conv1_1",)),
    )
    weights = loss_weights(content_layers=("conv1_1",), style_layers=("conv1_1",))
    return jax.device_put(Objective(params, targets, weights))


IMAGES = noise.white_noise(0, 32, 48)[None]
BOX = boxes(1, np.float32, (0.0, 1.0))


def minimized(goal, compile, evaluations=5, key="lbfgs", optimizer=DEFAULT_OPTIMIZER):
    """The images and losses of an engine that knows its optimizer by a text."""
    problem = _Given(goal, goal.unknown(1), IMAGES, BOX)
    engine = Engine(problem, optimizer, evaluations=evaluations, slots=1, compile=compile,
                    key=key)  # fmt: skip
    while not engine.finished:
        engine.advance()
    return np.asarray(engine.carry.optimizer.image), engine.records[0][-1].losses.total


def test_minimizing_through_it_is_minimizing(goal, folder, monkeypatch):
    """To the byte, when the program is made and when it is found again; and so it is without a cache."""
    plain = jax.jit(partial(advance, optimizer=DEFAULT_OPTIMIZER), compiler_options=compiler.options("cpu"))
    expected, rows = plain(goal, begin(IMAGES, goal.unknown(1), DEFAULT_OPTIMIZER, BOX), jnp.int32(5))
    found = [
        minimized(goal, TracedPrograms(folder)),
        minimized(goal, TracedPrograms(None)),
        minimized(goal, Programs()),
    ]
    no_tracing(monkeypatch)
    found.append(minimized(goal, TracedPrograms(folder)))
    for image, total in found:
        np.testing.assert_array_equal(image, expected.optimizer.image)
        assert total == rows.losses.total[4]


def test_settings_of_network_and_optimizer_make_another_program(goal, folder):
    compile = TracedPrograms(folder)
    minimized(goal, compile, 1)
    minimized(goal.replace(pool="max"), compile, 1)
    minimized(goal, compile, 1, "lbfgs 7", LBFGS(7, precondition=DEFAULT_OPTIMIZER.precondition))
    minimized(goal, compile, 1)
    assert len(list(folder.iterdir())) == 3


def test_what_others_wrote_is_not_kept(goal, folder):
    """Nobody could tell whether its source has changed."""
    minimized(goal, TracedPrograms(folder), 1, key=None, optimizer=LBFGS())
    minimize(goal, IMAGES, evaluations=1, compile=TracedPrograms(folder))
    assert not folder.exists()


@pytest.mark.parametrize("options", [{}, {"optimizer": "adam"}])
def test_pictures_and_sweeps_start_quickly(params, picture, folder, monkeypatch, options):
    """What the settings ask for is kept, over any number of devices."""
    small = {"size": 48, "content_layers": ("conv1_1",), "style_layers": ("conv1_1",), "evaluations": 2, **options}
    pair = picture("photograph", 32, 48), picture("painting", 32, 48)

    def pictures():
        compile = TracedPrograms(folder)
        made = [stylize(*pair, params=params, compile=compile, **small)]
        return [one.image for one in [*made, *sweep(*pair, seed=[0, 1], params=params, compile=compile, **small)]]

    with jax.numpy_dtype_promotion("standard"):
        first = pictures()
        assert len(list(folder.iterdir())) == 2
        no_tracing(monkeypatch)
        for one, other in zip(first, pictures(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_term_of_one_s_own_is_not_kept(params, picture, folder):
    small = {"size": 48, "content_layers": ("conv1_1",), "style_layers": ("conv1_1",), "evaluations": 2}
    term = Term(lambda images: images.mean((1, 2, 3)))
    stylize(picture("photograph", 32, 48), picture("painting", 32, 48), params=params, terms=[term],
            compile=TracedPrograms(folder), **small)  # fmt: skip
    assert not folder.exists()


def test_the_loop_is_compiled_once(goal, folder):
    """By whoever asks first what memory it takes; and what comes out of a chunk goes into the next."""
    count = []
    compile = TracedPrograms(folder, after=lambda: count.append(1))

    def engine():
        return Engine(_Given(goal, goal.unknown(1), IMAGES, BOX), DEFAULT_OPTIMIZER, evaluations=6, slots=1,
                      compile=compile, key="lbfgs")  # fmt: skip

    assert engine().program().memory_analysis().temp_size_in_bytes > 0
    current = engine()
    while not current.finished:  # in chunks of 1, 2 and 3
        current.advance()
    assert len(count) == 1
