"""Checkpoints: on to the same bytes, and one clear error for files that are damaged or of another sweep."""

import math
import random
import warnings

import numpy as np
import pytest
from small_sweep import LANES, OPTIMIZER, engine, finished, lane, losses, problem, with_lanes

from nst_jax.errors import InputError
from nst_jax.optim import engine as engines
from nst_jax.optim import schedule
from nst_jax.optim.engine import Engine
from nst_jax.optim.lbfgs import LBFGS
from nst_jax.runs import checkpoint

MEASURES = {1: [0.1, math.nan], 0: [1 / 3, -2.0]}
RUN = {"format": "a run", "plan": {"batch": 2}}
EVALUATIONS = 9


@pytest.fixture(scope="module")
def five(params, picture):
    return problem(params, picture, LANES)


@pytest.fixture(scope="module")
def new(five):
    """An engine that has not begun."""

    def make(lanes=LANES, *, optimizer=OPTIMIZER, own=five) -> Engine:
        return engine(with_lanes(own, lanes), evaluations=EVALUATIONS, slots=2, optimizer=optimizer)

    return make


@pytest.fixture(scope="module")
def saved(new, tmp_path_factory):
    """A checkpoint in the middle of a sweep, and the sweep."""
    path = tmp_path_factory.mktemp("checkpoint") / "state.npz"
    current = new()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "SECONDS_PER_CHUNK", 0.0)
        while len(current.records[2]) < 4:
            current.advance()
    assert (len(current.status), current.schedule.slots, current.schedule.waiting) == (2, (2, 3), (4,))
    checkpoint.save(path, current, RUN, MEASURES)
    return path, current


def test_what_is_read_back(saved):
    path, current = saved
    found = checkpoint.read(path)
    assert found.run == RUN
    assert found.status == current.status
    assert list(found.measures) == [1, 0]
    np.testing.assert_array_equal(list(found.measures.values()), list(MEASURES.values()))
    assert found.running == {lane for lane in current.schedule.slots if lane is not None}
    assert found.records == {number: records for number, records in current.records.items() if records}
    assert [*path.parent.iterdir()] == [path]


def test_goes_on_to_the_same_bytes_from_any_point(new, tmp_path, monkeypatch):
    """A checkpoint after every chunk, each restored into a new sweep, against one that was never interrupted."""
    whole = new()
    images = finished(whole)
    monkeypatch.setattr(engines, "SECONDS_PER_CHUNK", 0.0)  # chunks of one
    path = tmp_path / "state.npz"
    current, found, restored = new(), {}, 0
    while not current.finished:
        found |= {done.lane: done.image for done in current.advance().finished}
        checkpoint.save(path, current, RUN, MEASURES)
        current = new()
        checkpoint.restore(path, current)
        restored += 1
    assert restored >= 3 * EVALUATIONS
    assert losses(current) == losses(whole)
    assert current.status == whole.status
    for number, image in images.items():
        np.testing.assert_array_equal(found[number], image)


def test_a_batch_that_shrank_is_restored_so(five, tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "LOOK", 2)
    monkeypatch.setitem(schedule.WORTH_SHRINKING, "cpu", 3)
    lanes = (lane(8, 1e38), LANES[0])

    def make() -> Engine:
        return engine(with_lanes(five, lanes), evaluations=EVALUATIONS, slots=2)

    whole = make()
    images = finished(whole)
    path = tmp_path / "state.npz"
    current = make()
    while len(current.records[1]) < 5:
        current.advance()
    checkpoint.save(path, current, RUN, MEASURES)
    current = make()
    checkpoint.restore(path, current)
    assert len(current.schedule.slots) == 1
    np.testing.assert_array_equal(finished(current)[1], images[1])
    assert losses(current)[1] == losses(whole)[1]
    assert current.compilations == 1  # of the small batch only


