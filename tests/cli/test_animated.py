"""`nst-jax stylize` of animations: times, frames that go on from each other, and interruptions."""

import json
import os
import signal
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from program import Outcome, assert_refused, done, run
from run_folders import cached_programs

import nst_jax as nst
from nst_jax.cli.animated import later_evaluations
from nst_jax.cli.commission import Commission
from nst_jax.pictures import images
from nst_jax.pictures.animation import read_animation, write_animation
from nst_jax.transfer.traced import TracedPrograms

FEW = ("--size", 64, "--evaluations", 24, "--content-layers", "conv2_1", "--style-layers", "conv1_1,conv2_1")
TIMES = [0.1, 0.25, 0.5, 0.05]


@pytest.fixture(scope="module", autouse=True)
def _programs(tmp_path_factory):
    with cached_programs(tmp_path_factory.mktemp("programs")):
        yield


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, picture):
    """A GIF of three pictures, the second one twice, in four frames; and a painting."""
    folder = tmp_path_factory.mktemp("inputs")
    wide = picture("photograph", 96, 128)
    frames = [wide[:48, 8 * turn : 8 * turn + 64] for turn in (0, 1, 1, 2)]
    frames[2] = frames[1].copy()
    frames[2][0, 0] = 1 - frames[1][0, 0]  # or it would be one frame; a pixel is to be undone below
    write_animation(folder / "moving.webp", frames, seconds=TIMES, hold=0, plays=3)
    images.write_image(folder / "painting.png", picture("painting", 64, 48))
    return folder


@pytest.fixture
def alike(monkeypatch):
    """The third frame is read as the second one."""
    read = read_animation

    def same(*arguments, **options):
        before = None
        for number, frame in enumerate(read(*arguments, **options)):
            own = before if number == 2 and before is not None else frame.image
            before = own
            yield frame._replace(image=own)

    monkeypatch.setattr("nst_jax.pictures.animation.read_animation", same)


class Whole(NamedTuple):
    """An undisturbed outcome."""

    path: Path
    printed: Outcome
    compilations: int


@pytest.fixture(scope="module")
def whole(inputs, tmp_path_factory):
    output, found, compiled = tmp_path_factory.mktemp("whole") / "out.webp", [], TracedPrograms.compiled

    def counted(self, *arguments):
        found.append(arguments)
        return compiled(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TracedPrograms, "compiled", counted)
        printed = done("stylize", inputs / "moving.webp", inputs / "painting.png", "-o", output, *FEW)
    assert list(output.parent.iterdir()) == [output]
    return Whole(output, printed, len(found))


def test_times_plays_and_size_stay(inputs, whole, tmp_path):
    for path in (whole.path, tmp_path / "out.gif"):
        if not path.exists():
            command = ("stylize", inputs / "moving.webp", inputs / "painting.png", "-o", path, *FEW)
            summary = json.loads(done(*command, "--json", "--quiet").out)
            assert summary.pop("seconds") > 0
            evaluations = 24 + 3 * later_evaluations(24)
            assert summary == {"output": str(path), "frames": 4, "evaluations": evaluations}
        found = list(read_animation(path))
        assert [frame.seconds for frame in found] == TIMES
        assert {frame.plays for frame in found} == {3}
        assert {frame.image.shape for frame in found} == {(48, 64, 3)}


def test_what_is_said(whole):
    evaluations = 24 + 3 * later_evaluations(24)
    told = whole.printed.out
    assert told.startswith(f"{whole.path}: 64x48, 4 frames after {evaluations} evaluations, ")
    lines = whole.printed.err.splitlines()
    assert lines[:2] == ["nst-jax: 4 frames of 64x48", "out.webp 1/4: compiling"]
    last = f"out.webp 3/4: {later_evaluations(24)}/{later_evaluations(24)}, loss "
    assert any(line.startswith(last) for line in lines)
    assert whole.printed.err.count("compiling") == 1


def test_one_program_for_all_frames(whole):
    assert whole.compilations == 1


def test_each_frame_starts_from_the_one_before(inputs, whole, tmp_path):
    """As from Python; what is between is kept with 16 bits."""
    photos = [frame.image for frame in read_animation(inputs / "moving.webp")]
    painting = nst.read_image(inputs / "painting.png")
    options = {"size": 64, "content_layers": ("conv2_1",), "style_layers": ("conv1_1", "conv2_1")}
    frames = []
    for photo in photos:
        start, count = (frames[-1], later_evaluations(24)) if frames else (None, 24)
        made = nst.stylize(photo, painting, evaluations=count, start=start, **options).image
        frames.append(np.rint(made * 65535).astype(np.float32) / 65535)
    assert np.abs(frames[1] - frames[0]).max() > 0.05
    write_animation(tmp_path / "out.webp", frames, seconds=TIMES, hold=0, plays=3)
    assert whole.path.read_bytes() == (tmp_path / "out.webp").read_bytes()


