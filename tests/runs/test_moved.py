"""Inputs that were moved: which file is taken, which are read at all, what is kept, and what is refused."""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program import assert_refused, run
from run_folders import edit

from nst_jax.errors import InputError
from nst_jax.pictures import files
from nst_jax.runs import moved
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import Table, table
from nst_jax.transfer.settings import Settings

PHOTO, PAINTING, WEIGHTS = b"a photograph", b"a painting, larger", b"parameters"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def described(**contents: bytes) -> dict:
    """What run.json tells of files at /gone."""
    paths = {f"/gone/{name}.png": content for name, content in contents.items()}
    return {
        "inputs": {path: sha256(content) for path, content in paths.items()},
        "sizes": {path: len(content) for path, content in paths.items()},
    }


def of_files(**chosen) -> Table:
    return table(["/gone/photo.png"], ["/gone/painting.png"], Axes(), Settings(**chosen))


RUN, TABLE = described(photo=PHOTO, painting=PAINTING), of_files()


def laid(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The names of the files whose sha256 is taken."""
    names, take = [], files.sha256

    def watched(path):
        names.append(Path(path).name)
        return take(path)

    monkeypatch.setattr(files, "sha256", watched)
    return names


# -- which file is taken


def test_what_is_where_it_was_is_not_looked_for(tmp_path, reads):
    laid(tmp_path, {"photo.png": PHOTO, "painting.png": PAINTING})
    photo, painting = (str(tmp_path / name) for name in ("photo.png", "painting.png"))
    here = {"inputs": {photo: sha256(PHOTO), painting: sha256(PAINTING)}}
    found = moved.find(here, table([photo], [painting], Axes(), Settings()), tmp_path / "run", [tmp_path])
    assert found == {}
    assert reads == ["photo.png", "painting.png"]


def test_any_name_will_do_and_few_files_are_read(tmp_path, reads):
    """Those of a size that is looked for, of whichever name."""
    others = {f"many/{number}.png": b"x" * (100 + number) for number in range(50)}
    decoys = {"many/same size.png": PHOTO[::-1], "many/photo.png": b"of the same name, and longer than it was"}
    laid(tmp_path, {**others, **decoys, "many/deep/holiday.jpeg": PHOTO, "Painting.PNG": PAINTING})
    places = moved.find(RUN, TABLE, tmp_path, [tmp_path])
    assert places == {
        "/gone/photo.png": f"{tmp_path}/many/deep/holiday.jpeg",
        "/gone/painting.png": f"{tmp_path}/Painting.PNG",
    }
    assert sorted(reads) == ["Painting.PNG", "holiday.jpeg", "same size.png"]


def test_those_of_the_same_name_are_read_first(tmp_path, reads):
    laid(tmp_path, {"a.png": PHOTO[::-1], "b/photo.png": PHOTO, "c/painting.png": PAINTING})
    assert moved.find(RUN, TABLE, tmp_path, [tmp_path])["/gone/photo.png"] == f"{tmp_path}/b/photo.png"
    assert reads == ["photo.png", "painting.png"]


def test_names_of_another_system(tmp_path, reads):
    laid(tmp_path, {"a.png": PHOTO[::-1], "z/Photo.png": PHOTO})
    name = "C:\\pictures\\Photo.png"
    of_windows = {"inputs": {name: sha256(PHOTO)}, "sizes": {name: len(PHOTO)}}
    lanes = table([name], [name], Axes(), Settings())
    assert moved.find(of_windows, lanes, tmp_path, [tmp_path]) == {name: f"{tmp_path}/z/Photo.png"}
    assert reads == ["Photo.png"]


def test_a_run_json_that_tells_no_sizes(tmp_path):
    """As those of earlier versions."""
    laid(tmp_path, {"0": b"other", "deep/1": PAINTING, "photo.png": b"no", "2": PHOTO})
    places = moved.find({"inputs": RUN["inputs"]}, TABLE, tmp_path, [tmp_path])
    assert places == {"/gone/photo.png": f"{tmp_path}/2", "/gone/painting.png": f"{tmp_path}/deep/1"}


def test_what_has_changed_is_found_as_it_was(tmp_path):
    laid(tmp_path, {"photo.png": b"edited since", "painting.png": PAINTING, "backup/photo.png": PHOTO})
    names = [str(tmp_path / name) for name in ("photo.png", "painting.png")]
    before = {"inputs": dict(zip(names, map(sha256, (PHOTO, PAINTING)), strict=True))}
    lanes = table(names[:1], names[1:], Axes(), Settings())
    assert moved.find(before, lanes, tmp_path, [tmp_path / "backup"]) == {names[0]: f"{tmp_path}/backup/photo.png"}
    with pytest.raises(InputError, match=r"photo.png: changed since the run began; name a folder .* with find_in$"):
        moved.find(before, lanes, tmp_path, [])


def test_several_folders_and_one_file_for_two_names(tmp_path):
    """The start is one of the photographs."""
    laid(tmp_path, {"one/x": PHOTO, "two/y": PAINTING})
    twins = described(photo=PHOTO, again=PHOTO, painting=PAINTING)
    lanes = table(["/gone/photo.png", "/gone/again.png"], ["/gone/painting.png"], Axes(), Settings())
    lanes = lanes._replace(settings=Settings(init="/gone/photo.png"))
    found = moved.find(twins, lanes, tmp_path, [tmp_path / "one", tmp_path / "two"])
    one, two = str(tmp_path / "one" / "x"), str(tmp_path / "two" / "y")
    assert found == {"/gone/photo.png": one, "/gone/again.png": one, "/gone/painting.png": two}
    assert moved.placed(lanes.settings, found).init == one


def test_weights_by_path_and_not_by_name(tmp_path):
    laid(tmp_path, {"x": PHOTO, "y": PAINTING, "z": WEIGHTS})
    of_weights = RUN | {"weights": {"name": "/gone/own.h5", "sha256": sha256(WEIGHTS)}}
    lanes = of_files(weights="/gone/own.h5")
    found = moved.find(of_weights | {"sizes": {}}, lanes, tmp_path, [tmp_path])
    assert found["/gone/own.h5"] == f"{tmp_path}/z"
    assert moved.placed(lanes.settings, found).weights == f"{tmp_path}/z"
    named = RUN | {"weights": {"name": "vgg19-full", "sha256": sha256(b"not there")}}
    assert "vgg19-full" not in moved.find(named, of_files(weights="vgg19-full"), tmp_path, [tmp_path])


def test_a_run_folder_to_start_from_has_the_lanes_pictures(tmp_path):
    """A copy of its run.json alone, or by another name, is not enough; those of its lanes that are not used are."""
    (lane,) = TABLE.lanes
    begun = b'{"format": "that of a run"}'
    start = RUN | {"inputs": RUN["inputs"] | {"/gone/first/run.json": sha256(begun)}}
    lanes = of_files(init="/gone/first")
    laid(tmp_path, {"photo.png": PHOTO, "painting.png": PAINTING, "a/run.json": begun, "b/other.json": begun})
    laid(tmp_path, {f"b/lanes/{lane.name}.png": b"", "c/lanes/other.png": b"", "c/run.json": begun})
    with pytest.raises(InputError, match=r"^/gone/first/run.json: no such file, and none with its sha256 below"):
        moved.find(start, lanes, tmp_path, [tmp_path])
    laid(tmp_path, {"d/run.json": begun, f"d/lanes/{lane.name}.png": b""})
    found = moved.find(start, lanes, tmp_path, [tmp_path])
    assert found["/gone/first"] == f"{tmp_path}/d"
    moved.remember(tmp_path, found)
    assert moved.find(start, lanes, tmp_path, []) == found
    shutil.rmtree(tmp_path / "d" / "lanes")
    with pytest.raises(InputError, match=r"^/gone/first/run.json: no such file; name a folder"):
        moved.find(start, lanes, tmp_path, [])


@settings(deadline=None, max_examples=60)
@given(
    wanted=st.lists(st.binary(max_size=2), min_size=1, max_size=3),
    there=st.dictionaries(
        st.lists(st.sampled_from(["a", "b", "0.png", "1.png", "2.PNG"]), min_size=1, max_size=3).map("/".join),
        st.binary(max_size=2),
        max_size=8,
    ),
    sizes=st.booleans(),
)
def test_what_is_there_is_found_and_nothing_else(wanted, there, sizes):
    """Whatever the names: a place has the sha256; an input without a place has none there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for path, content in there.items():
            try:
                laid(folder, {path: content})
            except OSError:
                continue  # a folder of that name is there, or a file where a folder would be
        laid_out = [path for path in folder.rglob("*") if path.is_file()]
        names = [f"/gone/{number}.png" for number in range(len(wanted))]
        before: dict = {"inputs": dict(zip(names, map(sha256, wanted), strict=True))}
        if sizes:
            before["sizes"] = dict(zip(names, map(len, wanted), strict=True))
        lanes = table(names, names[:1], Axes(), Settings())
        contents = {path.read_bytes() for path in laid_out}
        if missing := [name for name, content in zip(names, wanted, strict=True) if content not in contents]:
            with pytest.raises(InputError, match=f"^{missing[0]}: no such file, and none with its sha256"):
                moved.find(before, lanes, folder, [folder])
            return
        found = moved.find(before, lanes, folder, [folder])
        assert {name: Path(place).read_bytes() for name, place in found.items()} == dict(
            zip(names, wanted, strict=True)
        )


# -- what is in the way


def test_what_cannot_be_read_is_passed_over(tmp_path, monkeypatch):
    """A closed folder, a closed file, a pipe that nobody writes to, links to nowhere and in a circle."""
    laid(tmp_path, {"closed/photo.png": PHOTO, "a/photo.png": PHOTO, "z/photo.png": PHOTO, "z/painting.png": PAINTING})
    (tmp_path / "circle").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "photo.png").symlink_to(tmp_path / "none")
    (tmp_path / "b" / "painting.png").symlink_to("painting.png")
    os.mkfifo(tmp_path / "c.png")
    (tmp_path / "c").mkdir()
    os.mkfifo(tmp_path / "c" / "photo.png")
    scandir, take = os.scandir, files.sha256

    def no_entry(path):
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    def no_reading(path):
        if "/a/" in str(path):
            raise PermissionError(13, "Permission denied", path)
        return take(path)

    monkeypatch.setattr(os, "scandir", no_entry)
    monkeypatch.setattr(files, "sha256", no_reading)
    expected = {"/gone/photo.png": f"{tmp_path}/z/photo.png", "/gone/painting.png": f"{tmp_path}/z/painting.png"}
    assert moved.find(RUN, TABLE, tmp_path, [tmp_path]) == expected
    assert moved.find({"inputs": RUN["inputs"]}, TABLE, tmp_path, [tmp_path]) == expected


