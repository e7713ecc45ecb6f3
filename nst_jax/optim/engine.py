"""The engine: any number of lanes through one compiled program, in chunks of evaluations, with a record of each.

A lane is one optimization problem. The engine takes a problem, which is lanes, an optimizer and a budget, and tells of
its progress chunk by chunk. A picture is a problem of one lane. Which lane takes which slot of the batch is for
`schedule` to say; weights, targets and start images are arguments of the program, so that no lane needs one of its own.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

from nst_jax.devices import local_devices
from nst_jax.errors import InputError, argument
from nst_jax.optim import compiler, schedule
from nst_jax.optim.box import Box
from nst_jax.optim.compiler import Compile
from nst_jax.optim.loop import LONGEST_CHUNK, NOT_TAKEN, Carry, Optimizer, Rows, advance, begin, rows_of
from nst_jax.optim.schedule import Schedule
from nst_jax.optim.status import NOT_FINITE, RUNNING, Status

SECONDS_PER_CHUNK = 1.0  # how often a slow problem is heard of

Array = jax.Array


@runtime_checkable
class Problem(Protocol):
    """The lanes of an optimization, numbered from zero."""

    shape: tuple[int, ...]
    """Of an image."""
    dtype: Any
    """Of the images, floating."""

    def __len__(self) -> int:
        """How many lanes there are."""
        ...

    def objective(self, lanes: Sequence[int]) -> Callable[[Array], Any]:
        """What these lanes minimize, in this order: a pytree and a function, as `loop.advance` takes it."""
        ...

    def spread(self, objective: Any) -> Any:
        """For each leaf of an objective, whether its first axis is that of the lanes."""
        ...

    def starts(self, lanes: Sequence[int]) -> Array:
        """The start images of these lanes, [lanes, *shape]."""
        ...

    def boxes(self, lanes: Sequence[int]) -> Box:
        """What the images of these lanes stay in."""
        ...

    def unknown(self, lanes: int) -> Any:
        """The objective's losses of so many lanes, NaN each."""
        ...

    def refuse(self, lane: int, losses: Any) -> None:
        """Hears of a lane whose start has no finite loss, and of its losses as floats; may raise."""
        ...


class Record(NamedTuple):
    """One evaluation of one lane, all of its accepted image: a trial that a line search rejects does not show.

    Example:
      >>> result = nst.minimize(lambda x: (x**2).sum(1), jnp.ones((1, 3)), optimizer=nst.LBFGS(), evaluations=2)
      >>> record = result.history[0][0]
      >>> record.evaluations, record.losses.total, round(record.gradient_norm, 3)
      (1, 3.0, 3.464)
    """

    step: int
    """How often the image has moved; a line search may take several evaluations for one step."""
    evaluations: int
    """This one included, and those that went before at another scale."""
    losses: Any
    """Floats, in the structure of the objective's losses."""
    gradient_norm: float
    """Euclidean."""
    seconds: float
    """Since the engine began, interruptions left out."""


class Finished(NamedTuple):
    """A lane that is over."""

    lane: int
    image: np.ndarray
    """[*shape], of the problem's dtype."""
    status: Status
    """RUNNING: all its evaluations are used."""


class Progress(NamedTuple):
    """What happened in one chunk of evaluations.

    Example:
      >>> heard = []
      >>> start, optimizer = jnp.ones((1, 3)), nst.LBFGS()
      >>> _ = nst.minimize(lambda x: (x**2).sum(1), start, optimizer=optimizer, evaluations=2, callback=heard.append)
      >>> heard[0].records[0][0].losses.total, heard[-1].finished[0].status.name
      (3.0, 'RUNNING')
    """

    records: dict[int, list[Record]]
    """By lane."""
    finished: list[Finished]
    images: Callable[[], dict[int, np.ndarray]]
    """The images of the lanes that are in the batch, by lane, [*shape] each, of the problem's dtype."""


@contextmanager
def _own_ways() -> Iterator[None]:
    """Sets aside those of JAX's debugging settings that stop what is meant here.

    NaN stands for what is not known yet, infinity for a bracket without an end, and optimizers reject trials that are
    not finite; the loop is compiled, which it cannot be while `jit` is disabled.
    """
    with jax.debug_nans(False), jax.debug_infs(False), jax.disable_jit(False), jax.transfer_guard("allow"):
        yield


