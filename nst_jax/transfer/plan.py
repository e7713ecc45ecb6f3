"""How many lanes to run at once, and in how many strips those that do not fit into memory whole."""

import re
from collections.abc import Callable
from typing import NamedTuple

import jax

from nst_jax.devices import local_devices, platform
from nst_jax.errors import InputError, argument
from nst_jax.loss import strips
from nst_jax.optim.engine import Engine
from nst_jax.transfer import machine

Cuts = tuple[int, ...]
"""See `strips.statistics`."""

CPU_PIXELS = 4 * 128 * 128
"""Pixels a batch on CPU: larger ones were no faster for each lane (see docs/speed.md), and take more memory."""
LARGE = 2**20
"""Pixels from which a picture is always cut on CPU: in strips it is no slower, and takes little more than half."""

_SEGMENTS_AND_ROWS = ((1, 64), (2, 64), (2, 32), (3, 64), (4, 64), (4, 32), (4, 16))  # the fastest first
_REST = (1500, 900, 730, 450, 260)  # bytes a pixel outside of slabs, by how many segments are cut (measured)
_SLAB = ((700, 2), (350, 4), (350, 16), (290, 32))  # of each segment: bytes a pixel in a slab; rows around a strip


class Plan(NamedTuple):
    """Part of a run's settings, since the bytes depend on it."""

    batch: int
    """Slots, over all devices."""
    devices: int
    bytes: int
    """What the compiled program takes on one device at its peak, parameters and checkpointed state included."""
    strips: Cuts


def choose(
    make: Callable[[int, Cuts], Engine],
    lanes: int,
    *,
    batch: int | None = None,
    cuts: Cuts = (),
    memory: int | None = None,
) -> tuple[Plan, Engine]:
    """Makes an engine whose compiled program fits into memory.

    Args:
      make: from a number of slots, and strips, to an engine that has not begun.
      lanes: how many there are in all.
      batch: the number of slots, when the user has chosen; rounded up to a multiple of the devices.
      cuts: strips, when the user has chosen; where not even one lane a device fits, it is cut into more.
      memory: bytes of one device for the program (default: most of what the device, or the machine, has free).

    Returns:
      The plan, and the engine, which has not begun.

    Raises:
      InputError: not even one lane a device fits, in the smallest strips.
    """
    count = len(local_devices())
    limit = _free(count) if memory is None else memory
    on_cpu = platform() == "cpu"
    height, width = make(count, cuts).problem.shape[:2]
    cuts = cuts or _usual(height, width)
    each = -(-batch // count) if batch else (max(1, CPU_PIXELS // (height * width)) if on_cpu else lanes)
    each = min(each, -(-lanes // count))
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

    cuts, needed = _cut(cut, needed, cuts, height, width, limit)
    return Plan(each * count, count, needed, cuts), made[cuts]


def strips_of(make: Callable[[Cuts], Engine], memory: int | None = None) -> Cuts:
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
    limit = _free(1) if memory is None else memory
    height, width = make(()).problem.shape[:2]
    cuts = _usual(height, width)
    engine = make(cuts)
    if 2 * (engine.argument_bytes() + _temporaries(height, width, cuts)) <= limit:
        return cuts

    def needed(cuts: Cuts) -> int:
        return _bytes(make(cuts), limit)

    return _cut(needed, needed(cuts), cuts, height, width, limit)[0]


def _cut(
    program: Callable[[Cuts], int], needed: int, cuts: Cuts, height: int, width: int, limit: int
) -> tuple[Cuts, int]:
    """The fastest strips whose program needs no more than `limit`, and its bytes; `cuts` need the bytes given.

    Compiling takes seconds, so strips that cannot do by far are passed over.
    """
    ladder = dict.fromkeys(strips.by_rows(height, rows, segments) for segments, rows in _SEGMENTS_AND_ROWS)
    start, least = (cuts, needed), needed
    for more in [more for more in ladder if _temporaries(height, width, more) < _temporaries(height, width, cuts)]:
        if needed <= limit:
            break
        guess = start[1] - _temporaries(height, width, start[0]) + _temporaries(height, width, more)
        if guess < 1.25 * limit or more == next(reversed(ladder)):
            cuts, needed = more, program(more)
            least = min(least, needed)
    if needed > limit:
        raise InputError(
            f"{argument('memory')}: one lane needs {least / 1e9:.2f} GB in strips; {limit / 1e9:.2f} GB are allowed "
            f"for it; a smaller {argument('size')} or {argument('history')} takes less"
        )
    return cuts, needed


def _usual(height: int, width: int) -> Cuts:
    large = platform() == "cpu" and height * width >= LARGE
    return strips.by_rows(height, 64, 2) if large else ()


def _temporaries(height: int, width: int, cuts: Cuts) -> float:
    """An estimate of a lane's bytes, but for the optimizer's."""
    slabs = [per_pixel * width * (height / n + 2 * halo) for n, (per_pixel, halo) in zip(cuts, _SLAB, strict=False)]
    return _REST[len(cuts)] * height * width + max(slabs, default=0)


def _bytes(engine: Engine, limit: int) -> int:
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


def _free(devices: int) -> int:
    """Bytes that a program may take on each of so many local devices."""
    device = local_devices()[0]
    return machine.free_memory(device) // (devices if device.platform == "cpu" else 1)