def test_names_that_are_no_text(tmp_path):
    name = os.fsdecode(b"\xff \xce\xb1.png")
    try:
        laid(tmp_path, {name: PHOTO, "b": PAINTING})
    except OSError:
        pytest.skip("the file system takes text only")
    places = moved.find(RUN, TABLE, tmp_path, [tmp_path])
    moved.remember(tmp_path, places)
    assert moved.find(RUN, TABLE, tmp_path, []) == places
    assert places["/gone/photo.png"] == f"{tmp_path}/{name}"


# -- what is kept


def test_what_was_found_is_tried_the_next_time(tmp_path, reads):
    laid(tmp_path, {"there/1": PHOTO, "there/2": PAINTING})
    places = moved.find(RUN, TABLE, tmp_path, [tmp_path / "there"])
    moved.remember(tmp_path, places)
    assert json.loads((tmp_path / "moved.json").read_text("utf-8")) == places
    written = (tmp_path / "moved.json").stat().st_ino
    del reads[:]
    assert moved.find(RUN, TABLE, tmp_path, []) == places
    assert reads == ["1", "2"]
    moved.remember(tmp_path, places)
    assert (tmp_path / "moved.json").stat().st_ino == written  # nothing new
    (tmp_path / "there" / "1").rename(tmp_path / "there" / "3")
    with pytest.raises(InputError, match=r"^/gone/photo.png: no such file; name a folder"):
        moved.find(RUN, TABLE, tmp_path, [])
    again = moved.find(RUN, TABLE, tmp_path, [tmp_path / "there"])
    moved.remember(tmp_path, again)
    assert json.loads((tmp_path / "moved.json").read_text("utf-8")) == again == {
        "/gone/photo.png": f"{tmp_path}/there/3", "/gone/painting.png": f"{tmp_path}/there/2",
    }  # fmt: skip


