"""Plans for devices that are not there, with compilers that are made up here."""

import re

import jax
import pytest

from nst_jax.errors import InputError
from nst_jax.topologies import chips, planning
from nst_jax.topologies.compiling import Figures
from nst_jax.topologies.planning import outlook
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import table
from nst_jax.transfer.settings import Settings

GB = 10**9


@pytest.fixture(autouse=True)
def _installed(monkeypatch):
    monkeypatch.setattr(planning, "check_compiler", lambda topology: None)


class Compiler:
    """One whose programs take so many GB a lane, less in strips, and that refuses what a chip does not have."""

    def __init__(self, each: float) -> None:
        self.each, self.asked = each, []

    def __call__(self, program):
        self.asked.append((program.slots, program.strips))
        topology = chips.named(program.topology)
        needed = self.each * program.slots / topology.chips / (1 + sum(program.strips)) * GB
        if needed > topology.chip.memory:
            raise jax.errors.JaxRuntimeError(f"RESOURCE_EXHAUSTED: HLO temporaries ({needed / 2**30:.4f}G)")
        return Figures(GB // 10, int(needed), 0, 0, 0, 0, 12.0 * program.slots, 5.0, (), {}, 1.0)


def lanes(count, **settings):
    return table(["photo"], ["painting"], Axes(seed=tuple(range(count))), Settings(**settings))


@pytest.mark.parametrize(("device", "each", "batch"), [
    ("v5e:1x1", 0.5, 20), ("v5e:2x2", 0.5, 20), ("v5e:1x1", 1.5, 7), ("v5e:2x2", 5, 8), ("h100", 3, 20),
])  # fmt: skip
def test_as_many_lanes_as_fit_in_rounds_of_equal_length(device, each, batch):
    compiler = Compiler(each)
    found = outlook(lanes(20), 64, 64, device, compile=compiler)
    assert found.plan.batch == batch
    assert found.plan.devices == chips.named(device).chips
    assert found.plan.bytes == found.figures.temporaries + found.figures.arguments
    assert found.plan.bytes < 0.8 * chips.named(device).chip.memory
    assert found.at_peak == pytest.approx(0.012 * batch)
    assert len(compiler.asked) == len(set(compiler.asked)) <= 3


def test_each_host_has_a_share():
    found = outlook(lanes(20), 64, 64, "v5e:4x4", compile=Compiler(1))
    assert (found.lanes, found.plan.devices, found.plan.batch) == (5, 4, 8)


def test_one_lane_that_does_not_fit_whole_is_cut():
    found = outlook(lanes(2), 2048, 2048, "v5e:1x1", compile=Compiler(100))
    assert found.plan.batch == 1
    assert sum(found.plan.strips) > 7


def test_a_lane_that_fits_no_device():
    with pytest.raises(InputError, match=re.escape("memory: one lane needs ")) as caught:
        outlook(lanes(1), 64, 64, "v5e:1x1", compile=Compiler(1000))
    assert "13.53 GB are allowed" in str(caught.value)


def test_each_program_is_told_of():
    told = []
    outlook(lanes(20), 64, 96, "v5e:1x1", compile=Compiler(1.5), note=told.append)
    assert told == [f"compiling for v5e:1x1: {count} lanes of 96x64" for count in (20, 7)]


def test_what_a_user_asks_for():
    assert outlook(lanes(6), 64, 64, "v5e:1x1", batch=2, compile=Compiler(1)).plan.batch == 2
    assert outlook(lanes(6), 64, 64, "v5e:1x1", memory=3 * GB, compile=Compiler(1)).plan.batch == 2
    assert outlook(lanes(6), 64, 64, "v5e:1x1", shares=2, compile=Compiler(1)).plan.batch == 3


@pytest.mark.parametrize(("device", "precision"), [("v5e:1x1", "bfloat16"), ("h100", "tensorfloat32")])
def test_the_precision_is_that_of_the_device(device, precision):
    found = []

    def compiler(program):
        found.append(program.table.settings.precision)
        return Compiler(0.1)(program)

    outlook(lanes(1), 64, 64, device, compile=compiler)
    outlook(lanes(1, precision="float32"), 64, 64, device, compile=compiler)
    assert found == [precision, "float32"]
