"""Groups of a table's lanes: each has a program of its own."""

from dataclasses import replace
from typing import Any, NamedTuple

from nst_jax.transfer.lanes import Table, heading


class Group(NamedTuple):
    """Lanes of a table that share one program."""

    number: int
    """Among the table's groups."""
    table: Table
    """With all settings that its lanes share."""
    numbers: tuple[int, ...]
    """Of its lanes in the whole table."""
    label: str
    """What sets it apart from the table's other groups; "" where there are none."""


OF_LANES = ("color", "color_match", "noise", "region_weights", "style_scale", "style_size", "tv")
"""Settings that are arrays of a program and may differ between its lanes, beside those that lanes tell themselves."""


def groups(table: Table) -> tuple[Group, ...]:
    """Splits a table where lanes differ in what a program is made of, in the order of each group's first lane.

    Args:
      table: any.

    Returns:
      The groups, at least one.
    """
    found: dict[tuple[tuple[str, Any], ...], list[int]] = {}
    for number, lane in enumerate(table.lanes):
        found.setdefault(tuple((name, value) for name, value in lane.own if name not in OF_LANES), []).append(number)
    apart = {name for own in found for name, _ in own}
    made = []
    for own, numbers in found.items():
        settings = replace(table.settings, **dict(own))
        kept = tuple(
            replace(lane, own=tuple((name, value) for name, value in lane.own if name in OF_LANES))
            for lane in map(table.lanes.__getitem__, numbers)
        )
        label = ", ".join(heading(name, getattr(settings, name)) for name in sorted(apart))
        made.append(Group(len(made), table._replace(lanes=kept, settings=settings), tuple(numbers), label))
    return tuple(made)
