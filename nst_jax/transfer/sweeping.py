"""Sweeps from Python: lanes in, pictures out as they are done, nothing written."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from nst_jax.devices import local_devices
from nst_jax.errors import InputError, argument
from nst_jax.loss.objective import Objective, Term
from nst_jax.optim.compiler import Compile
from nst_jax.optim.engine import Engine, Progress, Record
from nst_jax.optim.loop import Optimizer
from nst_jax.transfer import plan
from nst_jax.transfer.arguments import check_blend, picture, sized
from nst_jax.transfer.axes import given
from nst_jax.transfer.batching import Batching
from nst_jax.transfer.groups import Group, groups
from nst_jax.transfer.guides import arrays_named
from nst_jax.transfer.lanes import table
from nst_jax.transfer.outcome import Outcome
from nst_jax.transfer.presence import Found, ratios_for
from nst_jax.transfer.presence_lanes import with_ratios
from nst_jax.transfer.problem import Problem
from nst_jax.transfer.region_names import Region
from nst_jax.transfer.scales import Scale
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.transfer import Transfer


class SweepStep(NamedTuple):
    """What a sweep's callback gets after each chunk of evaluations, about once a second: what TensorBoard is told."""

    records: dict[str, list[Record]]
    """By lane name, one for each evaluation since the last call."""
    finished: list[Outcome]
    """Lanes that are over, with pictures and measures; none at a coarser scale."""
    images: Callable[[], dict[str, np.ndarray]]
    """The pictures so far of the lanes that run, by name, [height, width, 3] float32 each; they come from the device
    when they are asked for."""
    scale: Scale
    """The present one, whose size the pictures have."""


def sweep(
    content: Any,
    style: Any,
    *,
    start: Any = None,
    frozen: Any = None,
    keep: Any = None,
    region: Sequence[Region] = (),
    terms: Sequence[Term] = (),
    optimizer: Optimizer | optax.GradientTransformation | str | Sequence[str] | None = None,
    params: Any = None,
    batch: int | None = None,
    memory: int | None = None,
    tolerance: float = 0.0,
    callback: Callable[[SweepStep], bool | None] | None = None,
    compile: Compile | None = None,
    **options: Any,
) -> Iterator[Outcome]:
    """Makes many pictures: the product of all settings that are given several values, in one compiled program.

    Args:
      content: the photograph, [height, width, 3] float RGB, 0..1, or several of one size: a list, or a dict by name.
      style: the painting, of any size, or several to sweep over: a list, or a dict by name; None where regions alone
        have a style.
      start: a picture that each lane starts from, instead of what `init` says.
      frozen: a mask of the photograph's aspect, [h, w] bool; where it is True, pixels keep the start's value exactly,
        or its luminance where only that is transferred.
      keep: likewise; there they are the photograph's exactly.
      region: see `stylize`; all lanes share them, and may differ in `region_edges` and `region_weights`.
      terms: of one's own, added to each lane's loss; a weight may be one number for each lane, in the table's order.
      optimizer: "lbfgs" or "adam" with their settings, or both; any Optax transformation; or what has the methods of
        `LBFGS`.
      params: the network's parameters from `load_weights`, instead of those that the settings name.
      batch: lanes at once, over all devices; by default what fits and is fast.
      memory: bytes to use on a device; by default most of what is free.
      tolerance: a lane is over when its loss fell by less than this part of itself in 20 evaluations; 0 is never.
      callback: hears of losses, pictures and measures (`SweepStep`) about once a second; when it returns True, the
        sweep ends there.
      compile: what compiles the loop.
      **options: settings by name, as `stylize` takes them; nearly all take several values as well, which makes them
        axes: `ratio=[1e-4, 1e-3], rows="ACE", color=["painting", "luminance"]`. As in `stylize`, `size` may be
        "original". Lanes that differ in what a program is
        made of, such as `pool` or `size`, run one group after the other, each in a program of its own. The α/β for a
        `presence` are searched for before this function returns.

    Yields:
      Each lane's `Outcome`, as it is done.

    Raises:
      InputError: an argument that is not allowed, or too little memory.

    Warns:
      UserWarning: a presence cannot be reached; the lane's picture has the nearest.

    Example:
      >>> low = {"content_layers": ("conv2_2",), "style_layers": ("conv1_1", "conv2_1")}  # to be quick
      >>> for outcome in nst.sweep(photo, painting, ratio=[1e-4, 1e-2], size=64, evaluations=4, **low):
      ...     print(outcome.name, outcome.image.shape)
      0_1e-4 (43, 64, 3)
      1_1e-2 (43, 64, 3)
      >>> losses, last = {}, {}
      >>> def watch(step):
      ...     for name, records in step.records.items():
      ...         losses.setdefault(name, []).extend(record.losses.total for record in records)
      ...     last.update({outcome.name: (outcome.image, outcome.measures.ssim) for outcome in step.finished})
      >>> made = list(nst.sweep(photo, painting, ratio=[1e-4, 1e-2], size=64, evaluations=4, callback=watch, **low))
      >>> {name: len(totals) for name, totals in losses.items()}, sorted(last)
      ({'0_1e-4': 4, '1_1e-2': 4}, ['0_1e-4', '1_1e-2'])
    """
    batching = Batching(batch, memory, tolerance)
    work = _transfers(content, style, options, params, start, (frozen, keep), region, optimizer, terms, compile)
    return _outcomes(work, batching, callback)


