"""The loop as a pure function: chunks of evaluations of losses and gradient, each of every lane."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from nst_jax.optim.box import Box
from nst_jax.optim.lbfgs import LBFGS
from nst_jax.optim.spectrum import FrequencyShaping
from nst_jax.optim.status import RUNNING

Array = jax.Array
LONGEST_CHUNK = 64
"""Evaluations."""
NOT_TAKEN = -1
"""In place of a status, in rows of evaluations that were not made."""
DEFAULT_OPTIMIZER = LBFGS(precondition=FrequencyShaping(0.75))


@runtime_checkable
class Optimizer(Protocol):
    """What the loop needs of an optimizer: pure functions over a state that has `image`, `status` and `accepted`."""

    def init(self, images: Array, boxes: Box | None = None) -> Any:
        """Makes the state before any evaluation, of start images [lanes, *shape] and the boxes that they stay in."""
        ...

    def ask(self, state: Any) -> Array:
        """Says where to evaluate next, [lanes, *shape]."""
        ...

    def tell(self, state: Any, values: Array, gradients: Array) -> Any:
        """Makes the state after the losses [lanes] and gradients [lanes, *shape] that were found there."""
        ...


class Carry(NamedTuple):
    """What goes from evaluation to evaluation; every array has a leading lane axis."""

    optimizer: Any
    """The optimizer's state."""
    losses: Any
    """Of the accepted images: a pytree of [lanes], with the one that is minimized as `total`."""
    gradient_norm: Array
    """Euclidean, of the accepted images, [lanes]."""


class Rows(NamedTuple):
    """What `advance` tells of its evaluations, [LONGEST_CHUNK, lanes] each."""

    losses: Any
    """Of the images accepted after each evaluation."""
    gradient_norm: Array
    """Euclidean, of those images."""
    status: Array
    """After each evaluation, int32; NOT_TAKEN in rows of evaluations that were not made."""
    accepted: Array
    """Whether the evaluation moved the image, bool."""


@partial(jax.jit, static_argnames=("optimizer",))
def begin(images: Float[Array, "lanes *shape"], unknown: Any, optimizer: Optimizer, boxes: Box | None = None) -> Carry:
    """Makes the carry before any evaluation, in buffers of its own, since it is donated; its gradient norm is NaN.

    Args:
      images: the start, [lanes, *shape], any floating dtype.
      unknown: losses that are not known yet, a pytree of [lanes], NaN each.
      optimizer: static, so hashable.
      boxes: what each lane's images stay in; None for any image.

    Returns:
      The carry.
    """
    carry = Carry(optimizer.init(images, boxes), unknown, jnp.full(images.shape[0], jnp.nan, images.dtype))
    return jax.tree.map(jnp.copy, carry)


def rows_of(carry: Carry) -> Rows:
    """Makes rows of evaluations that were not made, of the structure that `advance` gives."""

    def blank(value: Array, fill: float) -> Array:
        return jnp.full((LONGEST_CHUNK, *value.shape), fill, value.dtype)

    losses = jax.tree.map(lambda value: blank(value, jnp.nan), carry.losses)
    state = carry.optimizer
    return Rows(
        losses, blank(carry.gradient_norm, jnp.nan), blank(state.status, NOT_TAKEN), blank(state.accepted, False)
    )


def advance(
    objective: Callable[[Array], Any], carry: Carry, count: Int[Array, ""] | int, optimizer: Optimizer
) -> tuple[Carry, Rows]:
    """Makes `count` evaluations of every lane, or fewer when no lane runs any longer.

    Args:
      objective: from images [lanes, *shape] to losses, a pytree of [lanes] with the one to minimize as `total`.
      carry: from `begin` or from here.
      count: at most LONGEST_CHUNK; traced, so that no count needs a program of its own.
      optimizer: that of the carry.

    Returns:
      The carry after them, and a row for each of them.
    """

    def evaluate(trial: Array) -> tuple[Array, Any]:
        losses = objective(trial)
        return jnp.sum(losses.total), losses  # lanes do not meet, so the sum's gradient is each lane's own

    def unfinished(loop: tuple[Carry, Rows, Array]) -> Array:
        carry, _, i = loop
        return (i < count) & jnp.any(carry.optimizer.status == RUNNING)

    def body(loop: tuple[Carry, Rows, Array]) -> tuple[Carry, Rows, Array]:
        carry, rows, i = loop
        gradient, losses = jax.grad(evaluate, has_aux=True)(optimizer.ask(carry.optimizer))
        state = optimizer.tell(carry.optimizer, losses.total, gradient)
        norm = jnp.sqrt(jnp.sum(jnp.square(gradient), tuple(range(1, gradient.ndim))))
        # A start whose loss is not finite is never accepted; what it is made of tells which part is to blame.
        shown = state.accepted | jnp.isnan(carry.losses.total)
        kept = (carry.losses, carry.gradient_norm)
        latest = jax.tree.map(lambda new, old: jnp.where(shown, new, old), (losses, norm), kept)
        rows = jax.tree.map(
            lambda row, value: jax.lax.dynamic_update_index_in_dim(row, value, i, 0),
            rows,
            Rows(latest[0], latest[1], state.status, state.accepted),
        )
        return Carry(state, latest[0], latest[1]), rows, i + 1

    carry, rows, _ = jax.lax.while_loop(unfinished, body, (carry, rows_of(carry), jnp.zeros((), jnp.int32)))
    return carry, rows
