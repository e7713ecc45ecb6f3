"""How many lanes a batch gets: by memory, in balanced rounds, over devices."""

import math
import re

import jax
import pytest
from small_sweep import LANES, engine, lane, problem, table, with_lanes

from nst_jax.errors import InputError
from nst_jax.optim.engine import Engine
from nst_jax.transfer import plan
from nst_jax.transfer.problem import Problem


@pytest.fixture(scope="module")
def own(params, picture):
    return problem(params, picture, LANES)


@pytest.fixture(params=[1, 2])
def devices(request, monkeypatch):
    """So many of them, for the planner and for sweeps."""
    chosen = jax.local_devices()[: request.param]
    monkeypatch.setattr(jax, "local_devices", lambda **_: chosen)
    return request.param


class Analysis:
    """Of a program that takes 100 bytes and 10 for each slot of a device, and 60 less the more it is cut."""

    def __init__(self, slots: int, strips: tuple[int, ...]) -> None:
        saved = 60 - 60 // (1 + sum(strips))
        self.temp_size_in_bytes, self.argument_size_in_bytes = 60 + 6 * slots - saved, 40 + 4 * slots


class Pretended:
    """What the planner needs of a sweep, without a compiler."""

    def __init__(
        self, slots: int, strips: tuple[int, ...], devices: int, shape: tuple[int, int, int], most: float = math.inf
    ) -> None:
        self.problem, self.batch, self.strips, self._devices = self, slots, strips, devices
        self.shape, self._most = shape, most

    def program(self):
        needed = self.memory_analysis().temp_size_in_bytes
        if needed > self._most:  # in the words of libtpu
            raise jax.errors.JaxRuntimeError(
                "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO temporaries "
                f"({needed / 1024:.5f}K) exceeds available HBM ({self._most / 1024:.5f}K)."
            )
        return self

    def argument_bytes(self):
        return self.memory_analysis().argument_size_in_bytes

    def memory_analysis(self):
        return Analysis(self.batch // self._devices, self.strips)


def choose(lanes: int, devices: int, side: int = 128, **options) -> plan.Plan:
    def make(slots: int, strips: tuple[int, ...]) -> Pretended:
        return Pretended(slots, strips, devices, (side, side, 3))

    chosen, sweep = plan.choose(make, lanes, **options)
    assert sweep.batch == chosen.batch
    assert chosen.devices == devices
    assert chosen.batch % devices == 0
    assert sweep.strips == chosen.strips
    slots = chosen.batch // devices
    assert chosen.bytes == 40 + 4 * slots + Analysis(slots, chosen.strips).temp_size_in_bytes
    return chosen


@pytest.mark.parametrize("devices", [1], indirect=True)
@pytest.mark.parametrize(
    ("lanes", "side", "options", "batch"),
    [
        (20, 128, {}, 4),  # what a CPU does best at this size
        (20, 256, {}, 1),
        (20, 64, {}, 10),  # 16 would do, but 10 and 10 wait for nobody
        (1, 32, {}, 1),
        (5, 128, {}, 3),  # 3 and 2
        (9, 128, {}, 3),
        (20, 128, {"batch": 7}, 7),
        (5, 128, {"batch": 7}, 5),
        (20, 128, {"memory": 130}, 3),  # of 4, 3 fit, in seven rounds
        (20, 64, {"memory": 185}, 7),  # of 10, 8 fit, in three rounds of 7
        (20, 128, {"memory": 110}, 1),
        (20, 128, {"batch": 7, "memory": 150}, 5),
        (6, 128, {"batch": 6, "memory": 150}, 3),
    ],
)
def test_batches(devices, lanes, side, options, batch):
    assert choose(lanes, devices, side, **options).batch == batch


@pytest.mark.parametrize("devices", [2], indirect=True)
@pytest.mark.parametrize(
    ("lanes", "options", "batch"),
    [(20, {}, 8), (5, {}, 6), (1, {}, 2), (20, {"batch": 3}, 4), (20, {"memory": 110}, 2), (9, {"batch": 100}, 10)],
)
def test_batches_over_two_devices(devices, lanes, options, batch):
    assert choose(lanes, devices, **options).batch == batch


def test_too_little_memory_for_one_lane(devices):
    with pytest.raises(InputError, match=re.escape("memory: one lane needs 0.00 GB")) as caught:
        choose(20, devices, memory=49)
    assert "\n" not in str(caught.value)
    assert "smaller size" in str(caught.value)


@pytest.mark.parametrize(
    ("most", "batch", "strips"), [(84, 4, ()), (83, 2, ()), (66, 1, ()), (65, 1, (2,)), (15, 1, (4, 2))]
)
@pytest.mark.parametrize("allowed", [140, 10_000])
@pytest.mark.parametrize("devices", [1], indirect=True)
def test_programs_that_the_compiler_refuses(devices, most, batch, strips, allowed):
    """As those of TPUs do: fewer lanes, then strips, whatever is allowed."""

    def make(slots: int, cuts: tuple[int, ...]) -> Pretended:
        return Pretended(slots, cuts, devices, (128, 128, 3), most)

    chosen, found = plan.choose(make, 4, memory=allowed)
    assert (chosen.batch, chosen.strips) == (found.batch, found.strips) == (batch, strips)


@pytest.mark.parametrize("devices", [1], indirect=True)
def test_other_errors_of_the_compiler_are_not_hidden(devices):
    class Broken(Pretended):
        def program(self):
            raise jax.errors.JaxRuntimeError("INTERNAL: 3.5G of nothing")

    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        plan.choose(lambda slots, cuts: Broken(slots, cuts, devices, (128, 128, 3)), 4)


@pytest.mark.parametrize("devices", [1], indirect=True)
def test_a_compiled_program_s_own_figures(own, devices):
    """Of real programs: more slots take more memory, and a limit makes fewer of them."""

    def make(slots: int, strips: tuple[int, ...]) -> Engine:
        return engine(own.cut(strips), evaluations=3, slots=slots)

    large, found = plan.choose(make, 2 * devices)
    assert large.batch == 2 * devices
    assert found.compilations == 1
    assert large.bytes > 32 * 48 * 64 * 4 * 2  # the activations of a layer, for two slots
    small, found = plan.choose(make, 2 * devices, memory=large.bytes - 1)
    assert small.batch < large.batch
    assert 0 < small.bytes < large.bytes
    assert len(found.schedule.slots) == small.batch


def test_a_lane_that_does_not_fit_is_cut(devices):
    """Into no more strips than it takes; and from strips that are given, into no fewer."""
    assert choose(20, devices, memory=110).strips == ()
    assert choose(20, devices, memory=109).strips == (2,)
    assert choose(20, devices, memory=65).strips == (2, 1)
    deepest = choose(20, devices, memory=54)
    assert (deepest.batch, deepest.strips) == (devices, (8, 4, 4, 2))
    assert choose(20, devices, cuts=(7, 2)).strips == (7, 2)
    assert choose(20, devices, 1024).strips == (16, 8)  # large enough to be cut at once


@pytest.mark.slow
def test_a_picture_s_program(params, picture):
    """Of real programs: whole where that fits, then in strips that do fit, then refused with the least it takes."""
    pictures = {"photo": picture("photograph", 256, 128)}
    whole_picture = Problem(params, pictures, pictures, table([lane(0, 0.0, layers="conv2_1", style="photo")]))
    made: list[tuple[int, ...]] = []

    def make(strips: tuple[int, ...]) -> Engine:
        made.append(strips)
        return engine(whole_picture.cut(strips), evaluations=3, slots=1)

    def needed(strips: tuple[int, ...]) -> int:
        analysis = make(strips).program().memory_analysis()
        return analysis.temp_size_in_bytes + analysis.argument_size_in_bytes

    assert plan.strips_of(make) == ()
    whole = needed(())
    assert plan.strips_of(make, whole) == ()
    cut = plan.strips_of(make, whole - 1)
    assert cut
    assert needed(cut) < whole
    with pytest.raises(InputError, match=r"^memory: one lane needs 0\.0\d GB in strips"):
        plan.strips_of(make, 1000)


@pytest.mark.parametrize("devices", [1], indirect=True)
def test_what_fits_without_doubt_is_not_compiled(own, devices):
    found: list[Engine] = []

    def make(strips: tuple[int, ...]) -> Engine:
        found.append(engine(own.cut(strips), evaluations=3, slots=1))
        return found[-1]

    assert plan.strips_of(make) == ()
    assert sum(one.compilations for one in found) == 0


def test_lanes_of_a_plan_fill_its_slots(own):
    current = engine(with_lanes(own, [lane(n) for n in range(3)]), evaluations=1, slots=4)
    current.advance()
    assert current.finished
