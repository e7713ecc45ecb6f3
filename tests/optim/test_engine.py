"""Sweeps: one compilation, slots filled up and given up, any number of devices, each lane as if it were alone."""

import logging
import re
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_sweep import LANES, OPTIMIZER, devices, engine, finished, lane, losses, problem, with_lanes

from nst_jax.optim import engine as engines
from nst_jax.optim import schedule
from nst_jax.optim.compiler import Programs
from nst_jax.optim.engine import Engine
from nst_jax.optim.first_order import FirstOrder
from nst_jax.optim.status import CONVERGED, NOT_FINITE, RUNNING, STALLED
from nst_jax.transfer.minimizing import minimize

STEPS = 8


@pytest.fixture(scope="module")
def five(params, picture):
    return problem(params, picture, LANES)


class Run(NamedTuple):
    """A sweep that is over."""

    engine: Engine
    images: dict[int, np.ndarray]
    compiled: int


def compiled(caplog) -> int:
    """How often XLA has compiled the program of steps."""
    return sum("Finished XLA compilation of jit(advance)" in record.message for record in caplog.records)


@pytest.fixture(scope="module")
def run(five):
    """run(batch, devices): the five lanes."""
    runs: dict[tuple[int, int], Run] = {}

    class Counter(logging.Handler):
        count = 0

        def emit(self, record):
            self.count += "Finished XLA compilation of jit(advance)" in record.getMessage()

    def of(batch: int, count: int) -> Run:
        if (batch, count) not in runs:
            handler, logger = Counter(), logging.getLogger("jax._src.dispatch")
            logger.addHandler(handler)
            try:
                with jax.log_compiles():
                    current = engine(five, evaluations=STEPS, slots=batch, devices=devices(count), compile=Programs())
                    images = finished(current)
            finally:
                logger.removeHandler(handler)
            runs[batch, count] = Run(current, images, handler.count)
        return runs[batch, count]

    return of


# -- one program


@pytest.mark.parametrize(("batch", "count"), [(2, 1), (1, 1), (4, 4)])
def test_compiles_once_whatever_the_lanes(run, batch, count):
    """Five lanes of different ratios, subsets of layers and seeds, in several rounds."""
    over = run(batch, count)
    assert over.engine.compilations == 1
    assert over.compiled == 1
    assert over.engine.status == dict.fromkeys(range(5), RUNNING)
    assert [len(records) for records in over.engine.records.values()] == [STEPS] * 5
    pictures = list(over.images.values())
    assert len({picture.tobytes() for picture in pictures}) == 5
    for records in over.engine.records.values():
        assert records[-1].losses.total < 0.9 * records[0].losses.total


def test_lanes_are_what_they_are_alone(run, five):
    """Each lane by `minimize` on its own, and in batches of two.

    Few evaluations, since rounding differs between programs and grows from step to step.
    """
    over = run(2, 1)
    for number in range(len(LANES)):
        alone = minimize(five.objective([number]), five.starts([number]), optimizer=OPTIMIZER, evaluations=STEPS)
        np.testing.assert_allclose(over.images[number], alone.images[0], atol=0.5 / 255)
        together, records = over.engine.records[number], alone.history[0]
        for name in ("total", "content"):
            values = [[getattr(record.losses, name) for record in some] for some in (together, records)]
            np.testing.assert_allclose(*values, rtol=1e-3)
        np.testing.assert_allclose([r.gradient_norm for r in together], [r.gradient_norm for r in records], rtol=2e-2)
        assert [r.evaluations for r in together] == list(range(1, STEPS + 1))


def test_records_are_of_the_image(run, five):
    over = run(2, 1)
    call = jax.jit(lambda goal, images: goal(images))
    for number in range(len(LANES)):
        expected = call(five.objective([number]), over.images[number][None])
        found = over.engine.records[number][-1].losses
        assert isinstance(found.total, float)
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(one, other[0], rtol=1e-4)


# -- devices


