"""What a run is: the content of run.json."""

import json
import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from nst_jax import __version__
from nst_jax.devices import local_devices
from nst_jax.errors import InputError, argument
from nst_jax.pictures import files
from nst_jax.runs.moved import AS_NAMED, Places, of_masks, placed
from nst_jax.transfer import lanes
from nst_jax.transfer.groups import groups
from nst_jax.transfer.lanes import Table
from nst_jax.transfer.region_names import renamed
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights

FORMAT = "nst_jax run 1"
_EARLIER = {
    "padding": "zero", "bounds": "none", "bits": 8, "style_loss": "gram", "color": "painting", "color_match": "pca",
    "style_scale": 1.0, "region": [], "region_edges": "simple", "region_weights": None, "keep": None,
    "presence": None,
}  # fmt: skip  # what runs were made with before there were these settings

_EARLIER_LANE = {"own": {}, "presence": None, "expected": None}  # likewise, of a lane


def absolute(table: Table, places: Places = AS_NAMED) -> Table:
    """The table with files named by absolute paths, so that they can be found from any folder.

    Those that are elsewhere (`places`) keep the names that they are known by.
    """
    settings = table.settings

    def resolved(path: str) -> str:
        return str(Path(path).resolve()) if path and path not in places else path

    def masked(name: str, value: Any) -> Any:
        if name == "keep":
            return value and resolved(value)
        return tuple(renamed(region, resolved) for region in value) if name == "region" else value

    moved = tuple(
        replace(
            lane, content=resolved(lane.content), style=resolved(lane.style),
            own=tuple((name, masked(name, value)) for name, value in lane.own),
        )
        for lane in table.lanes
    )  # fmt: skip
    settings = replace(settings, **{name: masked(name, getattr(settings, name)) for name in ("keep", "region")})
    named = {named.name for named in weights.available()}
    if settings.init not in ("noise", "content"):
        settings = replace(settings, init=resolved(settings.init))
    if settings.weights not in named:
        settings = replace(settings, weights=resolved(settings.weights))
    return table._replace(lanes=moved, settings=settings)


def describe(table: Table, tolerance: float, places: Places = AS_NAMED) -> dict[str, Any]:
    """What run.json holds, but for the plan: nothing that differs between two runs of one command on one machine.

    Files have the names of the table, wherever they are (`places`).
    """
    settings, here = table.settings, placed(table.settings, places)
    paths = {path: places.get(path, path) for lane in table.lanes for path in (lane.content, lane.style) if path}
    masks = {name for group in groups(table) for name in of_masks(group.table.settings)}
    paths |= {path: places.get(path, path) for path in masks}
    if settings.init not in ("noise", "content"):
        inside = "run.json" if Path(here.init).is_dir() else ""
        paths[str(Path(settings.init, inside))] = str(Path(here.init, inside))
    for path in paths.values():
        if not Path(path).is_file():
            raise InputError(f"{path}: no such file")
    verified = weights.verify(here.weights)
    named = {own.name for own in weights.available()}
    others = sorted({group.table.settings.weights for group in groups(table)} - {settings.weights})
    if unknown := [name for name in others if name not in named]:
        known = f"as an axis only names are allowed, {', '.join(sorted(named))}"
        raise InputError(f"{argument('weights')}: {unknown[0]!r} is not allowed; {known}")
    of_others = {"others": {name: weights.verify(name).sha256 for name in others}} if others else {}
    sizes = {name: Path(path).stat().st_size for name, path in sorted(paths.items())}
    described = {
        "format": FORMAT,
        "version": __version__,
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": local_devices()[0].device_kind,
        "settings": vars(settings),
        "tolerance": tolerance,
        "weights": {"name": settings.weights, "sha256": verified.sha256} | of_others,
        "inputs": {name: files.sha256(path) for name, path in sorted(paths.items())},
        "sizes": sizes | {settings.weights: verified.bytes},  # by which those that were moved are looked for
        "table": lanes.as_json(table),
    }
    return json.loads(json.dumps(described))  # tuples become lists, as they do in the file


def completed(run: Mapping[str, Any]) -> dict[str, Any]:
    """What run.json holds, with what there was not yet when it was written."""
    settings = {**_EARLIER, **run["settings"]}
    if "content_layer" in settings:
        settings["content_layers"] = [settings.pop("content_layer")]
    if "steps" in settings:
        settings["evaluations"] = settings.pop("steps")
    found = {**run, "settings": settings}
    if "table" in run:
        found["table"] = {**run["table"], "lanes": [{**_EARLIER_LANE, **lane} for lane in run["table"]["lanes"]]}
    if "plan" not in run:
        return found
    plan = {"together": 1, **run["plan"]}
    if "groups" in plan:
        return {**found, "plan": plan}
    of_all = {"batch": plan.pop("batch"), "strips": plan.pop("strips", [])}
    return {**found, "plan": {"groups": [of_all], **plan}}


def settings_of(run: dict[str, Any], source: Path) -> Settings:
    """The settings in what run.json holds; InputError, naming `source`, when they are no such settings."""
    try:
        given: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in run["settings"].items()}
        return Settings(**given)
    except InputError as error:
        raise InputError(f"{source}: damaged ({error})") from None
    except (TypeError, AttributeError) as error:
        raise InputError(f"{source}: run.json has settings of another version ({error})") from None


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Where two run.json differ, e.g. "settings.size (256, not 512)"."""
    found = []
    for key in sorted({*before, *now}):
        a, b = before.get(key), now.get(key)
        if a == b:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            found += [f"{key}.{inner}" for inner in differences(a, b)]
        elif key in ("lanes", "row_headings", "column_headings"):
            found.append(key)
        else:
            found.append(f"{key} ({a}, not {b})")
    return found
