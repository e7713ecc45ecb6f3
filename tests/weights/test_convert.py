"""Other formats: the same numbers come out, with the right preprocessing, and bad files are refused in one line."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import foreign_weights as foreign
import h5py
import numpy as np
import pytest

from nst_jax.errors import InputError
from nst_jax.network import parameters
from nst_jax.weights import convert, weights

CAFFE, TORCHVISION = parameters.CAFFE, parameters.TORCHVISION


@pytest.fixture(scope="module")
def oxford():
    return weights.load()["params"]


@pytest.fixture(scope="module")
def other(oxford):
    """A network that is not Oxford's: float32 noise of the right shapes."""
    rng = np.random.default_rng(0)
    return {
        layer: {part: rng.standard_normal(array.shape, np.float32) for part, array in arrays.items()}
        for layer, arrays in oxford.items()
    }


def assert_converts(source: Path, layers, preprocessing, option="auto"):
    target = source.parent / "out.h5"
    convert.convert(source, target, preprocessing=option)
    found = weights.load(target)
    for layer, arrays in layers.items():
        for part, array in arrays.items():
            np.testing.assert_array_equal(found["params"][layer][part], array, err_msg=f"{layer}/{part}")
    for part in ("mean", "scale"):
        np.testing.assert_allclose(found["preprocessing"][part], preprocessing[part], rtol=1e-6)
    return weights.verify(target)


@pytest.mark.parametrize("newer", [False, True])
def test_keras(tmp_path, oxford, newer):
    source = tmp_path / "notop.h5"
    foreign.write_keras(source, oxford, newer=newer, classifier=newer)
    found = assert_converts(source, oxford, CAFFE)
    assert (found.storage, found.attributes["source"]) == ("float32", "notop.h5")
    assert "CC BY 4.0" in found.attributes["licence"]


def test_keras_fine_tuned_keeps_keras_preprocessing(tmp_path, other):
    source = tmp_path / "tuned.h5"
    foreign.write_keras(source, other)
    found = assert_converts(source, other, CAFFE)
    assert "licence" not in found.attributes


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("naming", ["torchvision", "caffe"])
def test_pth_of_the_original_weights_is_known_by_its_content(tmp_path, oxford, naming, legacy):
    source = tmp_path / "vgg19.pth"
    tensors = foreign.state_dict(foreign.bgr(oxford), naming, classifier=True)
    foreign.write_pth(source, tensors, legacy=legacy)
    assert_converts(source, oxford, CAFFE)


def test_pth_in_rgb_order_is_known_by_its_content(tmp_path, oxford):
    source = tmp_path / "vgg19.pth"
    foreign.write_pth(source, foreign.state_dict(oxford, "caffe"))
    assert_converts(source, oxford, CAFFE)


def test_pth_of_unknown_training_needs_the_option(tmp_path, other):
    source = tmp_path / "x.pth"
    foreign.write_pth(source, foreign.state_dict(other, "torchvision"))
    with pytest.raises(InputError, match="give preprocessing caffe or torchvision"):
        convert.convert(source, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()
    assert_converts(source, other, TORCHVISION, option="torchvision")
    assert_converts(source, foreign.bgr(other), CAFFE, option="caffe")


def test_torchvision_file_is_known_by_its_sha256(tmp_path, other, monkeypatch):
    source = tmp_path / "renamed.bin"
    foreign.write_pth(source, foreign.state_dict(other, "torchvision", classifier=True))
    monkeypatch.setattr(convert, "TORCHVISION_SHA256", convert.files.sha256(source))
    assert_converts(source, other, TORCHVISION)


def test_torchvision_preprocessing_is_imagenets():
    image = np.float32([0.485, 0.456, 0.406])
    np.testing.assert_allclose((255 * image - TORCHVISION["mean"]) * TORCHVISION["scale"], 0, atol=1e-6)
    deviation = np.float32([0.229, 0.224, 0.225])
    np.testing.assert_allclose((255 * (image + deviation) - TORCHVISION["mean"]) * TORCHVISION["scale"], 1, atol=1e-5)


@pytest.mark.parametrize(("compressed", "older"), [(False, False), (True, True)])
def test_matconvnet(tmp_path, other, compressed, older):
    source = tmp_path / "imagenet-vgg-verydeep-19.mat"
    foreign.write_mat(source, other, compressed=compressed, older=older)
    assert_converts(source, other, CAFFE)


def test_npz(tmp_path, oxford, other):
    foreign.write_npz(tmp_path / "a.npz", oxford)
    assert_converts(tmp_path / "a.npz", oxford, CAFFE)
    flat = {f"{layer}_{'W' if part == 'kernel' else 'b'}": a for layer, x in other.items() for part, a in x.items()}
    np.savez(tmp_path / "b.npz", **flat)
    assert_converts(tmp_path / "b.npz", other, TORCHVISION, option="torchvision")


def test_every_problem_of_a_file_is_in_one_line(tmp_path, oxford):
    tensors = foreign.state_dict(oxford, "torchvision")
    del tensors["features.2.weight"]
    tensors["features.1.running_mean"] = np.zeros(64, np.float32)
    tensors["features.5.bias"] = np.zeros(7, np.float32)
    tensors["features.7.bias"] = tensors["features.7.bias"].astype(np.float16)
    foreign.write_pth(tmp_path / "x.pth", tensors)
    with pytest.raises(InputError) as caught:
        convert.convert(tmp_path / "x.pth", tmp_path / "out.h5")
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "conv1_2/kernel is missing", "'features.1.running_mean' is unexpected",
        "conv2_1/bias has shape (7,), not (128,)",
        "conv2_2/bias is float16, not float32",
    ):  # fmt: skip
        assert part in message


