"""Lanes whose presence is asked: which searches they need, and what they are afterwards."""

import pytest

from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import Table, as_json, from_json, table
from nst_jax.transfer.presence import Found
from nst_jax.transfer.presence_lanes import with_ratios
from nst_jax.transfer.settings import Settings

PRESENCES = (0.2, 0.6)
REACHED = 0.5


class Searches:
    """A search that finds a hundredth of each presence, and reaches those up to 0.5; and what it was asked for."""

    def __init__(self):
        self.asked: list[tuple[int, Settings, list[float]]] = []

    def __call__(self, number, settings, presences):
        self.asked.append((number, settings, list(presences)))
        return [Found(each, each / 100, min(each, REACHED), each <= REACHED) for each in presences]


def of(axes: Axes, contents=("photo",), styles=("painting",), **settings) -> Table:
    return table(contents, styles, axes, Settings(**settings))


@pytest.mark.filterwarnings("ignore:.*cannot be reached")
def test_lanes_that_are_alike_have_one_search_with_all_presences():
    made = of(Axes(presence=PRESENCES, seed=(3, 4)), styles=("one", "other"), color="match")
    search = Searches()
    found = with_ratios(made, search)
    assert [(number, asked) for number, _, asked in search.asked] == [(0, [0.2, 0.6]), (4, [0.2, 0.6])]
    for _, settings, _ in search.asked:
        assert (settings.presence, settings.ratio, settings.seed, settings.color) == (None, None, 3, "match")
    assert [(lane.alpha, lane.beta, lane.presence, lane.expected) for lane in found.lanes] == 4 * [
        (0.002, 1.0, 0.2, 0.2), (0.006, 1.0, 0.6, 0.5)
    ]  # fmt: skip
    assert not any(lane.searched for lane in found.lanes)
    assert [lane.name for lane in found.lanes] == [lane.name for lane in made.lanes]


@pytest.mark.parametrize("axes", [
    {"vary": (("color", ("painting", "match")),)},
    {"vary": (("pool", ("avg", "max")),)},
    {"vary": (("content_layers", (("conv4_2",), ("conv3_2:0.25", "conv4_2"))),)},
    {"style_layers": (("conv1_1", "conv2_1"), ("conv3_1",))},
    {"rows": ("A", "B")},
])  # fmt: skip
def test_whatever_a_ratio_depends_on_sets_searches_apart(axes):
    """Each has the settings of its lanes, as they would be given."""
    made, search = of(Axes(presence=(0.4,), **axes), ratio_size=192), Searches()
    found = with_ratios(made, search)
    assert [number for number, _, _ in search.asked] == [0, 1]
    for (_, settings, _), lane in zip(search.asked, found.lanes, strict=True):
        assert tuple(settings.content_weights.items()) == lane.content_layers
        assert tuple(settings.layer_weights.items()) == lane.style_layers
        assert all(getattr(settings, name) == value for name, value in lane.own)
        assert settings.ratio_size == 192


def test_what_else_sets_lanes_apart():
    search = Searches()
    with_ratios(of(Axes(presence=(0.4,), seed=(0, 1, 2))), search, apart=lambda number: number > 0)
    assert [number for number, _, _ in search.asked] == [0, 1]


def test_a_presence_of_all_lanes_is_one_of_each():
    search = Searches()
    found = with_ratios(of(Axes(seed=(0, 1)), presence=0.4), search)
    assert [asked for _, _, asked in search.asked] == [[0.4]]
    assert [lane.alpha for lane in found.lanes] == [0.004, 0.004]
    assert found.settings == Settings()


def test_nothing_is_searched_for_twice():
    """Nor what was read from run.json."""
    found = with_ratios(of(Axes(presence=(0.4,))), Searches())
    again = from_json(as_json(found), found.settings)
    assert again == found
    search = Searches()
    assert with_ratios(again, search) == found
    assert with_ratios(of(Axes(ratio=(0.1, 0.2))), search) == of(Axes(ratio=(0.1, 0.2)))
    assert search.asked == []


def test_what_cannot_be_reached_is_warned_of():
    with pytest.warns(UserWarning, match=r"^1_presence-0.6: presence 0.6: cannot be reached; the nearest is 0.50, at"):
        with_ratios(of(Axes(presence=PRESENCES)), Searches())
    heard = []
    with_ratios(of(Axes(presence=PRESENCES)), Searches(), lambda lane, found: heard.append(f"{lane.column}: {found}"))
    assert heard == [
        "presence 0.2: presence 0.2: α/β 2e-3 (expected 0.20)",
        "presence 0.6: presence 0.6: cannot be reached; the nearest is 0.50, at α/β 6e-3",
    ]
