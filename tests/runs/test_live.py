"""What a served page is told of a run that goes on, and the page in a browser."""

import io
import json
import threading
import time
from contextlib import nullcontext, suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from run_folders import of_two

from nst_jax.loss.objective import Losses
from nst_jax.optim.compiler import remembered
from nst_jax.optim.engine import Record
from nst_jax.optim.status import Status
from nst_jax.pictures import images
from nst_jax.runs import live, stages
from nst_jax.runs.contact_sheet import Cell
from nst_jax.runs.live import Live
from nst_jax.runs.options import RunOptions
from nst_jax.runs.report import Shown
from nst_jax.runs.serving import serving
from nst_jax.runs.stages import Watch

HEADINGS = {"row_headings": ["A", "B"], "column_headings": ["x", "y"], "corner": "α/β"}


def flat(level: float) -> np.ndarray:
    return np.full((24, 32, 3), level, np.float32)


def records(count: int) -> list[Record]:
    return [
        Record(n, n + 1, Losses(9.0 / (n + 1), 1.0, 2.0, {"conv1_1": 2.0}, 0.0, {}), 1.0, float(n))  # type: ignore[arg-type]
        for n in range(count)
    ]


class Run:
    """A made-up run of four lanes in a folder, of which the first two go first."""

    def __init__(self, folder):
        (folder / "lanes").mkdir(exist_ok=True)
        self.folder, self.live = folder, Live()
        self.cells = [Cell(row + column, row, column, settings={"seed": "0"}) for row in "AB" for column in "xy"]
        lanes = [SimpleNamespace(name=cell.name) for cell in self.cells]
        problem = SimpleNamespace(lanes=lanes, picture=lambda _, image: image)
        self.engine: Any = SimpleNamespace(problem=problem, status={}, images=dict)
        self.engine.schedule = SimpleNamespace(running=())
        self.engine.records = {n: [] for n in range(4)}

    def report(self, **changed: Any) -> None:
        self.live.report(self.folder, Shown("A run", self.cells, HEADINGS, {}))

    def go(self, count: int, level: float, *running: int) -> None:
        """These lanes have so many records, and pictures as light as that."""
        self.engine.schedule.running = running
        for n in running:
            self.engine.records[n] = records(count)
        self.engine.images = lambda: {n: flat(level) for n in running}
        self.live.advance(self.engine)

    def over(self, lane: int, level: float, status: Status = Status.RUNNING) -> None:
        images.write_image(self.folder / "lanes" / f"{self.cells[lane].name}.png", flat(level))
        self.engine.status[lane] = status
        self.engine.schedule.running = tuple(n for n in self.engine.schedule.running if n != lane)
        self.engine.images = dict
        self.live.advance(self.engine)

    def news(self, since: int = 0) -> Any:
        return json.loads(self.live.changes(since))

    def level(self, lane: int) -> float:
        return (
            np.asarray(Image.open(io.BytesIO(self.live.picture(f"{self.cells[lane].name}.png") or b"")))[0, 0, 0] / 255
        )


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "Pace", lambda least: SimpleNamespace(due=True, spent=nullcontext))
    return Run(tmp_path)


def test_before_the_first_report_there_is_nothing(run):
    assert run.live.page() is None
    assert run.live.picture("Ax.png") is None
    assert run.news()["cells"] == {}


def test_news_are_of_what_changed(run):
    run.report()
    first = run.news()
    assert first["state"] == "4 lanes: 4 waiting"
    assert set(first["cells"]) == {*"0123"}
    run.go(3, 0.4, 0, 1)
    second = run.news(first["version"])
    assert set(second["cells"]) == {"0", "1"}
    assert second["cells"]["0"]["state"] == "running"
    assert second["cells"]["0"]["losses"]["total"] == [9, 4.5, 3]
    assert second["cells"]["0"]["losses"]["conv1_1"] == [2, 2, 2]
    assert run.news(second["version"])["cells"] == {}
    assert set(run.news()["cells"]) == {*"0123"}
    run.over(0, 0.6)
    run.over(1, 0.6, Status.NOT_FINITE)
    third = run.news(second["version"])
    assert [third["cells"][n]["state"] for n in "01"] == ["done", "failed"]
    assert (third["done"], third["state"]) == (2, "4 lanes: 1 done, 2 waiting, 1 failed")


