"""Which lane takes which slot of the batch, and when: pure functions of counts of evaluations, never of time.

A batch has a fixed number of slots. When a lane is over, the next one that waits takes its slot. When none waits and at
least half of the slots are idle, the batch is halved, as often as that goes and makes up for another program. A run
that was interrupted and resumed takes the same course, to the same bytes.
"""

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple

LOOK = 20
"""Evaluations after which the slots of lanes that stopped by themselves are filled. A lane may stop in the middle of a
chunk, and the length of chunks depends on time; so slots are looked at every LOOK evaluations, when a lane has had its
last one, and when nothing runs."""
WORTH_SHRINKING = {"cpu": 50, "gpu": 500}
"""Evaluations that must be left to make up for compiling a smaller batch, by platform; on others, TPUs, it never does.

An H200 takes 110 ms for 8 lanes of 512 pixels in float32, a fifth of that in tensorfloat32, and 5 to 20 s to compile; a
TPU's compiler takes minutes for what 30 ms of an evaluation are to be saved by (docs/accelerators.md)."""
TOLERANCE_WINDOW = 20
"""Evaluations over which a tolerance looks at the loss."""


class Schedule(NamedTuple):
    """Where the lanes are; what is in neither field is over."""

    slots: tuple[int | None, ...]
    """The lane in each slot."""
    waiting: tuple[int, ...]
    """The lanes that have not begun, in order."""
    clock: int = 0
    """Evaluations of the batch since the slots were last looked at, below LOOK."""

    @property
    def running(self) -> tuple[int, ...]:
        """The lanes that have a slot."""
        return tuple(lane for lane in self.slots if lane is not None)


class Filled(NamedTuple):
    """A schedule whose slots have been filled."""

    schedule: Schedule
    """After that."""
    kept: tuple[int, ...]
    """Which slots of the batch before are those of the batch now, in order."""
    fresh: tuple[bool, ...]
    """Which slots of the batch now have a lane that begins."""


def begun(lanes: int, slots: int) -> Schedule:
    """Makes the schedule before anything: all lanes wait.

    Args:
      lanes: how many.
      slots: how many.

    Returns:
      The schedule.
    """
    return Schedule((None,) * slots, tuple(range(lanes)))


def filled(schedule: Schedule, left: Mapping[int, int], smallest: int, platform: str = "cpu") -> Filled:
    """Gives empty slots to waiting lanes; halves the batch while half of it stays empty and it is worth it.

    Args:
      schedule: before.
      left: the evaluations that each lane still has.
      smallest: the number of slots that the batch is not halved below, and stays a multiple of: that of devices.
      platform: of the devices.

    Returns:
      The schedule after that, and what became of the slots.
    """
    every = tuple(range(len(schedule.slots)))
    if schedule.clock and schedule.running:
        return Filled(schedule, every, (False,) * len(every))
    slots, waiting = list(schedule.slots), list(schedule.waiting)
    vacant = [slot for slot in every if slots[slot] is None][: len(waiting)]
    for slot in vacant:
        slots[slot] = waiting.pop(0)
    kept = _kept(slots, left, smallest, platform)
    fresh = tuple(slot in vacant for slot in kept)
    return Filled(Schedule(tuple(slots[slot] for slot in kept), tuple(waiting)), kept, fresh)


def _kept(slots: list[int | None], left: Mapping[int, int], smallest: int, platform: str) -> tuple[int, ...]:
    """The slots that are worth keeping, those with lanes first, or all of them."""
    active = [slot for slot, lane in enumerate(slots) if lane is not None]
    idle = [slot for slot, lane in enumerate(slots) if lane is None]
    most, size = max((left[lane] for lane in slots if lane is not None), default=0), len(slots)
    while most >= WORTH_SHRINKING.get(platform, math.inf) and len(active) <= size // 2 and size // 2 % smallest == 0:
        size //= 2
    return (*active, *idle[: size - len(active)]) if size < len(slots) else tuple(range(size))


def longest(
    schedule: Schedule,
    left: Mapping[int, int],
    done: Mapping[int, int],
    smallest: int,
    tolerance: bool,
    every: int | None,
) -> int:
    """Counts the evaluations that the batch may take at once.

    No lane goes past its last one, past a look at its tolerance or at the slots, or past a multiple of `every`.

    Args:
      schedule: of the batch.
      left: see `filled`.
      done: the evaluations that each lane has had, at other scales too.
      smallest: see `filled`.
      tolerance: whether there is one.
      every: None for no such multiple.

    Returns:
      At least one.
    """
    counts = [done[lane] for lane in schedule.running]
    most = min(left[lane] for lane in schedule.running)
    if schedule.waiting or len(schedule.slots) > smallest:  # otherwise no look changes anything
        most = min(most, LOOK - schedule.clock)
    for window in (TOLERANCE_WINDOW if tolerance else None, every):
        if window:
            most = min(most, *(window - count % window for count in counts))
    return most


def passed(schedule: Schedule, count: int) -> Schedule:
    """Counts on by so many evaluations of the batch."""
    return schedule._replace(clock=(schedule.clock + count) % LOOK)


def vacated(schedule: Schedule, over: Collection[int], look: bool) -> Schedule:
    """Takes the lanes that are over out of their slots.

    Args:
      schedule: before.
      over: the lanes.
      look: whether the slots are to be looked at, since a lane has had its last evaluation.

    Returns:
      The schedule after that.
    """
    slots = tuple(None if lane in over else lane for lane in schedule.slots)
    return Schedule(slots, schedule.waiting, 0 if look else schedule.clock)
