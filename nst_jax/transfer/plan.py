"""How many lanes to run at once, and in how many strips those that do not fit into memory whole."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

import jax

from nst_jax.devices import local_devices, platform
from nst_jax.errors import InputError, argument
from nst_jax.loss import strips
from nst_jax.transfer import machine

Cuts = tuple[int, ...]
"""See `strips.statistics`."""

CPU_PIXELS = 4 * 128 * 128
"""Pixels a batch on CPU: larger ones were no faster for each lane (see docs/speed.md), and take more memory."""
LARGE = 2**20
"""Pixels from which a picture is always cut on CPU: in strips it is no slower, and takes little more than half."""

_SEGMENTS_AND_ROWS = ((1, 64), (2, 64), (2, 32), (3, 64), (4, 64), (4, 32), (4, 16))  # the fastest first
_REST = {"cpu": (1500, 900, 730, 450, 260), "gpu": (1250, 870, 800, 800, 720), "tpu": (1700, 1150, 1030, 890, 770)}
"""Bytes a pixel outside of slabs, by how many segments are cut: measured, or told by compilers."""
_SLAB = ((700, 2), (350, 4), (350, 16), (290, 32))  # of each segment: bytes a pixel in a slab; rows around a strip
_DOUBT = 1.25  # how far off such an estimate may be


class Planned(Protocol):
    """What is planned: an engine, or what knows as much of a program for devices that are not there."""

    problem: Any
    """With a `shape`, (height, width, 3)."""

    def program(self) -> Any:
        """Compiles the program; its `memory_analysis` tells what it takes on a device."""
        ...

    def argument_bytes(self) -> int:
        """Counts what the objective and the batch's state take on all devices."""
        ...


_Planned = TypeVar("_Planned", bound=Planned)


class Target(NamedTuple):
    """The devices that a program is for."""

    platform: str
    """Such as "cpu"."""
    devices: int
    memory: int
    """Bytes that a program may take on each."""


