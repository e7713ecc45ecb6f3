"""One picture's way from its files to its own."""

import json

import pytest

from nst_jax.cli.commission import Commission
from nst_jax.errors import InputError
from nst_jax.optim.compiler import remembered
from nst_jax.pictures import images
from nst_jax.transfer.settings import Settings

LOW = {"content_layers": ("conv2_1",), "style_layers": ("conv1_1", "conv2_1")}


@pytest.fixture
def ordered(tmp_path, picture):
    """ordered(settings): a commission of a photograph of 64x48 pixels and a painting."""
    images.write_image(tmp_path / "photo.png", picture("photograph", 48, 64))
    images.write_image(tmp_path / "painting.png", picture("painting", 64, 48))

    def order(**options):
        settings = Settings(**{"size": 64, "evaluations": 3, **LOW, **options})
        files = tmp_path / "photo.png", [tmp_path / "painting.png"]
        return Commission(*files, settings, memory=None, quiet=False, compile=remembered)

    return order


def test_it_is_made_and_saved(ordered, tmp_path, capsys):
    work = ordered()
    assert (work.height, work.width, work.asked) == (48, 64, {})
    heard = []
    outcome = work.make(lambda step: heard.extend(step.records) and None, None)
    assert [record.evaluations for record in heard] == [1, 2, 3]
    path = work.save(tmp_path / "out.png", outcome.image, outcome.strips)
    assert path == tmp_path / "out.png"
    about = json.loads(images.read_settings(path)["nst_jax"])
    assert about["settings"]["precision"] == work.settings.precision != "auto"
    assert about["strips"] == [[]]
    assert capsys.readouterr() == ("", "")


def test_a_picture_on_the_way_is_saved_in_the_pictures_size(ordered, tmp_path, picture):
    path = ordered().save(tmp_path / "small.png", picture("photograph", 24, 32), [])
    assert images.read_image(path).shape == (48, 64, 3)


def test_what_cannot_be_is_refused_before_anything_is_made(ordered):
    with pytest.raises(InputError, match="init nothing: no such file"):
        ordered(init="nothing")
    with pytest.raises(InputError, match="style_blend"):
        ordered(style_blend=(1.0, 2.0))
