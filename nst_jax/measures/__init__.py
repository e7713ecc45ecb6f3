"""What a made picture, or a network, is like."""

from typing import TYPE_CHECKING

from nst_jax import lazily

if TYPE_CHECKING:
    from nst_jax.measures.descriptors import channel_statistics as channel_statistics
    from nst_jax.measures.descriptors import style_descriptors as style_descriptors
    from nst_jax.measures.measures import Measures as Measures
    from nst_jax.measures.measures import measure as measure

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
