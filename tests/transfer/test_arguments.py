"""Pictures as Python functions take them."""

from pathlib import Path

import numpy as np
import pytest

from nst_jax.errors import InputError
from nst_jax.transfer.arguments import brought_to, check_blend, paintings_of, sized
from nst_jax.transfer.arguments import picture as checked
from nst_jax.transfer.settings import Settings


def test_one_painting_or_several():
    painting = np.zeros((32, 48, 3))
    assert [one.dtype for one in paintings_of(painting)] == [np.float32]
    assert len(paintings_of([painting, painting])) == 2
    with pytest.raises(InputError, match=r"^style: float64 \(48, 3\) is no picture"):
        paintings_of([painting[0]])


def test_aspects_are_kept(picture):
    photo = picture("photograph", 64, 96)
    assert brought_to(photo, 32, 48, "content").shape == (32, 48, 3)
    assert brought_to(photo, 33, 48, "content").shape == (33, 48, 3)  # to the pixel
    with pytest.raises(InputError, match=r"^content: 96x64 cannot be brought to 48x40, which has another aspect$"):
        brought_to(photo, 40, 48, "content")


def test_as_many_shares_as_paintings():
    check_blend(Settings(), [1, 2])
    check_blend(Settings(style_blend=(1.0, 2.0)), [1, 2])
    with pytest.raises(InputError, match=r"^style_blend: 2 given for 1 style pictures; give one for each$"):
        check_blend(Settings(style_blend=(1.0, 2.0)), [1])


def test_the_file_is_named_where_there_is_one(picture):
    with pytest.raises(InputError, match=r"^init a.png: 96x64 cannot be brought to 48x40, which has another aspect$"):
        brought_to(picture("photograph", 64, 96), 40, 48, "init", Path("a.png"))


@pytest.mark.parametrize(("value", "words"), [
    (255.0, "content: holds values from 0 to 255; must be 0..1"),
    (-120.0, "content: holds values from -120 to 0; must be 0..1"),
    (np.nan, "content: holds values that are not finite"),
])  # fmt: skip
def test_values_of_another_range(value, words):
    """As of 8 bits, or as networks take them; a little beyond 0..1 is what an optimizer leaves."""
    image = np.zeros((32, 32, 3), np.float32)
    image[3, 4, 1] = value
    with pytest.raises(InputError) as caught:
        checked(image, "content")
    assert str(caught.value) == words
    image[3, 4, 1] = 1.7
    assert checked(image, "content").max() == np.float32(1.7)


def test_the_photographs_own_size(picture):
    """Of a size that is original alone; arrays, which are several sizes, are left to others."""
    high, wide = picture("photograph", 64, 40), picture("photograph", 40, 64)
    assert sized({"size": "original", "seed": 3}, [high, wide]) == {"size": 64, "seed": 3}
    for options in ({}, {"size": 96}, {"size": [64, 96]}, {"size": "large"}):
        assert sized(options, [high]) == options
    sizes = np.array([64, 96])
    assert sized({"size": sizes}, [high])["size"] is sizes
    told = "^size original: photograph 1 has 64 pixels a side, photograph 2 48; give a number for both$"
    with pytest.raises(InputError, match=told):
        sized({"size": "original"}, [high, picture("photograph", 40, 48)])
