"""The settings of a run: one frozen dataclass with all defaults. The command line is generated from it."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from nst_jax.errors import InputError
from nst_jax.loss.conventions import CONVENTIONS, PAPER
from nst_jax.network.layers import LAYERS, channels_of


def layers(text: str) -> tuple[str, ...]:
    """Reads "conv1_1,conv2_1" as layer names."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def numbers(text: str) -> tuple[float, ...]:
    """Reads "0.2,0.8" as numbers."""
    return tuple(float(part) for part in text.split(","))


_ANY = (0, 1e30)  # what a float32 can hold, with room for losses
_SIDE = (32, 16_383)  # pixels; the most that a WebP can have, so that no format refuses a picture at the end


def _option(
    default: Any, group: str, parse: Callable[[str], Any], help: str, *, range=None, choices=None, metavar=None
) -> Any:
    about = {"group": group, "parse": parse, "help": help, "range": range, "choices": choices, "metavar": metavar}
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class Settings:
    """What is minimized, from where, and how. The defaults are the paper's where the paper says.

    Raises InputError, naming the option, for any value that is not allowed.
    """

    ratio: float | None = _option(
        None, "loss", float, "α/β of equation 7 (default: 1e-3, or the convention's)", range=_ANY
    )
    alpha: float | None = _option(None, "loss", float, "α, instead of --ratio (default with --beta: 1)", range=_ANY)
    beta: float | None = _option(None, "loss", float, "β, instead of --ratio (default with --alpha: 1)", range=_ANY)
    content_layer: str = _option("conv4_2", "sweep", str, "layer of equation 1", choices=LAYERS, metavar="LAYER")
    style_layers: tuple[str, ...] = _option(
        ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"),
        "style",
        layers,
        "layers of equation 5",
        choices=LAYERS,
        metavar="LAYERS",
    )
    style_weights: tuple[float, ...] | None = _option(
        None,
        "loss",
        numbers,
        "w_l of equation 5, one for each style layer (default: one over their number, or the convention's)",
        range=_ANY,
    )
    style_blend: tuple[float, ...] | None = _option(
        None, "loss", numbers, "shares of several style pictures, one for each (default: equal)", range=_ANY
    )
    tv: float = _option(0.0, "sweep", float, "weight of total variation, which is not in the paper", range=_ANY)
    convention: str = _option(
        PAPER,
        "sweep",
        str,
        "whose loss α, β and w_l are given for, and whose defaults they have. It does not choose the network: "
        + "; ".join(f"{name}: {known.network}" for name, known in CONVENTIONS.items()),
        choices=tuple(CONVENTIONS),
    )
    ratio_size: int | None = _option(
        None,
        "sweep",
        int,
        "longest side in pixels of the picture that α/β is given for: α is scaled by the number of pixels so that the "
        "look at --size is the same (default: --size, the paper's plain meaning)",
        range=_SIDE,
    )
    weights: str = _option(
        "vgg19", "weights", str, "parameters: a name that `weights list` shows, or a file", metavar="NAME|FILE"
    )
    pool: str = _option("avg", "network", str, "average pooling, as in the paper, or maximum", choices=("avg", "max"))
    precision: str = _option(
        "float32",
        "network",
        str,
        "how products are rounded on TPU and GPU",
        choices=("float32", "tensorfloat32", "bfloat16"),
    )
    size: int = _option(512, "size", int, "longest side of the picture in pixels", range=_SIDE)
    style_size: int | None = _option(
        None,
        "style-size",
        int,
        "longest side of the style picture in pixels (default: as the picture)",
        range=_SIDE,
    )
    max_pixels: int = _option(
        100_000_000, "input", int, "refuse input pictures with more pixels than this", range=(1024, 10**10)
    )
    init: str = _option(
        "noise", "start", str, "start from white noise, from the content picture, from a picture file or, in sweeps, "
        "each lane from its picture in another run's folder",
        metavar="noise|content|FILE|DIR",
    )  # fmt: skip
    noise: float = _option(
        1.0, "noise", float, "standard deviation of the white noise, in levels of 255", range=(0, 10_000)
    )
    seed: int = _option(0, "seed", int, "of the white noise", range=(0, 2**32 - 1))
    optimizer: str = _option("lbfgs", "search", str, "L-BFGS, or Adam", choices=("lbfgs", "adam"))
    steps: int = _option(300, "search", int, "evaluations of loss and gradient", range=(1, 1_000_000))
    scales: int | None = _option(
        None,
        "scales",
        int,
        "how many sizes to make the picture at, each half of the next, with `--steps` in all of them together "
        "(default: 3 for one picture from noise at 256 pixels or more, else 1)",
        range=(1, 9),
    )
    history: int = _option(20, "search", int, "curvature pairs that L-BFGS remembers", range=(1, 1000))
    learning_rate: float = _option(0.02, "search", float, "of Adam, where black to white is 1", range=(1e-9, 1e3))

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            _check("--" + item.name.replace("_", "-"), value, item.metadata["range"], item.metadata["choices"])
        if self.ratio is not None and (self.alpha is not None or self.beta is not None):
            raise InputError("--ratio: not allowed together with --alpha or --beta; give one or the other")
        if self.ratio_size is not None and self.convention != PAPER:
            raise InputError(f"--ratio-size: only with --convention {PAPER}; the others take means, whatever the size")
        if not any(self.alpha_beta):
            raise InputError("--alpha and --beta: both are zero; at least one must be positive")
        for option, shares in (("--style-weights", self.style_weights), ("--style-blend", self.style_blend)):
            if shares is not None and not any(shares):
                raise InputError(f"{option}: all are zero; at least one must be positive")
        if not self.style_layers or len(set(self.style_layers)) < len(self.style_layers):
            problem = "a layer is named twice" if self.style_layers else "no layer is named"
            raise InputError(f"--style-layers: {problem}; known are {', '.join(LAYERS)}")
        if self.style_weights is not None and len(self.style_weights) != len(self.style_layers):
            counts = f"{len(self.style_weights)} given for {len(self.style_layers)} style layers"
            raise InputError(f"--style-weights: {counts}; give one for each")

    @property
    def alpha_beta(self) -> tuple[float, float]:
        """α and β: those given, or a ratio as α with β = 1; eq 7 times a constant has the same minima."""
        if self.ratio is not None:
            return self.ratio, 1.0
        default = CONVENTIONS[self.convention]
        if self.alpha is None and self.beta is None:
            return default.alpha, default.beta
        alone = (1.0, 1.0) if self.convention == PAPER else (default.alpha, default.beta)
        return (alone[0] if self.alpha is None else self.alpha), (alone[1] if self.beta is None else self.beta)

    @property
    def layer_weights(self) -> dict[str, float]:
        """w_l of equation 5, or of the convention in its place."""
        if self.style_weights:
            return dict(zip(self.style_layers, self.style_weights, strict=True))
        weight = CONVENTIONS[self.convention].layer_weight
        return {layer: weight(channels_of(layer), len(self.style_layers)) for layer in self.style_layers}


