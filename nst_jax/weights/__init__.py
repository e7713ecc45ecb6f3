"""Parameter files: load, verify, convert, fetch, normalize, quantize."""

from typing import TYPE_CHECKING

from nst_jax import lazily

if TYPE_CHECKING:
    from nst_jax.weights.convert import convert as convert_weights
    from nst_jax.weights.weights import Verified as Verified
    from nst_jax.weights.weights import load as load_weights
    from nst_jax.weights.weights import save as save_weights
    from nst_jax.weights.weights import verify as verify_weights

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
