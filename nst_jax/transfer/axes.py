"""What a sweep varies: its axes, each by a setting's name, from the command line and from Python."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from nst_jax.errors import InputError, argument
from nst_jax.network.layers import LAYERS, ROWS
from nst_jax.transfer.fields import (
    SEVERAL,
    as_tuples,
    check,
    layer_sets,
    layers,
    number_sets,
    numbers,
    setting,
    whole_numbers,
)
from nst_jax.transfer.settings import Settings

_OWN = {item.name: item for item in fields(Settings)}
EXCLUDED = {
    "presence": ("ratio", "alpha", "beta"),
    "ratio": ("presence", "alpha", "beta"),
    "alpha": ("presence", "ratio"),
    "beta": ("presence", "ratio"),
}
"""What says how content is weighed against style, each with what says the same otherwise."""
UNVARIED = ("scales", "bits", "max_pixels", "style_blend")
"""Settings that all lanes of a run share."""


def axis(text: str) -> tuple[str, tuple[Any, ...]]:
    """Reads "pool=avg,max" as a setting and its values.

    Args:
      text: a setting's name, with hyphens or underscores, and values as its own option takes them; values that have
        commas themselves are separated by semicolons.

    Returns:
      The name as in Python, and the values.

    Raises:
      InputError: no such setting, or a value that cannot be read.
    """
    written, _, listed = text.partition("=")
    name = written.strip().replace("-", "_")
    if name not in _OWN:
        known = ", ".join(each.replace("_", "-") for each in _OWN if each not in UNVARIED)
        raise InputError(f"{written!r} is no setting; known are {known}")
    parse = _OWN[name].metadata["parse"]
    separator = ";" if parse in SEVERAL else ","
    try:
        return name, tuple(parse(part.strip()) for part in listed.split(separator) if part.strip())
    except ValueError as error:
        raise InputError(f"{written}: {error}") from None


@dataclass(frozen=True)
class Axes:
    """What a sweep varies; an empty axis takes its one value from the settings.

    Raises:
      InputError: values that are not allowed or exclude each other; the message names the axis.

    Example:
      >>> axes = nst.transfer.Axes(ratio=(1e-4, 1e-3), seed=(0, 1, 2))
      >>> len(axes.ratio) * len(axes.seed), axes.rows
      (6, ())
    """

    ratio: tuple[float, ...] = setting((), "axes", numbers, "values of α/β (default: 1e-3, or the convention's)")
    alpha: tuple[float, ...] = setting((), "axes", numbers, "values of α, instead of --ratio")
    beta: tuple[float, ...] = setting((), "axes", numbers, "values of β, instead of --ratio")
    presence: tuple[float, ...] = setting(
        (), "axes", numbers, "how much of the photograph is to be there, from 0 to 1, instead of --ratio: correlations "
        "of conv4_2 with the photograph's. The α/β that give them are found first, on small pictures",
    )  # fmt: skip
    rows: tuple[str, ...] = setting(
        (), "axes", layers, "cumulative subsets of style layers as in figure 3, out of A,B,C,D,E", choices=tuple(ROWS)
    )
    style_layers: tuple[tuple[str, ...], ...] = setting(
        (), "axes", layer_sets, "sets of style layers, instead of --rows", choices=LAYERS
    )
    style_weights: tuple[tuple[float, ...], ...] = setting(
        (), "axes", number_sets, "sets of w_l, each with one for each style layer"
    )
    seed: tuple[int, ...] = setting((), "axes", whole_numbers, "seeds of the white noise (default: 0)")
    vary: tuple[tuple[str, tuple[Any, ...]], ...] = setting(
        (),
        "vary",
        axis,
        "values of any other setting, by its name, such as color=painting,luminance or pool=avg,max; several layers or "
        "numbers for one value are separated by commas, and then the values by semicolons. May be given several times",
        kind=(object, "a setting's name and its values"),
        metavar="NAME=VALUES",
        repeated=axis,
    )
    grid_rows: str | None = setting(None, "axes", str, "the axis that the grid's rows are", metavar="NAME")
    grid_columns: str | None = setting(
        None,
        "axes",
        str,
        "the axis that its columns are (default: ratio, or else the last that varies)",
        metavar="NAME",
    )

    def __post_init__(self) -> None:
        check(self)
        further: dict[str, tuple[Any, ...]] = {}
        for name, values in self.vary:
            if name in UNVARIED or name not in _OWN:
                known = ", ".join(each for each in _OWN if each not in UNVARIED)
                raise InputError(f"{argument(name)}: lanes cannot differ in it; they can in {known}")
            if not values:
                raise InputError(f"{argument(name)}: no values to vary are given; give one or more")
            if name in further or getattr(self, name, ()):
                raise InputError(f"{argument(name)}: varied twice; give all of its values at once")
            further[name] = values
        for name in [name for name in further if hasattr(self, name)]:  # an axis with an option of its own
            object.__setattr__(self, name, further.pop(name))
        object.__setattr__(self, "vary", tuple(further.items()))
        check(self)
        if self.rows and self.style_layers:
            together = f"not allowed together with {argument('style_layers')}"
            raise InputError(f"{argument('rows')}: {together}; give one or the other")
        if self.ratio and (self.alpha or self.beta):
            together = f"not allowed together with {argument('alpha')} or {argument('beta')}"
            raise InputError(f"{argument('ratio')}: {together}; give one or the other")
        if self.presence and (self.ratio or self.alpha or self.beta):
            together = f"not allowed together with {argument('ratio')}, {argument('alpha')} or {argument('beta')}"
            raise InputError(f"{argument('presence')}: {together}; give one or the other")


def given(options: Mapping[str, Any], *, axes: bool = False, settings: Settings | None = None) -> tuple[Settings, Axes]:
    """Reads settings as Python functions take them, by name: each a value or, where there is such an axis, several.

    Args:
      options: by name.
      axes: whether several values are allowed, of any setting that lanes need not share.
      settings: what is not among the options is as it is here.

    Returns:
      The settings, and the axes of what has several values.

    Raises:
      InputError: an unknown name, several values of what takes one, or a value that is not allowed.
    """
    own = {item.name for item in fields(Settings)}
    along = {item.name for item in fields(Axes)} - {"vary", "grid_rows", "grid_columns"}  # which are the command's
    chosen, varied, others = {} if settings is None else dict(vars(settings)), {}, []
    for name, value in options.items():
        if name not in own and not (axes and name in along):
            names = [item.name for item in (*fields(Settings), *fields(Axes)) if item.name in own | along]
            known = ", ".join(dict.fromkeys(name for name in names if name in own or axes))
            raise InputError(f"{argument(name)}: unknown; known are {known}")
        value = as_tuples(value)  # noqa: PLW2901
        tuples = name in _OWN and _OWN[name].metadata["parse"] in SEVERAL
        several = isinstance(value, tuple) and (not tuples or (value and isinstance(value[0], tuple)))
        if axes and name == "rows":
            varied[name] = tuple(value) if isinstance(value, str) else value  # "ACE" as well
        elif axes and name in along and several:
            varied[name] = value
        elif axes and several and name in own:
            others.append((name, value))
        else:
            chosen[name] = value
    for name in varied:
        if both := [other for other in EXCLUDED.get(name, ()) if chosen.get(other) is not None]:
            together = f"not allowed together with {argument(both[0])}"
            raise InputError(f"{argument(name)}: {together}; give one or the other")
    return Settings(**chosen), Axes(**varied, vary=tuple(others))
