"""What a setting is: its default, range and help, how it is read from text, and the check of its values."""

import numbers as kinds
import re
from collections.abc import Callable
from dataclasses import field, fields
from typing import Any

from nst_jax.errors import InputError, argument


def layers(text: str) -> tuple[str, ...]:
    """Reads "conv1_1,conv2_1" as layer names."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def numbers(text: str) -> tuple[float, ...]:
    """Reads "0.2,0.8" as numbers."""
    return tuple(float(part) for part in text.split(","))


def whole_numbers(text: str) -> tuple[int, ...]:
    """Reads "0,1,2"."""
    return tuple(int(part) for part in text.split(","))


def regions(text: str) -> tuple[str, ...]:
    """Reads "sky.png=sea.jpg,ground.png=field.jpg" as regions with their paintings."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def layer_sets(text: str) -> tuple[tuple[str, ...], ...]:
    """Reads "conv1_1;conv1_1,conv2_1" as sets of layer names."""
    return tuple(map(layers, text.split(";")))


def number_sets(text: str) -> tuple[tuple[float, ...], ...]:
    """Reads "1;0.5,0.5" as sets of numbers."""
    return tuple(map(numbers, text.split(";")))


def size_in_bytes(text: str) -> int:
    """Reads "4GB" or "512MiB"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *([kMGT]?)(i?)B?", text)
    if not match:
        raise InputError(f"{text!r} is not a size such as 4GB")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** " kMGT".index(match[2] or " "))


_ONE = (float, int, size_in_bytes, bool, str)
"""What reads one value; the others read tuples."""
SEVERAL = (layers, numbers, regions)
"""What reads the settings whose one value is several."""
_KINDS: dict[Any, tuple[type, str]] = {
    float: (kinds.Real, "a number"),
    int: (kinds.Integral, "a whole number"),
    size_in_bytes: (kinds.Integral, "a whole number of bytes"),
    bool: (bool, "True or False"),
    str: (str, "text"),
    layers: (str, "names of layers"),
    regions: (str, "masks with their paintings"),
    layer_sets: (str, "sets of names of layers"),
    numbers: (kinds.Real, "numbers"),
    number_sets: (kinds.Real, "sets of numbers"),
    whole_numbers: (kinds.Integral, "whole numbers"),
}
"""What reads a setting from text, and what its value is made of."""


def setting(
    default: Any, group: str, parse: Callable[[str], Any], help: str, *, kind=None, range=None, choices=None,
    metavar=None, repeated=None,
) -> Any:  # fmt: skip
    """A dataclass field that says all there is to say about a setting.

    Args:
      default: its value unless one is given.
      group: commands take whole groups of settings.
      parse: reads it from a command line.
      help: what it means, for people.
      kind: what its value is made of, a type and its name for people, where that does not follow from `parse`.
      range: the least and the most that is allowed, of each number in it.
      choices: the words, or numbers, that are allowed.
      metavar: what stands for its value in `--help`.
      repeated: what reads one part of the value, where the option takes one and may be given several times.

    Returns:
      The field.
    """
    about = {"group": group, "parse": parse, "help": help, "kind": kind or _KINDS[parse]}
    about |= {"range": range, "choices": choices, "metavar": metavar, "repeated": repeated}
    return field(default=default, metadata=about)


def as_tuples(value: Any) -> Any:
    """Turns lists, ranges and arrays, and what is inside of them, into tuples, which settings are made of."""
    value = value.tolist() if hasattr(value, "tolist") else value  # of NumPy or JAX
    return tuple(map(as_tuples, value)) if isinstance(value, list | tuple | range) else value


def check(options: Any) -> None:
    """Checks a dataclass of settings.

    Args:
      options: the dataclass, each of whose fields is a `setting`.

    Raises:
      InputError: a value that is not allowed, the first one.
    """
    for item in fields(options):
        about, value = item.metadata, getattr(options, item.name)
        kind, name = about["kind"]
        if value is None and item.default is None:
            continue
        if isinstance(value, tuple) == (about["parse"] in _ONE) or value is None:
            one = f"one value, {name}" if about["parse"] in _ONE else f"several, a tuple of {name}"
            raise InputError(f"{argument(item.name)}: {value!r} is not allowed; must be {one}")
        for part in _flat(value):
            if not isinstance(part, kind) or (isinstance(part, bool) and kind is not bool):
                raise InputError(f"{argument(item.name)}: {part!r} is not allowed; must be {name}")
            if about["choices"] and part not in about["choices"]:
                known = ", ".join(map(str, about["choices"]))
                raise InputError(f"{argument(item.name)}: {part!r} is unknown; known are {known}")
            if about["range"] and not (about["range"][0] <= part <= about["range"][1]):
                least, most = about["range"]
                raise InputError(f"{argument(item.name)}: {part} is not allowed; must be from {least} to {most}")


def _flat(value: Any) -> tuple[Any, ...]:
    return tuple(part for each in value for part in _flat(each)) if isinstance(value, tuple) else (value,)
