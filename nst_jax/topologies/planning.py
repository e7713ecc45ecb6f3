"""How a run would be cut up on chips that are not there, and what an evaluation takes at their peak."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

from nst_jax.devices import local_devices
from nst_jax.optim.engine import Engine
from nst_jax.topologies.chips import Topology, check_compiler, named
from nst_jax.topologies.compiling import Figures, Program, compiled
from nst_jax.topologies.shapes import OfShapes
from nst_jax.transfer import machine, plan
from nst_jax.transfer.lanes import Table
from nst_jax.transfer.transfer import optimizer_of


class Outlook(NamedTuple):
    """What one scale of a run would take."""

    plan: plan.Plan
    lanes: int
    """Of one process."""
    figures: Figures
    """Of the plan's program."""

    @property
    def at_peak(self) -> float:
        """The seconds that an evaluation of a batch takes where products, or the memory, are at the chips' peak."""
        return max(self.figures.arithmetic, self.figures.memory) / 1e3


class _Elsewhere:
    """As much of an engine as planning asks for."""

    def __init__(self, program: Program, compile: Callable[[Program], Figures]) -> None:
        self._program, self._compile = program, compile

    @cached_property
    def problem(self) -> Any:
        own = self._program
        return OfShapes(own.table, own.height, own.width, own.slots, own.strips)

    def program(self) -> Any:
        self.figures = self._compile(self._program)
        return self

    def memory_analysis(self) -> Any:
        return self

    @property
    def temp_size_in_bytes(self) -> int:
        return self.figures.temporaries

    @property
    def argument_size_in_bytes(self) -> int:
        return self.figures.arguments

    def argument_bytes(self) -> int:
        optimizer, slots = optimizer_of(self._program.table.settings), self._program.slots
        devices = local_devices()[:1]
        return Engine(self.problem, optimizer, evaluations=1, slots=slots, devices=devices).argument_bytes()


def target(topology: Topology) -> plan.Target:
    """Describes a topology's chips, free but for the share that is never planned with, as on a device that is there."""
    platform = "gpu" if topology.platform == "cuda" else topology.platform  # as JAX calls it of a device
    return plan.Target(platform, topology.chips, int(machine.SHARE * topology.chip.memory))


def outlook(
    table: Table,
    height: int,
    width: int,
    device: str,
    *,
    shares: int = 1,
    batch: int | None = None,
    memory: int | None = None,
    compile: Callable[[Program], Figures] = compiled,
    note: Callable[[str], None] = lambda text: None,
) -> Outlook:
    """Plans a run at one size as it would be planned there, by what the compiler says of its programs.

    A topology of several hosts has a process on each, with a share of the lanes, as `--distributed` makes it.

    Args:
      table: the lanes.
      height: of the pictures.
      width: likewise.
      device: a topology's name, see `chips.named`.
      shares: how many processes have a part of them; those of the topology's hosts come on top.
      batch, memory: see `plan.choose`.
      compile: what compiles a program.
      note: hears of each program that is compiled, which takes some 10 seconds.

    Returns:
      The plan, and what the compiler says of its program.

    Raises:
      InputError: no such topology, no compiler for it, or a lane that does not fit.
    """
    topology = named(device)
    check_compiler(topology)  # before anything is traced
    goal = target(topology)
    table = table._replace(settings=table.settings.on(goal.platform))

    def told(program: Program) -> Figures:
        cut = f" in {'+'.join(map(str, program.strips))} strips" if program.strips else ""
        note(f"compiling for {device}: {program.slots} lanes of {width}x{height}{cut}")
        return compile(program)

    def make(slots: int, strips: plan.Cuts) -> _Elsewhere:
        return _Elsewhere(Program(device, height, width, table, slots, strips), told)

    count = -(-len(table.lanes) // (shares * topology.hosts))
    chosen, found = plan.choose(make, count, batch=batch, memory=memory, target=goal)
    return Outlook(chosen, count, found.figures)
