"""Files that others wrote: how much may be in them, and their errors on one line."""

import pytest

from nst_jax.errors import InputError
from nst_jax.weights import foreign


def test_a_file_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "MAX_FILE_BYTES", 100)
    (tmp_path / "x").write_bytes(bytes(100))
    foreign.check_bytes(tmp_path / "x")
    (tmp_path / "x").write_bytes(bytes(101))
    with pytest.raises(InputError, match="x: larger than 100 bytes, which no VGG-19 file is"):
        foreign.check_bytes(tmp_path / "x")


@pytest.mark.parametrize(("count", "depth"), [(401, 1), (1, 5)])
def test_more_than_any_vgg_19_has(count, depth):
    foreign.check_entries("x", 400, 4)
    with pytest.raises(InputError, match="x: holds far more than VGG-19's parameters"):
        foreign.check_entries("x", count, depth)


def test_one_line():
    assert foreign.one_line(ValueError("two\n lines\x1b[31m")) == "two lines?[31m"
    assert foreign.one_line(KeyError()) == "KeyError"
    assert len(foreign.one_line(ValueError("x" * 10_000))) == 200
