"""The loop: chunks of steps under jit, one evaluation of loss and gradient a step, records to a callback."""

import math
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax

from nst_jax.errors import InputError
from nst_jax.loss.objective import Losses, Objective
from nst_jax.optim import compiler
from nst_jax.optim.first_order import FirstOrder
from nst_jax.optim.lbfgs import LBFGS, RUNNING
from nst_jax.optim.spectrum import FrequencyShaping
from nst_jax.transfer import traced

Array = jax.Array
LONGEST_CHUNK = 64
NOT_TAKEN = -1
DEFAULT_OPTIMIZER = LBFGS(precondition=FrequencyShaping(0.75))
SECONDS_PER_CHUNK = 1.0  # how often the callback hears of a slow objective


class Optimizer(Protocol):
    """What the loop needs of an optimizer: pure functions over a state that has `image`, `status` and `accepted`."""

    def init(self, images: Array) -> Any: ...
    def ask(self, state: Any) -> Array: ...
    def tell(self, state: Any, values: Array, gradients: Array) -> Any: ...


class Record(NamedTuple):
    """One step: one evaluation of every lane."""

    evaluations: int
    """How many each lane has had, this one and those that went before included."""
    losses: Losses
    """Of each lane's accepted image, [lanes] NumPy float32. A trial that a line search rejects does not show."""
    gradient_norm: np.ndarray
    """Euclidean, of the accepted image, [lanes]."""
    seconds: float
    """Since `minimize` was called."""


class Progress(NamedTuple):
    """What the callback gets after every chunk of steps."""

    records: list[Record]
    """One for each step since the last call."""
    images: Array
    """[lanes, height, width, 3], those of the latest record. The next chunk takes over their memory: whoever keeps them
    beyond the callback keeps `np.asarray(images)`."""
    status: np.ndarray
    """[lanes] int32: lbfgs.RUNNING, CONVERGED or NOT_FINITE."""


class Result(NamedTuple):
    """What is left at the end."""

    images: Array
    """[lanes, height, width, 3] float32, not clipped to 0..1."""
    losses: Losses
    """Of those images, [lanes] NumPy float32 each."""
    evaluations: int
    """How many each lane has had, those that went before included."""
    status: np.ndarray
    """[lanes] int32: lbfgs.RUNNING, CONVERGED or NOT_FINITE; a lane that is not finite keeps its last good image."""


def minimize(
    objective: Callable[[Array], Losses],
    images: Array,
    *,
    optimizer: Optimizer | optax.GradientTransformation = DEFAULT_OPTIMIZER,
    steps: int = 300,
    callback: Callable[[Progress], bool | None] | None = None,
    every: int | None = None,
    earlier: int = 0,
) -> Result:
    """Minimizes each lane's total loss over its image.

    Args:
      objective: from images [lanes, height, width, 3] to `Losses`, and a pytree (such as `objective.Objective`), since
        it is an argument of a jit-compiled function.
      images: the start, [lanes, height, width, 3] float32.
      optimizer: `LBFGS(...)`, or any Optax transformation such as `optax.adam(0.02)`.
      steps: evaluations of loss and gradient for each lane, at least one.
      callback: hears of the progress about once a second, in chunks of steps whose length does not change the
        outcome; when it returns True, the loop stops there.
      every: the callback is also called after every so many evaluations exactly, for saving pictures.
      earlier: evaluations that went before, at another scale; records and `every` count on from there.

    Raises:
      InputError: `steps` or `every` below one.
    """
    for name, value in (("steps", steps), ("every", every)):
        if value is not None and value < 1:
            raise InputError(f"{name}: {value} is not allowed; must be at least 1")
    if isinstance(optimizer, optax.GradientTransformation):
        optimizer = FirstOrder(optimizer)
    started = time.perf_counter()
    images = jnp.asarray(images)
    objective = jax.device_put(objective)  # parameters come from files as NumPy arrays; they travel only once
    carry = begin(objective, images, optimizer)
    run = _program(objective, carry, optimizer)
    done, chunk, status = earlier, 1, np.full(images.shape[0], RUNNING)
    while done < earlier + steps and np.any(status == RUNNING):
        count = min(chunk, earlier + steps - done, LONGEST_CHUNK)
        if every:
            count = min(count, every - done % every)
        before = time.perf_counter()
        carry, rows = run(objective, carry, np.int32(count))
        rows = jax.device_get(rows)
        count = int(np.sum(rows.status[:, 0] != NOT_TAKEN))
        after = time.perf_counter()
        pace = (after - before) / count
        status = np.asarray(carry.optimizer.status)
        if callback:
            seconds = [before - started + pace * (i + 1) for i in range(count)]
            records = [
                Record(done + i + 1, jax.tree.map(lambda row, i=i: row[i], rows.losses), rows.gradient_norm[i], second)
                for i, second in enumerate(seconds)
            ]
            if callback(Progress(records, carry.optimizer.image, status)):
                done += count
                break
        # The first chunk's time is mostly compilation and tells nothing about the pace.
        chunk = max(1, min(2 * count, math.ceil(SECONDS_PER_CHUNK / pace))) if done > earlier else 2
        done += count
    return Result(carry.optimizer.image, jax.device_get(carry.losses), done, status)


