"""How much memory a program may take: devices, machines, and containers by their memory cgroups."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from nst_jax.transfer import machine

MEMINFO = "MemTotal: 24000000 kB\nMemFree: 1000 kB\nMemAvailable: 20000000 kB\n"
UNLIMITED = 9223372036854771712  # of version 1


def system(root: Path, groups: str, mounts: str, files: dict[str, dict[str, object]]) -> Path:
    """A file system with these lines of /proc/self/cgroup and mountinfo, and groups that hold these files."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(MEMINFO)
    (root / "proc/self/cgroup").write_text(groups)
    (root / "proc/self/mountinfo").write_text(mounts)
    for folder, contents in files.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            (root / folder / name).write_text(f"{text}\n")
    return root


def v1(limit: int, usage: int, cached: int = 0) -> dict[str, object]:
    stat = f"cache 7\ninactive_file 1\nactive_file 1\ntotal_inactive_file {cached}\ntotal_active_file 0"
    return {"memory.limit_in_bytes": limit, "memory.usage_in_bytes": usage, "memory.stat": stat}


def v2(limit: object, usage: int, cached: int = 0, high: object = "max") -> dict[str, object]:
    stat = f"anon 5\nactive_file {cached}\ninactive_file 0"
    return {"memory.max": limit, "memory.high": high, "memory.current": usage, "memory.stat": stat}


V1_MOUNT = "35 31 0:32 {} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
V2_MOUNT = "41 31 0:38 {} /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
OTHERS = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"


@pytest.mark.parametrize(("groups", "mounts", "files", "free"), [
    # Docker, version 2, in a namespace of its own: the container's group is the root that it sees.
    ("0::/\n", V2_MOUNT.format("/"), {"sys/fs/cgroup": v2(2_000_000_000, 600_000_000, 100_000_000)}, 1_500_000_000),
    # Version 2 without a namespace: the mount begins at the group.
    ("0::/docker/ab\n", V2_MOUNT.format("/docker/ab"), {"sys/fs/cgroup": v2(2_000_000_000, 0)}, 2_000_000_000),
    # A batch system: the limit is that of a group around this one.
    (
        "0::/slurm/job_1/step_0\n", V2_MOUNT.format("/"),
        {
            "sys/fs/cgroup/slurm": v2("max", 9_000_000_000),
            "sys/fs/cgroup/slurm/job_1": v2(3_000_000_000, 1_000_000_000),
            "sys/fs/cgroup/slurm/job_1/step_0": v2("max", 400_000_000),
        },
        2_000_000_000,
    ),
    # systemd's MemoryHigh.
    ("0::/a\n", V2_MOUNT.format("/"), {"sys/fs/cgroup/a": v2("max", 0, high=1_000_000_000)}, 1_000_000_000),
    # Docker, version 1: the path is the host's, the mount begins there.
    (
        "5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n0::/\n", OTHERS + V1_MOUNT.format("/docker/ab"),
        {"sys/fs/cgroup/memory": v1(2_000_000_000, 500_000_000, 300_000_000)}, 1_800_000_000,
    ),
    # Version 1, a group within one that has less.
    (
        "4:memory:/jobs/1\n", OTHERS + V1_MOUNT.format("/"),
        {
            "sys/fs/cgroup/memory": v1(UNLIMITED, 9_000_000_000),
            "sys/fs/cgroup/memory/jobs": v1(4_000_000_000, 3_000_000_000),
            "sys/fs/cgroup/memory/jobs/1": v1(2_000_000_000, 500_000_000),
        },
        1_000_000_000,
    ),
    # A group that is over its limit.
    ("0::/\n", V2_MOUNT.format("/"), {"sys/fs/cgroup": v2(1_000, 2_000)}, 0),
    # No limit, no such files, nothing that is mounted, lines that nobody expects.
    ("0::/\n", V2_MOUNT.format("/"), {"sys/fs/cgroup": v2("max", 9_000_000_000)}, 20_480_000_000),
    ("0::/\n", V2_MOUNT.format("/"), {}, 20_480_000_000),
    ("4:memory:/jobs/1\n0::/\n", OTHERS, {}, 20_480_000_000),
    ("0::/\n", V2_MOUNT.format("/"), {"sys/fs/cgroup": {"memory.max": "lots", "memory.stat": "?"}}, 20_480_000_000),
])  # fmt: skip
def test_the_limit_of_a_container_counts(tmp_path, groups, mounts, files, free):
    assert machine.of_machine(system(tmp_path, groups, mounts, files)) == free


def test_a_system_that_does_not_tell(tmp_path):
    assert machine.of_machine(tmp_path) == 4 * 2**30


def test_free_memory_is_that_of_this_machine():
    assert 2**26 < machine.free_memory(jax.local_devices()[0]) < 2**50


def test_what_the_process_will_still_take_is_not_free(monkeypatch):
    """In a small container the margin of a large machine would not do."""
    device = jax.local_devices()[0]
    monkeypatch.setattr(machine, "_resident", lambda: 300_000_000)
    for free, expected in ((10**10, 8 * 10**9), (2 * 10**9, 1_300_000_000), (10**8, 0)):
        monkeypatch.setattr(machine, "of_machine", lambda free=free: free)
        assert machine.free_memory(device) == expected


def test_an_accelerator_s_own_statistics():
    class Device:
        platform = "gpu"

        def memory_stats(self):
            return {"bytes_limit": 1000, "bytes_in_use": 200}

    assert machine.free_memory(Device()) == 640


@pytest.fixture
def group():
    """A memory cgroup of 1 GB, of whichever version this system has."""
    path = next((path for path in map(Path, ("/sys/fs/cgroup/memory", "/sys/fs/cgroup")) if path.is_dir()), None)
    if path is None:
        pytest.skip("there are no cgroups")
    made = path / f"nst_jax_{os.getpid()}"
    try:
        made.mkdir()
        limit = next(made / name for name in ("memory.limit_in_bytes", "memory.max") if (made / name).exists())
        limit.write_text("1000000000")
    except (OSError, StopIteration) as error:
        with contextlib.suppress(OSError):
            made.rmdir()
        pytest.skip(f"no memory cgroup can be made here ({error!r})")
    yield made
    made.rmdir()


def test_a_real_group(group):
    script = "from nst_jax.transfer import machine; print(machine.of_machine())"
    enter = f"import os; open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid())); "
    done = subprocess.run([sys.executable, "-c", enter + script], capture_output=True, text=True, check=True)
    assert 500_000_000 < int(done.stdout) <= 1_000_000_000