def test_pictures_come_from_the_device_while_lanes_run_and_somebody_watches(run):
    run.report()
    run.go(1, 0.2, 0, 1)
    assert run.live.picture("Ax.png") is None  # nobody has asked for news
    run.news()
    run.go(2, 0.4, 0, 1)
    news = run.news()
    assert run.level(0) == pytest.approx(0.4)
    assert news["cells"]["0"]["picture"].startswith("lanes/Ax.png?")
    assert news["cells"]["2"]["picture"] is None
    run.over(0, 0.6)
    assert run.level(0) == pytest.approx(0.6)
    assert run.level(1) == pytest.approx(0.4)
    assert run.news()["cells"]["0"]["picture"] != news["cells"]["0"]["picture"]


def test_only_lanes_have_pictures(run, tmp_path):
    run.report()
    images.write_image(tmp_path / "grid.png", flat(0))
    images.write_image(tmp_path / "lanes" / "other.png", flat(0))
    (tmp_path / "lanes" / "Ax.png").symlink_to(tmp_path / "grid.png")
    for name in ("other.png", "../grid.png", "Ax.png", "Ax", "", "By.png", "/etc/passwd"):
        assert run.live.picture(name) is None


def test_another_folder_is_another_stage(run, tmp_path):
    run.report()
    before = run.news()
    run.report()
    assert run.news()["stage"] == before["stage"]
    run.folder = tmp_path / "scales"
    run.report()
    assert run.news()["stage"] != before["stage"]
    assert run.news()["stage"] in run.live.page()


def test_trouble_does_not_stop_the_run(run):
    run.report()
    run.news()
    run.engine.images = lambda: 1 / 0
    with pytest.warns(UserWarning, match="what is served is behind the run: ZeroDivisionError"):
        run.live.advance(run.engine)
    run.go(2, 0.1, 0)
    assert run.news()["cells"]["0"]["losses"]["total"] == [9, 4.5]


def test_the_end_waits_for_those_who_watch_and_not_long(run, monkeypatch):
    begun = time.monotonic()
    run.live.end()
    assert time.monotonic() - begun < 0.1
    run.report()
    monkeypatch.setattr(live, "_PATIENCE", 0.2)
    watched = Live()
    watched.changes(0)
    watched.end()
    assert time.monotonic() - begun < 0.7
    watched = Live()
    watched.changes(0)
    monkeypatch.setattr(live, "_PATIENCE", 30.0)
    threading.Timer(0.1, watched.changes, [0]).start()
    watched.end()
    assert json.loads(watched.changes(0))["ended"]
    assert time.monotonic() - begun < 5


def test_a_real_run_is_told_of_chunk_by_chunk(tmp_path, inputs):
    own, told = Live(), []

    def following(_title, _engine):
        return nullcontext(lambda: told.append(json.loads(own.changes(0))) is not None)

    made = of_two(inputs)
    list(stages.begin(made, tmp_path / "run", RunOptions(), Watch(following, print, own), remembered))
    last = json.loads(own.changes(0))
    assert (last["done"], last["state"]) == (2, "2 lanes: 2 done")
    assert [len(cell["losses"]["total"]) for cell in last["cells"].values()] == [3, 3]
    assert any(name == "structural similarity" for name, _ in last["cells"]["0"]["settings"])
    assert [len(news["cells"]) for news in told] == [2] * len(told)
    assert (
        own.picture(f"{made.lanes[0].name}.png") == (tmp_path / "run/lanes" / f"{made.lanes[0].name}.png").read_bytes()
    )


# -- in a browser


@pytest.fixture
def trouble():
    return []


@pytest.fixture
def tab(browser, run, trouble):
    """The page of the run, which has been reported once; afterwards: no message, no error, no other address."""
    run.report()
    with serving(run.live, 0) as address:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        made = context.new_page()
        made.on("console", lambda message: trouble.append(message.text))
        made.on("pageerror", lambda error: trouble.append(str(error)))
        made.on("request", lambda r: None if r.url.startswith((address, "data:")) else trouble.append(r.url))
        made.goto(address)
        until(made, lambda: run.live._asked > 0)  # the page is known to be watched: pictures come
        yield made
        context.close()
    assert trouble == []


