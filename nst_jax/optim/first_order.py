"""Any Optax transformation behind the same face as L-BFGS: `init`, `ask`, `tell`."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float

from nst_jax.optim import box
from nst_jax.optim.box import Box
from nst_jax.optim.curvature import dot
from nst_jax.optim.status import NOT_FINITE, RUNNING

Array = jax.Array


class State(NamedTuple):
    """The lanes' states; every array has a leading lane axis."""

    image: Array
    """The latest image whose loss and gradient were finite."""
    trial: Array
    """The image to evaluate next."""
    optimizer: Any
    """The transformation's own state."""
    box: Box
    """What the points stay in."""
    status: Array
    """RUNNING or NOT_FINITE, [lanes] int32."""
    accepted: Array
    """Whether the latest evaluation was finite, [lanes] bool."""


@dataclass(frozen=True)
class FirstOrder:
    """An optimizer that takes one gradient for one step, and projects where it gets to.

    Attributes:
      transformation: any Optax gradient transformation that needs no more than the loss and its gradient. It sees each
        lane on its own, so that one which takes norms over all variables (clipping, say) does not mix the lanes.

    Example:
      >>> optimizer = nst.optim.FirstOrder(optax.sgd(0.25))
      >>> state = optimizer.init(jnp.ones((1, 3)))
      >>> images = optimizer.ask(state)
      >>> state = optimizer.tell(state, values=(images**2).sum(1), gradients=2 * images)
      >>> optimizer.ask(state).tolist()
      [[0.5, 0.5, 0.5]]
    """

    transformation: optax.GradientTransformation

    def init(self, images: Float[Array, "lanes *shape"], boxes: Box | None = None) -> State:
        """Makes the state before any evaluation.

        Args:
          images: the start, [lanes, *shape], any floating dtype; brought into the boxes.
          boxes: which each lane's points stay in; None for any point.

        Returns:
          The state.
        """
        lanes = images.shape[0]
        boxes = box.boxes(lanes, images.dtype) if boxes is None else boxes
        images = jax.vmap(box.project)(boxes, images)
        return State(
            image=images,
            trial=images,
            optimizer=jax.vmap(self.transformation.init)(images),
            box=boxes,
            status=jnp.full(lanes, RUNNING, jnp.int32),
            accepted=jnp.zeros(lanes, bool),
        )

    def ask(self, state: State) -> Float[Array, "lanes *shape"]:
        """Says where to evaluate next, [lanes, *shape]."""
        return state.trial

    def tell(self, state: State, values: Float[Array, "lanes"], gradients: Float[Array, "lanes *shape"]) -> State:
        """Takes the losses [lanes] and gradients [lanes, *shape] at the points that `ask` gave."""
        return jax.vmap(self._tell)(state, values, gradients)

    def _tell(self, state: State, value: Float[Array, ""], gradient: Float[Array, "*shape"]) -> State:
        accepted = jnp.isfinite(value) & jnp.isfinite(dot(gradient, gradient)) & (state.status == RUNNING)
        transformation: Any = optax.with_extra_args_support(self.transformation)  # some ask for the loss itself
        with jax.numpy_dtype_promotion("standard"):  # Optax multiplies floats by whole numbers
            updates, optimizer = transformation.update(gradient, state.optimizer, state.trial, value=value)
        image = jnp.where(accepted, state.trial, state.image)
        moved: Any = optax.apply_updates(state.trial, box.unfrozen(state.box, updates))
        moved = box.project(state.box, moved)
        return State(
            image=image,
            trial=jnp.where(accepted, moved, image),
            optimizer=jax.tree.map(lambda new, old: jnp.where(accepted, new, old), optimizer, state.optimizer),
            box=state.box,
            status=jnp.where(accepted, RUNNING, NOT_FINITE).astype(jnp.int32),
            accepted=accepted,
        )


def asked_and_told(optimizer: Any) -> Any:
    """Makes an optimizer as the engine takes it: any Optax transformation becomes a `FirstOrder`.

    Args:
      optimizer: an Optax transformation, or what has the methods of `loop.Optimizer`.

    Returns:
      What has those methods.
    """
    return FirstOrder(optimizer) if isinstance(optimizer, optax.GradientTransformation) else optimizer
