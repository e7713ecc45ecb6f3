"""The loss weights of other systems, and what they are in equations 1 to 7 of arXiv 1508.06576.

With N filters at M positions, ΔF the difference of a layer's activations and ΔG that of its Gram matrices per position
(G / M), every system known here minimizes α content(N, M) ΣΔF² + β Σ_l w_l style(N_l) ΣΔG_l². They differ in the two
factors, in what α, β and w_l are unless they are given, and in the network. Gram matrices that are means over positions
are per-position ones (`nst_jax.loss.losses.style_layer_loss`), whatever a picture's size.

Not translated, and never set by a convention: the network and its pooling (`network` tells them), total variation,
the weights of several content layers, the start and the optimizer.
"""

from collections.abc import Callable
from dataclasses import dataclass

PAPER = "paper"
STYLE_LOSSES = ("gram", "mean-std", "wasserstein")
"""What may compare styles: equation 4; means and standard deviations of filters; the transport distance of Gaussians.
Here, since `style_losses` needs JAX, and names do not."""


@dataclass(frozen=True)
class Convention:
    """One system's objective and its defaults.

    Attributes:
      content: from N filters and M positions to the factor of ΣΔF².
      style: from N filters to the factor of Σ(ΔG/M)².
      layer_weight: from N filters and the number of style layers to w_l, unless it is given.
      alpha: α, unless it is given.
      beta: β, unless it is given.
      network: the options that ask for its network, and what of it no option gives.
      source: where all this is written.
    """

    content: Callable[[int, int], float]
    style: Callable[[int], float]
    layer_weight: Callable[[int, int], float]
    alpha: float
    beta: float
    network: str
    source: str


def _mean_content(filters: int, positions: int) -> float:
    return 1 / (filters * positions)


def _mean_gram(filters: int) -> float:
    return 1 / filters**2


_PYSTICHE_2016 = "pystiche/papers, pystiche_papers/gatys_ecker_bethge_2016"

CONVENTIONS: dict[str, Convention] = {
    PAPER: Convention(
        content=lambda filters, positions: 1 / 2,
        style=lambda filters: 1 / (4 * filters**2),
        layer_weight=lambda filters, layers: 1 / layers,
        alpha=1e-3,
        beta=1.0,
        network="--weights vgg19 --pool avg",
        source="arXiv 1508.06576, equations 1, 4, 5 and 7; leongatys/DeepTextures has the same style term, "
        "DeepImageSynthesis/LossFunctions.py, lines 15 to 22, with weights of its own (1e9 a layer)",
    ),
    "gatys": Convention(
        content=_mean_content,
        style=_mean_gram,
        layer_weight=lambda filters, layers: 1 / filters**2,
        alpha=1.0,
        beta=1e3,
        network="--weights vgg19 --pool max",
        source="the author's code: leongatys/PytorchNeuralStyleTransfer, NeuralStyleTransfer.ipynb, cells 3 and 8; "
        "leongatys/NeuralImageSynthesis, ExampleNotebooks/BasicStyleTransfer.ipynb, cell 3 (sw, cw), with "
        "LossLayers.lua, lines 15 to 26 (MSE) and 66 to 84 (GramMSE)",
    ),
    "gatys-normalized": Convention(
        content=_mean_content,
        style=_mean_gram,
        layer_weight=lambda filters, layers: 1 / layers,
        alpha=1e6,
        beta=1e9,
        network="--weights vgg19-normalized (the author's own means are not to be had); the pooling is not known",
        source="leongatys/NeuralImageSynthesis, ExampleNotebooks/BasicStyleTransfer.ipynb, cell 4",
    ),
    "neural-style": Convention(
        content=_mean_content,
        style=lambda filters: 1 / filters**4,  # its Gram matrix is divided by N as well
        layer_weight=lambda filters, layers: 1.0,
        alpha=5.0,
        beta=1e2,
        network="--weights vgg19 --pool max; its pixels are times 256, not 255, and its total variation is on",
        source="jcjohnson/neural-style, neural_style.lua, lines 22 to 24 (-content_weight, -style_weight, -tv_weight), "
        "and the updateOutput of ContentLoss and StyleLoss (G:div(input:nElement())); ProGamerGov/neural-style-pt, "
        "neural_style.py, classes ContentLoss, GramMatrix and StyleLoss: the same",
    ),
    "pastiche": Convention(
        content=lambda filters, positions: 0.01 * _mean_content(filters, positions),
        style=_mean_gram,
        layer_weight=lambda filters, layers: 10 / filters**2,
        alpha=1.0,
        beta=1.0,
        network="--weights vgg19 --pool max; its total variation is of absolute differences",
        source="pastiche 1.6.0, pastiche/pastiche.py, lines 127 to 133 (gram) and 276 to 320 (_calc_loss); α is "
        "its --content-weight, β its --style-weights, w_l its --style-layer-weights",
    ),
    "pystiche": Convention(
        content=_mean_content,
        style=_mean_gram,
        layer_weight=lambda filters, layers: 1 / filters**2,
        alpha=1.0,
        beta=1e3,
        network="--weights vgg19 --pool max",
        source=f"{_PYSTICHE_2016}/_loss.py (FeatureReconstructionLoss, MultiLayerEncodingLoss) and _utils.py "
        "(compute_layer_weights, hyper_parameters), and gatys_ecker_bethge_2015/_loss.py, with impl_params=True; "
        "pystiche/pystiche, pystiche/core/_math.py (gram_matrix, normalize=True)",
    ),
}