def here(most: int | None = None) -> Target:
    """Describes this process's devices, the first so many, with most of what they, or the machine, have free."""
    devices = local_devices()[:most]
    shared = len(devices) if devices[0].platform == "cpu" else 1
    return Target(devices[0].platform, len(devices), machine.free_memory(devices[0]) // shared)


class Plan(NamedTuple):
    """Part of a run's settings, since the bytes depend on it."""

    batch: int
    """Slots, over all devices."""
    devices: int
    bytes: int
    """What the compiled program takes on one device at its peak, parameters and checkpointed state included."""
    strips: Cuts


def choose(
    make: Callable[[int, Cuts], _Planned],
    lanes: int,
    *,
    batch: int | None = None,
    cuts: Cuts = (),
    memory: int | None = None,
    target: Target | None = None,
) -> tuple[Plan, _Planned]:
    """Makes an engine whose compiled program fits into memory.

    On CPU it is a batch of what is fastest there, elsewhere as many lanes as fit: somewhat more than an estimate says
    are compiled first, which a TPU's compiler refuses in seconds, and what fits is compiled once.

    Args:
      make: from a number of slots, and strips, to an engine that has not begun.
      lanes: how many there are in all.
      batch: the number of slots, when the user has chosen; rounded up to a multiple of the devices.
      cuts: strips, when the user has chosen; where not even one lane a device fits, it is cut into more.
      memory: bytes of one device for the program (default: the target's).
      target: the devices (default: `here`).

    Returns:
      The plan, and the engine, which has not begun.

    Raises:
      InputError: not even one lane a device fits, in the smallest strips.
    """
    target = target or here()
    count, limit, own = target.devices, target.memory if memory is None else memory, target.platform
    on_cpu = own == "cpu"
    height, width = make(count, cuts).problem.shape[:2]
    cuts = cuts or _usual(height, width, on_cpu)
    most = CPU_PIXELS // (height * width) if on_cpu else int(_DOUBT * limit / _temporaries(height, width, cuts, own))
    each = min(-(-batch // count) if batch else max(1, most), -(-lanes // count))
    while True:
        if not batch:
            rounds = -(-lanes // (each * count))
            each = -(-lanes // (rounds * count))  # rounds of equal length
        engine = make(each * count, cuts)
        needed = _bytes(engine, limit)
        if needed <= limit or each == 1:
            break
        each = max(1, min(each - 1, int(each * limit / needed)))
        batch = None
    made = {cuts: engine}

    def cut(more: Cuts) -> int:
        made[more] = make(each * count, more)
        return _bytes(made[more], limit)

    cuts, needed = _cut(cut, needed, cuts, height, width, limit, own)
    return Plan(each * count, count, needed, cuts), made[cuts]


def strips_of(make: Callable[[Cuts], Planned], memory: int | None = None) -> Cuts:
    """Chooses one lane's strips: those of a large picture, or of one whose program would not fit into memory whole.

    Nothing is compiled where it fits without doubt.

    Args:
      make: from strips to an engine of one slot that has not begun.
      memory: bytes for the program (default: most of what the device, or the machine, has free).

    Returns:
      The strips; () for none.

    Raises:
      InputError: it does not fit, in the smallest strips.
    """
    target = here(1)
    limit, own = target.memory if memory is None else memory, target.platform
    height, width = make(()).problem.shape[:2]
    cuts = _usual(height, width, own == "cpu")
    engine = make(cuts)
    if 2 * (engine.argument_bytes() + _temporaries(height, width, cuts, own)) <= limit:
        return cuts

    def needed(cuts: Cuts) -> int:
        return _bytes(make(cuts), limit)

    return _cut(needed, needed(cuts), cuts, height, width, limit, own)[0]


def _cut(
    program: Callable[[Cuts], int], needed: int, cuts: Cuts, height: int, width: int, limit: int, platform: str
) -> tuple[Cuts, int]:
    """The fastest strips whose program needs no more than `limit`, and its bytes; `cuts` need the bytes given.

    Compiling takes seconds, so strips that cannot do by far are passed over.
    """

    def estimate(cuts: Cuts) -> float:
        return _temporaries(height, width, cuts, platform)

    ladder = dict.fromkeys(strips.by_rows(height, rows, segments) for segments, rows in _SEGMENTS_AND_ROWS)
    start, least = (cuts, needed), needed
    for more in [more for more in ladder if estimate(more) < estimate(cuts)]:
        if needed <= limit:
            break
        guess = start[1] - estimate(start[0]) + estimate(more)
        if guess < _DOUBT * limit or more == next(reversed(ladder)):
            cuts, needed = more, program(more)
            least = min(least, needed)
    if needed > limit:
        raise InputError(
            f"{argument('memory')}: one lane needs {least / 1e9:.2f} GB in strips; {limit / 1e9:.2f} GB are allowed "
            f"for it; a smaller {argument('size')} or {argument('history')} takes less"
        )
    return cuts, needed


def _usual(height: int, width: int, on_cpu: bool) -> Cuts:
    return strips.by_rows(height, 64, 2) if on_cpu and height * width >= LARGE else ()


def _temporaries(height: int, width: int, cuts: Cuts, platform: str) -> float:
    """An estimate of a lane's bytes, but for the optimizer's."""
    slabs = [per_pixel * width * (height / n + 2 * halo) for n, (per_pixel, halo) in zip(cuts, _SLAB, strict=False)]
    return _REST.get(platform, _REST["gpu"])[len(cuts)] * height * width + max(slabs, default=0)


def _bytes(engine: Planned, limit: int) -> int:
    """What an engine's program takes on a device; more than the limit where the device does not have it.

    The compilers of TPUs refuse a program that does not fit, and say how much its temporaries would take.
    """
    try:
        analysis = engine.program().memory_analysis()
    except jax.errors.JaxRuntimeError as error:
        told = re.search(r"RESOURCE_EXHAUSTED.*?([\d.]+)([KMGT])", str(error), re.DOTALL)
        if told is None:
            raise
        temporaries = int(float(told[1]) * 1024 ** (1 + "KMGT".index(told[2])))
        return max(limit + 1, temporaries + engine.argument_bytes())
    # Donated arguments are counted twice: as arguments and, aliased, as output.
    return analysis.temp_size_in_bytes + analysis.argument_size_in_bytes


def of_process(memory: int | None) -> int | None:
    """Takes off what a process on CPU needs beside its program's data.

    Args:
      memory: bytes that a user gives to a process, or device; None for no limit.

    Returns:
      Bytes for the program, or None.
    """
    on_cpu = platform() == "cpu"
    return memory if memory is None or not on_cpu else max(0, memory - machine.PROCESS_BYTES)
