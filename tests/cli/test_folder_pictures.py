"""`nst-jax stylize` of folders: what is made, once and in which order, and what is refused before anything is."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from program import PROGRAM, assert_refused, done, run
from run_folders import cached_programs

from nst_jax.cli.commission import Commission
from nst_jax.optim.compiler import Programs
from nst_jax.pictures import images
from nst_jax.runs.ledger import Ledger
from nst_jax.transfer.traced import TracedPrograms

FEW = ("--size", 64, "--evaluations", 3, "--content-layers", "conv2_1", "--style-layers", "conv1_1,conv2_1")


@pytest.fixture(scope="module", autouse=True)
def _programs(tmp_path_factory):
    with cached_programs(tmp_path_factory.mktemp("programs")):
        yield


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, picture):
    """Photographs of 64x48 and 48x64, three of them good, and two paintings."""
    folder = tmp_path_factory.mktemp("inputs")
    for name in ("photos/sub", "paintings"):
        (folder / name).mkdir(parents=True)
    wide = picture("photograph", 48, 64)
    images.write_image(folder / "photos" / "a.png", wide)
    images.write_image(folder / "photos" / "sub" / "tall.png", wide.transpose(1, 0, 2))
    images.write_image(folder / "photos" / "z.jpg", wide[::-1])
    images.write_image(folder / "paintings" / "one.png", picture("painting", 64, 48))
    images.write_image(folder / "paintings" / "two.png", picture("painting", 48, 64)[::-1])
    return folder


@pytest.fixture
def broken(inputs, tmp_path):
    """Their folder, with one more that is cut short."""
    photos = shutil.copytree(inputs / "photos", tmp_path / "photos")
    (photos / "m.png").write_bytes((photos / "a.png").read_bytes()[:-40])
    return photos


@pytest.fixture(scope="module")
def one_by_one(inputs, tmp_path_factory):
    """The good photographs' pictures by their names, as `stylize` makes each alone."""
    folder, made = tmp_path_factory.mktemp("alone"), {}
    for path in images.pictures_in(inputs / "photos", "photos"):
        output = folder / f"{path.stem}.png"
        done("stylize", path, inputs / "paintings" / "one.png", "-o", output, *FEW)
        made[path.relative_to(inputs / "photos").with_suffix(".png").as_posix()] = output.read_bytes()
    return made


