"""`nst-jax stylize`: what it refuses before it reads anything; what it makes is in test_commands.py."""

import pytest
from program import assert_refused, run

from nst_jax.pictures import images


@pytest.fixture
def photo(tmp_path, picture):
    path = tmp_path / "photo.png"
    images.write_image(path, picture("photograph", 48, 64))
    return path


def test_outputs_that_cannot_be(photo, tmp_path):
    missing = tmp_path / "missing.png"
    command = ("stylize", photo, missing, "-o")
    assert_refused(run(*command, photo), "--output", "is an input picture")
    assert_refused(run(*command, tmp_path / "out.xyz"), "--output", "unknown ending")
    assert_refused(run(*command, tmp_path / "out.png", "--save-every", 0), "--save-every: 0 is not allowed")
    assert_refused(run(*command, tmp_path / "out.png", "--timelapse", tmp_path / "out.png"), "--timelapse")
    assert_refused(run("stylize", photo, "-o", tmp_path / "out.png"), "STYLE: no painting is given")
    assert {path.name for path in tmp_path.iterdir()} == {"photo.png"}