def test_a_sweep_that_is_over(new, tmp_path):
    whole = new()
    finished(whole)
    checkpoint.save(tmp_path / "state.npz", whole, RUN, {})
    current = new()
    checkpoint.restore(tmp_path / "state.npz", current)
    assert checkpoint.read(tmp_path / "state.npz").measures == {}
    assert current.finished
    assert current.records == whole.records
    assert current.seconds == whole.seconds


def refused(path, sweep) -> str:
    with pytest.raises(InputError, match="damaged checkpoint, or of another sweep") as caught:
        checkpoint.restore(path, sweep)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_another_sweep_s_file(new, saved, params, picture):
    path, _ = saved
    refused(path, new(LANES[:4]))
    refused(path, new((*LANES, lane(5))))
    refused(path, new(optimizer=LBFGS(history=5, precondition=OPTIMIZER.precondition)))
    layers = tuple((layer, 1.0) for layer in ("conv1_1", "conv1_2", "conv2_1"))
    others = tuple(lane(number, style_layers=layers) for number in range(5))
    assert "losses" in refused(path, new(others, own=problem(params, picture, others)))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_no_checkpoint_at_all(new, tmp_path, content):
    path = tmp_path / "state.npz"
    path.write_bytes(content)
    refused(path, new())
    with pytest.raises(InputError, match="damaged checkpoint"):
        checkpoint.read(path)


def test_a_pickle_is_not_loaded(new, saved, tmp_path):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("it was loaded",)

    with np.load(saved[0]) as file:
        arrays = dict(file)
    arrays["slots"] = np.array([Trap(), Trap()], object)
    np.savez(tmp_path / "state.npz", **arrays)
    refused(tmp_path / "state.npz", new())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slots", [7, 3]), ("slots", [3, 3]), ("slots", [[0, 1]]), ("slots", []), ("waiting", [9]),
        ("waiting", [4, 4]), ("done", [[0, 0]]), ("done", [1]), ("records", [[1.0]]), ("run", [1, 2]),
        ("lengths", [[9, 1]]), ("clock", [[1]]), ("measures", [1.0]), ("carry.optimizer.value", [1.0]),
    ],
)  # fmt: skip
def test_arrays_that_make_no_sense(new, saved, tmp_path, name, value):
    with np.load(saved[0]) as file:
        arrays = dict(file)
    assert name in arrays
    np.savez(tmp_path / "state.npz", **arrays | {name: np.array(value, arrays[name].dtype)})
    refused(tmp_path / "state.npz", new())


@pytest.mark.parametrize("layout", [None, 1, checkpoint.LAYOUT + 1])
def test_another_version_s_file(saved, tmp_path, layout):
    with np.load(saved[0]) as file:
        arrays = dict(file)
    del arrays["layout"]
    np.savez(tmp_path / "state.npz", **arrays, **({} if layout is None else {"layout": np.array(layout)}))
    with pytest.raises(InputError, match="of another version of nst_jax, which alone can go on with it; "):
        checkpoint.read(tmp_path / "state.npz")


def test_damaged_bytes(new, saved, tmp_path):
    """Each of 300 damaged files is refused in one line, or was damaged where it does not matter."""
    path, current = saved
    whole, generator = path.read_bytes(), random.Random(3)
    target = tmp_path / "state.npz"
    messages = []
    for number in range(300):
        data = bytearray(whole)
        kind = number % 4
        if kind == 0:
            del data[generator.randrange(len(data)) :]
        elif kind == 1:
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        elif kind == 2:  # in the directory at the end, or in the first array's header
            place = generator.choice([generator.randrange(200), len(data) - 1 - generator.randrange(4000)])
            data[place] = generator.randrange(256)
        else:
            place = generator.randrange(len(data))
            data[place : place + generator.randrange(1, 500)] = generator.randbytes(generator.randrange(500))
        target.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of zipfile, about names that are there twice
            made = new()
            try:
                found = checkpoint.read(target)
                checkpoint.restore(target, made)
            except InputError as error:
                messages.append(str(error))
            else:
                assert found.records == {n: records for n, records in current.records.items() if records}
                assert losses(made) == losses(current)
    assert len(messages) > 200
    assert "\n" not in "".join(messages)
