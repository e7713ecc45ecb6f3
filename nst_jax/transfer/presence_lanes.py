"""Lanes whose presence is asked: which searches they need, and the α and β that come of them."""

import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

from nst_jax.transfer.lanes import Lane, Table
from nst_jax.transfer.presence import Found
from nst_jax.transfer.settings import Settings

Search = Callable[[int, Settings, Sequence[float]], Sequence[Found]]
"""From the number of a lane, all of its settings and presences to what is found for them, as `presence.ratios_for`."""
Heard = Callable[[Lane, Found], None]


def warned(lane: Lane, found: Found) -> None:
    """Hears what was found for a lane; warns of what cannot be reached."""
    if not found.reached:
        warnings.warn(f"{lane.name}: {found}", stacklevel=2)


def with_ratios(
    table: Table, search: Search, heard: Heard = warned, apart: Callable[[int], Hashable] = lambda number: None
) -> Table:
    """Finds α and β of the lanes whose presence is asked; others are as they were.

    Lanes that differ in nothing but presence, seed and headings have one search together, with the seed of the first.

    Args:
      table: whose lanes share its settings.
      search: does one search.
      heard: hears of each presence that was searched for, with the first lane that has it.
      apart: from a lane's number to what else its ratio depends on.

    Returns:
      The table; its lanes have the ratio found as α, and 1 as β, beside the presence that was asked.

    Raises:
      InputError: as `search`.
    """
    alike: dict[Hashable, list[int]] = {}
    for number, lane in enumerate(table.lanes):
        if lane.searched:
            weighed = (lane.content_layers, lane.style_layers)
            alike.setdefault((lane.content, lane.style, *weighed, lane.own, apart(number)), []).append(number)
    lanes = list(table.lanes)
    for numbers in alike.values():
        asked: dict[float, Lane] = {}
        for lane in map(lanes.__getitem__, numbers):
            asked.setdefault(lane.presence or 0.0, lane)
        found = search(numbers[0], _settings(lanes[numbers[0]], table.settings), [*asked])
        for lane, each in zip(asked.values(), found, strict=True):
            heard(lane, each)
        by_presence = dict(zip(asked, found, strict=True))
        for number in numbers:
            own = by_presence[lanes[number].presence or 0.0]
            lanes[number] = replace(lanes[number], alpha=own.ratio, beta=1.0, expected=own.expected)
    return table._replace(lanes=tuple(lanes), settings=replace(table.settings, presence=None))


def _settings(lane: Lane, shared: Settings) -> Settings:
    """All of a lane's settings, with those that it tells itself; no ratio."""
    return replace(
        lane.within(shared),
        presence=None,
        ratio=None,
        alpha=None,
        beta=None,
        content_layers=tuple(f"{layer}:{weight!r}" for layer, weight in lane.content_layers),
        style_layers=tuple(layer for layer, _ in lane.style_layers),
        style_weights=tuple(weight for _, weight in lane.style_layers),
        seed=lane.seed,
    )
