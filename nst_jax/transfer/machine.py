"""How much memory a program may take: of a device, or of the machine within the limits of its container."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

SHARE = 0.8
PROCESS_BYTES = 1_000_000_000
"""What a process on CPU takes beside its program: Python, JAX, reading, compiling; 0.65 to 1.04 GB were measured."""

_V1 = (("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_")
_V2 = (("memory.max", "memory.high"), "memory.current", "")  # above `high` a process hardly moves
_UNKNOWN = 4 * 2**30  # of a system that does not tell: what any machine has


def free_memory(device: Any) -> int:
    """Counts the bytes that a program may take on a device: SHARE of what is free.

    Args:
      device: one of JAX's. On CPU the machine's memory counts, and the limits of the memory cgroups that the process is
        in (containers, batch systems), less what the process itself will still take up to PROCESS_BYTES.

    Returns:
      Bytes, zero or more.
    """
    statistics = device.memory_stats() if device.platform != "cpu" else None
    if statistics and "bytes_limit" in statistics:
        return int(SHARE * (statistics["bytes_limit"] - statistics.get("bytes_in_use", 0)))
    free = of_machine()
    return max(0, int(min(SHARE * free, free - max(0, PROCESS_BYTES - _resident()))))


def of_machine(root: Path = Path("/")) -> int:
    """Counts the free bytes of the machine, or of the tightest memory cgroup of this process.

    What the system's cache of files would give back is free.

    Args:
      root: of the file system, with `proc` in it.

    Returns:
      Bytes; 4 GiB on a system that does not tell.
    """
    found = list(_of_cgroups(root))
    with suppress(OSError):
        # Not SC_AVPHYS_PAGES, which leaves out what the system's cache of files would give back.
        if available := re.search(r"MemAvailable: *(\d+) kB", (root / "proc/meminfo").read_text()):
            found.append(1024 * int(available[1]))
    return max(0, min(found, default=_UNKNOWN))


def _of_cgroups(root: Path) -> Iterator[int]:
    """The free bytes of each memory cgroup that this process is in, those around it included."""
    with suppress(OSError):
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0" or "memory" in controllers.split(","):
                names = _V2 if number == "0" else _V1
                for mounted, inside in _mounted(mounts, number == "0", path):
                    folder = root / mounted.lstrip("/")
                    for group in (folder / inside, *(folder / inside).parents):
                        with suppress(OSError, ValueError, KeyError):
                            yield _of_group(group, *names)
                        if group == folder:
                            break


def _mounted(mounts: list[str], unified: bool, path: str) -> Iterator[tuple[str, Path]]:
    """Where a hierarchy of cgroups is mounted, and the process's place in it, relative to that."""
    for line in mounts:
        own, _, about = line.partition(" - ")
        kind, _, options = about.split(" ", 2)
        if kind == ("cgroup2" if unified else "cgroup") and (unified or "memory" in options.split(",")):
            of, point = own.split(" ")[3:5]
            # In a container the mount may begin at its own group; a path outside of it is not to be seen from here.
            yield point, Path(path).relative_to(of) if Path(path).is_relative_to(of) else Path()


def _of_group(group: Path, limits: tuple[str, ...], usage: str, prefix: str) -> int:
    """The free bytes of one group; raises ValueError where it has no limit."""
    statistics = dict(line.split(" ", 1) for line in (group / "memory.stat").read_text().splitlines())
    cached = sum(int(statistics[f"{prefix}{name}_file"]) for name in ("active", "inactive"))
    limit = min(int(text) for name in limits if (text := (group / name).read_text().strip()) != "max")
    return limit - int((group / usage).read_text()) + cached


def _resident() -> int:
    """The bytes of memory that this process has now; 0 where the system does not tell."""
    with suppress(OSError):
        if found := re.search(r"VmRSS:\s*(\d+) kB", Path("/proc/self/status").read_text()):
            return 1024 * int(found[1])
    return 0
