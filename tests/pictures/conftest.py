"""What the tests of this room share."""

import pytest


@pytest.fixture
def file(tmp_path):
    """Writes bytes to a file and gives its path."""

    def write(data, name="picture"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write
