"""A small run that is over, for tests of run folders."""

import shutil

import pytest
from at_once import AtOnce
from program import done
from run_folders import SHORT, cached_programs, of_two

from nst_jax.optim.engine import Engine
from nst_jax.runs import following, fonts
from nst_jax.runs.options import RunOptions
from nst_jax.transfer.problem import Problem

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if BROWSER is None:
        pytest.skip("no chromium or google-chrome on PATH")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=BROWSER, args=OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """Where programs are kept."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", autouse=True)
def _cache(kept):
    with cached_programs(kept):
        yield


@pytest.fixture(scope="session")
def in_shares(tmp_path_factory, inputs):
    """Two lanes in two shares, which are over; not to be changed."""
    folder = tmp_path_factory.mktemp("shares") / "run"
    executor, states = AtOnce(), []
    ended = following.begin(executor, of_two(inputs), folder, RunOptions(), lambda state: bool(states.append(state)), 2)
    assert executor.calls == ["prepare", "work", "work"]
    assert ended[:2] == (folder, 2)
    assert not ended.interrupted
    assert states[-1] == (6, 6, 2, 2)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory, inputs):
    """A run that is over; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    done("sweep", *inputs, "-o", folder, *SHORT)
    return folder


@pytest.fixture
def own(finished, tmp_path):
    """A copy of it, to do with as one likes."""
    return shutil.copytree(finished, tmp_path / "own")


@pytest.fixture
def system_fonts(tmp_path, monkeypatch):
    """The folder of the system's fonts, which holds none yet; what is looked for is looked for in there alone."""
    folder = tmp_path / "fonts" / "truetype"
    folder.mkdir(parents=True)
    monkeypatch.setattr(fonts, "_folders", lambda: [folder.parent, tmp_path / "none"])
    monkeypatch.setattr(fonts, "_known", {})
    for cached in (fonts._files, fonts.font):
        cached.cache_clear()
    yield folder
    for cached in (fonts._files, fonts.font):
        cached.cache_clear()


@pytest.fixture
def still(monkeypatch):
    """Nothing may be computed."""
    monkeypatch.setattr(Engine, "advance", lambda _: pytest.fail("it computes"))
    monkeypatch.setattr(Problem, "measure", lambda *_: pytest.fail("it measures"))
