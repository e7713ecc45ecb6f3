"""What commands tell of pictures: how they were made, in the file and as JSON; and where they may not be written."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax import __version__
from nst_jax.cli.output import kept
from nst_jax.errors import InputError, argument
from nst_jax.loss.conventions import PAPER
from nst_jax.loss.objective import Losses
from nst_jax.pictures import files, images
from nst_jax.runs import moved
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights


def inputs_of(content: Path, style: Sequence[Path], settings: Settings) -> dict[str, list[dict[str, str]]]:
    """The files that a picture is made of, by role: their names, without folders, and their sha256."""
    begin = [] if settings.init in ("noise", "content") else [Path(settings.init)]
    named = [Path(name) for name in moved.of_masks(settings)]
    made_from = {"content": [content], "style": style, "init": begin} | ({"masks": named} if named else {})
    return {
        role: [{"file": path.name, "sha256": files.sha256(path)} for path in paths]
        for role, paths in made_from.items()
    }  # fmt: skip


def provenance(content: Path, style: Sequence[Path], settings: Settings) -> dict[str, Any]:
    """How a picture was made: enough to make it again, nothing that differs from run to run."""
    return {
        "version": __version__,
        "inputs": inputs_of(content, style, settings),
        "weights_sha256": weights.sha256(settings.weights),
        "settings": vars(settings),
    }


def write(path: Path, image: np.ndarray, about: dict[str, Any], bits: int, alpha: np.ndarray | None = None) -> Path:
    """Writes a picture with what is known of it, and says so if it is not at `path`; returns where it is."""
    text = json.dumps(about, ensure_ascii=False)
    return kept(path, lambda place: images.write_image(place, image, {"nst_jax": text}, bits, alpha=alpha))


def losses_report(losses: Losses, settings: Settings, size: Sequence[int]) -> dict[str, Any]:
    """The losses of a picture of a size, (height, width), for JSON."""
    alpha, beta = settings.alpha_beta
    report: dict[str, Any] = {
        "total": finite(losses.total),
        "content": finite(losses.content),
        "style": finite(losses.style),
        "style_layers": {layer: finite(losses.style_layers[layer]) for layer in losses.style_layers},
        "alpha": alpha,
        "beta": beta,
        "size": list(size),
    }
    if settings.convention != PAPER:
        report["convention"] = settings.convention
    return report | ({"tv": finite(losses.tv)} if settings.tv else {})


def finite(value: Any) -> float | None:
    """None when it is not finite, since JSON has no other word for that."""
    return float(value) if math.isfinite(value) else None


def check_style(style: Sequence[Path], settings: Settings) -> None:
    """Raises InputError unless something has a style."""
    if not style and not settings.region:
        raise InputError(f"STYLE: no painting is given; only with {argument('region')} may there be none")


def refuse_inputs(output: Path, sources: Sequence[Path], name: str = argument("output")) -> None:
    """Raises InputError, naming the argument that holds `output`, if that is one of the inputs."""
    for path in sources:
        if output.exists() and path.exists() and output.samefile(path):
            raise InputError(f"{name} {output}: is an input picture; name another file")
