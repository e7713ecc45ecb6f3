"""The user's cache folder, and users that have none."""

import os
import sys
from pathlib import Path

import pytest
from program import assert_refused, run

from nst_jax.cli import program_cache
from nst_jax.weights.cache import cache_directory


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
