"""One process at a time; file systems without locks are in test_folder.py."""

import pytest

from nst_jax.errors import InputError
from nst_jax.runs.locks import lock


def test_a_lock_is_held_by_one(tmp_path):
    path = tmp_path / "lock"
    told = f"{tmp_path}: another process is working on it"
    with lock(path, tmp_path, wait=False), pytest.raises(InputError, match=told), lock(path, tmp_path, wait=False):
        pass
    with lock(path, tmp_path, wait=False):
        pass
    assert path.is_file()
