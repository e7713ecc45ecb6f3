"""A strong-Wolfe line search as a state machine: one evaluation in, one step length out.

Nocedal & Wright, Numerical Optimization (2nd ed.), algorithms 3.5 and 3.6, turned inside out: the caller evaluates, so
that any number of lanes can each be at a different point of its search and none waits for another. All functions are
for one lane; `vmap` them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

Array = jax.Array
Scalar = Float[Array, ""]

DECREASE = 1e-4  # c1 of the sufficient decrease (Armijo) condition
CURVATURE = 0.9  # c2 of the curvature condition, the usual value for quasi-Newton directions
EXPANSION = (2.0, 10.0)  # how far a step may grow before a minimum is bracketed
MARGIN = 0.1  # a new step keeps this part of the bracket away from both its ends
EVALUATIONS = 20  # at the most, in one search


class Trial(NamedTuple):
    """A step length with the objective φ(t) = f(x + t d) and its slope φ'(t) there, scalars."""

    step: Array
    value: Array
    slope: Array


class Search(NamedTuple):
    """A search under way. The minimum lies between `low` and `high` once `bracketed`."""

    origin: Trial
    """t = 0."""
    low: Trial
    """The best trial so far that decreases φ sufficiently; the origin to begin with."""
    high: Trial
    bracketed: Array
    """Bool."""
    step: Array
    """The step length to evaluate next."""
    evaluations: Array
    """How many this search has used, int32."""
    width: Array
    """Of the bracket two evaluations ago and one evaluation ago, [2]."""
    last_resort: Array
    """Whether `step` is `low` evaluated again, to be taken as it is."""


class Verdict(NamedTuple):
    """What the latest evaluation means, booleans."""

    accepted: Array
    """The step is taken."""
    failed: Array
    """The search is exhausted and found no decrease at all."""


def begin(value: Scalar, slope: Scalar, step: Scalar) -> Search:
    """Starts a search along a direction.

    Args:
      value: φ(0), a scalar of any floating dtype.
      slope: φ'(0), likewise; negative.
      step: the first step length to try.

    Returns:
      The search, which asks for that step.
    """
    origin = Trial(jnp.zeros_like(value), value, slope)
    infinite = jnp.full_like(value, jnp.inf)
    return Search(
        origin=origin,
        low=origin,
        high=Trial(infinite, infinite, infinite),
        bracketed=jnp.zeros((), bool),
        step=step,
        evaluations=jnp.zeros((), jnp.int32),
        width=jnp.stack([infinite, infinite]),
        last_resort=jnp.zeros((), bool),
    )


def tell(search: Search, value: Scalar, slope: Scalar) -> tuple[Search, Verdict]:
    """Takes φ and φ' at `search.step`; says whether that step is accepted, and otherwise which to evaluate next.

    A trial that is not finite counts as far too high, so that a search backs out of overflow.

    Args:
      search: from `begin` or from here.
      value: φ there, a scalar.
      slope: φ' there, a scalar.

    Returns:
      The search with its next step, and what the evaluation means.
    """
    origin, low, high = search.origin, search.low, search.high
    finite = jnp.isfinite(value) & jnp.isfinite(slope)
    trial = Trial(search.step, jnp.where(finite, value, jnp.inf), jnp.where(finite, slope, jnp.inf))

    sufficient = trial.value <= origin.value + DECREASE * trial.step * origin.slope
    flat = jnp.abs(trial.slope) <= -CURVATURE * origin.slope
    # Near a minimum the decrease to be expected, of half the tangent's, drowns in rounding; Hager & Zhang's approximate
    # Wolfe condition (SIAM J. Optim. 16, 2005, eq 4.1) then decides by slopes alone.
    rounding = 10 * jnp.finfo(value.dtype).eps * jnp.abs(origin.value)
    drowned = -0.5 * trial.step * origin.slope <= rounding
    gentle = flat & (trial.slope <= (2 * DECREASE - 1) * origin.slope)
    nearly = drowned & gentle & (trial.value <= origin.value + rounding)
    accepted = finite & ((sufficient & flat) | nearly | search.last_resort)

    # Algorithm 3.6's update: a trial that is too high closes the bracket from its side; a better one becomes `low`,
    # and where φ rises towards `high` from there, the old `low` closes the bracket.
    too_high = ~sufficient | (trial.value >= low.value)
    towards_high = jnp.where(search.bracketed, jnp.sign(high.step - low.step), 1.0)
    turned = ~too_high & (trial.slope * towards_high >= 0)
    new_high = _choose(too_high, trial, _choose(turned, low, high))
    new_low = _choose(too_high, low, trial)
    bracketed = search.bracketed | too_high | turned

    width = jnp.where(bracketed, jnp.abs(new_high.step - new_low.step), jnp.inf)
    slow = width > 0.66 * search.width[0]  # Moré & Thuente (ACM TOMS 20, 1994): then bisect
    step = jnp.where(bracketed, _inside(new_low, new_high, slow), _outside(low, trial))

    evaluations = search.evaluations + 1
    exhausted = ~accepted & ((evaluations >= EVALUATIONS) | ~jnp.isfinite(step) | (step == new_low.step))
    decreased = new_low.step > 0
    return Search(
        origin=origin,
        low=new_low,
        high=new_high,
        bracketed=bracketed,
        step=jnp.where(exhausted, new_low.step, step),
        evaluations=evaluations,
        width=jnp.stack([search.width[1], width]),
        last_resort=exhausted & decreased,
    ), Verdict(accepted, exhausted & (~decreased | search.last_resort))


def _choose(condition: Array, yes: Trial, no: Trial) -> Trial:
    return Trial(*(jnp.where(condition, a, b) for a, b in zip(yes, no, strict=True)))


def _inside(low: Trial, high: Trial, bisect: Array) -> Array:
    """A step within the bracket: the cubic's minimum, kept away from the ends, or the middle."""
    width = high.step - low.step
    fraction = (_cubic_minimum(low, high) - low.step) / width
    fraction = jnp.where(jnp.isfinite(fraction) & ~bisect, jnp.clip(fraction, MARGIN, 1 - MARGIN), 0.5)
    return low.step + fraction * width


def _outside(previous: Trial, trial: Trial) -> Array:
    """A longer step, while φ still falls."""
    step = _cubic_minimum(previous, trial)
    shortest, longest = (factor * trial.step for factor in EXPANSION)
    # A cubic without a minimum ahead tells nothing about how far to go.
    return jnp.where(jnp.isfinite(step) & (step > trial.step), jnp.clip(step, shortest, longest), longest)


def _cubic_minimum(a: Trial, b: Trial) -> Array:
    """The minimum of the cubic through both values and slopes (Nocedal & Wright, eq 3.59); NaN where there is none."""
    mean = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
    root = jnp.sign(b.step - a.step) * jnp.sqrt(mean**2 - a.slope * b.slope)
    return b.step - (b.step - a.step) * (b.slope + root - mean) / (b.slope - a.slope + 2 * root)
