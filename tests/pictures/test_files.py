"""Files that are there whole or not at all."""

import errno
import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_jax.errors import InputError
from nst_jax.pictures import files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_file_appears_whole(tmp_path, before):
    path = tmp_path / "a.png"
    if before is not None:
        path.write_bytes(before)
    with files.atomic(path) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.parent == path.parent  # a rename is whole only within a file system
        assert temporary.suffix == ".png"
        assert (path.read_bytes() if path.exists() else None) == before
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.png"]


def write_half(path: Path, error: type[BaseException]) -> None:
    with files.atomic(path) as temporary:
        temporary.write_bytes(b"half")
        raise error


@pytest.mark.parametrize("before", [None, b"old"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_when_the_writer_fails_all_is_as_it_was(tmp_path, before, error):
    path = tmp_path / "a.png"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(error):
        write_half(path, error)
    assert names(tmp_path) == ([] if before is None else ["a.png"])
    assert before is None or path.read_bytes() == before


def test_when_the_rename_fails_nothing_is_left(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError, match="folder"), files.atomic(folder) as temporary:
        temporary.write_bytes(b"new")
    assert names(tmp_path) == ["folder"]


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_are_what_open_would_have_given(tmp_path, mask):
    before = os.umask(mask)
    try:
        with files.atomic(tmp_path / "ours") as temporary:
            temporary.write_bytes(b"")
        (tmp_path / "plain").write_bytes(b"")
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "plain")}
    assert modes["ours"] == modes["plain"] == 0o666 & ~mask


@pytest.mark.parametrize("letter", ["a", "é"])
def test_a_name_as_long_as_the_file_system_takes(tmp_path, letter):
    path = tmp_path / (letter * (251 // len(letter.encode())) + ".png")
    files.check_writable(path)
    with files.atomic(path) as temporary:
        temporary.write_bytes(b"new")
    assert names(tmp_path) == [path.name]


def test_check_writable_leaves_nothing_behind(tmp_path):
    files.check_writable(tmp_path / "new.png")
    assert names(tmp_path) == []
    (tmp_path / "old.png").write_bytes(b"old")
    files.check_writable(str(tmp_path / "old.png"))
    assert (tmp_path / "old.png").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("folder", "is a directory"),
        ("missing/a.png", "there is no folder"),
        ("file/a.png", "there is no folder"),
        ("a" * 300 + ".png", "too long"),
    ],
)
def test_what_check_writable_refuses(tmp_path, name, complaint):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=complaint) as caught:
        files.check_writable(tmp_path / name, "--there")
    assert str(caught.value).startswith(f"--there {tmp_path / name}: ")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc, a folder that takes no files")
def test_a_folder_that_takes_no_files():
    with pytest.raises(InputError, match=r"cannot write there \("):
        files.check_writable("/proc/a.png")


@given(st.binary(max_size=1000))
def test_sha256(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "hashed"
    path.write_bytes(content)
    assert files.sha256(path) == hashlib.sha256(content).hexdigest()


def refusing(*numbers: int):
    """A function that the system refuses with each of these errors in turn, and then with the last for ever."""
    left = list(numbers)

    def refuse(*_: object, **__: object) -> None:
        number = left.pop(0) if len(left) > 1 else left[0]
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_volume_without_permissions(tmp_path, monkeypatch):
    """CIFS and FUSE may refuse to change modes and owners; a file has what they give."""
    for name in ("chmod", "fchmod", "lchmod", "chown", "fchown", "lchown"):
        monkeypatch.setattr(os, name, refusing(errno.EPERM), raising=False)
    with files.atomic(tmp_path / "a.png") as temporary:
        temporary.write_bytes(b"new")
    assert (tmp_path / "a.png").read_bytes() == b"new"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_a_volume_that_flushes_nothing(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", refusing(number))
    with files.atomic(tmp_path / "a.png") as temporary:
        temporary.write_bytes(b"new")
    assert (tmp_path / "a.png").read_bytes() == b"new"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_what_did_not_come_to_the_disk_is_no_file(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", refusing(number))
    with pytest.raises(OSError, match=os.strerror(number)) as caught, files.atomic(tmp_path / "a.png") as temporary:
        temporary.write_bytes(b"new")
    assert caught.value.filename == str(tmp_path / "a.png")
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="flags are those of POSIX")
def test_only_what_can_be_written_is_flushed(tmp_path, monkeypatch):
    """Windows flushes no other handle."""
    fcntl = pytest.importorskip("fcntl")
    flags = []
    monkeypatch.setattr(os, "fsync", lambda number: flags.append(fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE))
    with files.atomic(tmp_path / "a.png") as temporary:
        temporary.write_bytes(b"new")
    assert flags == [os.O_RDWR, os.O_RDONLY]  # the second is the folder, which Windows does not open at all


class Volumes:
    """Writes bytes where it may; the folders in `full` take nothing."""

    def __init__(self, *full: Path) -> None:
        self.full, self.tried = full, []

    def __call__(self, path: Path) -> None:
        self.tried.append(path)
        if path.parent in self.full or path.name == "taken.png":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        path.write_bytes(b"picture")


def test_what_took_long_is_not_lost(tmp_path, monkeypatch):
    """It is where it belongs, else beside, else in the temporary folder."""
    here, spare = tmp_path / "here", tmp_path / "spare"
    here.mkdir()
    spare.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spare))
    assert files.kept(here / "a.png", Volumes()) == (here / "a.png", "")
    written, trouble = files.kept(here / "taken.png", Volumes())
    assert written.parent == here
    assert re.fullmatch(r"taken-[0-9a-f]{8}\.png", written.name)
    assert written.read_bytes() == b"picture"
    assert trouble == "No space left on device"
    written, trouble = files.kept(here / "a.png", Volumes(here))
    assert written.parent == spare
    assert written.suffix == ".png"
    assert written.read_bytes() == b"picture"
    everywhere = Volumes(here, spare)
    with pytest.raises(OSError, match="No space") as caught:
        files.kept(here / "a.png", everywhere)
    assert caught.value.filename == str(here / "a.png")
    assert len(everywhere.tried) == 3
