"""Sweeps and runs from Python, in this process or as tasks of an executor; pictures come as they are done."""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax.errors import InputError, argument
from nst_jax.measures import measures
from nst_jax.optim.status import Status
from nst_jax.pictures import images
from nst_jax.runs import checkpoint, description, following
from nst_jax.runs.folder import RunFolder
from nst_jax.runs.following import Executor, State
from nst_jax.runs.options import RunOptions
from nst_jax.runs.report import style_layers
from nst_jax.runs.shares import own_lanes
from nst_jax.transfer import lanes, sweeping
from nst_jax.transfer.arguments import check_blend, picture, sized
from nst_jax.transfer.axes import given
from nst_jax.transfer.groups import groups
from nst_jax.transfer.guides import arrays_named
from nst_jax.transfer.names import file_name, slug
from nst_jax.transfer.outcome import Outcome
from nst_jax.transfer.region_names import renamed

_HERE_ALONE = ("frozen", "terms", "params", "compile")
"""What `transfer.sweep` takes and tasks do not, since it is of this process."""


def sweep(
    content: Any, style: Any, *, executor: Executor | None = None, folder: str | Path | None = None,
    shares: int | None = None, **options: Any,
) -> Iterator[Outcome]:  # fmt: skip
    """Makes many pictures: the product of all settings that are given several values; see `nst.transfer.sweep`.

    With an executor the lanes are divided into shares, which it places as tasks: on a pool of processes, on Dask's
    workers, on whatever has the `submit` of `concurrent.futures.Executor`. Then all is kept in a run folder, pictures
    and masks among it, and `nst.resume` goes on with it.

    Args:
      content: see `nst.transfer.sweep`.
      style: see `nst.transfer.sweep`.
      executor: places the shares; None has everything done here, and nothing written.
      folder: with an executor: the run folder to make. All workers must see it by this path.
      shares: with an executor: how many tasks (default: 8, or one for each lane).
      **options: what else `nst.transfer.sweep` takes. With an executor, settings by name, `start`, `keep`, `region`,
        `batch`, `memory` and `tolerance`; and `callback`, which gets each `State` and ends the run by returning True.

    Yields:
      Each lane's `Outcome`, as it is done; with an executor, its image is that of the file.

    Raises:
      InputError: an argument that is not allowed.
      ConnectionError: the executor lost a task.

    Example:
      >>> low = {"content_layers": ("conv2_2",), "style_layers": ("conv1_1", "conv2_1")}  # to be quick
      >>> for outcome in nst.sweep(photo, painting, ratio=[1e-4, 1e-2], size=64, evaluations=4, **low):
      ...     print(outcome.name, outcome.image.shape)
      0_1e-4 (43, 64, 3)
      1_1e-2 (43, 64, 3)
    """
    if executor is None:
        if folder is not None or shares is not None:
            name = argument("folder" if folder is not None else "shares")
            raise InputError(f"{name}: only with {argument('executor')}; without one nothing is written")
        return sweeping.sweep(content, style, **options)
    if folder is None:
        raise InputError(f"{argument('folder')}: needed with {argument('executor')}; its workers share it")
    if here := [name for name in _HERE_ALONE if options.get(name) is not None]:
        raise InputError(f"{argument(here[0])}: not allowed with {argument('executor')}; it is of this process alone")
    path, callback = Path(folder), options.pop("callback", None)
    batching = {name: options.pop(name) for name in ("batch", "memory", "tolerance") if name in options}
    run_options = RunOptions(**{name: value for name, value in batching.items() if value is not None})
    RunFolder(path).check(force=False, joining=False)
    table = _table_of_files(path / "inputs", content, style, options)
    return _followed(
        path, callback, lambda follow: following.begin(executor, table, path, run_options, follow, shares or 8)
    )


