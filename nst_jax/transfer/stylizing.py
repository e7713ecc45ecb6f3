"""One picture: a sweep of one lane, through all of its scales."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from nst_jax.errors import InputError, argument
from nst_jax.loss.objective import Losses, Objective, Term
from nst_jax.loss.strips import for_values
from nst_jax.optim.compiler import Compile
from nst_jax.optim.engine import Record
from nst_jax.optim.loop import Optimizer
from nst_jax.optim.status import Status
from nst_jax.pictures import images
from nst_jax.transfer import plan, recolor
from nst_jax.transfer.arguments import brought_to, check_blend, paintings_of, picture, sized
from nst_jax.transfer.axes import Axes, given
from nst_jax.transfer.guides import NO_REGIONS, OfRegions, arrays_named, check_masks
from nst_jax.transfer.lanes import table
from nst_jax.transfer.outcome import Outcome
from nst_jax.transfer.presence import Found, ratios_for
from nst_jax.transfer.presence_lanes import Heard, warned, with_ratios
from nst_jax.transfer.problem import Problem
from nst_jax.transfer.region_names import Region
from nst_jax.transfer.scales import Scale
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.transfer import Transfer
from nst_jax.weights import weights


class Step(NamedTuple):
    """What a callback gets after each chunk of evaluations, about once a second."""

    records: list[Record]
    """One for each evaluation since the last call."""
    image: np.ndarray
    """The picture so far, [height, width, 3] float32, at the present scale."""
    scale: Scale
    scales: tuple[Scale, ...]
    """All, coarsest first."""
    strips: tuple[tuple[int, ...], ...]
    """Of each scale; see `loss.strips.statistics`."""


def stylize(
    content: Any,
    style: Any,
    settings: Settings | None = None,
    *,
    start: Any = None,
    frozen: Any = None,
    keep: Any = None,
    region: Sequence[Region] = (),
    terms: Sequence[Term] = (),
    optimizer: Optimizer | optax.GradientTransformation | str | None = None,
    params: Any = None,
    memory: int | None = None,
    callback: Callable[[Step], bool | None] | None = None,
    every: int | None = None,
    compile: Compile | None = None,
    **options: Any,
) -> Outcome:
    """Makes a picture with a photograph's content in a painting's style, as `nst-jax stylize` does.

    Args:
      content: the photograph, [height, width, 3] float RGB, 0..1; brought to `size`, a longest side in pixels, or its
        own with "original".
      style: the painting, of any size, or several to blend; None where regions alone have a style.
      settings: all at once; those given by name come before them.
      start: a picture to start from, instead of what `init` says.
      frozen: a mask of the photograph's aspect, [h, w] bool; where it is True, pixels keep the start's value exactly,
        or its luminance where only that is transferred.
      keep: likewise; there they are the photograph's exactly.
      region: regions with a painting each; what none covers has `style` or, without one, stays the photograph.
      terms: of one's own, added to the loss.
      optimizer: "lbfgs" or "adam" with their settings, any Optax transformation, or what has the methods of `LBFGS`.
      params: the network's parameters from `load_weights`, instead of those that the settings name.
      memory: bytes that the program may take; a picture that needs more is computed in strips. By default most of what
        is free.
      callback: hears of losses and the picture (`Step`) about once a second; when it returns True, the picture so far
        is the outcome.
      every: the callback is also called after every so many evaluations exactly.
      compile: what compiles the loop.
      **options: settings by name, such as `size=512, ratio=1e-3`; see `Settings`.

    Returns:
      The picture as `.image`, [height, width, 3] float32, and what is known of it: `.losses`, `.measures`,
      `.evaluations`, `.status`, `.history`. Where a `presence` was asked, `.lane.alpha` is the α/β that was found for
      it.

    Raises:
      InputError: an argument that is not allowed, or too little memory.

    Warns:
      UserWarning: a presence cannot be reached; the picture has the nearest.

    Example:
      >>> picture = nst.stylize(photo, painting, size=64, evaluations=4)
      >>> picture.image.shape
      (43, 64, 3)
      >>> picture.status.message
      'its loss was still falling'
      >>> def watch(step):
      ...     print([record.evaluations for record in step.records], max(step.image.shape))
      >>> picture = nst.stylize(photo, painting, size=64, evaluations=2, callback=watch, every=1)
      [1] 64
      [2] 64
      >>> 0 < picture.measures.ssim < 1
      True
    """
    if isinstance(optimizer, str):
        optimizer, options = None, {**options, "optimizer": optimizer}
    photo = picture(content, "content")
    settings, regions = arrays_named(given(sized(options, [photo]), settings=settings)[0], region)
    make = planned(
        photo, style, settings, start=start, frozen=frozen, keep=keep, regions=regions, terms=terms,
        optimizer=optimizer, params=params, memory=memory, compile=compile,
    )  # fmt: skip
    return make(callback, every)


def planned(
    content: Any,
    style: Any,
    settings: Settings,
    *,
    start: Any = None,
    frozen: Any = None,
    keep: Any = None,
    regions: OfRegions = NO_REGIONS,
    terms: Sequence[Term] = (),
    optimizer: Optimizer | optax.GradientTransformation | None = None,
    params: Any = None,
    memory: int | None = None,
    compile: Compile | None = None,
    heard: Heard = warned,
) -> Callable[[Callable[[Step], bool | None] | None, int | None], Outcome]:
    """Does what `stylize` does before its first evaluation: whatever can be refused is refused here.

    Args:
      content, style, settings, start, frozen, keep, terms, optimizer, params, memory, compile: see `stylize`.
      regions: what the settings name.
      heard: hears what was found for a presence that is asked.

    Returns:
      What makes the picture; it takes `stylize`'s `callback` and `every`.
    """
    contents, paintings = {"photo": picture(content, "content")}, _paintings(style, settings)
    one = table(list(contents), [*paintings] or [""], Axes(), settings)

    def search(_: int, settings: Settings, presences: Sequence[float]) -> list[Found]:
        return ratios_for(
            presences, contents["photo"], next(iter(paintings.values()), None), settings, regions=regions,
            params=params, start=start, frozen=frozen, keep=keep, optimizer=optimizer, terms=terms, compile=compile,
        )  # fmt: skip

    one = with_ratios(one, search, heard)
    styles = paintings | {name: [painting] for name, painting in regions.paintings.items()}
    # Other starts gain nothing from coarser scales (docs/speed.md).
    count = settings.scales or (None if settings.init == "noise" and start is None else 1)
    work = Transfer(
        params, contents, styles, one, count=count, start=start, frozen=frozen, keep=keep, masks=regions.masks,
        optimizer=optimizer, terms=terms, compile=compile, complete=True,
    )  # fmt: skip
    problems = [work.problem(scale) for scale in work.scales]
    problems[-1].check_regions()

    def strips_at(problem: Problem) -> tuple[int, ...]:
        return plan.strips_of(lambda cuts: work.engine(problem, 1, cuts), memory)

    strips = tuple(strips_at(problem) for problem in reversed(problems))[::-1]  # the finest first: it may not fit

    def make(callback: Callable[[Step], bool | None] | None = None, every: int | None = None) -> Outcome:
        history: list[Record] = []
        (lane,) = one.lanes
        image, status, stopped = None, Status.RUNNING, False
        problem = problems[0]
        for scale, cuts, at_scale in zip(work.scales, strips, problems, strict=True):
            problem = at_scale if image is None else at_scale.after({lane.name: image})
            engine = work.engine(problem, 1, cuts, every=every, earlier={0: len(history)})
            while not engine.finished and not stopped:
                progress = engine.advance()
                history += progress.records[0]
                image = progress.finished[0].image if progress.finished else progress.images()[0]
                image = problem.picture(lane, image)
                stopped = bool(callback and callback(Step(progress.records[0], image, scale, work.scales, strips)))
            status = engine.status.get(0, Status.RUNNING)
            if stopped or status == Status.NOT_FINITE:
                break
        assert image is not None
        return Outcome(lane, image, status, history, strips, partial(problem.measure, lane))

    return make


def _paintings(style: Any, settings: Settings) -> dict[str, list[np.ndarray]]:
    """The painting, or those that are blended, by its name; none where regions alone have a style."""
    paintings = [] if style is None and settings.region else paintings_of(style)
    check_blend(settings, paintings)
    return {"painting": paintings} if paintings else {}


def evaluate(
    image: Any,
    content: Any,
    style: Any,
    settings: Settings | None = None,
    *,
    region: Sequence[Region] = (),
    params: Any = None,
    **options: Any,
) -> Losses:
    """Computes the losses of any picture, as floats: what `stylize` with these arguments would minimize at its size.

    Args:
      image: [height, width, 3] float RGB, 0..1.
      content: the photograph, which is brought to the image's size.
      style: the painting, or several to blend; brought to the image's longest side unless `style_size` says otherwise.
      settings: see `stylize`.
      region: see `stylize`.
      params: see `stylize`.
      **options: see `stylize`; `size` does not count.

    Returns:
      Equation 7 and its parts, in the paper's units.

    Raises:
      InputError: an argument that is not allowed, or a photograph of another aspect.

    Example:
      >>> low = {"content_layers": ("conv2_2",), "style_layers": ("conv1_1", "conv2_1")}
      >>> losses = nst.evaluate(photo, photo, painting, **low)
      >>> round(losses.content, 1), list(losses.style_layers)
      (0.0, ['conv1_1', 'conv2_1'])
    """
    settings, regions = arrays_named(given(sized(options, [image]), settings=settings)[0], region)
    return evaluated(image, content, style, settings, regions, params)[0]


@jax.transfer_guard("allow")
def evaluated(
    image: Any, content: Any, style: Any, settings: Settings, regions: OfRegions = NO_REGIONS, params: Any = None
) -> tuple[Losses, Problem]:
    """Does what `evaluate` does; also returns the problem, which measures pictures."""
    if settings.presence is not None:
        raise InputError(f"{argument('presence')}: not allowed for a picture that is there; give a ratio")
    made, paintings, settings = picture(image, "image"), _paintings(style, settings), settings.exact
    check_masks(settings, True, regions.masks)  # what is kept changes no loss
    height, width = made.shape[:2]
    photo = brought_to(picture(content, "content"), height, width, "content")
    beside = settings.beside(max(height, width))
    params = weights.load(settings.weights) if params is None else params
    one = table(["photo"], [*paintings] or [""], Axes(), settings)
    given_styles = paintings | {name: [painting] for name, painting in regions.paintings.items()}
    styles = {name: [images.fit(painting, beside) for painting in each] for name, each in given_styles.items()}
    made = recolor.grey(made) if settings.color == "luminance" else made
    strips = for_values(height, width)
    problem = Problem(
        params, {"photo": photo}, styles, one, masks=regions.masks, prepared=params, strips=strips, complete=True
    )
    problem.check_regions()
    losses = jax.device_get(jax.jit(Objective.__call__)(problem.objective([0]), made[None]))
    return jax.tree.map(lambda loss: float(loss[0]), losses), problem
