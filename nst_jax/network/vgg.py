"""VGG-19's sixteen convolutions and five pools (Simonyan & Zisserman, arXiv 1409.1556, column E) as a Linen module."""

from collections.abc import Iterable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax import devices
from nst_jax.errors import InputError
from nst_jax.network import conv, pooling
from nst_jax.network.layers import CONVOLUTIONS, LAYERS, PADDINGS, POOLS, PRECISIONS
from nst_jax.pictures.constants import MIN_SIDE

Array = jax.Array
AnyArray = jax.Array | np.ndarray


class VGG19(nn.Module):
    """The network up to the deepest of `layers`, as a Linen module; `features` is it for any number of images.

    The collection "params" holds a kernel [3, 3, in, out] (HWIO, RGB) and a bias [out] per convolution, the collection
    "preprocessing" the `mean` and `scale` [3] that belong to them; "transformed", from `prepare`, holds those kernels
    that "params" lacks.

    Attributes:
      layers: names out of `nst_jax.network.layers.LAYERS`.
      pool: "avg", as in the paper, "binomial", behind a low-pass (`network.pooling`), or "max", as the network
        was trained.
      padding: what convolutions see beyond the border: "zero", as the network was trained, "reflect" or "replicate"
        (`network.conv`).
      precision: how products are rounded on TPU and GPU: "float32", "tensorfloat32" or "bfloat16"; or
        "bfloat16-activations", which are products of bfloat16 and layers that hand on bfloat16, in half the memory.
      plain: see `features`.
      after: the layer whose activations the network starts from; None: from images.

    Example:
      >>> network = nst.network.VGG19(layers=("conv1_1", "pool1"))
      >>> {layer: x.shape for layer, x in network.apply(params, photo[None]).items()}
      {'conv1_1': (1, 43, 64, 64), 'pool1': (1, 21, 32, 64)}
    """

    layers: tuple[str, ...]
    pool: str = "avg"
    padding: str = "zero"
    precision: str = "float32"
    plain: bool = False
    after: str | None = None

    @nn.compact
    def __call__(self, x: Float[AnyArray, "batch height width _"]) -> dict[str, Float[Array, "batch _ _ N"]]:
        """Computes the activations.

        Args:
          x: [batch, height, width, 3] float32 RGB, 0..1; or, where there is an `after`, that layer's activations.

        Returns:
          {layer: [batch, height', width', N] float32}, by the paper's names and in its order. A convolution's
          activations are taken after its ReLU.
        """
        if self.after is None:
            mean = self.variable("preprocessing", "mean", jnp.zeros, (3,)).value[None, None, None]
            scale = self.variable("preprocessing", "scale", jnp.ones, (3,)).value[None, None, None]
            x = (255.0 * x - mean) * scale  # zero padding comes after the subtraction, as in training
        first, wide = 0 if self.after is None else LAYERS.index(self.after) + 1, x.dtype
        activations = {}
        for name in LAYERS[first : 1 + max(LAYERS.index(layer) for layer in self.layers)]:
            if name.startswith("pool"):
                x = jnp.asarray(pooling.pool(x.astype(wide), self.pool)).astype(x.dtype)
            else:
                x = _Convolution(self.padding, self.precision, self.plain, name=name)(x.astype(wide))
            if name in self.layers:
                activations[name] = x.astype(wide)
        return activations


class _Convolution(nn.Module):
    padding: str
    precision: str
    plain: bool

    @nn.compact
    def __call__(self, x: Float[AnyArray, "batch height width in"]) -> Float[Array, "batch height width out"]:
        channels = CONVOLUTIONS[self.name or ""]
        bias = self.param("bias", nn.initializers.zeros, (channels[1],))
        transformed = self.get_variable("transformed", "kernel")
        if transformed is not None:  # by `prepare`, which leaves no other kernel
            return conv.conv3x3_relu(x, None, bias, transformed, self.precision, self.padding)
        kernel = self.param("kernel", nn.initializers.he_normal(), (3, 3, *channels))
        convolve = conv.plain3x3_relu if self.plain else conv.conv3x3_relu
        return convolve(x, kernel, bias, precision=self.precision, padding=self.padding)


@jax.transfer_guard("allow")
def features(
    params: Any,
    images: Float[AnyArray, "..."],
    layers: Iterable[str],
    *,
    pool: str = "avg",
    padding: str = "zero",
    precision: str = "float32",
    plain: bool = False,
) -> dict[str, Float[Array, "..."]]:
    """Computes the activations F of the layers named, for one image or any number of them.

    Args:
      params: parameters as `load_weights` or `prepare` gives them.
      images: [..., height, width, 3] float32 RGB, 0..1; both sides at least 32.
      layers: names such as "conv4_2" or "pool1".
      pool: "avg", "binomial" or "max".
      padding: what convolutions see beyond the border: "zero", as the network was trained, "reflect", the picture
        reflected, or "replicate", its outermost row or column.
      precision: see `VGG19`.
      plain: leaves every convolution to `lax.conv`, which compiles in a fraction of the time and runs more slowly on
        CPU: for images whose activations are needed once. It is as exact. Prepared parameters cannot be left to it.

    Returns:
      {layer: [..., height', width', N] float32}, in the network's order; the N filters of a layer are the last axis.
      A convolution's activations are taken after its ReLU. Each pool before a layer halves height and width.

    Raises:
      InputError: an unknown layer, pool, padding or precision, no layer at all, one that the parameters do not reach,
        or images of another shape.

    Example:
      >>> activations = nst.features(params, photo, ["conv1_1", "conv2_1"])
      >>> {layer: x.shape for layer, x in activations.items()}
      {'conv1_1': (43, 64, 64), 'conv2_1': (21, 32, 128)}
    """
    layers = check_layers(layers)
    check_depth(params, layers)
    check_images(images, pool, padding, precision)
    batch = images.reshape(-1, *images.shape[-3:])
    activations = VGG19(layers, pool, padding, precision, plain).apply(params, batch)
    assert isinstance(activations, dict)
    return {name: x.reshape(*images.shape[:-3], *x.shape[1:]) for name, x in activations.items()}


