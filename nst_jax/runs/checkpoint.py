"""A sweep's state as arrays in one .npz file: all that the optimizer needs to go on to the same bytes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.errors import InputError
from nst_jax.pictures import files
from nst_jax.transfer.sweep import Record, Sweep


class Saved(NamedTuple):
    """What of a saved state is told without the optimizer."""

    run: dict[str, Any]
    """What `save` was given."""
    records: dict[int, list[Record]]
    """By lane number."""
    status: dict[int, int]
    """By lane number, of those that are done."""
    running: set[int]
    measures: dict[int, list[float]]
    """By lane number, what `save` was given."""


def save(path: Path, sweep: Sweep, run: Mapping[str, Any], measures: Mapping[int, Sequence[float]]) -> None:
    """Writes the state, whole or not at all.

    Args:
      run: what the run is, of what JSON knows.
      measures: of lanes that are done, by their numbers; as many for each.
    """
    lanes = [lane for lane, records in sweep.records.items() if records]
    arrays: dict[str, np.ndarray] = {
        "run": np.frombuffer(json.dumps(run).encode(), np.uint8),
        "slots": np.array([-1 if lane is None else lane for lane in sweep.slots]),
        "waiting": np.array(sweep.waiting, np.int64),
        "clock": np.array(sweep.clock),
        "seconds": np.array(sweep.seconds),
        "done": np.array(list(sweep.status.items()), np.int64).reshape(-1, 2),
        "measures": np.array([[lane, *values] for lane, values in measures.items()], np.float64),
        "lengths": np.array([[lane, len(sweep.records[lane])] for lane in lanes], np.int64).reshape(-1, 2),
        "records": np.array([_flat(record) for lane in lanes for record in sweep.records[lane]], np.float64),
    }
    carry = sweep.carry
    if carry is not None and any(lane is not None for lane in sweep.slots):
        for key, leaf in jax.tree_util.tree_leaves_with_path(carry):
            arrays["carry" + jax.tree_util.keystr(key)] = np.asarray(leaf)
    with files.atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read(path: Path) -> Saved:
    """The records and states of lanes; raises InputError when the file is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return _saved({name: arrays[name] for name in ("run", "slots", "done", "measures", "lengths", "records")})
    except Exception as error:  # a damaged archive ends in many kinds of error
        raise InputError(f"{path}: damaged checkpoint ({' '.join(str(error).split())})") from None


def restore(path: Path, sweep: Sweep) -> None:
    """Puts a saved state into a sweep that has not begun; raises InputError when it is damaged or of another sweep."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as loaded:
            arrays = dict(loaded)
        saved = _saved(arrays)
        sweep.slots = [None if lane < 0 else int(lane) for lane in arrays["slots"]]
        sweep.waiting = arrays["waiting"].tolist()
        sweep.clock, sweep.seconds = int(arrays["clock"]), float(arrays["seconds"])
        sweep.status = saved.status
        placed = [*(lane for lane in sweep.slots if lane is not None), *sweep.waiting, *saved.status]
        if sorted(placed) != list(sweep.records) or not saved.records.keys() <= sweep.records.keys():
            raise ValueError("not every lane is in it once")
        sweep.records.update(saved.records)
        if saved.running:
            template = sweep.template()
            leaves = {}
            for key, leaf in jax.tree_util.tree_leaves_with_path(template):
                name = "carry" + jax.tree_util.keystr(key)
                if arrays[name].shape != leaf.shape or arrays[name].dtype != leaf.dtype:
                    raise ValueError(f"{name} is {arrays[name].shape}, not {leaf.shape}")
                leaves[name] = jnp.asarray(arrays[name])
            sweep.carry = jax.tree_util.tree_unflatten(jax.tree.structure(template), leaves.values())
    except Exception as error:
        raise InputError(f"{path}: damaged checkpoint, or of another sweep ({' '.join(str(error).split())})") from None


def _flat(record: Record) -> list[float]:
    *head, layers, norm, seconds = record
    return [*head, norm, seconds, *layers]


def _saved(arrays: dict[str, np.ndarray]) -> Saved:
    records, position = {}, 0
    for lane, length in arrays["lengths"].tolist():
        records[lane] = [
            Record(int(row[0]), int(row[1]), row[2], row[3], row[4], tuple(row[7:]), row[5], row[6])
            for row in arrays["records"][position : position + length].tolist()
        ]
        position += length
    running = {int(lane) for lane in arrays["slots"] if lane >= 0}
    run = json.loads(arrays["run"].tobytes())
    status = {int(lane): int(status) for lane, status in arrays["done"]}
    measures = {int(lane): values for lane, *values in arrays["measures"].tolist()}
    return Saved(run, records, status, running, measures)
