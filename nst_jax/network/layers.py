"""VGG-19's convolutions and pools by the paper's names, in order: the one table of layers and shapes.

Simonyan & Zisserman, arXiv 1409.1556, table 1, column E, without the classifier, which the method does not use.
"""

_BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))  # convolutions, channels


def _layers() -> tuple[str, ...]:
    names: list[str] = []
    for block, (convolutions, _) in enumerate(_BLOCKS, start=1):
        names += [f"conv{block}_{number}" for number in range(1, convolutions + 1)]
        names.append(f"pool{block}")
    return tuple(names)


def _convolutions() -> dict[str, tuple[int, int]]:
    channels = {}
    incoming = 3
    for block, (convolutions, outgoing) in enumerate(_BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            channels[f"conv{block}_{number}"] = (incoming, outgoing)
            incoming = outgoing
    return channels


POOLS = ("avg", "binomial", "max")
"""Average pooling as in the paper, the average after a low-pass, or the maximum, as the network was trained."""
PADDINGS = ("zero", "reflect", "replicate")
"""What convolutions see beyond the border: zeros, as the network was trained, the picture reflected, or its border."""
EDGES = ("inside", "all", "simple")
"""What a position belongs to that sees several regions of a picture: only what all its pixels belong to, what any of
them does, or what they do on average, counting the pools' windows alone."""
PRECISIONS = ("float32", "tensorfloat32", "bfloat16", "bfloat16-activations")
"""How products are rounded on TPU and GPU; the last one also rounds what layers hand on, on CPU too."""
FAST = {"gpu": "tensorfloat32", "tpu": "bfloat16"}
"""By platform, what makes pictures of the same loss and look as float32 in the least time (docs/precision.md)."""

LAYERS: tuple[str, ...] = _layers()
"""The 21 layers, conv1_1, conv1_2, pool1, ... conv5_4, pool5, in the order they are applied."""

CONVOLUTIONS: dict[str, tuple[int, int]] = _convolutions()
"""The 16 convolutions, in order: name -> (input channels, output channels). All are 3x3 with stride 1 and a bias."""


def of_products(precision: str) -> str:
    """Names the precision of products, as `jax.lax.Precision` has it, that one of PRECISIONS asks for."""
    return precision.removesuffix("-activations")


def channels_of(layer: str) -> int:
    """Counts a layer's filters, N; a pool has those of the convolution before it.

    Args:
      layer: a name out of LAYERS.

    Returns:
      N.
    """
    earlier = LAYERS[: LAYERS.index(layer) + 1]
    return CONVOLUTIONS[[name for name in earlier if name in CONVOLUTIONS][-1]][1]


def halvings(layer: str) -> int:
    """Counts the pools up to and including this layer: its sides are the picture's, halved so often.

    Args:
      layer: a name out of LAYERS.

    Returns:
      From 0 to 5.
    """
    return sum(name.startswith("pool") for name in LAYERS[: LAYERS.index(layer) + 1])


def positions_of(layer: str, height: int, width: int) -> int:
    """Counts a layer's positions, M; each pool halves both sides, rounding down, as long as anything is left.

    Args:
      layer: a name out of LAYERS.
      height: the picture's, in pixels.
      width: the picture's, in pixels.

    Returns:
      M.
    """
    return max(1, height >> halvings(layer)) * max(1, width >> halvings(layer))


CONTENT_LAYER = "conv4_2"
"""The paper's layer of equation 1."""
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
"""The paper's layers of equation 5."""
ROWS: dict[str, tuple[str, ...]] = {letter: STYLE_LAYERS[:number] for number, letter in enumerate("ABCDE", start=1)}
"""The paper's cumulative subsets of style layers: A is conv1_1, B adds conv2_1, and so on to E."""
