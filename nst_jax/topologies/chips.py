"""Accelerators by the names of their topologies: what their makers say of a chip, and what compiles for it."""

import math
import re
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any, NamedTuple

from nst_jax.errors import InputError, argument

_GIB = 2**30


class Chip(NamedTuple):
    """One chip. All but the memory are its maker's figures."""

    memory: int
    """Bytes that programs may take: told by the compiler for v5e, by the driver for h100, assumed for the others."""
    flops: dict[str, float]
    """A second, of products of each precision (`network.layers.of_products`)."""
    bandwidth: float
    """Bytes of its memory a second."""
    clock: float
    """Hertz."""


class Topology(NamedTuple):
    """So many chips, and how they are connected."""

    name: str
    platform: str
    """As JAX lowers for it: "tpu" or "cuda"."""
    chip: Chip
    chips: int
    """Of one host: a process, and a share of the lanes."""
    hosts: int
    described: dict[str, Any]
    """What `jax.experimental.topologies.get_topology_desc` takes, beside the platform."""


def _tpu(memory: float, peak: float, bandwidth: float, clock: float) -> Chip:
    """A TPU multiplies in bfloat16: six such products make one of float32, three one of tensorfloat32's size."""
    flops = {"bfloat16": peak, "tensorfloat32": peak / 3, "float32": peak / 6}
    return Chip(int(memory * _GIB), flops, bandwidth, clock)


_FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_CUBES = ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8")
CHIPS = {
    "v4": _tpu(30.75, 275e12, 1228e9, 1.05e9),
    "v5e": _tpu(15.75, 197e12, 819e9, 1.5e9),
    "v5p": _tpu(95.74, 459e12, 2765e9, 1.75e9),
    "v6e": _tpu(31.25, 918e12, 1640e9, 1.75e9),
    "h100": Chip(
        84_942_979_072, {"float32": 67e12, "tensorfloat32": 495e12, "bfloat16": 989e12}, 3352e9, 1.98e9
    ),
}  # fmt: skip
"""By name; an H100's figures are those of the SXM module, without sparsity."""
KNOWN = {"v4": _CUBES, "v5e": _FLAT, "v5p": _CUBES, "v6e": _FLAT, "h100": ("1",)}
"""The shapes that chips come in. The compiler of GPUs takes one."""
H100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  shared_memory_per_block: 49152 shared_memory_per_core: 233472 shared_memory_per_block_optin: 232448
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98 device_memory_size: 84942979072
  cuda_compute_capability { major: 9 } device_vendor: "NVIDIA Corporation" platform_version: "Compute Capability 9.0"
  device_address_bits: 64 pcie_bandwidth: 34359738368 ecc_enabled: true name: "NVIDIA H100 80GB HBM3"
  driver_version: "13.0.0" runtime_version: "12.9.0" compile_time_toolkit_version: "12.9.0" dnn_version: "9.10.0"
}
platform_name: "CUDA" device_description_str: "NVIDIA H100 80GB HBM3"
dnn_version_info { major: 9 minor: 10 patch: 0 } runtime_version { major: 12 minor: 9 patch: 0 }
"""
"""An H100 in the words of XLA's `GpuTargetConfigProto`: the limits of compute capability 9.0, as CUDA's documents have
them, and the module's figures."""


def named(name: str) -> Topology:
    """Finds a topology.

    Args:
      name: such as "v5e:2x2"; of GPUs just "h100".

    Returns:
      The topology.

    Raises:
      InputError: it is not known.
    """
    kind, _, shape = name.partition(":")
    if kind not in KNOWN or (shape or "1") not in KNOWN[kind]:
        known = "; ".join(f"{kind}:{', '.join(shapes)}" for kind, shapes in KNOWN.items() if kind != "h100")
        raise InputError(f"{argument('device')} {name!r}: unknown; known are {known}; h100")
    if kind == "h100":
        return Topology(name, "cuda", CHIPS[kind], 1, 1, {"target_config": H100, "topology": "1x1x1"})
    sides = [int(side) for side in shape.split("x")]
    host = (1, 1, 1) if math.prod(sides) == 1 else (2, 2, 1)  # chips of one host, along each axis
    chips = math.prod(host)
    own = {"v5p": "v5"}.get(kind, kind)
    described = {"topology_name": f"{own}:{shape}", "chips_per_host_bounds": host, "num_slices": 1}
    return Topology(name, "tpu", CHIPS[kind], chips, math.prod(sides) // chips, described)


def check_compiler(topology: Topology) -> None:
    """Checks that there is what compiles for a topology.

    Args:
      topology: from `named`.

    Raises:
      InputError: its package is not installed, or is not of the version that JAX wants.
    """
    package, extra = {"tpu": ("libtpu", "tpu-compile"), "cuda": ("jax-cuda12-plugin", "cuda-compile")}[
        topology.platform
    ]
    remedy = f'pip install "nst_jax[{extra}]"'
    asked = next((line.split(";")[0] for line in requires("jax") or () if line.startswith(package)), package)
    wanted = re.search(r"[=>]=(\d+(?:\.\d+)*)", asked)
    try:
        found = version(package)
    except PackageNotFoundError:
        raise InputError(f"{argument('device')} {topology.name}: {package} is not installed; {remedy}") from None
    if wanted and not f"{found}.".startswith(f"{wanted[1]}."):
        wants = f"{package} {found} is not the one that JAX {version('jax')} wants, {wanted[1]}"
        raise InputError(f"{argument('device')} {topology.name}: {wants}; {remedy}")
