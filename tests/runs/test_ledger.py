"""What a ledger takes over, what it refuses, and that nothing of it is ever half there."""

import json

import pytest

from nst_jax.errors import InputError
from nst_jax.runs.ledger import DONE, FAILED, NAME, WAITING, Ledger

MADE_WITH = {"settings": {"size": 64, "style_layers": ("conv1_1",)}, "weights": "abc"}
INPUTS = {"content": [{"file": "a.jpg", "sha256": "1"}], "style": [{"file": "b.jpg", "sha256": "2"}]}
NAMES = ["a.png", "sub/b.png"]


@pytest.fixture
def begun(tmp_path):
    """A ledger whose first picture is done."""
    own = Ledger(tmp_path / "out", MADE_WITH)
    with own.opened(NAMES):
        (tmp_path / "out" / "a.png").write_bytes(b"made")
        own.note("a.png", DONE, inputs=INPUTS, seconds=1.5)
    return own


def again(begun, made_with=MADE_WITH) -> Ledger:
    return Ledger(begun.folder, made_with)


def test_what_is_done_is_done_in_the_next_process_too(begun):
    own = again(begun)
    with own.opened(["c.png", *NAMES]):
        assert own.entries["a.png"] == {"state": DONE, "inputs": INPUTS, "seconds": 1.5}
        assert own.is_done("a.png", lambda: INPUTS)
        assert own.is_done("a.png")
        assert not own.is_done("sub/b.png", pytest.fail)  # of which nothing is read
        assert not own.is_done("c.png")


def test_it_is_whole_after_each_picture_and_what_failed_waits_again(begun):
    own = again(begun)
    with own.opened(NAMES):
        own.note("sub/b.png", FAILED, why="because")
        written = json.loads((own.folder / NAME).read_bytes())
        assert written["made_with"] == json.loads(json.dumps(MADE_WITH))
        assert written["pictures"]["sub/b.png"] == {"state": FAILED, "why": "because"}
    with own.opened(NAMES):
        assert own.entries["sub/b.png"] == {"state": WAITING}


def test_a_picture_that_was_removed_or_whose_photograph_was_changed_waits_again(begun):
    changed = INPUTS | {"content": [{"file": "a.jpg", "sha256": "3"}]}
    own = again(begun)
    with own.opened(NAMES):
        assert not own.is_done("a.png", lambda: changed)
        assert own.entries["a.png"] == {"state": WAITING}
    own = again(begun)
    (own.folder / "a.png").unlink()
    with own.opened(NAMES):
        assert not own.is_done("a.png", lambda: INPUTS)


def test_another_painting_is_refused_unless_forced(begun):
    other = INPUTS | {"style": [{"file": "b.jpg", "sha256": "3"}]}
    own = again(begun)
    with own.opened(NAMES):
        with pytest.raises(InputError, match=r"output .*a\.png: was made of another style picture; .* with force"):
            own.is_done("a.png", lambda: other)
        with pytest.raises(InputError, match="another masks picture"):
            own.is_done("a.png", lambda: INPUTS | {"masks": INPUTS["style"]})
        assert not own.is_done("a.png", lambda: other, force=True)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"settings": {"size": 96, "style_layers": ("conv1_1",)}}, r"size \(64, not 96\);"),
        ({"weights": "def"}, "weights;"),
        ({"inputs": INPUTS}, "inputs;"),
    ],
)
def test_other_settings_are_refused_unless_forced(begun, changed, told):
    own = again(begun, MADE_WITH | changed)
    before = (own.folder / NAME).read_bytes()
    with pytest.raises(InputError, match=f"its pictures were made with other settings: .*{told}"), own.opened(NAMES):
        pass
    assert (own.folder / NAME).read_bytes() == before
    for _ in range(2):  # forcing again begins nothing anew
        with own.opened(NAMES, force=True):
            assert own.entries.pop("a.png")["state"] in (WAITING, DONE)
            own.note("a.png", DONE, inputs=INPUTS)
    with again(begun, MADE_WITH | changed).opened(NAMES):
        assert own.is_done("a.png", lambda: INPUTS)


def test_nobodys_picture_is_not_written_over(begun):
    (begun.folder / "c.png").write_bytes(b"somebody's")
    told = r"c\.png: is there, and not of this command's making"
    with pytest.raises(InputError, match=told), again(begun).opened(["c.png"]):
        pass
    with again(begun).opened(["c.png"], force=True):
        pass
    (begun.folder / "sub").mkdir()
    (begun.folder / "sub" / "b.png").write_bytes(b"made, when the process was killed")
    with again(begun).opened(NAMES):
        pass


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other"}', '{"format": "nst_jax ledger 1"}', "\udcff"])
def test_a_damaged_ledger(begun, text):
    (begun.folder / NAME).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=r"ledger\.json: damaged") as caught, again(begun).opened(NAMES):
        pass
    assert "\n" not in str(caught.value)
    own = again(begun)
    with own.opened(NAMES, force=True):
        assert {entry["state"] for entry in own.entries.values()} == {WAITING}


def test_a_name_that_is_no_utf_8(tmp_path):
    own, name = Ledger(tmp_path, MADE_WITH), "a\udcff.png"
    with own.opened([name]):
        own.note(name, FAILED, why="because")
    assert again(own).opened([]).__enter__() is None
    other = again(own)
    with other.opened([]):
        assert other.entries[name]["state"] == FAILED


def test_leftovers_of_a_killed_process_are_removed(begun):
    (begun.folder / "sub").mkdir()
    for path in (".a.0123abcd.png", "sub/.b.0123abcd.png", ".ledger.0123abcd.json", ".other.0123abcd.png"):
        (begun.folder / path).touch()
    with again(begun).opened(NAMES):
        assert {path.name for path in begun.folder.rglob(".*.0123abcd.*")} == {".other.0123abcd.png"}


def test_one_process_at_a_time(begun):
    told = "another process is working on it"
    with begun.opened(NAMES), pytest.raises(InputError, match=told), again(begun).opened(NAMES):
        pass


def test_what_is_removed(begun):
    own = again(begun)
    with own.opened(NAMES):
        own.remove()
    assert not own.folder.exists()


def test_what_others_put_there_stays(begun):
    own = again(begun)
    (own.folder / "other.txt").touch()
    with own.opened(NAMES):
        own.remove()
    assert [path.name for path in own.folder.iterdir()] == ["other.txt"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    own = Ledger(tmp_path / "file", MADE_WITH)
    with pytest.raises(InputError, match=r"output .*file: cannot be made"), own.opened(NAMES):
        pass
