"""An engine's state as arrays in one .npz file: all that the optimizer needs to go on to the same bytes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from nst_jax.errors import InputError
from nst_jax.loss.objective import Losses
from nst_jax.optim.engine import Engine, Record
from nst_jax.optim.schedule import Schedule
from nst_jax.optim.status import Status
from nst_jax.pictures import files

LAYOUT = 3
"""Of the file; another one whenever an optimizer's state or the measures are others."""


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


def save(path: Path, engine: Engine, run: Mapping[str, Any], measures: Mapping[int, Sequence[float]]) -> None:
    """Writes the state, whole or not at all.

    Args:
      engine: of a problem whose losses are `loss.Losses`.
      run: what the run is, of what JSON knows.
      measures: of lanes that are over, by their numbers; as many for each.
    """
    lanes = [lane for lane, records in engine.records.items() if records]
    records = [record for lane in lanes for record in engine.records[lane]]
    layers = sorted(records[0].losses.style_layers) if records else []
    arrays: dict[str, np.ndarray] = {
        "layout": np.array(LAYOUT),
        "run": np.frombuffer(json.dumps(run).encode(), np.uint8),
        "slots": np.array([-1 if lane is None else lane for lane in engine.schedule.slots]),
        "waiting": np.array(engine.schedule.waiting, np.int64),
        "clock": np.array(engine.schedule.clock),
        "seconds": np.array(engine.seconds),
        "done": np.array([[lane, int(status)] for lane, status in engine.status.items()], np.int64).reshape(-1, 2),
        "measures": np.array([[lane, *values] for lane, values in measures.items()], np.float64),
        "lengths": np.array([[lane, len(engine.records[lane])] for lane in lanes], np.int64).reshape(-1, 2),
        "style_layers": np.array(layers, np.str_),
        "records": np.array([_flat(record) for record in records], np.float64),
    }
    carry = engine.carry
    if carry is not None and engine.schedule.running:
        for key, leaf in jax.tree_util.tree_leaves_with_path(carry):
            arrays["carry" + jax.tree_util.keystr(key)] = jax.device_get(leaf)
    with files.atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


_TOLD = ("run", "slots", "done", "measures", "lengths", "style_layers", "records")


def read(path: Path) -> Saved:
    """The records and states of lanes; raises InputError when the file is damaged or of another version."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            told = {name: arrays[name] for name in _TOLD}
            if "layout" in arrays and int(arrays["layout"]) == LAYOUT:
                return _saved(told)
    except Exception as error:  # a damaged archive ends in many kinds of error
        raise InputError(f"{path}: damaged checkpoint ({' '.join(str(error).split())})") from None
    again = "without the folder `checkpoint` its lanes begin anew"
    raise InputError(f"{path}: of another version of nst_jax, which alone can go on with it; {again}")


def restore(path: Path, engine: Engine) -> None:
    """Puts a saved state into an engine that has not begun; raises InputError when it is damaged or of another run."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as loaded:
            arrays = dict(loaded)
        saved = _saved(arrays)
        slots = tuple(None if lane < 0 else int(lane) for lane in arrays["slots"])
        schedule = Schedule(slots, tuple(arrays["waiting"].tolist()), int(arrays["clock"]))
        placed = [*schedule.running, *schedule.waiting, *saved.status]
        if sorted(placed) != list(engine.records) or not saved.records.keys() <= engine.records.keys():
            raise ValueError("not every lane is in it once")
        engine.schedule = schedule
        engine.status = {lane: Status(status) for lane, status in saved.status.items()}
        engine.seconds = float(arrays["seconds"])
        engine.records.update(saved.records)
        if saved.running:
            template = engine.template()
            leaves = {}
            for key, leaf in jax.tree_util.tree_leaves_with_path(template):
                name = "carry" + jax.tree_util.keystr(key)
                if arrays[name].shape != leaf.shape or arrays[name].dtype != leaf.dtype:
                    raise ValueError(f"{name} is {arrays[name].shape}, not {leaf.shape}")
                leaves[name] = jax.device_put(arrays[name])
            engine.carry = jax.tree_util.tree_unflatten(jax.tree.structure(template), leaves.values())
    except Exception as error:
        raise InputError(f"{path}: damaged checkpoint, or of another sweep ({' '.join(str(error).split())})") from None


def _flat(record: Record) -> list[float]:
    return [record.step, record.evaluations, record.gradient_norm, record.seconds, *jax.tree.leaves(record.losses)]


def _saved(arrays: dict[str, np.ndarray]) -> Saved:
    layers: Any = dict.fromkeys(arrays["style_layers"].tolist(), 0.0)
    number: Any = 0.0
    structure = jax.tree.structure(Losses(number, number, number, layers, number, {}))
    records, position = {}, 0
    for lane, length in arrays["lengths"].tolist():
        records[lane] = [
            Record(int(row[0]), int(row[1]), jax.tree.unflatten(structure, row[4:]), row[2], row[3])
            for row in arrays["records"][position : position + length].tolist()
        ]
        position += length
    running = {int(lane) for lane in arrays["slots"] if lane >= 0}
    run = json.loads(arrays["run"].tobytes())
    status = {int(lane): int(status) for lane, status in arrays["done"]}
    measures = {int(lane): values for lane, *values in arrays["measures"].tolist()}
    return Saved(run, records, status, running, measures)
