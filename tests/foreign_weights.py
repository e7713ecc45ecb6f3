"""Writes VGG-19 files as Keras, torch, MatConvNet and NumPy users have them, to test and to fuzz `convert`.

The .pth writers make the bytes torch.save makes (torch itself reads them), without torch.
"""

import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

Layers = dict[str, dict[str, np.ndarray]]  # as in params["params"]: HWIO, RGB
INDICES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)  # of torchvision's `features`


def bgr(layers: Layers) -> Layers:
    first = {**layers["conv1_1"], "kernel": np.ascontiguousarray(layers["conv1_1"]["kernel"][:, :, ::-1])}
    return {**layers, "conv1_1": first}


def write_keras(path: Path, layers: Layers, *, newer: bool = False, classifier: bool = False) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array(["block1_conv1"], "S")
        for layer, arrays in bgr(layers).items():
            name = layer.replace("conv", "block").replace("_", "_conv")
            kernel, bias = (f"{name}/kernel:0", f"{name}/bias:0") if newer else (f"{name}_W_1:0", f"{name}_b_1:0")
            file[f"{name}/{kernel}"], file[f"{name}/{bias}"] = arrays["kernel"], arrays["bias"]
        file.create_group("block1_pool")
        if classifier:
            file["fc1/fc1_W_1:0"] = np.zeros((2, 2), np.float32)
            file["predictions/predictions_b_1:0"] = np.zeros(2, np.float32)


def write_mat(path: Path, layers: Layers, *, compressed: bool = True, older: bool = False) -> None:
    made = []
    for name, arrays in layers.items():
        kernel, bias = arrays["kernel"], arrays["bias"].reshape(1, -1)
        if older:
            made.append({"type": "conv", "name": name, "filters": kernel, "biases": bias})
        else:
            pair = np.empty((1, 2), object)
            pair[0, 0], pair[0, 1] = kernel, bias
            made.append({"name": name, "type": "conv", "weights": pair, "pad": [1.0, 1, 1, 1]})
        made.append({"type": "relu", "name": name.replace("conv", "relu")})
    fc6 = np.empty((1, 2), object)
    fc6[0, 0], fc6[0, 1] = np.zeros((7, 7, 4, 8), np.float32), np.zeros((1, 8), np.float32)
    made.append({"name": "fc6", "type": "conv", "weights": fc6})
    cell = np.empty((1, len(made)), object)
    cell[0, :] = made
    average = np.array([123.68, 116.779, 103.939], np.float32).reshape(1, 1, 3)
    meta = {"averageImage": np.broadcast_to(average, (4, 5, 3)) if older else average, "imageSize": [224.0, 224, 3]}
    rest = {"normalization": meta} if older else {"meta": {"normalization": meta, "classes": {"name": ["a", "b"]}}}
    savemat(path, {"layers": cell, **rest}, do_compression=compressed)


def write_npz(path: Path, layers: Layers, *, compressed: bool = False) -> None:
    save = np.savez_compressed if compressed else np.savez
    save(path, **{f"{layer}/{part}": array for layer, arrays in layers.items() for part, array in arrays.items()})


def state_dict(layers: Layers, naming: str, *, classifier: bool = False) -> dict[str, np.ndarray]:
    """naming: "torchvision" (features.0.weight) or "caffe" (conv1_1.weight)."""
    found = {}
    for index, (layer, arrays) in zip(INDICES, layers.items(), strict=True):
        name = f"features.{index}" if naming == "torchvision" else layer
        found[f"{name}.weight"] = np.ascontiguousarray(arrays["kernel"].transpose(3, 2, 0, 1))
        found[f"{name}.bias"] = arrays["bias"]
    if classifier:
        found["classifier.0.weight"] = np.zeros((3, 2), np.float32)
    return found


def write_pth(path: Path, tensors: dict[str, np.ndarray], *, legacy: bool = False) -> None:
    content = _pickled(tensors, legacy)
    if not legacy:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/byteorder", "little")
            for key, array in enumerate(tensors.values()):
                archive.writestr(f"archive/data/{key}", array.tobytes())
            archive.writestr("archive/version", "3\n")
        return
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    system = b"\x80\x02}(" + _text("little_endian") + b"\x88" + _text("protocol_version") + _number(1001) + b"u."
    keys = b"\x80\x02](" + b"".join(_text(str(key)) for key in range(len(tensors))) + b"e."
    storages = b"".join(struct.pack("<q", array.size) + array.tobytes() for array in tensors.values())
    path.write_bytes(magic + b"\x80\x02M\xe9\x03." + system + content + keys + storages)


def _pickled(tensors: dict[str, np.ndarray], legacy: bool) -> bytes:
    """An OrderedDict of tensors by hand, opcode by opcode, as protocol 2."""
    ordered = b"ccollections\nOrderedDict\n)R"
    out = [b"\x80\x02", ordered, b"("]
    for key, (name, array) in enumerate(tensors.items()):
        strides = [step // array.itemsize for step in array.strides]
        kind = {"f4": b"Float", "f8": b"Double", "f2": b"Half", "i8": b"Long"}[array.dtype.str[1:]]
        storage = b"(" + _text("storage") + b"ctorch\n" + kind + b"Storage\n" + _text(str(key)) + _text("cpu")
        storage += _number(array.size) + (b"N" if legacy else b"") + b"tQ"
        out += [_text(name), b"ctorch._utils\n_rebuild_tensor_v2\n(", storage, _number(0)]
        out += [b"(", *map(_number, array.shape), b"t(", *map(_number, strides), b"t\x89", ordered, b"tR"]
    return b"".join([*out, b"u."])


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _number(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)