def shown(tab, selector: str) -> list[int]:
    """The size of a picture that has come, and the level of its first pixel."""
    return tab.evaluate(
        """(selector) => {
          const image = document.querySelector(selector);
          if (!image || !image.complete || !image.naturalWidth) return [];
          const canvas = document.createElement("canvas").getContext("2d");
          canvas.drawImage(image, 0, 0);
          return [image.naturalWidth, image.naturalHeight, canvas.getImageData(0, 0, 1, 1).data[0]];
        }""",
        selector,
    )


def until(tab, condition) -> None:
    for _ in range(100):
        # A page that is just being left has no answer.
        with suppress(pytest.importorskip("playwright.sync_api", reason="playwright is not installed").Error):
            if condition():
                return
        tab.wait_for_timeout(50)
    assert condition()


@pytest.mark.slow
def test_pictures_and_losses_come_in_without_a_reload(tab, run):
    tab.evaluate("window.mark = 1")
    assert "4 lanes: 4 waiting" in tab.text_content(".state")
    run.go(3, 0.2, 0, 1)
    until(tab, lambda: shown(tab, "#cell-0 img") == [32, 24, 51])
    tab.click("#cell-0")
    assert tab.text_content("#curves .readout") == "At evaluation 3:"
    assert shown(tab, "#large-layer img") == [32, 24, 51]
    run.go(9, 0.4, 0, 1)
    until(tab, lambda: shown(tab, "#large-layer img") == [32, 24, 102])
    until(tab, lambda: tab.text_content("#curves .readout") == "At evaluation 9:")
    assert shown(tab, "#cell-1 img") == [32, 24, 102]
    assert shown(tab, "#layer-b img") == [32, 24, 102]
    run.over(0, 0.6)
    until(tab, lambda: shown(tab, "#large-layer img") == [32, 24, 153])
    until(tab, lambda: "done" in tab.text_content("#large-settings"))
    assert tab.locator("#cell-0 .badge").count() == 0
    assert tab.text_content("#cell-1 .badge") == "running"
    assert tab.get_attribute("progress", "value") == "1"
    run.live.end()
    until(tab, lambda: tab.text_content("#refresh") == "the run has ended")
    assert tab.evaluate("window.mark") == 1


@pytest.mark.slow
def test_what_the_reader_has_chosen_stays(tab, run):
    run.go(5, 0.2, 0, 1)
    until(tab, lambda: "2 running" in tab.text_content(".state"))
    tab.select_option("#compare-a", index=3)
    tab.select_option("#row", index=1)
    tab.click("#cell-1")
    tab.get_by_role("button", name="content").click()
    tab.focus("#evaluation")
    tab.keyboard.press("Home")
    tab.keyboard.press("ArrowRight")
    run.go(9, 0.4, 0, 1)
    until(tab, lambda: tab.get_attribute("#evaluation", "max") == "8")
    assert tab.text_content("#curves .readout") == "At evaluation 2:"
    assert tab.evaluate("document.activeElement.id") == "evaluation"
    assert tab.get_attribute("#curves .legend button:nth-child(2)", "aria-pressed") == "false"
    assert tab.input_value("#compare-a") == "3"
    assert tab.input_value("#row") == "1"
    assert tab.text_content("#large-name") == "Ay"


@pytest.mark.slow
def test_the_next_stage_is_another_page_with_the_same_choices(tab, run, tmp_path):
    run.go(5, 0.2, 0, 1)
    until(tab, lambda: shown(tab, "#cell-1 img") != [])
    tab.click("#cell-1")
    tab.evaluate("window.mark = 1")
    run.folder = tmp_path / "next"
    run.report()
    until(tab, lambda: tab.evaluate("window.mark") is None)
    until(tab, lambda: tab.text_content("#large-name") == "Ay")


@pytest.mark.slow
def test_it_can_be_paused(tab, run):
    tab.click("#pause")
    tab.wait_for_timeout(1200)
    run.go(5, 0.2, 0, 1)
    tab.wait_for_timeout(1500)
    assert "4 waiting" in tab.text_content(".state")
    tab.click("#pause")
    until(tab, lambda: "2 running" in tab.text_content(".state"))


@pytest.mark.slow
def test_a_server_that_is_gone_is_told(browser, run):
    run.report()
    tab = browser.new_page()
    with serving(run.live, 0) as address:
        tab.goto(address)
        until(tab, lambda: tab.text_content("#refresh") == "live")
    until(tab, lambda: tab.text_content("#refresh") == "no answer: the run may have ended")
    tab.close()
