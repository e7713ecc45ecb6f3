"""Ctrl-C and the other signals that end a program."""

import json
import os
import signal
import subprocess
import threading
import time

import numpy as np
import pytest
from PIL import Image
from program import PROGRAM, run

from nst_jax.cli.interrupt import Interrupt, ending
from nst_jax.pictures import images

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Heard(BaseException):
    """What these tests' own handler raises."""


@pytest.fixture(params=SIGNALS, ids=lambda number: number.name)
def number(request):
    """A signal with a handler of its own, as processes that run tests side by side may ignore it."""

    def heard(*_: object) -> None:
        raise Heard

    before = signal.signal(request.param, heard)
    yield request.param
    assert signal.getsignal(request.param) is heard
    signal.signal(request.param, before)


def test_the_first_is_noted_and_the_second_interrupts(number):
    noted = []

    def twice(interrupt: Interrupt) -> None:
        with interrupt:
            for _ in range(2):
                noted.append(interrupt.number)
                signal.raise_signal(number)

    interrupt = Interrupt()
    with pytest.raises(Heard):
        twice(interrupt)
    assert noted == [0, number]
    assert interrupt.code == 128 + number
    with Interrupt() as another:
        pass
    assert another.number == 0


def test_one_signal_ends_what_has_no_tidy_end(number):
    def once() -> None:
        with ending():
            signal.raise_signal(number)

    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit) as caught:
        once()
    if number != signal.SIGINT:
        assert caught.value.code == 128 + number


def test_what_is_ignored_stays_ignored(number):
    """As nohup has it."""
    heard = signal.signal(number, signal.SIG_IGN)
    with ending(), Interrupt() as interrupt:
        signal.raise_signal(number)
    assert interrupt.number == 0
    assert signal.getsignal(number) == signal.SIG_IGN
    signal.signal(number, heard)


def test_another_thread_sets_no_handlers(tmp_path, picture):
    """Python allows it none; gradio and Jupyter run commands in threads."""
    for name in ("photo", "painting"):
        images.write_image(tmp_path / f"{name}.png", picture(name if name == "painting" else "photograph", 32, 48))
    before, codes = [signal.getsignal(each) for each in SIGNALS], []
    cheap = ["--size", 48, "--evaluations", 2, "--content-layers", "conv1_2", "--style-layers", "conv1_1", "--quiet"]
    command = ["stylize", tmp_path / "photo.png", tmp_path / "painting.png", "-o", tmp_path / "out.png", *cheap]
    thread = threading.Thread(target=lambda: codes.append(run(*command).code))
    thread.start()
    thread.join()
    assert codes == [0]
    assert (tmp_path / "out.png").is_file()
    assert [signal.getsignal(each) for each in SIGNALS] == before


@pytest.fixture(params=["one scale", "the coarser scale"])
def started(request, tmp_path, picture):
    """A program that stylizes for hours, after its first evaluation; ended at the latest when the test ends."""
    images.write_image(tmp_path / "photo.png", picture("photograph", 48, 64))
    images.write_image(tmp_path / "painting.png", picture("painting", 48, 64))
    size = ["--size", "64"] if request.param == "one scale" else ["--size", "128", "--scales", "2"]
    command = [*PROGRAM, "stylize", "photo.png", "painting.png", "-o", "out.png", *size]
    command += [
        "--evaluations",
        "1000000",
        "--content-layers",
        "conv1_2",
        "--style-layers",
        "conv1_1",
        "--optimizer",
        "adam",
    ]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            for line in process.stderr:
                if line.startswith("out.png: 1/1000000, "):
                    break
            yield process, (64, 48) if request.param == "one scale" else (128, 96)
        finally:
            process.kill()


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_saves_the_picture_so_far(started, tmp_path, number):
    """At its own size, also where that has not been begun."""
    program, (width, height) = started
    time.sleep(0.5)
    program.send_signal(number)
    out, err = program.communicate(timeout=120)
    assert program.returncode == 128 + number, err
    where = "" if width == 64 else ", at 64x48"
    assert err.splitlines()[-1] == f"nst-jax: interrupted{where}; out.png is the picture so far"
    assert "Traceback" not in err
    assert out.startswith(f"out.png: {width}x{height}, loss ")
    with Image.open(tmp_path / "out.png") as saved:
        assert saved.size == (width, height)
        assert np.asarray(saved).std() > 0
    settings = json.loads(images.read_settings(tmp_path / "out.png")["nst_jax"])["settings"]
    assert settings["evaluations"] == 1_000_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "painting.png", "photo.png"]
