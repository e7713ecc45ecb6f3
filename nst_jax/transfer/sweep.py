"""Sweeps: any number of lanes through one compiled program, in batches that are filled up as lanes finish.

A batch has a fixed number of slots. When a lane is done, the next one waiting takes its slot; the weights and targets
are arguments of the program, so nothing is compiled again. When none waits and at least half of the slots are idle, the
batch is halved, as often as that goes. All of that depends on counts of evaluations only, never on time, so that a
sweep that was interrupted and resumed takes the same course, to the same bytes.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from nst_jax.loss.objective import Objective
from nst_jax.optim import compiler, minimize
from nst_jax.optim.lbfgs import CONVERGED, RUNNING
from nst_jax.optim.minimize import LONGEST_CHUNK, NOT_TAKEN, Carry, Optimizer, Rows
from nst_jax.transfer.lanes import Lane
from nst_jax.transfer.problem import Problem

TOLERANCE_WINDOW = 20  # evaluations over which `tolerance` looks at the loss
WORTH_SHRINKING = 50  # evaluations that must be left to make up for compiling a smaller batch
LOOK = 20  # evaluations after which the slots of lanes that stopped by themselves are filled
SECONDS_PER_CHUNK = 1.0

Array = jax.Array


class Finished(NamedTuple):
    """A lane that is done."""

    lane: int
    image: np.ndarray
    """[height, width, 3] float32, not clipped to 0..1."""
    status: int
    """lbfgs.RUNNING (all its evaluations used), CONVERGED or NOT_FINITE."""


class Progress(NamedTuple):
    """What happened in one chunk of steps."""

    records: dict[int, list["Record"]]
    """By lane."""
    finished: list[Finished]


class Record(NamedTuple):
    """One evaluation of one lane, all of its accepted image: floats, in the paper's units."""

    step: int
    """How often the image has moved; a line search may take several evaluations for one step."""
    evaluations: int
    total: float
    content: float
    style: float
    style_layers: tuple[float, ...]
    """Equation 4 of each of `Problem.style_layers`."""
    gradient_norm: float
    seconds: float
    """Since the sweep began, interruptions left out."""


