"""Which of a run's lanes this process does, when several processes fill one folder."""

import inspect
import os

import jax

from nst_jax.errors import InputError, argument
from nst_jax.runs.options import RunOptions
from nst_jax.transfer.groups import Group, groups
from nst_jax.transfer.lanes import Lane, Table

LONGEST_WAIT = 30 * 24 * 3600  # seconds for which a share that is done waits for others; after JAX's 300, all abort


def share_of(options: RunOptions) -> tuple[int, int]:
    """This process's share and the number of shares; initializes jax.distributed when asked to.

    Raises InputError when there is no cluster to be found, or several shares would overwrite a run.
    """
    if options.force and (options.distributed or options.share[1] > 1):
        raise InputError(f"{argument('force')}: not allowed with several shares; remove the folder first")
    if not options.distributed:
        return options.share
    patient = {}
    if "shutdown_timeout_seconds" in inspect.signature(jax.distributed.initialize).parameters:  # from JAX 0.8 or so
        patient["shutdown_timeout_seconds"] = LONGEST_WAIT
    address = os.environ.get("JAX_COORDINATOR_ADDRESS")
    if address:  # otherwise JAX knows from the cluster: Slurm, TPU pod, MPI, Kubernetes
        try:
            count, own = (int(os.environ[name]) for name in ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID"))
        except (KeyError, ValueError):
            raise InputError(
                f"{argument('distributed')}: JAX_COORDINATOR_ADDRESS needs JAX_NUM_PROCESSES and JAX_PROCESS_ID"
            ) from None
        jax.distributed.initialize(address, count, own, **patient)
    else:
        try:
            jax.distributed.initialize(**patient)
        except ValueError:
            raise InputError(
                f"{argument('distributed')}: no cluster found; set JAX_COORDINATOR_ADDRESS or use {argument('share')}"
            ) from None
    return jax.process_index(), jax.process_count()


def own_lanes(group: Group, share: int, shares: int) -> tuple[Lane, ...]:
    """Of lanes that share a program, every `shares`-th; the next group begins with the next share."""
    return group.table.lanes[(share - group.number) % shares :: shares]


def check_share(table: Table, share: int, shares: int) -> None:
    """Raises InputError when a share has no lane in any group of the table."""
    if not any(own_lanes(group, share, shares) for group in groups(table)):
        raise InputError(
            f"{argument('share')}: {shares} shares of {len(table.lanes)} lanes leave none for share {share}"
        )