def objective(
    content: Any, style: Any, *, region: Sequence[Region] = (), params: Any = None, terms: Sequence[Term] = (),
    **options: Any,
) -> Objective:  # fmt: skip
    """Makes what `stylize` or `sweep` with these arguments minimizes: a pytree, and a pure function of images.

    Args:
      content: as `sweep` takes it; pictures keep their own size, unless `size` is given.
      style: likewise.
      region: see `sweep`.
      params: see `sweep`.
      terms: see `sweep`.
      **options: as `sweep` takes them; there is a lane for each value of each axis.

    Returns:
      From images [lanes, height, width, 3] float32 to `Losses` of [lanes] each; height and width are the photograph's.
      `goal.plus(term)` adds terms of one's own.

    Raises:
      InputError: an argument that is not allowed.

    Example:
      >>> low = {"content_layers": ("conv1_2",), "style_layers": ("conv1_1",)}
      >>> goal = nst.objective(photo, painting, ratio=[1e-4, 1e-3], **low)
      >>> images = jnp.stack([photo, photo])
      >>> goal(images).total.shape
      (2,)
      >>> jax.grad(lambda images: goal(images).total.sum())(images).shape
      (2, 43, 64, 3)
    """
    largest = max(max(image.shape[:2]) for image in named_pictures(content, "photo", "content").values())
    options = {"size": largest, **options}
    several = _transfers(content, style, options, params, None, (None, None), region, None, terms, None)
    if len(several) > 1:
        apart = "; ".join(group.label for group, _ in several)
        raise InputError(f"the values of several programs are given, but an objective is one: {apart}")
    work = several[0][1]
    problem = work.problem(work.scales[-1])
    problem.check_regions()
    return jax.device_put(problem.objective(range(len(work.table.lanes))))


def _transfers(
    content: Any, style: Any, options: Mapping[str, Any], params: Any, start: Any, masks: tuple[Any, Any],
    region: Sequence[Region], optimizer: Any, terms: Sequence[Term], compile: Compile | None,
) -> list[tuple[Group, Transfer]]:  # fmt: skip
    named = isinstance(optimizer, str) or (
        isinstance(optimizer, Sequence) and all(isinstance(name, str) for name in optimizer)
    )  # an Optax transformation is a sequence too, of functions
    own: Any = None if named else optimizer
    options = {**options, "optimizer": optimizer} if named else options
    contents = named_pictures(content, "photo", "content")
    settings, axes = given(sized(options, contents.values()), axes=True)
    settings, regions = arrays_named(settings, region)
    if params is not None and any(name == "weights" for name, _ in axes.vary):
        raise InputError(f"{argument('weights')}: not allowed together with {argument('params')}")
    styles = {} if style is None and region else named_pictures(style, "painting", "style")
    check_blend(settings, [style])
    lanes = table(list(contents), [*styles] or [""], axes, settings)
    paintings = {name: [painting] for name, painting in (styles | dict(regions.paintings)).items()}

    def of_lanes(term: Term, numbers: Sequence[int]) -> Term:
        weights, count = np.atleast_1d(np.asarray(term.weight)), len(lanes.lanes)
        if len(weights) not in (1, count):
            counts = f"{len(weights)} given for {count} lanes"
            raise InputError(f"term {term.label!r}: weight: {counts}; give one, or one for each")
        return replace(term, weight=weights[[*numbers]]) if len(weights) == count else term

    def search(number: int, settings: Settings, presences: Sequence[float]) -> list[Found]:
        lane, of_lane = lanes.lanes[number], [of_lanes(term, [number]) for term in terms]
        return ratios_for(
            presences, contents[lane.content], styles.get(lane.style), settings, regions=regions, params=params,
            start=start, frozen=masks[0], keep=masks[1], optimizer=own, terms=of_lane, compile=compile,
        )  # fmt: skip

    def weighed(number: int) -> tuple[float, ...]:
        return tuple(np.ravel(of_lanes(term, [number]).weight).item() for term in terms)

    lanes = with_ratios(lanes, search, apart=weighed)
    return [
        (
            group,
            Transfer(
                params,
                contents,
                paintings,
                group.table,
                count=settings.scales or 1,
                start=start,
                frozen=masks[0],
                keep=masks[1],
                masks=regions.masks,
                optimizer=own,
                terms=[of_lanes(term, group.numbers) for term in terms],
                compile=compile,
            ),
        )
        for group in groups(lanes)
    ]


