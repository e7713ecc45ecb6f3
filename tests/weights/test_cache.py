"""The user's cache folder, and users that have none."""

import os
import sys
from pathlib import Path

import pytest
from program import assert_refused, run

from nst_jax.cli import program_cache
from nst_jax.weights import cache
from nst_jax.weights.cache import cache_directory, heal


def test_cache_directory_follows_the_platform(monkeypatch, tmp_path):
    monkeypatch.delenv("NST_JAX_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache_directory() == tmp_path / "nst_jax"
    monkeypatch.setattr(sys, "platform", "win32")
    assert cache_directory() == tmp_path / "local" / "nst_jax"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_directory().parts[-3:] == ("Library", "Caches", "nst_jax")


@pytest.fixture
def homeless(monkeypatch):
    """A user without a home, as containers have that run under any number."""

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("NST_JAX_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nowhere)


def test_a_user_without_a_home_has_no_cache(homeless):
    before = dict(os.environ)
    assert cache_directory() is None
    assert program_cache.use(kept=True) is None
    assert dict(os.environ) == before


TROUBLE = "Error {} persistent compilation cache entry for 'jit_values': OSError: no"


def test_trouble_with_compiled_programs_is_told_once_at_the_most(monkeypatch, tmp_path):
    """An entry that cannot be read goes, since JAX would never replace it."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cache, "_told", set())
    kept, damaged = tmp_path / "jit_other-0123-cache", tmp_path / "jit_values-4567-cache"
    for path in (kept, damaged):
        path.touch()
    assert heal(TROUBLE.format("reading")) is None
    assert [*tmp_path.iterdir()] == [kept]
    assert heal(TROUBLE.format("writing")) == (
        f"compiled programs cannot be kept in {tmp_path}; the next start will be as slow (OSError: no)"
    )
    assert heal(TROUBLE.format("writing")) is None
    assert heal("transparent; laid over white") == "transparent; laid over white"


def test_commands_of_a_user_without_a_home(homeless):
    """`weights list` ended in a traceback."""
    listed = run("weights", "list")
    assert listed.code == 0
    last = listed.out.splitlines()[-1]
    assert last.startswith("vgg19-full       absent ")
    assert last.endswith("(there is no home folder; NST_JAX_CACHE may name one)")
    assert run("weights", "verify", "vgg19").code == 0
    assert_refused(run("weights", "verify", "vgg19-full"), "not fetched yet", "NST_JAX_CACHE")
    fetched = run("weights", "fetch")
    assert fetched.code == 2
    assert fetched.err.endswith("cache directory: there is no home folder; NST_JAX_CACHE may name one\n")
