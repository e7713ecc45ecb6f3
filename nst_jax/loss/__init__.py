"""Equations 1 to 7, further terms, regions, the conventions of other systems; the same in strips of rows."""

from typing import TYPE_CHECKING

from nst_jax import lazily

if TYPE_CHECKING:
    from nst_jax.loss.conventions import CONVENTIONS as CONVENTIONS
    from nst_jax.loss.conventions import STYLE_LOSSES as STYLE_LOSSES
    from nst_jax.loss.losses import content_loss as content_loss
    from nst_jax.loss.losses import gram_matrix as gram_matrix
    from nst_jax.loss.losses import style_layer_loss as style_layer_loss
    from nst_jax.loss.losses import style_representation as style_representation
    from nst_jax.loss.losses import total_variation as total_variation
    from nst_jax.loss.objective import Losses as Losses
    from nst_jax.loss.objective import Objective as Objective
    from nst_jax.loss.objective import Term as Term
    from nst_jax.loss.regions import Guidance as Guidance
    from nst_jax.loss.regions import Regions as Regions
    from nst_jax.loss.regions import guidance as guidance
    from nst_jax.loss.regions import guided_layer_loss as guided_layer_loss
    from nst_jax.loss.regions import guided_moments as guided_moments
    from nst_jax.loss.style_losses import SCALES as SCALES
    from nst_jax.loss.style_losses import layer_loss as layer_loss
    from nst_jax.loss.style_losses import mean_std_loss as mean_std_loss
    from nst_jax.loss.style_losses import moments as moments
    from nst_jax.loss.style_losses import wasserstein_loss as wasserstein_loss
    from nst_jax.loss.targets import Targets as Targets
    from nst_jax.loss.targets import blend as blend
    from nst_jax.loss.targets import content_targets as content_targets
    from nst_jax.loss.targets import style_targets as style_targets
    from nst_jax.loss.weighting import LossWeights as LossWeights
    from nst_jax.loss.weighting import loss_weights as loss_weights

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
