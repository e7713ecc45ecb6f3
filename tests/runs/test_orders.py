"""Names, order, and where pictures may go."""

from pathlib import Path

import pytest

from nst_jax.errors import InputError
from nst_jax.runs.orders import check_folder, ordered

PHOTOS = Path("photos")


def orders(photos, paintings=("one.jpg",), sizes=None, **options):
    sizes = sizes or {}

    def size_of(photo):
        size = sizes.get(photo.name, (48, 64))
        if size is None:
            raise InputError("broken")
        return size

    given = {"blended": False, "ending": ".png", "size_of": size_of} | options
    return ordered([PHOTOS / photo for photo in photos], PHOTOS, [*map(Path, paintings)], **given)


def names(*arguments, **options):
    return [order.name for order in orders(*arguments, **options)]


def test_names_of_one_painting_and_of_several():
    assert names(["a.jpg", "sub/b.c.jpeg"]) == ["a.png", "sub/b.c.png"]
    assert names(["a.jpg"], ["one.jpg", "x/two.png"]) == ["a_one.png", "a_two.png"]
    assert names(["a.jpg"], ["one.jpg", "two.png"], blended=True, ending=".jpg") == ["a.jpg"]
    assert names(["a.jpg"], []) == ["a.png"]
    first, second = orders(["a.jpg"], ["one.jpg", "two.png"])
    assert (first.photo, first.paintings, second.paintings) == (
        PHOTOS / "a.jpg",
        (Path("one.jpg"),),
        (Path("two.png"),),
    )


def test_equal_sizes_follow_each_other_the_smallest_first_and_the_broken_last():
    sizes = {"a.jpg": (64, 48), "b.jpg": None, "c.jpg": (32, 64), "d.jpg": (48, 64), "e.jpg": (64, 48)}
    assert names(["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"], sizes=sizes) == [
        *("c.png", "d.png", "a.png", "e.png", "b.png")
    ]


@pytest.mark.parametrize(
    ("photos", "paintings"),
    [
        (["a.jpg", "a.png"], ["one.jpg"]),
        (["a.jpg", "A.jpg"], ["one.jpg"]),
        (["a.jpg"], ["x/one.jpg", "y/one.jpg"]),
        (["a.jpg", "a_b.jpg"], ["b_c.jpg", "c.jpg"]),
    ],
)
def test_two_pictures_of_one_name(photos, paintings):
    with pytest.raises(InputError, match=r"photos.a.* and photos.*: both would become .*png; rename one of them"):
        orders(photos, paintings)


def test_folders_that_may_be_written_into(tmp_path):
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "called.png").mkdir()
    for output in ("new/below", "photos2", "called.png", "."):  # the last has the photographs' folder within it
        check_folder(tmp_path / output, [photos], ["a.png", "sub/b.png"])
    for output, told in (
        ("file", "is a file; name a folder"),
        ("new.JPG", "is called like a picture; name a folder"),
        ("photos", "is within .*photos, where pictures are read"),
        ("photos/sub/new", "is within .*photos, where pictures are read"),
        ("photos/../photos/new", "is within .*photos, where pictures are read"),
    ):
        with pytest.raises(InputError, match=f"output .*: {told}"):
            check_folder(tmp_path / output, [photos], ["a.png"])
    with pytest.raises(InputError, match=r"photos/a\.png would come into .*photos, where pictures are read"):
        check_folder(tmp_path, [photos], ["a.png", "photos/a.png"])
