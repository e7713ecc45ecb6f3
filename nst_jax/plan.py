"""How many lanes to run at once."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from nst_jax.errors import InputError
from nst_jax.sweep import Sweep

CPU_PIXELS = 4 * 128 * 128
"""Pixels a batch on CPU: larger ones were no faster for each lane (see docs/speed.md), and take more memory."""
SHARE_OF_MEMORY = 0.8


class Plan(NamedTuple):
    """Part of a run's settings, since the bytes depend on it."""

    batch: int
    """Slots, over all devices."""
    devices: int
    bytes: int
    """What the compiled program takes on one device at its peak, parameters and checkpointed state included."""


def choose(
    make: Callable[[int], Sweep], lanes: int, *, batch: int | None = None, memory: int | None = None
) -> tuple[Plan, Sweep]:
    """A sweep whose compiled program fits into memory, and its plan.

    Args:
      make: from a number of slots to a sweep that has not begun.
      lanes: how many there are in all.
      batch: the number of slots, when the user has chosen; rounded up to a multiple of the devices.
      memory: bytes for one device (default: most of what the device, or the machine, has free).

    Raises:
      InputError: not even one lane a device fits.
    """
    devices = jax.local_devices()
    count = len(devices)
    limit = memory or free_memory(devices[0]) // (count if devices[0].platform == "cpu" else 1)
    on_cpu = devices[0].platform == "cpu"
    height, width = make(count).problem.shape[:2]
    each = -(-batch // count) if batch else (max(1, CPU_PIXELS // (height * width)) if on_cpu else lanes)
    each = min(each, -(-lanes // count))
    while True:
        if not batch:
            rounds = -(-lanes // (each * count))
            each = -(-lanes // (rounds * count))  # rounds of equal length
        sweep = make(each * count)
        analysis = sweep.program().memory_analysis()
        # Donated arguments are counted twice: as arguments and, aliased, as output.
        needed = analysis.temp_size_in_bytes + analysis.argument_size_in_bytes
        if needed <= limit:
            return Plan(each * count, count, needed), sweep
        if each == 1:
            raise InputError(
                f"memory: one lane needs {needed / 1e9:.2f} GB and {limit / 1e9:.2f} GB are allowed; "
                "a smaller --size or --history takes less"
            )
        each = max(1, min(each - 1, int(each * limit / needed)))
        batch = None


def free_memory(device: Any) -> int:
    """Bytes that a program may take on this device."""
    statistics = device.memory_stats() if device.platform != "cpu" else None
    if statistics and "bytes_limit" in statistics:
        return int(SHARE_OF_MEMORY * (statistics["bytes_limit"] - statistics.get("bytes_in_use", 0)))
    try:
        # Not SC_AVPHYS_PAGES, which leaves out what the system's cache of files would give back.
        available = re.search(r"MemAvailable: *(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:
        available = None
    if not available:
        return 4 * 2**30  # a system that does not tell: what any machine has
    return int(SHARE_OF_MEMORY * 1024 * int(available[1]))
