"""What a setting is: read from text, and checked."""

from dataclasses import dataclass

import pytest

from nst_jax.errors import InputError
from nst_jax.transfer.fields import (
    check,
    layer_sets,
    layers,
    number_sets,
    numbers,
    setting,
    size_in_bytes,
    whole_numbers,
)


@dataclass(frozen=True)
class Example:
    """One setting of each kind of bounds."""

    size: int = setting(64, "some", int, "how large", range=(32, 128))
    pool: str = setting("avg", "some", str, "which", choices=("avg", "max"))
    bits: int = setting(8, "some", int, "how many", choices=(8, 16))
    shares: tuple[float, ...] | None = setting(None, "some", numbers, "how much", range=(0, 1))


def test_lists_are_separated_by_commas():
    assert layers(" conv1_1, pool5 ,") == ("conv1_1", "pool5")
    assert layers("") == ()
    assert numbers("0.2, 1e-3") == (0.2, 1e-3)
    for wrong in ("", "1,,2", "1;2", "one"):
        with pytest.raises(ValueError, match="could not convert"):
            numbers(wrong)


def test_sets_and_sizes():
    assert layer_sets("conv1_1;conv1_1,conv2_1") == (("conv1_1",), ("conv1_1", "conv2_1"))
    assert number_sets("1;0.5,0.5") == ((1.0,), (0.5, 0.5))
    assert whole_numbers("0,1,2") == (0, 1, 2)
    assert [size_in_bytes(text) for text in ("7", "2kB", "4GB", "512MiB", "1.5T")] == [
        7, 2000, 4 * 10**9, 512 * 2**20, 1_500_000_000_000,
    ]  # fmt: skip
    for wrong in ("", "GB", "-1GB", "4 PB", "4G4"):
        with pytest.raises(InputError, match="is not a size such as 4GB"):
            size_in_bytes(wrong)


@pytest.mark.parametrize(("options", "words"), [
    ({"size": 31}, "size: 31 is not allowed; must be from 32 to 128"),
    ({"size": 64.0}, "size: 64.0 is not allowed; must be a whole number"),
    ({"size": (32, 64)}, "size: (32, 64) is not allowed; must be one value, a whole number"),
    ({"size": None}, "size: None is not allowed; must be one value, a whole number"),
    ({"pool": None}, "pool: None is not allowed; must be one value, text"),
    ({"shares": 0.5}, "shares: 0.5 is not allowed; must be several, a tuple of numbers"),
    ({"pool": "min"}, "pool: 'min' is unknown; known are avg, max"),
    ({"bits": 12}, "bits: 12 is unknown; known are 8, 16"),
    ({"shares": (0.5, 1.5)}, "shares: 1.5 is not allowed; must be from 0 to 1"),
    ({"shares": (0.5, float("nan"))}, "shares: nan is not allowed; must be from 0 to 1"),
])  # fmt: skip
def test_values_are_checked(options, words):
    check(Example())
    with pytest.raises(InputError) as caught:
        check(Example(**options))
    assert str(caught.value) == words