def test_non_finite_numbers_are_refused(tmp_path, oxford):
    layers = {**oxford, "conv3_1": {**oxford["conv3_1"], "bias": np.full(256, np.inf, np.float32)}}
    foreign.write_npz(tmp_path / "x.npz", layers)
    with pytest.raises(InputError, match="conv3_1/bias holds NaN or infinity"):
        convert.convert(tmp_path / "x.npz", tmp_path / "out.h5")


def test_npz_with_pickled_objects_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", **{"conv1_1/kernel": np.array([{}], object)}, allow_pickle=True)
    with pytest.raises(InputError, match=r"conv1_1/kernel has shape \(1,\).*kernel is object, not float32"):
        convert.convert(tmp_path / "x.npz", tmp_path / "out.h5")


def test_npz_of_more_arrays_than_any_vgg_19_has_is_refused(tmp_path, oxford):
    """Trap: those beyond the four hundredth were passed over, and then missed."""
    layers = {f"fc{number}": {"kernel": np.zeros(1, np.float32)} for number in range(400)} | oxford
    foreign.write_npz(tmp_path / "x.npz", layers)
    with pytest.raises(InputError, match=r"x\.npz: holds far more than VGG-19's parameters"):
        convert.convert(tmp_path / "x.npz", tmp_path / "out.h5")


def test_declared_sizes_are_not_believed(tmp_path, oxford):
    """A header that claims the right shape over no data, and one that claims terabytes."""
    for shape, message in (((3, 3, 3, 64), "damaged"), ((1 << 20, 1 << 20), "has shape")):
        with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, true_shape in parameters.SHAPES.items():
                header = io.BytesIO()
                claimed = shape if name == "conv1_1/kernel" else true_shape
                fields = {"descr": "<f4", "fortran_order": False, "shape": claimed}
                np.lib.format.write_array_header_1_0(header, fields)
                archive.writestr(f"{name}.npy", header.getvalue())
        with pytest.raises(InputError, match=message):
            convert.convert(tmp_path / "x.npz", tmp_path / "out.h5")


def test_mat_v73_says_how_to_save_it(tmp_path):
    """MATLAB 7.3 files are HDF5 after 512 bytes of text."""
    with h5py.File(tmp_path / "x.mat", "w", userblock_size=512) as file:
        file["layers"] = np.zeros(3)
    with (tmp_path / "x.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    with pytest.raises(InputError, match="save it again with -v7"):
        convert.convert(tmp_path / "x.mat", tmp_path / "out.h5")


@pytest.mark.parametrize("content", [b"", b"PK", b"\x80\x02.", b"not weights at all", b"MATLAB 5.0" + bytes(118)])
def test_what_is_no_weights_file_is_one_line(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError) as caught:
        convert.convert(tmp_path / "x", tmp_path / "out.h5")
    assert str(tmp_path / "x") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arguments_are_checked(tmp_path, oxford):
    with pytest.raises(InputError, match="no such file"):
        convert.convert(tmp_path / "absent", tmp_path / "out.h5")
    words = "^preprocessing: 'keras' is not allowed; must be one of auto, caffe, torchvision$"
    with pytest.raises(InputError, match=words):
        convert.convert(tmp_path / "absent", tmp_path / "out.h5", preprocessing="keras")  # type: ignore[arg-type]
    foreign.write_npz(tmp_path / "x.npz", oxford)
    with pytest.raises(InputError, match="is the source itself"):
        convert.convert(tmp_path / "x.npz", tmp_path / "x.npz")


@pytest.mark.slow
def test_thousands_of_mutated_files_end_in_one_line_each(tmp_path):
    """In a process of its own with 1.5 GB of address space, so that a crash, a hang or greed is seen."""
    pytest.importorskip("resource", reason="the memory limit needs a POSIX system")
    program = Path(__file__).parents[1] / "fuzz_weights.py"
    done = subprocess.run(
        [sys.executable, str(program), "4000"],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(program.parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    refused = int(done.stdout.split()[-1])
    assert refused > 1000  # the mutations did reach the readers
