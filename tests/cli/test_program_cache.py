"""The cache of compiled programs: found again, left alone, unusable, damaged; and how many programs a start needs."""

import json
import os
import re
import sys

import pytest
from program import PROGRAM, separately

from nst_jax.cli import program_cache
from nst_jax.pictures import images

SHALLOW = ["--content-layers", "conv1_1", "--style-layers", "conv1_1"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, picture):
    """A folder with a photograph and a painting of 32x48."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("photograph", "painting"):
        images.write_image(folder / f"{name}.png", picture(name, 32, 48))
    return folder


def environment(cache, **more):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    return inherited | {"NST_JAX_CACHE": str(cache)} | more


@pytest.fixture
def losses(pictures, tmp_path):
    """losses(*options): what `evaluate` prints, as a program of its own with the cache in the folder "cache"."""

    def evaluate(*options, cache=tmp_path / "cache", notes=0, program=PROGRAM):
        photograph, painting = pictures / "photograph.png", pictures / "painting.png"
        arguments = ["evaluate", photograph, "--content", photograph, "--style", painting, *SHALLOW, *options]
        done = separately(*arguments, env=environment(cache), program=program)
        assert done.returncode == 0, done
        assert done.stderr.count("\n") == done.stderr.count("nst-jax: note: compiled programs") == notes, done.stderr
        return json.loads(done.stdout)

    return evaluate


def entries(cache):
    return {path: path.read_bytes() for path in (cache / "compiled").glob("*-cache")}


def test_programs_are_kept_and_found_again(losses, tmp_path):
    first = losses()
    kept = entries(tmp_path / "cache")
    assert any(path.name.startswith("jit_values-") for path in kept)
    assert losses() == first
    assert entries(tmp_path / "cache") == kept


def test_without_the_cache_nothing_is_kept_and_the_outcome_is_the_same(losses, tmp_path):
    without = losses("--no-cache")
    assert not (tmp_path / "cache").exists()
    assert losses() == without


@pytest.mark.parametrize("name", ["file", "nowhere"])
def test_a_folder_that_cannot_be_made_ends_no_run(losses, tmp_path, name):
    (tmp_path / "file").touch()
    losses(cache={"file": tmp_path / "file", "nowhere": "/proc/nowhere"}[name])


def test_a_full_disk_is_a_note_and_what_it_left_is_replaced(losses, tmp_path):
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); {PROGRAM[-1]}"
    full = losses(notes=1, program=(sys.executable, "-B", "-c", limited))
    left = entries(tmp_path / "cache")
    assert left
    assert losses() == full
    assert all(len(whole) > len(left[path]) for path, whole in entries(tmp_path / "cache").items() if path in left)


@pytest.mark.parametrize("damage", [b"", b"no program", None])
def test_damaged_entries_are_replaced(losses, tmp_path, damage):
    sound = losses()
    kept = entries(tmp_path / "cache")
    for path, whole in kept.items():
        path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert losses() == sound
    mended = entries(tmp_path / "cache")
    assert mended.keys() == kept.keys()
    assert all(len(mended[path]) > 0.9 * len(whole) for path, whole in kept.items())


def test_what_the_environment_says_stays(monkeypatch, tmp_path):
    said = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "3"}
    monkeypatch.setattr(os, "environ", dict(said))
    program_cache.use(kept=True)
    assert os.environ == said


def test_a_start_needs_few_programs(pictures, tmp_path):
    """Each operation outside jit is a program of its own, to be compiled or loaded before the first step."""
    arguments = [pictures / "photograph.png", pictures / "painting.png", "-o", tmp_path / "out.png", "--evaluations", 1]
    done = separately("stylize", *arguments, "--size", 48, *SHALLOW, env=environment(tmp_path, JAX_LOG_COMPILES="1"))
    compiled = re.findall(r"Finished XLA compilation of jit\((\w+)\)", done.stderr)
    assert {"values", "begin", "advance"} <= {*compiled}
    assert len(compiled) <= 12, compiled