def resume(
    folder: str | Path, *, executor: Executor | None = None, find_in: Sequence[str | Path] = (),
    callback: Callable[[State], bool | None] | None = None,
) -> Iterator[Outcome]:  # fmt: skip
    """Goes on with a run folder where its checkpoints stop, to the bytes of a run that was never interrupted.

    Args:
      folder: the run's, whoever began it.
      executor: places its shares; None has them done here, one after the other.
      find_in: folders below which to look for inputs that were moved.
      callback: gets each `State`; when it returns True, the run is saved and stopped.

    Yields:
      The `Outcome` of all lanes, those first that are done; the image is that of the file.

    Raises:
      InputError: it is no run folder, another process works on it, or its inputs have changed or are not found.
      ConnectionError: the executor lost a task.

    Example:
      >>> from concurrent.futures import ThreadPoolExecutor
      >>> low = {"content_layers": ("conv1_1",), "style_layers": ("conv1_1",), "size": 64, "evaluations": 2}
      >>> with ThreadPoolExecutor(1) as pool:
      ...     made = list(nst.sweep(photo, painting, ratio=[1e-4, 1e-2], executor=pool, folder="run", **low))
      >>> [outcome.name for outcome in nst.resume("run")]
      ['0_1e-4', '1_1e-2']
    """
    path = Path(folder)
    RunFolder(path).run()
    engine = executor or ThreadPoolExecutor(1)
    return _followed(
        path, callback,
        lambda follow: following.resume(engine, path, RunOptions(), follow, find_in=[Path(place) for place in find_in]),
    )  # fmt: skip


def _table_of_files(inputs: Path, content: Any, style: Any, options: Mapping[str, Any]) -> lanes.Table:
    """Writes arrays as pictures of 16 bits, and makes the table that names them."""
    own = dict(options)
    region, keep, start = own.pop("region", ()), own.pop("keep", None), own.pop("start", None)
    contents = sweeping.named_pictures(content, "photo", "content")
    settings, axes = given(sized(own, contents.values()), axes=True)
    settings, regions = arrays_named(settings, region)
    styles = {} if style is None and region else sweeping.named_pictures(style, "painting", "style")
    check_blend(settings, [style])
    arrays = {**contents, **styles, **regions.paintings}
    if start is not None:
        arrays["start"] = picture(start, "start")
    arrays |= {name: np.repeat(np.asarray(mask, np.float32)[..., None], 3, 2) for name, mask in regions.masks.items()}
    if keep is not None:
        arrays["keep"] = np.repeat(np.asarray(keep, np.float32)[..., None], 3, 2)
    files = {name: str(inputs / f"{slug(name)}.png") for name in arrays}
    named = {
        "region": tuple(renamed(text, files.__getitem__) for text in settings.region),
        "keep": files["keep"] if keep is not None else None,
        "init": files["start"] if start is not None else settings.init,
    }
    table = lanes.table(
        [files[name] for name in contents], [files[name] for name in styles] or [""], axes, replace(settings, **named)
    )
    inputs.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        images.write_image(files[name], np.clip(array, 0, 1), bits=16)
    return table


def _followed(
    folder: Path, callback: Callable[[State], bool | None] | None, run: Callable[[following.Follow], Any]
) -> Iterator[Outcome]:
    """Lanes as their shares save them; the run is followed in a thread of its own."""
    stop, over = threading.Event(), queue.SimpleQueue()

    def follow(state: State) -> bool:
        if callback and callback(state):
            stop.set()
        return stop.is_set()

    def follow_all() -> None:
        try:
            run(follow)
            over.put(None)
        except BaseException as error:
            over.put(error)

    thread = threading.Thread(target=follow_all)
    thread.start()
    told: set[str] = set()
    try:
        while True:
            thread.join(following.POLL_SECONDS)
            alive = thread.is_alive()
            if (folder / "run.json").is_file():
                yield from _outcomes(folder, told)
            if not alive:
                break
    finally:
        stop.set()
        thread.join()
    if error := over.get():
        raise error


def _outcomes(folder: Path, told: set[str]) -> Iterator[Outcome]:
    """Of lanes that are done and were not told yet."""
    run = RunFolder(folder)
    data = run.run()
    table, plan = lanes.from_json(data["table"], description.settings_of(data, folder)), data["plan"]
    for group in groups(table):
        layers, strips = style_layers(group.table), tuple(plan["groups"][group.number]["strips"])
        for share in range(plan["shares"]):
            path = run.state(share, group.number)
            own = own_lanes(group, share, plan["shares"])
            if not path.is_file() or {lane.name for lane in own} <= told:
                continue
            saved = checkpoint.read(path)
            for number, status in saved.status.items():
                lane, row = own[number], saved.measures.get(number)
                if lane.name in told or row is None:
                    continue
                told.add(lane.name)
                image = images.read_image(folder / "lanes" / file_name(lane.name))
                measured = partial(_measured, measures.of_row(row, layers))
                yield Outcome(lane, image, Status(status), saved.records[number], (strips,), measured)


def _measured(found: measures.Measures, _: np.ndarray) -> measures.Measures:
    return found