def named_pictures(pictures: Any, name: str, argument: str) -> dict[str, np.ndarray]:
    """Gives pictures the names that lanes call them: those of a dict, or numbers where there are several.

    Args:
      pictures: an array, a list or a dict of arrays.
      name: what one is called, and several are with their numbers.
      argument: that holds them, which messages start with.

    Returns:
      [height, width, 3] float32 each.

    Raises:
      InputError: what is no picture.
    """
    if isinstance(pictures, Mapping):
        return {str(key): picture(one, argument) for key, one in pictures.items()}
    if isinstance(pictures, list | tuple):
        return {f"{name} {number}": picture(one, argument) for number, one in enumerate(pictures, start=1)}
    return {name: picture(pictures, argument)}


def _outcomes(
    work: list[tuple[Group, Transfer]], batching: Batching, callback: Callable[[SweepStep], bool | None] | None
) -> Iterator[Outcome]:
    for _, of_group in work:
        if (yield from _of_group(of_group, batching, callback)):
            return


def _of_group(
    work: Transfer, batching: Batching, callback: Callable[[SweepStep], bool | None] | None
) -> Generator[Outcome, None, bool]:
    """The outcomes of lanes that share a program; whether the callback has ended it."""
    problems = [work.problem(scale) for scale in work.scales]
    problems[-1].check_regions()
    count = len(work.table.lanes)

    def make(problem: Problem, slots: int, cuts: plan.Cuts, earlier: Mapping[int, int]) -> Engine:
        return work.engine(problem, slots, cuts, tolerance=batching.tolerance, earlier=earlier, devices=local_devices())

    made: dict[str, np.ndarray] = {}
    history = {lane: [] for lane in range(count)}
    strips: list[plan.Cuts] = []
    for scale, at_scale in zip(work.scales, problems, strict=True):
        problem = at_scale.after(made) if made else at_scale
        earlier = {lane: len(records) for lane, records in history.items()}
        chosen, engine = plan.choose(
            lambda slots, cuts, problem=problem, earlier=earlier: make(problem, slots, cuts, earlier),
            count, batch=batching.batch, memory=batching.memory,
        )  # fmt: skip
        strips.append(chosen.strips)
        while not engine.finished:
            progress = engine.advance()
            finished: list[Outcome] = []
            for over in progress.finished:
                lane = problem.lanes[over.lane]
                made[lane.name] = over.image
                history[over.lane] += engine.records[over.lane]
                if scale is work.scales[-1]:
                    own = history[over.lane]
                    picture = problem.picture(lane, over.image)
                    measure = partial(problem.measure, lane)
                    finished.append(Outcome(lane, picture, over.status, own, tuple(strips), measure))
                    yield finished[-1]
            if callback and callback(_step(progress, finished, problem, scale)):
                return True
    return False


def _step(progress: Progress, finished: list[Outcome], problem: Problem, scale: Scale) -> SweepStep:
    """What happened in a chunk, by the lanes' names: their numbers are those of one program's lanes."""

    def images() -> dict[str, np.ndarray]:
        lanes = {problem.lanes[number]: image for number, image in progress.images().items()}
        return {lane.name: problem.picture(lane, image) for lane, image in lanes.items()}

    records = {problem.lanes[number].name: own for number, own in progress.records.items()}
    return SweepStep(records, finished, images, scale)
