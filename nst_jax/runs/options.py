"""How a run is run, apart from what it computes."""

import re
from dataclasses import dataclass
from numbers import Integral

from nst_jax.errors import InputError, argument
from nst_jax.transfer.batching import Batching
from nst_jax.transfer.fields import setting

MANY_LANES = 10_000
"""More than that are asked about."""


def share(text: str) -> tuple[int, int]:
    """Reads "0/4" as share 0 of 4."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not match or int(match[1]) >= int(match[2]):
        raise InputError(f"{text!r} must be K/N with K from 0 to N - 1")
    return int(match[1]), int(match[2])


@dataclass(frozen=True)
class RunOptions(Batching):
    """The options of a run. Raises InputError, naming the option, for values that are not allowed.

    Attributes:
      share: this process's share of the lanes, from 0, and the number of shares.
    """

    dry_run: bool = setting(False, "begin", bool, "tell the lanes, batches, memory and time, and stop")
    device: str | None = setting(
        None,
        "begin",
        str,
        "with --dry-run: tell it for a device that need not be here, such as v5e:2x2 or h100, by its own compiler",
        metavar="NAME",
    )
    yes: bool = setting(False, "begin", bool, f"go on with more than {MANY_LANES:,} lanes")
    force: bool = setting(False, "begin", bool, "overwrite a run that is in the folder")
    checkpoint_every: float = setting(
        60.0, "work", float, "how often what resume needs is written", range=(0, 1e6), metavar="SECONDS"
    )
    share: tuple[int, int] = setting(
        (0, 1), "work", share, "do share K (from 0) of N, of a folder that several processes fill",
        metavar="K/N", kind=(Integral, "K/N"),
    )  # fmt: skip
    distributed: bool = setting(
        False, "work", bool, "take the share from jax.distributed: TPU pod, Slurm, or JAX_COORDINATOR_ADDRESS"
    )
    serve: int | None = setting(
        None, "serve", int,
        "show the run's page at this port of 127.0.0.1 while it goes on: pictures and losses come in by themselves "
        "(without a number: at a free port)", range=(0, 65535), metavar="PORT",
    )  # fmt: skip
    on: str | None = setting(
        None, "work", str,
        "who does the run's shares: processes, one a core or GPU, or processes:N; dask:ADDRESS, a scheduler's workers; "
        "slurm, an array of jobs, or slurm:KEY=VALUE,... with what sbatch is to be told", metavar="ENGINE",
    )  # fmt: skip
    shares: int | None = setting(
        None, "begin", int, "with --on: into how many tasks the lanes are divided (default: two for each worker)",
        range=(1, 100_000),
    )  # fmt: skip
    tensorboard: str | None = setting(
        None, "work", str, "also write losses, measures and pictures of each lane into this folder, for TensorBoard "
        "(extra tensorboard)", metavar="DIR",
    )  # fmt: skip
    quiet: bool = setting(False, "work", bool, "no progress, no summary")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.device is not None and not self.dry_run:
            raise InputError(f"{argument('device')}: only with {argument('dry_run')}")
        for name in ("serve", "tensorboard"):
            if getattr(self, name) is not None and self.dry_run:
                raise InputError(f"{argument(name)}: not allowed with {argument('dry_run')}")
        if self.on is not None and (self.distributed or self.share != (0, 1) or self.dry_run):
            others = " or ".join(argument(name) for name in ("distributed", "share", "dry_run"))
            raise InputError(f"{argument('on')}: not allowed together with {others}")
        if self.shares is not None and self.on is None:
            raise InputError(f"{argument('shares')}: only with {argument('on')}")