class Carry(NamedTuple):
    """What goes from step to step; every array has a leading lane axis."""

    optimizer: Any
    losses: Losses
    """Of the accepted images."""
    gradient_norm: Array


class Rows(NamedTuple):
    """What `advance` tells of its steps, [LONGEST_CHUNK, lanes] each."""

    losses: Losses
    """Of the images accepted after each step."""
    gradient_norm: Array
    status: Array
    """After each step; NOT_TAKEN in rows of steps that were not taken."""
    accepted: Array
    """Whether the step's evaluation moved the image."""


@partial(jax.jit, static_argnames=("optimizer",))
def begin(objective: Callable[[Array], Losses], images: Array, optimizer: Optimizer) -> Carry:
    """The carry before any step, in buffers of its own, since it is donated; its terms and gradient norm are NaN."""
    if isinstance(objective, Objective):
        terms = objective.unknown(images)
    else:
        shapes = jax.eval_shape(objective, images)
        terms: Losses = jax.tree.map(lambda shape: jnp.full(shape.shape, jnp.nan, shape.dtype), shapes)
    carry = Carry(optimizer.init(images), terms, jnp.full(images.shape[0], jnp.nan, images.dtype))
    return jax.tree.map(jnp.copy, carry)


def advance(
    objective: Callable[[Array], Losses], carry: Carry, count: Array | int, optimizer: Optimizer
) -> tuple[Carry, Rows]:
    """Takes `count` steps, or fewer when no lane runs any longer.

    Args:
      count: at most LONGEST_CHUNK; traced, so that no count needs a program of its own.
    """

    def evaluate(trial: Array) -> tuple[Array, Losses]:
        terms = objective(trial)
        return jnp.sum(terms.total), terms  # lanes do not meet, so the sum's gradient is each lane's own

    def unfinished(loop: tuple[Carry, Rows, Array]) -> Array:
        carry, _, i = loop
        return (i < count) & jnp.any(carry.optimizer.status == RUNNING)

    def body(loop: tuple[Carry, Rows, Array]) -> tuple[Carry, Rows, Array]:
        carry, rows, i = loop
        gradient, terms = jax.grad(evaluate, has_aux=True)(optimizer.ask(carry.optimizer))
        state = optimizer.tell(carry.optimizer, terms.total, gradient)
        norm = jnp.sqrt(jnp.sum(jnp.square(gradient), tuple(range(1, gradient.ndim))))
        kept = (carry.losses, carry.gradient_norm)
        latest = jax.tree.map(lambda new, old: jnp.where(state.accepted, new, old), (terms, norm), kept)
        rows = jax.tree.map(
            lambda row, value: jax.lax.dynamic_update_index_in_dim(row, value, i, 0),
            rows,
            Rows(latest[0], latest[1], state.status, state.accepted),
        )
        return Carry(state, latest[0], latest[1]), rows, i + 1

    def blank(value: Array, fill: float) -> Array:
        return jnp.full((LONGEST_CHUNK, *value.shape), fill, value.dtype)

    terms = jax.tree.map(lambda value: blank(value, jnp.nan), carry.losses)
    state = carry.optimizer
    rows = Rows(
        terms, blank(carry.gradient_norm, jnp.nan), blank(state.status, NOT_TAKEN), blank(state.accepted, False)
    )
    carry, rows, _ = jax.lax.while_loop(unfinished, body, (carry, rows, jnp.zeros((), jnp.int32)))
    return carry, rows


def program(objective: Callable[[Array], Losses], images: Array, optimizer: Optimizer) -> Any:
    """What `minimize` runs from images of this shape, compiled; its `memory_analysis` tells what it takes.

    It takes the objective, a carry and how many steps to take, and returns what `advance` does.
    """
    carry = jax.eval_shape(partial(begin, optimizer=optimizer), objective, images)
    found = _program(objective, carry, optimizer)
    if isinstance(found, traced.Program):
        return found
    return compiler.compiled(found, objective, carry, jax.ShapeDtypeStruct((), jnp.int32))


def _program(objective: Callable[[Array], Losses], carry: Carry, optimizer: Optimizer) -> Any:
    """`advance` for arguments like these: compiled, or under jit."""
    ours = isinstance(optimizer, LBFGS) and isinstance(optimizer.precondition, FrequencyShaping)
    if not (ours and type(objective) is Objective):
        return _plain(optimizer)  # what others wrote: nobody could tell whether its source has changed
    state = carry.optimizer
    rows = Rows(carry.losses, carry.gradient_norm, state.status, state.accepted)
    count = jax.ShapeDtypeStruct((), jnp.int32)
    own = partial(advance, optimizer=optimizer)
    return traced.program(own, "advance", repr(optimizer), (objective, carry, count), 1, (carry, rows))


@cache
def _plain(optimizer: Optimizer) -> Any:
    """Made when it is first needed, since its options depend on the backend."""
    return jax.jit(partial(advance, optimizer=optimizer), donate_argnums=1, compiler_options=compiler.options())