class Engine:
    """An optimization under way: `advance` until `finished`.

    Attributes:
      records: by lane, all so far.
      status: by lane, of those that are over.
      schedule: which lanes are in the batch.
      carry: the batch's state; None before the first chunk.
      seconds: that the chunks took.

    Example:
      >>> from nst_jax.transfer.lanes import table
      >>> settings = nst.Settings(content_layers=("conv1_1",), style_layers=("conv1_1",))
      >>> lanes = table(["photo"], ["painting"], nst.transfer.Axes(ratio=(1e-4, 1e-3)), settings)
      >>> problem = nst.transfer.Problem(params, {"photo": photo}, {"painting": painting}, lanes)
      >>> engine = nst.optim.Engine(problem, nst.LBFGS(), evaluations=2, slots=2)
      >>> while not engine.finished:
      ...     progress = engine.advance()
      >>> {lane: len(records) for lane, records in engine.records.items()}
      {0: 2, 1: 2}
    """

    def __init__(
        self,
        problem: Problem,
        optimizer: Optimizer,
        *,
        evaluations: int,
        slots: int,
        tolerance: float = 0.0,
        every: int | None = None,
        earlier: Mapping[int, int] | None = None,
        fixed: bool = False,
        devices: Sequence[Any] | None = None,
        compile: Compile = compiler.remembered,
        key: Any = None,
    ) -> None:
        """Nothing is computed yet.

        Args:
          problem: the lanes.
          optimizer: see `loop.Optimizer`; hashable.
          evaluations: of loss and gradient, for each lane.
          slots: of the batch; a multiple of the number of devices.
          tolerance: a lane is over when its loss fell by less than this part of itself in the latest
            `schedule.TOLERANCE_WINDOW` evaluations; zero never ends a lane.
          every: a chunk ends after every so many evaluations of each lane exactly.
          earlier: by lane, evaluations that it has had before, at another scale; records, `every` and the window of the
            tolerance count on from there.
          fixed: the lanes belong together, so that the batch is never halved.
          devices: over which the slots are spread, each device running on its own; by default the first one.
          compile: what compiles the loop.
          key: what the optimizer was made from, if two of one key are the same; by default the optimizer itself.

        Raises:
          InputError: `evaluations` or `every` is not positive.
        """
        for name, value in (("evaluations", evaluations), ("every", every)):
            if value is not None and value < 1:
                raise InputError(f"{argument(name)}: {value} is not allowed; must be at least 1")
        self.problem, self.evaluations, self.tolerance = problem, evaluations, tolerance
        self._optimizer, self._every, self._compile, self._key = optimizer, every, compile, key
        self._earlier = earlier or dict.fromkeys(range(len(problem)), 0)
        self._devices = list(devices or local_devices()[:1])
        self._mesh = Mesh(np.array(self._devices), ("lanes",))
        self._smallest = slots if fixed else len(self._devices)
        self._programs: dict[int, Any] = {}
        self._objective: Any = None
        self._chunk = 1  # steps to take at once
        self.carry: Carry | None = None
        self.schedule: Schedule = schedule.begun(len(problem), slots)
        self.status: dict[int, Status] = {}
        self.records: dict[int, list[Record]] = {lane: [] for lane in range(len(problem))}
        self.seconds = 0.0

    @property
    def finished(self) -> bool:
        """Whether every lane is over."""
        return len(self.status) == len(self.problem)

    @property
    def compilations(self) -> int:
        """How many programs were asked for: one for each size of the batch."""
        return len(self._programs)

    def images(self) -> dict[int, np.ndarray]:
        """Gives the images of the lanes now in the batch, by lane, [*shape] each, of the problem's dtype."""
        if self.carry is None:
            return {}
        images = jax.device_get(self.carry.optimizer.image)
        return {lane: images[slot] for slot, lane in enumerate(self.schedule.slots) if lane is not None}

    @_own_ways()
    def advance(self) -> Progress:
        """Fills the slots, evaluates for about SECONDS_PER_CHUNK, and empties the slots of lanes that are over.

        Raises:
          InputError: as the problem's `refuse`.
        """
        before = time.perf_counter()
        self._fill()
        program = self.program()
        begun = time.perf_counter()  # compiling tells nothing of the pace
        done = {lane: self._earlier[lane] + len(self.records[lane]) for lane in self.schedule.running}
        most = schedule.longest(self.schedule, self._left(), done, self._smallest, self.tolerance > 0, self._every)
        count = min(self._chunk, most, LONGEST_CHUNK)
        self.carry, rows = program(self._objective, self.carry, self._at(np.int32(count), P()))
        rows = jax.device_get(rows)
        ended = time.perf_counter()
        records = self._record(rows, ended - before)
        pace = (ended - begun) / count
        self._chunk = max(1, min(2 * self._chunk, LONGEST_CHUNK, math.ceil(SECONDS_PER_CHUNK / pace)))
        self.seconds += ended - before
        self.schedule = schedule.passed(self.schedule, count)
        return Progress(records, self._finish(), self.images)

    @_own_ways()
    def program(self) -> Any:
        """Compiles the program of the present batch size; its `memory_analysis` tells what it takes on a device.

        It is `loop.advance`, each device with slots of its own.
        """
        batch = len(self.schedule.slots)
        if batch not in self._programs:
            goal, carry = self._shapes()
            specs = self._specs(goal)
            step: Any = partial(advance, optimizer=self._optimizer)
            if len(self._devices) > 1:
                step = jax.shard_map(
                    step,
                    mesh=self._mesh,
                    in_specs=(specs, P("lanes"), P()),
                    out_specs=(P("lanes"), P(None, "lanes")),
                    check_vma=False,  # nothing is exchanged between devices
                )
            arguments = (
                jax.tree.map(self._shaped, goal, specs),
                jax.tree.map(lambda leaf: self._shaped(leaf, P("lanes")), carry),
                self._shaped(jax.ShapeDtypeStruct((), jnp.int32), P()),
            )
            result = (carry, jax.eval_shape(rows_of, carry))
            key = (self._key or self._optimizer, len(self._devices))
            self._programs[batch] = self._compile(step, arguments, donate=1, key=key, result=result)
            self._chunk = 1
        return self._programs[batch]

    def argument_bytes(self) -> int:
        """Counts what the objective and the batch's state take on all devices, without compiling anything."""
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(self._shapes()))

    @_own_ways()
    def template(self) -> Carry:
        """Makes a carry of the shapes that the present batch has."""
        lanes = self._slot_lanes()
        starts, boxes = self.problem.starts(lanes), self.problem.boxes(lanes)
        return begin(starts, self.problem.unknown(len(lanes)), self._optimizer, boxes)

    def forget(self, lane: int) -> None:
        """Makes a lane that is over wait again, to be run from its start."""
        del self.status[lane]
        self.records[lane] = []
        self.schedule = self.schedule._replace(waiting=(*self.schedule.waiting, lane))

    def _fill(self) -> None:
        before = self.schedule
        platform = self._devices[0].platform
        self.schedule, kept, fresh = schedule.filled(before, self._left(), self._smallest, platform)
        if len(kept) < len(before.slots):
            self.carry = self.carry and jax.tree.map(lambda leaf: leaf[np.array(kept)], self.carry)
            self._objective = None
        if any(fresh) or self._objective is None:
            self._place(np.array(fresh))

    def _left(self) -> dict[int, int]:
        return {lane: self.evaluations - len(records) for lane, records in self.records.items()}

    def _place(self, fresh: np.ndarray) -> None:
        """Puts the slots' objective on the devices, and start images into the slots that are `fresh`."""
        goal = self.problem.objective(self._slot_lanes())
        self._objective = jax.tree.map(self._at, goal, self._specs(goal))
        if fresh.any() or self.carry is None:
            new = self.template()

            def choose(a: Array, b: Array) -> Array:
                return jnp.where(fresh.reshape(-1, *[1] * (a.ndim - 1)), a, b)

            self.carry = new if self.carry is None else jax.tree.map(choose, new, self.carry)
        self.carry = jax.tree.map(lambda leaf: self._at(leaf, P("lanes")), self.carry)

    def _shapes(self) -> tuple[Any, Carry]:
        """An objective and a carry of the present batch size; before there are lanes in its slots any will do."""
        batch = len(self.schedule.slots)
        goal = self.problem.objective([0] * batch) if self._objective is None else self._objective
        unknown = self.problem.unknown(batch)
        images = jax.ShapeDtypeStruct((batch, *self.problem.shape), self.problem.dtype)
        # As `begin` gives it, which takes ten times as long to trace.
        norm: Any = jax.ShapeDtypeStruct((batch,), images.dtype)
        boxes = self.problem.boxes([0] * batch)
        return goal, Carry(jax.eval_shape(self._optimizer.init, images, boxes), unknown, norm)

    def _specs(self, goal: Any) -> Any:
        return jax.tree.map(lambda own: P("lanes") if own else P(), self.problem.spread(goal))

    def _slot_lanes(self) -> list[int]:
        # An empty slot repeats a lane, to no purpose: the program has a fixed number of slots.
        somebody = self.schedule.running[0]
        return [somebody if lane is None else lane for lane in self.schedule.slots]

    def _sharding(self, spec: P) -> Any:
        if len(self._devices) == 1:
            return SingleDeviceSharding(self._devices[0])
        return NamedSharding(self._mesh, spec)

    def _at(self, leaf: Any, spec: P) -> Array:
        return jax.device_put(leaf, self._sharding(spec))

    def _shaped(self, leaf: Any, spec: P) -> jax.ShapeDtypeStruct:
        weak = getattr(leaf, "weak_type", False)
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self._sharding(spec), weak_type=weak)

    def _record(self, rows: Rows, took: float) -> dict[int, list[Record]]:
        fresh: dict[int, list[Record]] = {}
        evaluated = np.count_nonzero(np.any(rows.status != NOT_TAKEN, axis=1))
        losses, structure = jax.tree.flatten(rows.losses)
        for slot, lane in enumerate(self.schedule.slots):
            if lane is None:
                continue
            so_far = self.records[lane]
            steps = np.cumsum(rows.accepted[:, slot]) + (so_far[-1].step if so_far else 0)
            running = rows.status[:, slot] == RUNNING
            count = int(running.sum())
            if count < len(running) and rows.status[count, slot] != NOT_TAKEN:
                count += 1  # the step that ended it
            fresh[lane] = [
                Record(
                    int(steps[i]),
                    self._earlier[lane] + len(so_far) + i + 1,
                    jax.tree.unflatten(structure, [float(loss[i, slot]) for loss in losses]),
                    float(rows.gradient_norm[i, slot]),
                    self.seconds + took * (i + 1) / evaluated,
                )
                for i in range(count)
            ]
            if not so_far and rows.status[0, slot] == NOT_FINITE:
                self.problem.refuse(lane, fresh[lane][0].losses)
            so_far += fresh[lane]
        return fresh

    def _finish(self) -> list[Finished]:
        assert self.carry is not None
        status = np.asarray(self.carry.optimizer.status)
        finished: list[Finished] = []
        used_up, images = False, None
        for slot, lane in enumerate(self.schedule.slots):
            if lane is None:
                continue
            state = Status(int(status[slot]))
            by_itself = state != RUNNING
            if not by_itself and self._stalled(self.records[lane]):
                state = Status.STALLED
            if state != RUNNING or len(self.records[lane]) >= self.evaluations:
                used_up |= not by_itself
                images = np.asarray(self.carry.optimizer.image) if images is None else images
                finished.append(Finished(lane, images[slot], state))
                self.status[lane] = state
        self.schedule = schedule.vacated(self.schedule, [over.lane for over in finished], used_up)
        return finished

    def _stalled(self, records: Sequence[Record]) -> bool:
        window = schedule.TOLERANCE_WINDOW
        if not self.tolerance or len(records) <= window or records[-1].evaluations % window:
            return False
        before, now = records[-1 - window].losses.total, records[-1].losses.total
        return before - now < self.tolerance * abs(now)
