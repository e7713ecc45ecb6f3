"""SHA256SUMS: what is recorded is checked, and the program sha256sum reads it."""

import shutil
import subprocess

import pytest

from nst_jax.errors import InputError
from nst_jax.pictures import files
from nst_jax.weights import manifest


@pytest.fixture
def recorded(tmp_path):
    for name in ("b.h5", "a.h5"):
        (tmp_path / name).write_text(name)
        manifest.record(tmp_path / name)
    return tmp_path


def test_lines_are_sorted_and_in_sha256sums_form(recorded):
    lines = (recorded / "SHA256SUMS").read_text().splitlines()
    assert lines == [f"{files.sha256(recorded / name)}  {name}" for name in ("a.h5", "b.h5")]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no program sha256sum")
def test_sha256sum_agrees(recorded):
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], check=True, cwd=recorded, capture_output=True)


def test_recording_again_replaces_the_line_and_keeps_the_others(recorded):
    (recorded / "a.h5").write_text("changed")
    manifest.record(recorded / "a.h5")
    assert len((recorded / "SHA256SUMS").read_text().splitlines()) == 2
    for name in ("a.h5", "b.h5"):
        assert manifest.check(recorded / name, files.sha256(recorded / name), required=True)


def test_another_digest_is_refused(recorded):
    with pytest.raises(InputError, match="its manifest SHA256SUMS says") as caught:
        manifest.check(recorded / "a.h5", "0" * 64, required=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("there", [False, True])
def test_a_file_of_which_nothing_is_said(recorded, tmp_path_factory, there):
    folder = recorded if there else tmp_path_factory.mktemp("empty")
    assert not manifest.check(folder / "c.h5", "0" * 64, required=False)
    with pytest.raises(InputError, match="not in its manifest"):
        manifest.check(folder / "c.h5", "0" * 64, required=True)


def test_binary_marks_blank_lines_and_wrong_bytes_are_borne(tmp_path):
    (tmp_path / "SHA256SUMS").write_bytes(b"\n\xff\xfe\none-field\n" + b"1" * 64 + b" *a.h5\n")
    assert manifest.check(tmp_path / "a.h5", "1" * 64, required=True)
