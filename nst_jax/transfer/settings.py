"""The settings of a transfer, each with its default, range and help, once: Python and the command line share them."""

from dataclasses import dataclass, replace

from nst_jax.errors import InputError, argument
from nst_jax.loss.conventions import CONVENTIONS, PAPER, STYLE_LOSSES
from nst_jax.network.layers import (
    CONTENT_LAYER,
    EDGES,
    FAST,
    LAYERS,
    PADDINGS,
    POOLS,
    PRECISIONS,
    STYLE_LAYERS,
    channels_of,
)
from nst_jax.pictures.constants import BITS, MAX_PIXELS, MIN_SIDE, WRITTEN_SIDE
from nst_jax.transfer.fields import check, layers, numbers, regions, setting
from nst_jax.transfer.region_names import written

BOUNDS: dict[str, tuple[float, float] | None] = {"box": (0.0, 1.0), "none": None}
"""What `bounds` means."""
COLORS = ("painting", "luminance", "match")
"""Whose colors a picture has (Gatys, Bethge, Hertzmann & Shechtman, arXiv 1606.05897)."""
COLOR_MATCHES = ("pca", "cholesky", "monge")
"""See `recolor.match_colors`."""
ORIGINAL = "original"
"""What may stand for a size where a photograph is at hand: its own. Settings hold the number."""
_LEAST = 1.2e-38  # what a float32 can tell from zero
_ANY = (0, 1e30)  # what a float32 can hold, with room for losses
_SIDE = (MIN_SIDE, WRITTEN_SIDE["WEBP"])  # so that no format refuses a picture at the end


