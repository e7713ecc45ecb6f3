"""VGG-19, pure; which algorithm a convolution takes on which platform; what its positions see."""

from typing import TYPE_CHECKING

from nst_jax import lazily

if TYPE_CHECKING:
    from nst_jax.network.layers import CONTENT_LAYER as CONTENT_LAYER
    from nst_jax.network.layers import CONVOLUTIONS as CONVOLUTIONS
    from nst_jax.network.layers import LAYERS as LAYERS
    from nst_jax.network.layers import ROWS as ROWS
    from nst_jax.network.layers import STYLE_LAYERS as STYLE_LAYERS
    from nst_jax.network.vgg import VGG19 as VGG19
    from nst_jax.network.vgg import features as features
    from nst_jax.network.vgg import prepare as prepare

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
