"""Of nst_jax.allocator."""

import ctypes
import platform
import subprocess
import sys

import pytest

from nst_jax.transfer import allocator

# Blocks as large as what products pack their factors into, each freed before the next one is asked for.
_FAULTS = """
import resource
from nst_jax.transfer import allocator
if {kept}:
    allocator.keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
first = bytearray(24_000_000)
del first
before = faults()
for _ in range(20):
    block = bytearray(24_000_000)
    other = bytearray(1_000_000)
    del block, other
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_not_faulted_in_again():
    kept, given_back = (
        int(
            subprocess.run(
                [sys.executable, "-c", _FAULTS.format(kept=kept)], capture_output=True, text=True, check=True
            ).stdout
        )
        for kept in (True, False)
    )
    assert kept < given_back / 4


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    allocator.keep_freed_memory()


def test_a_system_without_one_is_left_alone(monkeypatch):
    def refuse(_: object) -> None:
        raise TypeError("bad argument type")  # what Windows says

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    allocator.keep_freed_memory()