def test_the_same_on_any_number_of_devices(run):
    """One slot a device. Each device of several runs the same program, to the same bytes.

    XLA fuses the program of one device otherwise, which rounds otherwise: by some 2e-7 after these few steps.
    """
    one, two, four = run(1, 1), run(2, 2), run(4, 4)
    for number in range(len(LANES)):
        np.testing.assert_array_equal(four.images[number], two.images[number])
        np.testing.assert_allclose(two.images[number], one.images[number], atol=1e-5)
        totals = [[record.losses.total for record in own.engine.records[number]] for own in (one, two)]
        np.testing.assert_allclose(*totals, rtol=1e-4)
    assert losses(four.engine) == losses(two.engine)


def test_devices_exchange_nothing(run):
    text = run(4, 4).engine.program().as_text()
    assert "while" in text
    assert re.search(r"num_partitions=4", text)
    collective = r"(all-reduce|all-gather|all-to-all|reduce-scatter|collective-\w+|partition-id|send|recv)[\w-]*\("
    assert re.findall(collective, text) == []


# -- lanes that end by themselves


@dataclass(frozen=True)
class StopsBelow:
    """Adam that has converged as soon as a lane's loss is below `limit`, in the middle of any chunk."""

    limit: float
    adam = FirstOrder(optax.adam(0.02))

    def init(self, images, boxes=None):
        return self.adam.init(images, boxes)

    def ask(self, state):
        return self.adam.ask(state)

    def tell(self, state, values, gradients):
        with jax.numpy_dtype_promotion("standard"):  # Optax mixes dtypes
            after = self.adam.tell(state, values, gradients)
        status = jnp.where((values < self.limit) & (after.status == RUNNING), CONVERGED, after.status)
        return after._replace(status=jnp.where(state.status == RUNNING, status, state.status).astype(jnp.int32))


def course(five, lanes, optimizer, **options) -> tuple[Engine, dict[int, np.ndarray], dict[int, list[int]]]:
    """Runs lanes; the engine, the images, and how many slots the batch had at each evaluation of each lane."""
    current = engine(with_lanes(five, lanes), optimizer=optimizer, **options)
    images: dict[int, np.ndarray] = {}
    slots: dict[int, list[int]] = {number: [] for number in range(len(lanes))}
    while not current.finished:
        progress = current.advance()
        images |= {done.lane: done.image for done in progress.finished}
        for number, records in progress.records.items():
            slots[number] += [len(current.schedule.slots)] * len(records)
    return current, images, slots


@pytest.fixture(scope="module")
def limit(five):
    """A loss that some of the lanes reach with Adam in the course of 30 evaluations, at different times."""
    current = engine(five, evaluations=30, slots=5, optimizer=StopsBelow(0.0))
    finished(current)
    totals = np.array([[record.losses.total for record in records] for records in current.records.values()])
    candidates = np.sort(totals[:, 3:25].ravel())
    reached = [np.argmax(totals < value, axis=1) * np.any(totals < value, axis=1) for value in candidates]
    # As many different moments as possible, and a lane or two that never get there.
    scores = [len(set(r[r > 2])) if 1 <= np.sum(r == 0) <= 2 else 0 for r in reached]
    assert max(scores) >= 2
    return float(candidates[int(np.argmax(scores))])


def test_the_course_does_not_depend_on_the_clock(five, limit, monkeypatch):
    """With chunks of one evaluation and with the longest ones, lanes take over slots at the same evaluations."""
    monkeypatch.setattr(schedule, "LOOK", 5)
    monkeypatch.setitem(schedule.WORTH_SHRINKING, "cpu", 3)
    found = []
    for seconds in (0.0, 1e9):
        monkeypatch.setattr(engines, "SECONDS_PER_CHUNK", seconds)
        found.append(course(five, LANES, StopsBelow(limit), evaluations=30, slots=4))
    (slow, slow_images, slow_slots), (fast, fast_images, fast_slots) = found
    assert len(set(map(len, slow.records.values()))) > 1  # the lanes did end at different times
    assert slow.compilations > 1  # the batch shrank
    assert fast_slots == slow_slots
    assert losses(fast) == losses(slow)
    assert fast.status == slow.status
    for number, image in slow_images.items():
        np.testing.assert_array_equal(fast_images[number], image)