@jax.transfer_guard("allow")
def prepare(params: Any, layers: Iterable[str] = LAYERS, platform: str | None = None) -> Any:
    """Prepares parameters for many evaluations: computes what `features` otherwise would from the kernels each time.

    For CPU that is the Winograd transform of each kernel, in its place and four times as large; for others there is
    nothing to prepare, and transformed kernels would be slow. Whatever computes activations takes these parameters too,
    and returns the same; what changes or saves parameters (`nst_jax.weights`) needs the kernels.

    Args:
      params: parameters as `load_weights` gives them; layers that are prepared already stay so.
      layers: those that will be asked for; the parameters of deeper ones are left out.
      platform: what the evaluations are for, "cpu" or another; by default that of JAX's default device.

    Returns:
      Parameters.

    Raises:
      InputError: an unknown layer, no layer at all, or one that the parameters do not reach.

    Example:
      >>> prepared = nst.network.prepare(params, ["conv1_1"])
      >>> list(prepared["params"])
      ['conv1_1']
      >>> nst.features(prepared, photo, ["conv1_1"])["conv1_1"].shape
      (43, 64, 64)
    """
    layers = check_layers(layers)
    check_depth(params, layers)
    needed = {name: params["params"][name] for name in _convolutions(layers)}
    transformed = {name: kernel for name, kernel in params.get("transformed", {}).items() if name in needed}
    kernels = {name: layer["kernel"] for name, layer in needed.items() if name not in transformed}
    if (platform or devices.platform()) == "cpu":
        transformed |= _transformed(kernels)
    kept = {name: {"bias": layer["bias"]} if name in transformed else layer for name, layer in needed.items()}
    return {**params, "params": kept, "transformed": transformed}


@jax.jit
def _transformed(kernels: dict[str, Float[Array, "3 3 in out"]]) -> dict[str, dict[str, conv.Transformed]]:
    found = {name: conv.transform(kernel) for name, kernel in kernels.items()}
    return {name: {"kernel": kernel} for name, kernel in found.items() if kernel is not None}


def check_images(images: Float[AnyArray, "..."], pool: str, padding: str, precision: str) -> None:
    """Checks what `features` takes.

    Args:
      images: must be [..., height, width, 3], one or more, both sides at least 32.
      pool: must be "avg", "binomial" or "max".
      padding: must be "zero", "reflect" or "replicate".
      precision: must be one of `layers.PRECISIONS`.

    Raises:
      InputError: one of them is not.
    """
    known = (("pool", pool, POOLS), ("padding", padding, PADDINGS), ("precision", precision, PRECISIONS))
    for argument, value, allowed in known:
        if value not in allowed:
            raise InputError(f"{argument} {value!r}: unknown; known are {', '.join(allowed)}")
    if images.ndim < 3 or images.shape[-1] != 3 or min(images.shape[-3:-1]) < MIN_SIDE or 0 in images.shape:
        allowed = f"must be [..., height, width, 3], one or more, both sides at least {MIN_SIDE}"
        raise InputError(f"images of shape {images.shape}: {allowed}")


def check_depth(
    params: Any, layers: Iterable[str], argument: str = "layers", remedy: str = "name it to `prepare` too"
) -> None:
    """Checks that parameters reach as deep as layers, which those of `prepare` may not.

    Args:
      params: as `features` takes them.
      layers: names.
      argument: what holds them; the message starts with it.
      remedy: what to do about it; the message ends with it.

    Raises:
      InputError: they do not.
    """
    missing = [name for name in _convolutions(layers) if name not in params["params"]]
    if missing:
        raise InputError(f"{argument}: need {missing[0]}, which the parameters were prepared without; {remedy}")


def _convolutions(layers: Iterable[str]) -> list[str]:
    """All as far as the deepest of these layers."""
    return [name for name in LAYERS[: 1 + max(map(LAYERS.index, layers), default=-1)] if name in CONVOLUTIONS]


def check_layers(layers: Iterable[str], argument: str = "layers") -> tuple[str, ...]:
    """Puts layers into the network's order, each once.

    Args:
      layers: names, or one.
      argument: what holds them; messages start with it.

    Returns:
      The names, as a tuple.

    Raises:
      InputError: an unknown layer, or no layer at all.
    """
    layers = (layers,) if isinstance(layers, str) else tuple(layers)
    unknown = [layer for layer in layers if layer not in LAYERS]
    if unknown or not layers:
        found = f"unknown layer {', '.join(map(repr, unknown))}" if unknown else "no layer named"
        raise InputError(f"{argument}: {found}; known are {', '.join(LAYERS)}")
    return tuple(sorted(set(layers), key=LAYERS.index))
