"""Minimizing any function of images, or any objective."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from nst_jax.errors import InputError, argument
from nst_jax.loss import objective as objectives
from nst_jax.optim.box import Box, boxes
from nst_jax.optim.compiler import Compile, remembered
from nst_jax.optim.engine import Engine, Progress, Record
from nst_jax.optim.first_order import asked_and_told
from nst_jax.optim.loop import DEFAULT_OPTIMIZER, Optimizer
from nst_jax.optim.status import Status
from nst_jax.transfer.settings import BOUNDS

Array = jax.Array


class Total(NamedTuple):
    """The losses of a function that has but one."""

    total: Array
    """[lanes]."""


class Minimized(NamedTuple):
    """What is left at the end."""

    images: Array
    """[lanes, *shape]."""
    losses: Any
    """Of those images, what the objective returns, [lanes] NumPy each; of a plain function, `Total`."""
    evaluations: int
    """How many the lane that had most has had."""
    status: tuple[Status, ...]
    """Of each lane; one that is not finite keeps its last good image."""
    history: dict[int, list[Record]]
    """By lane, a record of each evaluation."""


def minimize(
    objective: Callable[[Array], Any],
    start: Any,
    *,
    optimizer: Optimizer | optax.GradientTransformation = DEFAULT_OPTIMIZER,
    evaluations: int = 300,
    tolerance: float = 0.0,
    bounds: tuple[float, float] | None = None,
    frozen: Any = None,
    callback: Callable[[Progress], bool | None] | None = None,
    every: int | None = None,
    compile: Compile = remembered,
) -> Minimized:
    """Minimizes each lane's loss over its image.

    Args:
      objective: from images [lanes, *shape] to one loss for each lane, [lanes]; or to losses, of which `total` is
        minimized, as `nst.objective(...)` makes it. Lanes must not meet in it.
      start: the images to start from, [lanes, *shape] float.
      optimizer: any Optax transformation such as `optax.adam(0.02)`, `LBFGS(...)`, or what has its methods.
      evaluations: of loss and gradient for each lane.
      tolerance: a lane is over when its loss fell by less than this part of itself in 20 evaluations; 0 is never.
      bounds: the least and the greatest value that images may hold on the whole way, the start brought within them;
        by default 0 and 1 of an `nst.objective`, whose images are pictures, and any value of other functions.
        `(-math.inf, math.inf)` is any value, always.
      frozen: variables that keep the start's value, [*shape] bool, where an axis may have length one for all.
      callback: hears of the progress about once a second; when it returns True, the images so far are the result.
      every: the callback is also called after every so many evaluations exactly.
      compile: what compiles the loop.

    Returns:
      The images with their losses.

    Raises:
      InputError: an argument that is not allowed, or an objective that returns something else.

    Example:
      >>> result = nst.minimize(lambda images: ((images - 0.5) ** 2).sum((1, 2, 3)), jax.numpy.zeros((1, 4, 4, 3)))
      >>> result.images.round(3).min().item(), result.status[0].message
      (0.5, 'no further decrease is to be had in this precision')
    """
    with jax.transfer_guard("allow"):
        images = jnp.asarray(start)
    if images.ndim < 1 or images.shape[0] < 1 or not jnp.issubdtype(images.dtype, jnp.floating):
        raise InputError(f"{argument('start')}: {images.dtype} {images.shape}; must be float [lanes, ...]")
    lanes = images.shape[0]
    if bounds is None and isinstance(objective, objectives.Objective):
        bounds = BOUNDS["box"]
    problem = _Given(*_as_objective(objective, images), images, _boxes(images, bounds, frozen))
    engine = Engine(
        problem, asked_and_told(optimizer), evaluations=evaluations, slots=lanes, tolerance=tolerance, every=every,
        fixed=True, compile=compile,
    )  # fmt: skip
    while not engine.finished:
        progress = engine.advance()
        if callback and callback(progress):
            break
    assert engine.carry is not None
    return Minimized(
        engine.carry.optimizer.image,
        jax.device_get(engine.carry.losses),
        max(map(len, engine.records.values())),
        tuple(engine.status.get(lane, Status.RUNNING) for lane in range(lanes)),
        engine.records,
    )


@jax.transfer_guard("allow")
def _boxes(images: Array, bounds: tuple[float, float] | None, frozen: Any) -> Box:
    if bounds is not None and (len(bounds) != 2 or not bounds[0] < bounds[1]):
        raise InputError(f"{argument('bounds')}: {bounds} is not allowed; must be the least value and a greater one")
    if frozen is not None:
        mask, shape = np.asarray(frozen), images.shape[1:]
        fits = mask.ndim == len(shape) and all(own in (1, side) for own, side in zip(mask.shape, shape, strict=True))
        if mask.dtype != bool or not fits:
            about = f"{mask.dtype} {mask.shape}; must be bool {shape}, where an axis may have length one for all"
            raise InputError(f"{argument('frozen')}: {about}")
    return boxes(images.shape[0], images.dtype, bounds, frozen)


@flax.struct.dataclass
class _OneLoss:
    """A function that returns an array, as an objective."""

    function: Callable[[Array], Array]

    def __call__(self, images: Array) -> Total:
        return Total(self.function(images))


def _as_objective(objective: Any, images: Array) -> tuple[Any, Any]:
    """The objective as a pytree whose losses have a total, and those, NaN each; InputError when it cannot be one."""
    if not callable(objective):
        raise InputError(f"{argument('objective')}: {type(objective).__name__} is not a function of images")
    if isinstance(objective, objectives.Objective):  # its losses are known, and tracing a network takes half a second
        return jax.device_put(objective), objective.unknown(images.shape[0], images.dtype)
    goal: Any = jax.tree_util.Partial(objective) if jax.tree_util.all_leaves([objective]) else objective
    losses = jax.eval_shape(goal, images)
    if hasattr(losses, "shape"):
        goal, losses = _OneLoss(goal), Total(losses)
    if not hasattr(losses, "total"):
        raise InputError(f"{argument('objective')}: returns {type(losses).__name__}; must be one loss a lane")
    for loss in jax.tree.leaves(losses):
        if loss.shape != images.shape[:1] or not jnp.issubdtype(loss.dtype, jnp.floating):
            about = f"returns {loss.dtype} {loss.shape}; must be one loss a lane, float {images.shape[:1]}"
            raise InputError(f"{argument('objective')}: {about}")
    unknown = jax.tree.map(lambda loss: np.full(loss.shape, np.nan, loss.dtype), losses)
    return jax.device_put(goal), unknown


class _Given:
    """An objective of all lanes at once as an `optim.engine.Problem`."""

    def __init__(self, objective: Any, unknown: Any, images: Array, boxes: Box) -> None:
        self._objective, self._unknown, self._images, self._boxes = objective, unknown, images, boxes
        self.shape, self.dtype = images.shape[1:], images.dtype

    def __len__(self) -> int:
        return self._images.shape[0]

    def objective(self, lanes: Sequence[int]) -> Any:
        return self._objective

    def spread(self, objective: Any) -> Any:
        return jax.tree.map(lambda _: False, objective)  # it runs on one device

    def starts(self, lanes: Sequence[int]) -> Array:
        return self._images

    def boxes(self, lanes: Sequence[int]) -> Box:
        return self._boxes

    def unknown(self, lanes: int) -> Any:
        return self._unknown

    def refuse(self, lane: int, losses: Any) -> None:
        if isinstance(losses, objectives.Losses):
            objectives.check_terms(losses, f"lane {lane}")
