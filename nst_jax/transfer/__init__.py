"""From settings and arrays to a problem, to the engine, to pictures."""

from typing import TYPE_CHECKING

from nst_jax import lazily

if TYPE_CHECKING:
    from nst_jax.transfer.axes import Axes as Axes
    from nst_jax.transfer.minimizing import minimize as minimize
    from nst_jax.transfer.outcome import Outcome as Outcome
    from nst_jax.transfer.problem import Problem as Problem
    from nst_jax.transfer.region_names import Region as Region
    from nst_jax.transfer.settings import Settings as Settings
    from nst_jax.transfer.stylizing import evaluate as evaluate
    from nst_jax.transfer.stylizing import stylize as stylize
    from nst_jax.transfer.sweeping import objective as objective
    from nst_jax.transfer.sweeping import sweep as sweep

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