def _check(option: str, values: Any, allowed: tuple[float, float] | None, choices: tuple[str, ...] | None) -> None:
    for value in values if isinstance(values, tuple) else (values,):
        if choices and value not in choices:
            raise InputError(f"{option}: {value!r} is unknown; known are {', '.join(choices)}")
        if allowed and value is not None and not (allowed[0] <= value <= allowed[1]):
            raise InputError(f"{option}: {value} is not allowed; must be from {allowed[0]} to {allowed[1]}")


@dataclass(frozen=True)
class RunOptions:
    """How a sweep is run, apart from what it computes. Raises InputError for values that are not allowed."""

    batch: int | None = None
    """Lanes at once, over all devices; None for what fits and is fast."""
    strips: tuple[int, ...] = ()
    """Of a run that is run again; see `strips.statistics`."""
    memory: int | None = None
    """Bytes to use on a device; None for most of what is free."""
    tolerance: float = 0.0
    """See `sweep.Sweep`."""
    share: tuple[int, int] = (0, 1)
    """This process's share of the lanes, from 0, and the number of shares."""
    distributed: bool = False
    """Whether to take `share` from jax.distributed."""
    checkpoint_every: float = 60.0
    """Seconds."""
    dry_run: bool = False
    force: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        _check("--batch", self.batch, (1, 100_000), None)
        _check("--memory", self.memory, (1, 10**18), None)
        _check("--tolerance", self.tolerance, (0, 1), None)
        _check("--checkpoint-every", self.checkpoint_every, (0, 1e6), None)
        if self.force and (self.distributed or self.share[1] > 1):
            raise InputError("--force: not allowed with several shares; remove the folder first")