def test_a_batch_that_is_half_empty_shrinks_with_one_more_compilation(five, caplog, monkeypatch):
    """From four slots at once to the one that is needed, not by way of two."""
    monkeypatch.setattr(schedule, "LOOK", 6)
    monkeypatch.setitem(schedule.WORTH_SHRINKING, "cpu", 10)
    lanes = (lane(1, 1e38), LANES[0], lane(2, 1e38), lane(3, 1e38))  # three whose losses are infinite
    with jax.log_compiles(), caplog.at_level(logging.WARNING, "jax._src.dispatch"):
        current, images, slots = course(five, lanes, OPTIMIZER, evaluations=18, slots=4, compile=Programs())
    assert current.compilations == 2
    assert compiled(caplog) == 2
    assert slots[1] == [4] * 6 + [1] * 12
    assert current.status == {1: RUNNING, 0: NOT_FINITE, 2: NOT_FINITE, 3: NOT_FINITE}
    assert len(images) == 4


def test_a_batch_does_not_shrink_for_a_few_evaluations(five):
    lanes = (LANES[0], lane(1, 1e38))
    current, _, slots = course(five, lanes, OPTIMIZER, evaluations=5, slots=2)
    assert current.compilations == 1
    assert slots[0] == [2] * 5


def test_slots_are_filled_as_lanes_end_by_their_tolerance(five, monkeypatch):
    monkeypatch.setattr(schedule, "TOLERANCE_WINDOW", 3)
    current, images, _ = course(five, LANES, OPTIMIZER, evaluations=30, slots=2, tolerance=0.5)
    lengths = {number: len(records) for number, records in current.records.items()}
    assert len(set(lengths.values())) > 1
    assert sorted(images) == list(range(5))
    assert current.compilations == 1
    for number, records in current.records.items():
        totals = [record.losses.total for record in records]
        falls = [(totals[n - 3] - totals[n]) / totals[n] for n in range(5, len(totals), 3)]
        if current.status[number] == STALLED:
            assert len(totals) % 3 == 0
            assert falls[-1] < 0.5
            falls = falls[:-1]
        else:
            assert len(totals) == 30
        assert all(fall >= 0.5 for fall in falls)


@pytest.mark.parametrize("earlier", [{0: 50, 1: 50}, {0: 7, 1: 10}])
def test_a_tolerance_after_another_scale_does_not_depend_on_the_clock(five, monkeypatch, earlier):
    """Nor do the evaluations that a lane is told of, which count on from those it had there."""
    monkeypatch.setattr(schedule, "TOLERANCE_WINDOW", 4)
    found = []
    for seconds in (0.0, 1e9):
        monkeypatch.setattr(engines, "SECONDS_PER_CHUNK", seconds)
        options = {"evaluations": 40, "slots": 2, "tolerance": 0.5, "earlier": earlier}
        found.append(course(five, LANES[:2], OPTIMIZER, **options)[0])
    slow, fast = found
    assert losses(fast) == losses(slow)
    assert fast.status == slow.status
    assert STALLED in slow.status.values()
    for number, records in slow.records.items():
        assert [record.evaluations - earlier[number] for record in records] == list(range(1, 1 + len(records)))


def test_a_lane_that_ends_at_once_is_not_dated_to_the_end_of_its_chunk(five):
    lanes = (LANES[0], lane(1, 1e38))  # whose loss is infinite
    current = engine(with_lanes(five, lanes), evaluations=20, slots=2)
    current.program()
    current._chunk = 20
    current.advance()
    (ended,), others = current.records[1], current.records[0]
    assert len(others) == 20
    assert ended.seconds == others[0].seconds == pytest.approx(current.seconds / 20)


def test_a_lane_that_is_not_finite_leaves_and_disturbs_nobody(run, five):
    lanes = (LANES[0], lane(9, 1e38), *LANES[1:])
    over = engine(with_lanes(five, lanes), evaluations=STEPS, slots=2)
    images = finished(over)
    assert over.status[1] == NOT_FINITE
    assert len(over.records[1]) == 1
    np.testing.assert_array_equal(images[1], with_lanes(five, lanes).starts([1])[0])  # the last good image
    without = run(2, 1)
    for number, other in ((0, 0), (2, 1), (3, 2), (4, 3), (5, 4)):
        np.testing.assert_array_equal(images[number], without.images[other])
        assert losses(over)[number] == losses(without.engine)[other]
