"""Picture files to float32 RGB arrays and back."""

from typing import TYPE_CHECKING

from nst_jax import lazily

if TYPE_CHECKING:
    from nst_jax.pictures.animation import check_animation as check_animation
    from nst_jax.pictures.animation import read_animation as read_animation
    from nst_jax.pictures.animation import write_animation as write_animation
    from nst_jax.pictures.images import PictureWarning as PictureWarning
    from nst_jax.pictures.images import check_output as check_output
    from nst_jax.pictures.images import fit as fit
    from nst_jax.pictures.images import pictures_in as pictures_in
    from nst_jax.pictures.images import read_image as read_image
    from nst_jax.pictures.images import read_with_alpha as read_with_alpha
    from nst_jax.pictures.images import resize as resize
    from nst_jax.pictures.images import write_image as write_image
    from nst_jax.pictures.noise import white_noise as white_noise

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
