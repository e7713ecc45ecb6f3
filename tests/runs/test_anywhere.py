"""Sweeps from Python: by an executor, resumed, refused."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from at_once import AtOnce

from nst_jax.errors import InputError
from nst_jax.optim import engine
from nst_jax.pictures import images
from nst_jax.runs import anywhere, following
from nst_jax.transfer import sweeping
from nst_jax.transfer.region_names import Region

LOW = {"content_layers": ("conv2_1",), "style_layers": ("conv1_1",), "size": 48, "evaluations": 3, "history": 3}


def test_a_sweep_by_an_executor_is_the_sweep_here(picture, tmp_path):
    """With a region, what is kept, and a start; files have 8 bits, and inputs 16."""
    photo, painting = picture("photograph", 40, 48), picture("painting", 36, 48)
    mask = np.zeros((40, 48), bool)
    mask[:, :30] = True
    common = {"region": [Region(mask, painting)], "keep": ~mask, "start": photo, "ratio": [1e-3, 1e-2], **LOW}
    states = []
    found = {
        outcome.name: outcome
        for outcome in anywhere.sweep(
            photo, None, executor=AtOnce(), folder=tmp_path / "run", shares=2, callback=states.append, **common
        )
    }
    here = {outcome.name: outcome for outcome in sweeping.sweep(photo, None, batch=1, **common)}
    assert found.keys() == here.keys()
    assert states
    for name, outcome in here.items():
        np.testing.assert_allclose(found[name].image, np.clip(outcome.image, 0, 1), atol=2 / 255)
        assert found[name].losses.total == pytest.approx(outcome.losses.total, rel=1e-2)
        assert found[name].measures.ssim == pytest.approx(outcome.measures.ssim, abs=1e-2)
        assert len(found[name].history) == len(outcome.history)
    again = {outcome.name: outcome for outcome in anywhere.resume(tmp_path / "run")}
    assert again.keys() == here.keys()
    np.testing.assert_array_equal(again[name].image, found[name].image)


def test_a_sweep_without_an_executor_is_that_of_transfer(picture):
    photo, painting = picture("photograph", 40, 48), picture("painting", 36, 48)
    (one,), (other,) = (made(photo, painting, ratio=1e-3, **LOW) for made in (anywhere.sweep, sweeping.sweep))
    np.testing.assert_array_equal(one.image, other.image)


def test_what_a_callback_stops_goes_on_here(picture, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "SECONDS_PER_CHUNK", 0.0)
    monkeypatch.setattr(following, "POLL_SECONDS", 0.01)
    photo, painting = picture("photograph", 40, 48), picture("painting", 36, 48)
    with ThreadPoolExecutor(1) as executor:
        first = list(
            anywhere.sweep(
                photo, painting, ratio=[1e-3, 1e-2], executor=executor, folder=tmp_path / "run",
                callback=lambda state: state.evaluations > 0, **LOW,
            )
        )  # fmt: skip
    assert len(first) < 2
    assert len(list(anywhere.resume(tmp_path / "run"))) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"folder": "run"}, "folder: only with executor"),
        ({"shares": 2}, "shares: only with executor"),
        ({"executor": AtOnce()}, "folder: needed with executor"),
        ({"executor": AtOnce(), "folder": "run", "terms": [1]}, "terms: not allowed with executor"),
        ({"executor": AtOnce(), "folder": "run", "colour": 1}, "colour: unknown"),
    ],
)
def test_what_python_refuses(picture, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    photo = picture("photograph", 40, 48)
    with pytest.raises(InputError, match=words):
        list(anywhere.sweep(photo, photo, **options))
    assert not list(tmp_path.iterdir())


def test_resume_from_python_refuses_what_is_no_run(tmp_path):
    images.write_image(tmp_path / "picture.png", np.zeros((32, 32, 3), np.float32))
    with pytest.raises(InputError, match="not a run folder"):
        anywhere.resume(tmp_path)
