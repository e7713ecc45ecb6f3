"""Accelerators that are not there: their figures, and what their own compilers say of a run's programs."""

from typing import TYPE_CHECKING

from nst_jax import lazily

if TYPE_CHECKING:
    from nst_jax.topologies.planning import outlook as outlook

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