def written(folder: Path) -> dict[str, bytes]:
    """The pictures in a folder; no temporary files are left."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert {".ledger.lock", "ledger.json"} <= set(files)
    return {name: path.read_bytes() for name, path in files.items() if "ledger" not in name}


@pytest.fixture
def compilations(monkeypatch):
    """What was compiled, and not known yet."""
    found, compiled = [], TracedPrograms.compiled

    def counted(self, function, arguments, donate, key, result):
        found.append(key)
        return compiled(self, function, arguments, donate, key, result)

    monkeypatch.setattr(TracedPrograms, "compiled", counted)
    return found


def test_a_folder_is_made_as_one_by_one_and_what_is_broken_stops_nothing(broken, inputs, one_by_one, tmp_path):
    output = tmp_path / "new" / "out"
    outcome = run("stylize", broken, inputs / "paintings" / "one.png", "-o", output, *FEW)
    assert outcome.code == 1
    assert written(output) == one_by_one
    lines = outcome.err.splitlines()
    assert lines[0] == "nst-jax: 4 pictures of 2 sizes"
    assert lines[-1].startswith(f"nst-jax: failed: {output / 'm.png'}: {broken / 'm.png'}: cannot be read")
    assert outcome.err.count("nst-jax: failed") == 1
    told = outcome.out.splitlines()
    assert [line.partition(":")[0] for line in told] == [
        str(output / name) for name in ("a.png", "z.png", "sub/tall.png")
    ]
    assert "1/4 a.png: compiling" in lines
    assert "2/4 z.png: compiling" not in lines
    assert "3/4 sub/tall.png: compiling" in lines
    entries = json.loads((output / "ledger.json").read_bytes())["pictures"]
    assert {name: entry["state"] for name, entry in entries.items()} == dict.fromkeys(one_by_one, "done") | {
        "m.png": "failed"
    }
    about = entries["a.png"]
    assert about["evaluations"] == 3
    assert about["seconds"] > 0
    assert about["losses"]["size"] == [48, 64]
    assert about["inputs"]["content"][0]["file"] == "a.png"
    assert set(about["settings"]) <= {"precision"}


def test_pictures_of_one_size_are_compiled_once(inputs, tmp_path, compilations):
    """Three pictures of two sizes, of one scale each; which `Programs` remember, in whatever folder they are kept."""
    command = ("stylize", inputs / "photos", inputs / "paintings" / "one.png", *FEW, "--quiet")
    done(*command, "-o", tmp_path / "out")
    assert len(compilations) == 2
    assert issubclass(TracedPrograms, Programs)


@pytest.fixture
def after_one(monkeypatch):
    """after_one(number): that signal comes when the first picture is done, during the second one."""

    def plan(number):
        make, begun = Commission.make, []

        def interrupted(self, callback, every):
            begun.append(self)
            if len(begun) == 2:
                os.kill(os.getpid(), number)
            return make(self, callback, every)

        monkeypatch.setattr(Commission, "make", interrupted)
        return begun

    return plan


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on(inputs, one_by_one, tmp_path, after_one, number):
    output = tmp_path / "out"
    command = ("stylize", inputs / "photos", inputs / "paintings" / "one.png", "-o", output, *FEW)
    begun = after_one(number)
    outcome = run(*command)
    assert outcome.code == 128 + number
    assert outcome.err.splitlines()[-1] == (
        "nst-jax: interrupted; 1 of 3 pictures are done; the same command goes on with the others"
    )
    ((name, first),) = written(output).items()
    assert first == one_by_one[name]
    times = (output / name).stat().st_mtime_ns
    begun += [None] * 2  # no more signals
    before = len(begun)
    outcome = done(*command)
    assert "nst-jax: 3 pictures of 2 sizes, 1 of them done already" in outcome.err
    assert "2/3 " in outcome.err
    assert len(begun) == before + 2
    assert written(output) == one_by_one
    assert (output / name).stat().st_mtime_ns == times
    outcome = done(*command)
    assert (outcome.out, outcome.err) == ("", "nst-jax: 3 pictures of 2 sizes, 3 of them done already\n")


@pytest.mark.slow
def test_a_killed_run_goes_on(inputs, one_by_one, tmp_path):
    """It loses the picture that was being made, of which nothing is left."""
    output = tmp_path / "out"
    photos = shutil.copytree(inputs / "photos", tmp_path / "photos")
    command = ["stylize", photos, inputs / "paintings" / "one.png", "-o", output, *FEW, "--optimizer", "adam"]
    endless = [*map(str, command)]
    endless[endless.index("--evaluations") + 1] = "300"
    with subprocess.Popen([*PROGRAM, *endless], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for line in process.stderr:
            if line.startswith("2/3 ") and "loss" in line:
                break
        process.kill()
    pictures = {name: data for name, data in written_by_killed(output).items() if not name.startswith(".")}
    assert len(pictures) == 1
    with subprocess.Popen([*PROGRAM, *endless], stderr=subprocess.PIPE, text=True) as process:
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "1 of them done already" in err
    whole = written(output)
    assert set(whole) == set(one_by_one)
    ((name, data),) = pictures.items()
    assert whole[name] == data


def written_by_killed(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.png") if path.is_file()
    }  # fmt: skip


def test_what_failed_is_tried_again(broken, inputs, one_by_one, tmp_path):
    output = tmp_path / "out"
    command = ("stylize", broken, inputs / "paintings" / "one.png", "-o", output, *FEW)
    assert run(*command).code == 1
    shutil.copyfile(inputs / "photos" / "a.png", broken / "m.png")
    outcome = done(*command)
    assert "4 pictures of 2 sizes, 3 of them done already" in outcome.err
    whole = written(output)
    assert {name: whole[name] for name in one_by_one} == one_by_one
    assert "m.png" in whole


def test_other_settings_paintings_and_pictures_need_force(inputs, tmp_path):
    output, photos = tmp_path / "out", tmp_path / "photos"
    photos.mkdir()
    shutil.copyfile(inputs / "photos" / "a.png", photos / "a.png")
    command = ("stylize", photos, inputs / "paintings" / "one.png", "-o", output, *FEW)
    done(*command)
    before = written(output)
    assert_refused(run(*command, "--ratio", 1e-4), "--output", "made with other settings: ratio (None, not 0.0001)")
    other = ("stylize", photos, inputs / "paintings" / "two.png", "-o", output, *FEW)
    assert_refused(run(*other), "a.png: was made of another style picture", "--force")
    assert written(output) == before
    done(*other, "--force")
    assert written(output) != before
    shutil.copyfile(inputs / "photos" / "a.png", photos / "b.png")
    images.write_image(output / "b.png", images.read_image(photos / "b.png"))
    assert_refused(run(*other), "b.png: is there, and not of this command's making", "--force")
    outcome = done(*other, "--force")
    assert "2 pictures of 1 size, 1 of them done already" in outcome.err


def test_photographs_by_paintings_or_blended(inputs, tmp_path, compilations):
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copyfile(inputs / "photos" / "a.png", photos / "a.png")
    paintings = inputs / "paintings"
    done("stylize", photos, paintings, "-o", tmp_path / "product", *FEW, "--ending", ".jpg")
    assert len(compilations) == 1  # a painting, of whatever size, is no part of a program
    assert set(written(tmp_path / "product")) == {"a_one.jpg", "a_two.jpg"}
    done("stylize", photos, paintings, "-o", tmp_path / "blended", *FEW, "--style-blend", "1,0")
    outcome = done("stylize", photos / "a.png", paintings, "-o", tmp_path / "alone", *FEW, "--json", "--quiet")
    summaries = [json.loads(line) for line in outcome.out.splitlines()]
    assert [summary["output"] for summary in summaries] == [
        str(tmp_path / "alone" / name) for name in ("a_one.png", "a_two.png")
    ]
    assert {summary["evaluations"] for summary in summaries} == {3}
    assert outcome.err == ""
    (blended,) = written(tmp_path / "blended").items()
    assert blended[0] == "a.png"
    alone = written(tmp_path / "alone")
    assert set(alone) == {"a_one.png", "a_two.png"}
    np.testing.assert_array_equal(
        images.read_image(tmp_path / "blended" / "a.png"), images.read_image(tmp_path / "alone" / "a_one.png")
    )
    done("stylize", photos / "a.png", paintings, "-o", tmp_path / "one.png", *FEW, "--style-blend", "1,0")
    np.testing.assert_array_equal(
        images.read_image(tmp_path / "blended" / "a.png"), images.read_image(tmp_path / "one.png")
    )


def test_what_is_refused_before_anything_is_made(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(Commission, "__init__", pytest.fail)
    monkeypatch.setattr(Ledger, "opened", pytest.fail)
    photos, painting, out = inputs / "photos", inputs / "paintings" / "one.png", tmp_path / "out"
    command = ("stylize", photos, painting, "-o")
    (tmp_path / "empty").mkdir()
    twice = shutil.copytree(photos, tmp_path / "twice")
    shutil.copyfile(photos / "z.jpg", twice / "a.jpg")
    mask = tmp_path / "mask.png"
    images.write_image(mask, np.ones((48, 64, 3), np.float32))
    (tmp_path / "file").touch()
    for refused, *words in (
        (("stylize", tmp_path / "empty", painting, "-o", out), "CONTENT", "no pictures in it"),
        (("stylize", photos, tmp_path / "empty", "-o", out), "STYLE", "no pictures in it"),
        (("stylize", photos, tmp_path / "none.png", "-o", out), "none.png: no such file"),
        (("stylize", photos, "-o", out), "STYLE: no painting is given"),
        (("stylize", twice, painting, "-o", out), "a.jpg", "both would become a.png"),
        ((*command, tmp_path / "file"), "--output", "is a file; name a folder"),
        ((*command, tmp_path / "out.png"), "--output", "is called like a picture; name a folder"),
        ((*command, photos / "made"), "--output", "is within", "where pictures are read"),
        ((*command, out, "--ending", ".gif"), "--ending: '.gif' is unknown; known are .png .jpg"),
        ((*command, out, "--ending", ".jpg", "--bits", 16), "--output a.jpg: JPEG holds 8 bits"),
        ((*command, out, "--save-every", 1), "--save-every: not allowed with a folder"),
        ((*command, out, "--timelapse", tmp_path / "a.gif"), "--timelapse: not allowed with a folder"),
        ((*command, out, "--tensorboard", out), "--tensorboard: not allowed with a folder"),
        ((*command, out, "--style-blend", "1,2"), "--style-blend: 2 given for 1 style pictures"),
        ((*command, out, "--keep", mask), "--keep", "another aspect", "tall.png"),
        ((*command, out, "--region", f"{mask}={painting}"), "--region", "another aspect", "tall.png"),
        ((*command, out, "--init", mask), "--init", "another aspect", "tall.png"),
        (("stylize", photos / "a.png", painting, "-o", out, "--ending", ".jpg"), "--ending: only with a folder"),
        (("stylize", photos / "a.png", painting, "-o", out, "--force"), "--force: only with a folder"),
    ):
        assert_refused(run(*refused, *FEW), *words)
    assert not out.exists()


def test_a_painting_in_the_output_folder_is_not_written_over(inputs, tmp_path):
    painting = shutil.copyfile(inputs / "paintings" / "one.png", tmp_path / "a.png")
    outcome = run("stylize", inputs / "photos", painting, "-o", tmp_path, *FEW, "--force")
    assert_refused(outcome, "--output", "a.png: is an input picture")


def test_masks_and_starts_that_fit_all(inputs, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "z.jpg"):
        shutil.copyfile(inputs / "photos" / name, photos / name)
    mask = np.zeros((48, 64, 3), np.float32)
    mask[:, :32] = 1
    images.write_image(tmp_path / "mask.png", mask)
    done(
        "stylize",
        photos,
        inputs / "paintings" / "one.png",
        "-o",
        tmp_path / "out",
        *FEW,
        "--keep",
        tmp_path / "mask.png",
    )
    made, photo = (images.read_image(folder / "a.png") for folder in (tmp_path / "out", photos))
    np.testing.assert_array_equal(made[:, :32], photo[:, :32])


def test_photographs_of_their_own_sizes_with_their_transparency(inputs, tmp_path):
    photos, painting = tmp_path / "photos", inputs / "paintings" / "one.png"
    photos.mkdir()
    alpha = np.ones((48, 64), np.float32)
    alpha[:, :9] = 0
    photo = images.read_image(inputs / "photos" / "a.png")
    images.write_image(photos / "clear.png", photo, alpha=alpha)
    images.write_image(photos / "small.png", photo[:, :48])
    command = ("stylize", photos, painting, "-o", tmp_path / "out", *FEW[2:], "--size", "original")
    assert "2 pictures of 2 sizes" in done(*command, "--transparency", "keep").err
    made, kept = images.read_with_alpha(tmp_path / "out" / "clear.png")
    assert made.shape == (48, 64, 3)
    np.testing.assert_array_equal(kept, alpha)
    assert images.read_with_alpha(tmp_path / "out" / "small.png")[1] is None
    assert images.read_image(tmp_path / "out" / "small.png").shape == (48, 48, 3)
    told = "made with other settings: transparency (keep, not white)"
    assert_refused(run(*command, "--transparency", "white"), "--output", told)


@pytest.mark.slow
def test_too_little_memory_for_some(inputs, tmp_path):
    """Fails for each, and is told in a line each."""
    command = ("stylize", inputs / "photos", inputs / "paintings" / "one.png", "-o", tmp_path / "out", *FEW)
    outcome = run(*command, "--memory", "1000001kB")
    assert outcome.code == 1
    assert outcome.err.count("nst-jax: failed: ") == 3
    assert outcome.err.count("--memory: one lane needs ") == 3
    assert written(tmp_path / "out") == {}


def test_a_disk_that_is_full_ends_the_run(inputs, tmp_path, monkeypatch):
    """Nothing that could be made after it could be kept."""
    spare = tmp_path / "elsewhere.png"
    monkeypatch.setattr(Commission, "save", lambda *_: spare)
    outcome = run("stylize", inputs / "photos", inputs / "paintings" / "one.png", "-o", tmp_path / "out", *FEW)
    assert outcome.code == 1
    assert outcome.out.startswith(f"{spare}: 48x64") or outcome.out.startswith(f"{spare}: 64x48")
    assert outcome.out.count("\n") == 1