def test_other_files_are_not_taken_on_trust(tmp_path):
    """What moved.json names must have the sha256, and is not forgotten when it has not."""
    laid(tmp_path, {"1": PHOTO[::-1], "2": PAINTING})
    (tmp_path / "moved.json").write_text(json.dumps({"/gone/photo.png": f"{tmp_path}/1", "/other": "x"}))
    with pytest.raises(InputError, match=r"^/gone/photo.png: no such file, and none with its sha256"):
        moved.find(RUN, TABLE, tmp_path, [tmp_path])
    moved.remember(tmp_path, {"/gone/photo.png": "y"})
    assert json.loads((tmp_path / "moved.json").read_text("utf-8")) == {"/gone/photo.png": "y", "/other": "x"}


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"/gone/photo.png": 5}', "\udcff", "null"])
def test_a_damaged_moved_json_is_as_none(tmp_path, text):
    laid(tmp_path, {"1": PHOTO, "2": PAINTING})
    (tmp_path / "moved.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    places = moved.find(RUN, TABLE, tmp_path, [tmp_path])
    moved.remember(tmp_path, places)
    assert json.loads((tmp_path / "moved.json").read_text("utf-8")) == places


def test_nothing_is_kept_of_nothing(tmp_path):
    moved.remember(tmp_path, {})
    assert os.listdir(tmp_path) == []


# -- what is refused


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(InputError) as caught:
        moved.find(RUN, TABLE, tmp_path, [])
    assert str(caught.value) == (
        "/gone/photo.png: no such file (2 inputs are missing or changed); name a folder to look for it in with find_in"
    )
    laid(tmp_path, {"1": PHOTO})
    with pytest.raises(InputError) as caught:
        moved.find(RUN, TABLE, tmp_path, [tmp_path, Path("/") / "dev"])
    assert str(caught.value) == (
        f"/gone/painting.png: no such file, and none with its sha256 below find_in {tmp_path}, /dev"
    )


def test_what_cannot_be_read_where_it_was(tmp_path, monkeypatch):
    laid(tmp_path, {"photo.png": PHOTO})
    name = str(tmp_path / "photo.png")

    def closed(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(files, "sha256", closed)
    with pytest.raises(InputError, match=r"photo.png: cannot be read; name a folder to look for it in with find_in$"):
        moved.find({"inputs": {name: sha256(PHOTO)}}, table([name], [name], Axes(), Settings()), tmp_path, [])


def test_a_place_to_look_in_is_a_folder(tmp_path):
    laid(tmp_path, {"file": b""})
    for place in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(InputError, match=f"^find_in {place}: is not a folder; name one to look for inputs in$"):
            moved.find(RUN, TABLE, tmp_path, [place])


HOSTILE = [
    ("inputs", None), ("inputs", []), ("inputs", {}), ("inputs", "x"), ("weights", None), ("sizes", {"PHOTO": "12"}),
    ("inputs", {"PHOTO": 5}), ("inputs", {"PHOTO": None}), ("inputs", {"PHOTO": ["x"]}), ("content", 5),
    ("content", ["x"]), ("content", None), ("content", {}), ("content", "a\0b"), ("content", "a\nb"), ("style", 7),
    ("content", "x" * 10_000), ("content", "../" * 3), ("lanes", []),
]  # fmt: skip


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(("key", "value"), HOSTILE, ids=[f"{key}-{str(value)[:10]!r}" for key, value in HOSTILE])
@pytest.mark.parametrize("more", [[], ["--find-in", "."]])
def test_a_hostile_run_json_is_one_line(own, tmp_path, monkeypatch, inputs, key, value, more):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    path = ["table", key] if key == "lanes" else ["table", "lanes", 0, key] if key in ("content", "style") else [key]
    if isinstance(value, dict):
        value = {name.replace("PHOTO", str(inputs[0])): digest for name, digest in value.items()}
    edit(own, *path, value=value)
    if key == "weights":
        edit(own, "settings", "weights", value=str(inputs[0]))
    assert_refused(run("resume", own, *more))
    assert_refused(run("sweep", "--from", own, "-o", tmp_path / "new", *more))
    assert not (tmp_path / "new").exists()
    assert not (own / "moved.json").exists()


@pytest.mark.parametrize("size", [12.0, "12", [], {}])
def test_sizes_are_numbers(tmp_path, size):
    with pytest.raises(InputError, match=r"run.json: damaged \(it does not tell the sha256 and the size of"):
        moved.find(RUN | {"sizes": {"/gone/photo.png": size}}, TABLE, tmp_path, [])


def test_a_table_without_lanes(tmp_path):
    with pytest.raises(InputError, match=r"run.json: damaged \(a lane names no picture\)"):
        moved.find(RUN, TABLE._replace(lanes=()), tmp_path, [])
    odd = TABLE._replace(lanes=(replace(TABLE.lanes[0], style=3),))
    with pytest.raises(InputError, match=r"run.json: damaged \(a lane names no picture\)"):
        moved.find(RUN, odd, tmp_path, [])