class Sweep:
    """A sweep under way: `advance` until `finished`."""

    def __init__(
        self,
        problem: Problem,
        lanes: Sequence[Lane],
        *,
        steps: int,
        batch: int,
        optimizer: Optimizer,
        strips: tuple[int, ...] = (),
        tolerance: float = 0.0,
        devices: Sequence[Any] | None = None,
    ) -> None:
        """Nothing is computed yet.

        Args:
          problem: the pictures' targets, for these lanes.
          steps: evaluations for each lane.
          batch: slots; a multiple of the number of devices.
          strips: those of the objective.
          tolerance: a lane is done when its loss fell by less than this part of itself in the latest
            TOLERANCE_WINDOW evaluations; zero never ends a lane.
          devices: over which the slots are spread, each device running on its own (default: all local ones).
        """
        self.problem, self.lanes, self.steps, self.tolerance = problem, tuple(lanes), steps, tolerance
        self._optimizer, self._strips = optimizer, strips
        self._mesh = Mesh(np.array(devices or jax.local_devices()), ("lanes",))
        self._programs: dict[int, Any] = {}
        self.carry: Carry | None = None
        self._objective: Objective | None = None
        self._chunk = 1  # steps to take at once
        self.clock = 0  # evaluations of the batch since the slots were last looked at, below LOOK
        self.slots: list[int | None] = [None] * batch
        self.waiting: list[int] = list(range(len(self.lanes)))
        self.status: dict[int, int] = {}
        self.records: dict[int, list[Record]] = {lane: [] for lane in range(len(self.lanes))}
        self.seconds = 0.0

    @property
    def finished(self) -> bool:
        """Whether every lane is done."""
        return len(self.status) == len(self.lanes)

    @property
    def compilations(self) -> int:
        """How many programs were compiled: one for each size of the batch."""
        return len(self._programs)

    def images(self) -> dict[int, np.ndarray]:
        """The lanes now in the batch, [height, width, 3] float32 each."""
        if self.carry is None:
            return {}
        images = np.asarray(self.carry.optimizer.image)
        return {lane: images[slot] for slot, lane in enumerate(self.slots) if lane is not None}

    def advance(self) -> Progress:
        """Fills the slots, takes steps for about a second, and empties the slots of lanes that are done."""
        before = time.perf_counter()
        self._fill()
        program = self.program()
        count = self._count()
        self.carry, rows = program(self._objective, self.carry, jnp.int32(count))
        rows = jax.device_get(rows)
        took = time.perf_counter() - before
        records = self._record(rows, took)
        # The first chunk of a program is mostly compilation and tells nothing about the pace.
        self._chunk = max(1, min(2 * self._chunk, LONGEST_CHUNK, math.ceil(SECONDS_PER_CHUNK * count / took)))
        self.seconds += took
        self.clock = (self.clock + count) % LOOK
        return Progress(records, self._finish())

    def program(self) -> Any:
        """The compiled program of the present batch size: `minimize.advance`, each device with slots of its own."""
        if self._objective is None:
            self._fill()
        batch = len(self.slots)
        if batch not in self._programs:
            assert self._objective is not None
            step = jax.shard_map(
                partial(minimize.advance, optimizer=self._optimizer),
                mesh=self._mesh,
                in_specs=(self.problem.specs(self._objective), P("lanes"), P()),
                out_specs=(P("lanes"), P(None, "lanes")),
                check_vma=False,  # nothing is exchanged between devices
            )
            arguments = self._objective, self.carry, jnp.int32(1)
            self._programs[batch] = compiler.compiled(jax.jit(step, donate_argnums=1), *arguments)
            self._chunk = 1
        return self._programs[batch]

    def template(self) -> Carry:
        """A carry of the shapes that the present batch has."""
        lanes = self._slot_lanes()
        return minimize.begin(self.problem.objective(lanes), self.problem.starts(lanes), self._optimizer)

    def _fill(self) -> None:
        """Gives empty slots to waiting lanes; halves the batch while half of it stays empty and it is worth it.

        A lane may stop by itself in the middle of a chunk, and the length of chunks depends on time. So this looks at
        the slots every LOOK evaluations, when a lane has had its last one, and when nothing runs.
        """
        active = [slot for slot, lane in enumerate(self.slots) if lane is not None]
        fresh = np.zeros(len(self.slots), bool)
        if self.clock == 0 or not active:
            self.clock = 0
            vacant = [slot for slot, lane in enumerate(self.slots) if lane is None][: len(self.waiting)]
            fresh[vacant] = True
            for slot in vacant:
                self.slots[slot] = self.waiting.pop(0)
            keep = self._kept()
            if len(keep) < len(self.slots):
                fresh = fresh[keep]
                self.slots = [self.slots[slot] for slot in keep]
                self.carry = self.carry and jax.tree.map(lambda leaf: leaf[np.array(keep)], self.carry)
                self._objective = None
        if fresh.any() or self._objective is None:
            self._place(fresh)

    def _kept(self) -> list[int]:
        """The slots that are worth keeping, those with lanes first, or all of them."""
        active = [slot for slot, lane in enumerate(self.slots) if lane is not None]
        idle = [slot for slot, lane in enumerate(self.slots) if lane is None]
        left = max(self.steps - len(self.records[lane]) for lane in self.slots if lane is not None)
        size = len(self.slots)
        while left >= WORTH_SHRINKING and len(active) <= size // 2 and size // 2 % self._mesh.size == 0:
            size //= 2
        return [*active, *idle[: size - len(active)]] if size < len(self.slots) else [*range(size)]

    def _place(self, fresh: np.ndarray) -> None:
        """Puts the slots' objective on the devices, and start images into the slots that are `fresh`."""
        goal = replace(self.problem.objective(self._slot_lanes()), strips=self._strips)
        self._objective = self._spread(goal, self.problem.specs(goal))
        if fresh.any():
            new = self.template()

            def choose(a: Array, b: Array) -> Array:
                return jnp.where(fresh.reshape(-1, *[1] * (a.ndim - 1)), a, b)

            self.carry = new if self.carry is None else jax.tree.map(choose, new, self.carry)
        self.carry = self._spread(self.carry, jax.tree.map(lambda _: P("lanes"), self.carry))

    def _slot_lanes(self) -> list[Lane]:
        # An empty slot repeats a lane, to no purpose: the program has a fixed number of slots.
        somebody = next(lane for lane in self.slots if lane is not None)
        return [self.lanes[somebody if lane is None else lane] for lane in self.slots]

    def _spread(self, tree: Any, specs: Any) -> Any:
        return jax.tree.map(lambda leaf, spec: jax.device_put(leaf, NamedSharding(self._mesh, spec)), tree, specs)

    def _count(self) -> int:
        """Steps of the next chunk: no lane goes past its last one, or past a look at its tolerance or at the slots."""
        done = [len(self.records[lane]) for lane in self.slots if lane is not None]
        count = min(self._chunk, self.steps - max(done), LOOK - self.clock)
        if self.tolerance:
            count = min(count, *(TOLERANCE_WINDOW - n % TOLERANCE_WINDOW for n in done))
        return count

    def _record(self, rows: Rows, took: float) -> dict[int, list[Record]]:
        fresh: dict[int, list[Record]] = {}
        for slot, lane in enumerate(self.slots):
            if lane is None:
                continue
            so_far = len(self.records[lane])
            steps = np.cumsum(rows.accepted[:, slot]) + (self.records[lane][-1].step if so_far else 0)
            running = rows.status[:, slot] == RUNNING
            count = int(running.sum())
            if count < len(running) and rows.status[count, slot] != NOT_TAKEN:
                count += 1  # the step that ended it
            terms, layers = rows.losses, self.problem.style_layers
            fresh[lane] = [
                Record(
                    int(steps[i]),
                    so_far + i + 1,
                    float(terms.total[i, slot]),
                    float(terms.content[i, slot]),
                    float(terms.style[i, slot]),
                    tuple(float(terms.style_layers[layer][i, slot]) for layer in layers),
                    float(rows.gradient_norm[i, slot]),
                    self.seconds + took * (i + 1) / count,
                )
                for i in range(count)
            ]
            self.records[lane] += fresh[lane]
        return fresh

    def _finish(self) -> list[Finished]:
        assert self.carry is not None
        status = np.asarray(self.carry.optimizer.status)
        finished = []
        images = None
        for slot, lane in enumerate(self.slots):
            if lane is None:
                continue
            state = int(status[slot])
            by_itself = state != RUNNING
            if not by_itself and self._stalled(self.records[lane]):
                state = CONVERGED
            if state != RUNNING or len(self.records[lane]) >= self.steps:
                if not by_itself:
                    self.clock = 0
                images = np.asarray(self.carry.optimizer.image) if images is None else images
                finished.append(Finished(lane, images[slot], state))
                self.status[lane] = state
                self.slots[slot] = None
        return finished

    def _stalled(self, records: Sequence[Record]) -> bool:
        if not self.tolerance or len(records) <= TOLERANCE_WINDOW or len(records) % TOLERANCE_WINDOW:
            return False
        before, now = records[-1 - TOLERANCE_WINDOW].total, records[-1].total
        return before - now < self.tolerance * abs(now)
