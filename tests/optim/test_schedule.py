"""Which lane takes which slot: by counts alone, each lane once, in order, to the end of its evaluations."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_jax.optim import schedule
from nst_jax.optim.schedule import LOOK, WORTH_SHRINKING, Schedule, begun, filled, longest, passed, vacated

ENOUGH = WORTH_SHRINKING["cpu"]


def run(lanes: int, slots: int, evaluations: int, ends: dict[int, int], smallest: int, chunk) -> list[tuple]:
    """A whole course, without anything being computed: for each evaluation of a lane, (lane, number, batch).

    Args:
      ends: lanes that stop by themselves, after so many evaluations.
      chunk: from the longest that is allowed to the number of evaluations to take at once.
    """
    now, done, course = begun(lanes, slots), dict.fromkeys(range(lanes), 0), []
    over: set[int] = set()
    while len(over) < lanes:
        left = {lane: evaluations - count for lane, count in done.items()}
        before = now
        now, kept, fresh = filled(before, left, smallest)
        assert len(kept) == len(now.slots) == len(fresh)
        for slot, (old, new) in enumerate(zip((before.slots[k] for k in kept), now.slots, strict=True)):
            assert fresh[slot] == (old != new)
        assert len(now.slots) % smallest == 0
        left = {lane: evaluations - count for lane, count in done.items()}
        most = longest(now, left, done, smallest, False, None)
        assert most >= 1
        count = min(most, chunk(most))
        ended = set()
        for lane in now.running:
            own = min(count, ends.get(lane, evaluations) - done[lane])
            course += [(lane, done[lane] + i + 1, len(now.slots)) for i in range(own)]
            done[lane] += own
            if done[lane] >= min(evaluations, ends.get(lane, evaluations)):
                ended.add(lane)
        used_up = any(done[lane] >= evaluations for lane in ended)
        now = vacated(passed(now, count), ended, used_up)
        over |= ended
    assert now.waiting == ()
    assert now.running == ()
    return course


@settings(deadline=None)
@given(st.data())
def test_every_lane_has_its_evaluations_whatever_the_chunks(data):
    """And the course, with the sizes of the batch, does not depend on how long chunks are."""
    smallest = data.draw(st.sampled_from([1, 2]))
    slots = smallest * data.draw(st.integers(1, 4))
    lanes, evaluations = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 150))
    ends = data.draw(st.dictionaries(st.integers(0, lanes - 1), st.integers(1, evaluations)))
    courses = [
        run(lanes, slots, evaluations, ends, smallest, chunk)
        for chunk in (lambda _: 1, lambda most: most, lambda most: 1 + most // 3)
    ]
    for course in courses:
        for lane in range(lanes):
            own = [(number, batch) for who, number, batch in course if who == lane]
            assert [number for number, _ in own] == list(range(1, ends.get(lane, evaluations) + 1))
            assert own == [(number, batch) for who, number, batch in courses[0] if who == lane]


def test_waiting_lanes_take_slots_in_order():
    now, kept, fresh = filled(begun(5, 2), dict.fromkeys(range(5), 8), 1)
    assert (now.slots, now.waiting, kept, fresh) == ((0, 1), (2, 3, 4), (0, 1), (True, True))
    now = vacated(passed(now, 8), {0, 1}, look=True)
    now, _, fresh = filled(now, {2: 8, 3: 8, 4: 8}, 1)
    assert (now.slots, fresh) == ((2, 3), (True, True))


def test_slots_are_looked_at_every_so_often():
    """A lane that stops by itself leaves its slot empty until then."""
    now = filled(begun(3, 2), dict.fromkeys(range(3), 100), 1).schedule
    now = vacated(passed(now, 3), {1}, look=False)
    assert now.clock == 3
    assert filled(now, dict.fromkeys(range(3), 97), 1).schedule == now
    assert longest(now, {0: 97}, {0: 3}, 1, False, None) == LOOK - 3
    now = passed(now, LOOK - 3)
    assert filled(now, dict.fromkeys(range(3), 80), 1).schedule.slots == (0, 2)


@pytest.mark.parametrize(("platform", "left", "slots"), [
    ("cpu", 50, 1), ("gpu", 50, 4), ("gpu", 499, 4), ("gpu", 500, 1), ("tpu", 10**6, 4),
])  # fmt: skip
def test_where_another_program_costs_more_than_it_saves_the_batch_stays(platform, left, slots):
    half = Schedule((4, None, None, None), ())
    assert len(filled(half, {4: left}, 1, platform).schedule.slots) == slots


def test_a_batch_that_is_half_empty_is_halved_where_it_is_worth_it():
    half = Schedule((None, 4, None, None), ())
    now, kept, fresh = filled(half, {4: ENOUGH}, 1)
    assert (now.slots, kept, fresh) == ((4,), (1,), (False,))
    assert filled(half, {4: ENOUGH}, 2).schedule.slots == (4, None)
    assert filled(half, {4: ENOUGH - 1}, 1).schedule == half
    assert filled(half, {4: ENOUGH}, 4).schedule == half  # lanes that belong together


def test_chunks_end_where_somebody_has_to_look():
    now = Schedule((0, 1), ())
    left, done = {0: 93, 1: 60}, {0: 7, 1: 40}
    assert longest(now, left, done, 2, False, None) == 60
    assert longest(now, left, done, 2, True, None) == schedule.TOLERANCE_WINDOW - 7
    assert longest(now, left, done, 2, False, 10) == 3
    assert longest(now._replace(waiting=(2,)), left, done, 2, False, None) == LOOK
