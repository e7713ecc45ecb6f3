"""HDF5 that may be hostile: plain datasets come out as they went in, everything else is refused in one line."""

import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from nst_jax.errors import InputError
from nst_jax.weights import foreign, hdf5, weights

NUMBERS = np.arange(24, dtype=np.float32).reshape(4, 6)


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["plain"] = NUMBERS
        file.create_dataset("group/gzip", data=NUMBERS, chunks=NUMBERS.shape, compression="gzip")
        file.create_dataset("many", data=NUMBERS, chunks=(2, 6), compression="gzip")
        file.create_dataset("shuffled", data=NUMBERS, chunks=NUMBERS.shape, compression="gzip", shuffle=True)
        file.attrs["text"] = np.bytes_("a text")
        file.attrs["long"] = "of no fixed length"
        file.attrs["number"] = np.float32(3)
    return tmp_path / "x.h5"


def test_datasets_are_found_by_path(path):
    with hdf5.opened(path) as file:
        assert sorted(hdf5.datasets(file)) == ["group/gzip", "many", "plain", "shuffled"]


@pytest.mark.parametrize("name", ["plain", "group/gzip"])
def test_numbers_come_out_as_they_went_in(path, name):
    with hdf5.opened(path) as file:
        found = hdf5.read(file[name], NUMBERS.shape, np.float32)
    np.testing.assert_array_equal(found, NUMBERS)
    assert found.dtype == np.float32


@pytest.mark.parametrize("name", ["plain", "group/gzip"])
def test_stored_bytes_need_no_file_any_more(path, name):
    with hdf5.opened(path) as file:
        stored = hdf5.stored(file[name], NUMBERS.shape, np.float32)
    with ThreadPoolExecutor(1) as other:
        np.testing.assert_array_equal(other.submit(stored).result(), NUMBERS)


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "message"),
    [
        ("plain", (6, 4), np.float32, r"is float32 \(4, 6\), not float32 \(6, 4\)"),
        ("plain", (4, 6), np.uint8, "not uint8"),
        ("many", (4, 6), np.float32, "is chunked or filtered"),
        ("shuffled", (4, 6), np.float32, "is chunked or filtered"),
    ],
)
def test_other_layouts_shapes_and_dtypes_are_refused(path, name, shape, dtype, message):
    with hdf5.opened(path) as file, pytest.raises(InputError, match=message):
        hdf5.read(file[name], shape, dtype)


@pytest.mark.parametrize("size", [0, 1, 10_000_000])
def test_a_chunk_of_another_size_is_refused(path, size):
    with h5py.File(path, "r+") as file:
        file["group/gzip"].id.write_direct_chunk((0, 0), zlib.compress(bytes(size)))
    with hdf5.opened(path) as file, pytest.raises(InputError, match="does not inflate to its size, 96 bytes"):
        hdf5.read(file["group/gzip"], NUMBERS.shape, np.float32)


def test_data_of_other_files_are_never_opened(path, tmp_path):
    with h5py.File(path, "r+") as file:
        layout = h5py.VirtualLayout((4, 6), "f4")
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "x", (4, 6))
        file.create_virtual_dataset("virtual", layout)
    with hdf5.opened(path) as file, pytest.raises(InputError, match="never opened"):
        hdf5.read(file["virtual"], (4, 6), np.float32)


@pytest.mark.parametrize("link", [h5py.SoftLink("/plain"), h5py.ExternalLink("other.h5", "/x")])
def test_links_are_never_followed(path, link):
    with h5py.File(path, "r+") as file:
        file["link"] = link
    with hdf5.opened(path) as file, pytest.raises(InputError, match="'link' is a link to elsewhere"):
        hdf5.datasets(file)


@pytest.mark.parametrize("name", ["/".join("abcde") + "/x", None])
def test_a_vast_tree_is_refused(path, name):
    with h5py.File(path, "r+") as file:
        for each in [name] if name else range(400):
            file.create_group(str(each))
    with hdf5.opened(path) as file, pytest.raises(InputError, match="far more than VGG-19's"):
        hdf5.datasets(file)


def test_a_group_inside_itself_is_refused(path):
    with h5py.File(path, "r+") as file:
        file["group/again"] = file["group"]
    with hdf5.opened(path) as file, pytest.raises(InputError, match="far more than VGG-19's"):
        hdf5.datasets(file)


def test_attributes(path):
    with hdf5.opened(path) as file:
        assert hdf5.text_attributes(file) == {"text": "a text"}
        assert hdf5.attribute(file, "number", (), np.float32) == 3
        for name, shape, dtype in (("number", (3,), np.float32), ("number", (), np.uint32), ("absent", (), np.float32)):
            with pytest.raises(InputError, match=f"the attribute '{name}' must be"):
                hdf5.attribute(file, name, shape, dtype)


def test_a_value_that_changed_is_noticed(path):
    with h5py.File(path, "r+") as file:
        file.attrs["crc32"] = hdf5.crc32([NUMBERS, NUMBERS[0]])
    changed = NUMBERS.copy()
    changed[3, 5] += 1
    with hdf5.opened(path) as file:
        hdf5.check_crc32(file, [NUMBERS, NUMBERS[0]])
        for arrays in ([changed, NUMBERS[0]], [NUMBERS[0], NUMBERS], [NUMBERS]):
            with pytest.raises(InputError, match=r"x\.h5: damaged, its values do not add up to its crc32"):
                hdf5.check_crc32(file, arrays)


def test_what_goes_wrong_in_the_body_is_one_line_too(path):
    with pytest.raises(InputError, match=r"x\.h5: cannot be read as HDF5 \(a b\)"), hdf5.opened(path):
        raise RuntimeError("a\nb")


def test_a_file_too_large_is_never_opened(path, monkeypatch):
    monkeypatch.setattr(foreign, "MAX_FILE_BYTES", 100)
    with pytest.raises(InputError, match="larger than 100 bytes"), hdf5.opened(path):
        pass


def test_chunks_are_read_on_the_thread_that_opened_the_file(monkeypatch):
    """h5py before 3.16 reads chunks without a lock."""
    taken, threads = hdf5.stored, set()

    def recorded(*arguments):
        threads.add(threading.get_ident())
        return taken(*arguments)

    monkeypatch.setattr(hdf5, "stored", recorded)
    weights.load()
    assert threads == {threading.get_ident()}
