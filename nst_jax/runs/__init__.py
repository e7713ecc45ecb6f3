"""The run folder: checkpoints, resume, tables, contact sheet, page."""

from typing import TYPE_CHECKING

from nst_jax import lazily

if TYPE_CHECKING:
    from nst_jax.runs.anywhere import resume as resume
    from nst_jax.runs.anywhere import sweep as sweep
    from nst_jax.runs.following import State as State
    from nst_jax.runs.grid import Grid as Grid

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