@pytest.mark.usefixtures("alike")
def test_a_frame_that_is_as_the_one_before_is_not_made_again(inputs, tmp_path):
    output = tmp_path / "out.webp"
    outcome = done("stylize", inputs / "moving.webp", inputs / "painting.png", "-o", output, *FEW)
    assert "3/4" not in outcome.err
    assert [frame.seconds for frame in read_animation(output)] == [0.1, 0.75, 0.05]


@pytest.fixture
def in_frame(monkeypatch):
    """in_frame(n): Ctrl-C comes while frame n is made, once."""

    def plan(number):
        make, begun = Commission.make, []

        def interrupted(self, callback, every):
            begun.append(self)
            if len(begun) == number:
                os.kill(os.getpid(), signal.SIGINT)
            return make(self, callback, every)

        monkeypatch.setattr(Commission, "make", interrupted)
        return begun

    return plan


@pytest.mark.parametrize("frame", [1, 3])
def test_an_interrupted_run_goes_on_to_the_same_bytes(inputs, whole, tmp_path, in_frame, frame):
    output, frames = tmp_path / "out.webp", tmp_path / "out.webp.frames"
    command = ("stylize", inputs / "moving.webp", inputs / "painting.png", "-o", output, *FEW)
    begun = in_frame(frame)
    outcome = run(*command)
    assert outcome.code == 130
    told = "no frame is done yet" if frame == 1 else f"{output} has the first 2 of 4 frames"
    assert outcome.err.splitlines()[-1] == f"nst-jax: interrupted; {told}; the same command goes on"
    if frame == 3:
        assert [one.seconds for one in read_animation(output)] == TIMES[:2]
        assert sorted(path.name for path in frames.iterdir())[-3:] == ["00001.png", "00002.png", "ledger.json"]
        assert images.read_settings(frames / "00002.png")
        assert_refused(run(*command, "--ratio", 1), "--output", "out.webp.frames", "ratio (None, not 1.0)", "--force")
    done(*command)
    assert len(begun) == 5
    assert output.read_bytes() == whole.path.read_bytes()
    assert not frames.exists()


@pytest.mark.slow
def test_the_presence_of_the_first_frame_is_that_of_all(inputs, tmp_path, in_frame):
    begun = in_frame(3)
    command = ("stylize", inputs / "moving.webp", inputs / "painting.png", "-o", tmp_path / "out.gif", *FEW)
    outcome = run(*command, "--presence", 0.6)
    assert outcome.code == 130
    assert done(*command, "--presence", 0.6).err.count("searching") == 0
    assert outcome.err.count("searching") == 1
    assert len({work.settings.ratio for work in begun}) == 1


def test_a_still_picture_of_an_animation_is_its_first_frame(inputs, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        outcome = done("stylize", inputs / "moving.webp", inputs / "painting.png", "-o", tmp_path / "out.png", *FEW)
    assert f"nst-jax: note: {inputs / 'moving.webp'}: animated; only its first frame is used" in outcome.err
    assert images.read_image(tmp_path / "out.png").shape == (48, 64, 3)


def test_what_is_refused(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(Commission, "__init__", pytest.fail)
    moving, painting, output = inputs / "moving.webp", inputs / "painting.png", tmp_path / "out.gif"
    damaged = tmp_path / "damaged.webp"
    damaged.write_bytes(moving.read_bytes()[:-30])
    copied = tmp_path / "copied.webp"
    copied.write_bytes(moving.read_bytes())
    for refused, *words in (
        (("stylize", painting, painting, "-o", output), "--output", "CONTENT", "is a still picture"),
        (("stylize", damaged, painting, "-o", output), "damaged.webp"),
        (("stylize", moving, "-o", output), "STYLE: no painting is given"),
        (("stylize", moving, painting, "-o", tmp_path / "none" / "out.gif"), "--output", "there is no folder"),
        (("stylize", copied, painting, "-o", copied), "--output", "is an input picture"),
        (("stylize", moving, painting, "-o", output, "--bits", 16), "--bits: 16 is not allowed for an animation"),
        (("stylize", moving, painting, "-o", output, "--save-every", 2), "--save-every: not allowed with an animation"),
        (("stylize", moving, painting, "-o", output, "--timelapse", tmp_path / "a.gif"), "--timelapse: not allowed"),
        (("stylize", moving, painting, "-o", output, "--tensorboard", tmp_path), "--tensorboard: not allowed"),
        (("stylize", moving, painting, "-o", output, "--ending", ".png"), "--ending: only with a folder"),
        (("stylize", tmp_path / "none.gif", painting, "-o", output), "none.gif: no such file"),
    ):
        assert_refused(run(*refused, *FEW), *words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copied.webp", "damaged.webp"]
