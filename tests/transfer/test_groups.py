"""Groups of lanes, each of which one program serves."""

from nst_jax.transfer.axes import Axes
from nst_jax.transfer.groups import groups
from nst_jax.transfer.lanes import table
from nst_jax.transfer.settings import Settings

CONTROLS = Axes(ratio=(1e-4, 1e-2), seed=(0, 1), vary=(("color", ("painting", "match")), ("pool", ("avg", "max"))))


def test_groups_are_of_lanes_that_one_program_serves():
    whole = table(["photo.png"], ["painting.png"], CONTROLS, Settings())
    average, most = groups(whole)
    assert (average.label, most.label) == ("pool avg", "pool max")
    assert sorted((*average.numbers, *most.numbers)) == list(range(16))
    assert (average.table.settings.pool, most.table.settings.pool) == ("avg", "max")
    assert {lane.own for lane in most.table.lanes} == {(), (("color", "match"),)}
    assert [lane.name for lane in most.table.lanes] == [whole.lanes[number].name for number in most.numbers]
    (only,) = groups(table(["photo.png"], ["painting.png"], Axes(ratio=(1e-4, 1e-2)), Settings()))
    assert (only.label, only.numbers) == ("", (0, 1))