@dataclass(frozen=True)
class Settings:
    """What is minimized, from where, and how. The defaults are the paper's where the paper says.

    Each field's metadata says what it is: `nst-jax stylize --help` lists them all.

    Raises:
      InputError: a value that is not allowed; the message names the setting.

    Example:
      >>> settings = nst.Settings(ratio=1e-4, style_layers=("conv1_1", "conv2_1"))
      >>> settings.alpha_beta, settings.layer_weights
      ((0.0001, 1.0), {'conv1_1': 0.5, 'conv2_1': 0.5})
      >>> nst.Settings(size=8)
      Traceback (most recent call last):
        ...
      nst_jax.errors.InputError: size: 8 is not allowed; must be from 32 to 16383
    """

    ratio: float | None = setting(
        None, "loss", float, "α/β of equation 7 (default: 1e-3, or the convention's)", range=_ANY
    )
    alpha: float | None = setting(None, "loss", float, "α, instead of --ratio (default with --beta: 1)", range=_ANY)
    beta: float | None = setting(None, "loss", float, "β, instead of --ratio (default with --alpha: 1)", range=_ANY)
    presence: float | None = setting(
        None,
        "presence",
        float,
        "how much of the photograph is to be there, instead of --ratio: the correlation of the picture's conv4_2 with "
        "the photograph's. The α/β that gives it is found first, on small pictures",
        range=(0, 1),
    )
    content_layers: tuple[str, ...] = setting(
        (CONTENT_LAYER,),
        "sweep",
        layers,
        "layers of equation 1; of several, each may have its weight after a colon: conv3_2:0.2,conv4_2:1",
        metavar="LAYERS",
    )
    style_layers: tuple[str, ...] = setting(
        STYLE_LAYERS,
        "style",
        layers,
        "layers of equation 5",
        choices=LAYERS,
        metavar="LAYERS",
    )
    style_loss: str = setting(
        "gram",
        "style-loss",
        str,
        "how styles are compared. gram: equation 4. mean-std: means and standard deviations of filters. wasserstein: "
        "how far one Gaussian of activations must be moved to be the other. The default ratio gives a comparable look",
        choices=STYLE_LOSSES,
    )
    style_weights: tuple[float, ...] | None = setting(
        None,
        "loss",
        numbers,
        "w_l of equation 5, one for each style layer (default: one over their number, or the convention's)",
        range=_ANY,
    )
    style_blend: tuple[float, ...] | None = setting(
        None, "loss", numbers, "shares of several style pictures, one for each (default: equal)", range=_ANY
    )
    region: tuple[str, ...] = setting(
        (),
        "region",
        regions,
        "where a grey picture of the photograph's aspect is white, the style is this painting's, or that of the "
        "part of the painting that a mask of its own shows. May be given several times. What no region covers has the "
        "painting STYLE or, without one, stays the photograph",
        metavar="MASK=PAINTING[:MASK]",
        repeated=str,
    )
    region_edges: str = setting(
        "simple",
        "region",
        str,
        "what a layer's positions belong to that see several regions: simple, each in part; inside, none, which leaves "
        "a margin with little style; all, each wholly, which carries styles across edges",
        choices=EDGES,
    )
    region_weights: tuple[float, ...] | None = setting(
        None,
        "region",
        numbers,
        "how strong each region's style is, and the rest's last if it has one (default: 1, as strong everywhere)",
        range=_ANY,
    )
    keep: str | None = setting(
        None,
        "keep",
        str,
        "a grey picture of the photograph's aspect; where it is white the picture stays the photograph",
        metavar="MASK",
    )
    color: str = setting(
        "painting",
        "color",
        str,
        "whose colors the picture has. painting: the painting's. luminance: the photograph's, and only light and dark "
        "are transferred, of a painting brought to the photograph's mean luminance and its spread. match: the "
        "photograph's mean and covariance, to which the painting's colors are brought first",
        choices=COLORS,
    )
    color_match: str = setting(
        COLOR_MATCHES[0],
        "color-match",
        str,
        "how --color match maps colors: along principal axes, by Cholesky factors, or as near to what they were as "
        "can be (Monge's optimal transport)",
        choices=COLOR_MATCHES,
    )
    tv: float = setting(0.0, "sweep", float, "weight of total variation, which is not in the paper", range=_ANY)
    convention: str = setting(
        PAPER,
        "sweep",
        str,
        "whose loss α, β and w_l are given for, and whose defaults they have. It does not choose the network: "
        + "; ".join(f"{name}: {known.network}" for name, known in CONVENTIONS.items()),
        choices=tuple(CONVENTIONS),
    )
    ratio_size: int | None = setting(
        None,
        "sweep",
        int,
        "longest side in pixels of the picture that α/β is given for: α is scaled by the number of positions so that "
        "the look at --size is the same (default: --size, the paper's plain meaning)",
        range=_SIDE,
    )
    weights: str = setting(
        "vgg19", "weights", str, "parameters: a name that `weights list` shows, or a file", metavar="NAME|FILE"
    )
    pool: str = setting(
        "avg",
        "network",
        str,
        "average pooling, as in the paper; binomial, an average of wider windows, which overlap; or the maximum, as "
        "the network was trained",
        choices=POOLS,
    )
    padding: str = setting(
        "zero",
        "network",
        str,
        "what convolutions see beyond the picture's border: zeros, as the network was trained, the picture reflected, "
        "or its border repeated",
        choices=PADDINGS,
    )
    precision: str = setting(
        "auto",
        "network",
        str,
        "how products are rounded on TPU and GPU; auto is the fastest whose pictures cannot be told from float32's: "
        + ", ".join(f"{name} on {platform.upper()}" for platform, name in FAST.items())
        + "; float32 where a picture is judged or reconstructed. With bfloat16-activations what layers hand on takes "
        "half the memory",
        choices=("auto", *PRECISIONS),
    )
    size: int = setting(512, "size", int, "longest side of the picture in pixels", range=_SIDE)
    style_size: int | None = setting(
        None,
        "style-size",
        int,
        "longest side of the style picture in pixels (default: as the picture)",
        range=_SIDE,
    )
    style_scale: float = setting(
        1.0,
        "style-size",
        float,
        "size of the style picture relative to --style-size, or to --size: larger gives larger strokes",
        range=(0.05, 20),
    )
    max_pixels: int = setting(
        MAX_PIXELS, "input", int, "refuse input pictures with more pixels than this", range=(1024, 10**10)
    )
    init: str = setting(
        "noise", "start", str, "start from white noise, from the content picture, from a picture file or, in sweeps, "
        "each lane from its picture in another run's folder",
        metavar="noise|content|FILE|DIR",
    )  # fmt: skip
    noise: float = setting(
        1.0, "noise", float, "standard deviation of the white noise, in levels of 255", range=(0, 10_000)
    )
    seed: int = setting(0, "seed", int, "of the white noise", range=(0, 2**32 - 1))
    optimizer: str = setting("lbfgs", "search", str, "L-BFGS, or Adam", choices=("lbfgs", "adam"))
    evaluations: int = setting(300, "search", int, "of loss and gradient", range=(1, 1_000_000))
    scales: int | None = setting(
        None,
        "scales",
        int,
        "how many sizes to make the picture at, each half of the next, with `--evaluations` in all of them together "
        "(default: 3 for one picture from noise at 256 pixels or more, else 1)",
        range=(1, 9),
    )
    history: int = setting(20, "search", int, "curvature pairs that L-BFGS remembers", range=(1, 1000))
    bounds: str = setting(
        "box",
        "search",
        str,
        "box keeps every value of the picture within 0..1 on the whole way, so that the file holds what was minimized; "
        "none is the plain algorithm, whose picture is clipped when it is written",
        choices=tuple(BOUNDS),
    )
    learning_rate: float = setting(0.02, "search", float, "of Adam, where black to white is 1", range=(1e-9, 1e3))
    bits: int = setting(
        8, "output", int, "a channel in the picture files that are written; 16 in PNG and TIFF alone", choices=BITS
    )

    def __post_init__(self) -> None:
        check(self)
        if self.ratio is not None and (self.alpha is not None or self.beta is not None):
            raise InputError(f"{_RATIO}: not allowed together with {_ALPHA} or {_BETA}; give one or the other")
        if self.presence is not None and {self.ratio, self.alpha, self.beta} != {None}:
            together = f"not allowed together with {_RATIO}, {_ALPHA} or {_BETA}"
            raise InputError(f"{argument('presence')}: {together}; give one or the other")
        if self.ratio_size is not None and self.convention != PAPER:
            only = f"only with {argument('convention')} {PAPER}"
            raise InputError(f"{argument('ratio_size')}: {only}; the others take means, whatever the size")
        if self.style_loss != "gram" and self.convention != PAPER:
            only = f"only with {argument('convention')} {PAPER}"
            raise InputError(f"{argument('style_loss')}: {only}; the others' weights are of Gram matrices")
        if max(self.alpha_beta) < _LEAST:
            raise InputError(f"{_ALPHA} and {_BETA}: both are zero in float32; at least one must be positive")
        for name in ("style_weights", "style_blend", "region_weights"):
            shares = getattr(self, name)
            if shares is not None and not any(shares):
                raise InputError(f"{argument(name)}: all are zero; at least one must be positive")
        for name, named in (("style_layers", self.style_layers), ("content_layers", tuple(self.content_weights))):
            if not named or len(set(named)) < len(getattr(self, name)):
                problem = "a layer is named twice" if named else "no layer is named"
                raise InputError(f"{argument(name)}: {problem}; known are {', '.join(LAYERS)}")
        for region in self.region:
            written(region)  # or it has not this form
        if not any(self.content_weights.values()):
            raise InputError(f"{argument('content_layers')}: all weights are zero; at least one must be positive")
        if self.style_weights is not None and len(self.style_weights) != len(self.style_layers):
            counts = f"{len(self.style_weights)} given for {len(self.style_layers)} style layers"
            raise InputError(f"{argument('style_weights')}: {counts}; give one for each")

    def on(self, platform: str) -> "Settings":
        """Names the precision that "auto" is, where something is minimized on a platform such as "gpu"."""
        return self._where_auto(FAST.get(platform, "float32"))

    @property
    def exact(self) -> "Settings":
        """With float32 for "auto": where something is judged, or ends so near to zero that rounding shows."""
        return self._where_auto("float32")

    def _where_auto(self, precision: str) -> "Settings":
        return replace(self, precision=precision) if self.precision == "auto" else self

    def beside(self, size: int) -> int:
        """Tells the longest side of the style picture, in pixels, beside a picture whose longest side is `size`."""
        side = round((self.style_size or size) * self.style_scale)
        return min(max(side, _SIDE[0]), _SIDE[1])

    @property
    def alpha_beta(self) -> tuple[float, float]:
        """α and β: those given, or a ratio as α with β = 1; eq 7 times a constant has the same minima.

        Of a presence that is yet to be searched for, they are the defaults.
        """
        if self.ratio is not None:
            return self.ratio, 1.0
        default = CONVENTIONS[self.convention]
        if self.alpha is None and self.beta is None:
            return default.alpha, default.beta
        alone = (1.0, 1.0) if self.convention == PAPER else (default.alpha, default.beta)
        return (alone[0] if self.alpha is None else self.alpha), (alone[1] if self.beta is None else self.beta)

    @property
    def content_weights(self) -> dict[str, float]:
        """The content layers' weights, one unless given; InputError for what is no layer or no weight."""
        found = {}
        for part in self.content_layers:
            layer, colon, written = part.partition(":")
            if layer.strip() not in LAYERS:
                known = ", ".join(LAYERS)
                raise InputError(f"{argument('content_layers')}: {layer!r} is unknown; known are {known}")
            try:
                weight = float(written) if colon else 1.0
            except ValueError:
                weight = -1.0
            if not _ANY[0] <= weight <= _ANY[1]:
                allowed = f"must be a number from {_ANY[0]} to {_ANY[1]:g}"
                raise InputError(f"{argument('content_layers')}: {part!r} has a weight that is not allowed; {allowed}")
            found[layer.strip()] = weight
        return found

    @property
    def layer_weights(self) -> dict[str, float]:
        """w_l of equation 5, or of the convention in its place."""
        if self.style_weights:
            return dict(zip(self.style_layers, self.style_weights, strict=True))
        weight = CONVENTIONS[self.convention].layer_weight
        return {layer: weight(channels_of(layer), len(self.style_layers)) for layer in self.style_layers}


_RATIO, _ALPHA, _BETA = map(argument, ("ratio", "alpha", "beta"))
