"""Optimizers that are asked and told, and the engine that runs them; nothing here knows of style or content."""

from typing import TYPE_CHECKING

from nst_jax import lazily

if TYPE_CHECKING:
    from nst_jax.optim.engine import Engine as Engine
    from nst_jax.optim.engine import Progress as Progress
    from nst_jax.optim.engine import Record as Record
    from nst_jax.optim.first_order import FirstOrder as FirstOrder
    from nst_jax.optim.lbfgs import LBFGS as LBFGS
    from nst_jax.optim.loop import DEFAULT_OPTIMIZER as DEFAULT_OPTIMIZER
    from nst_jax.optim.spectrum import FrequencyShaping as FrequencyShaping
    from nst_jax.optim.status import Status as Status

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
