"""MAT-files: what scipy writes comes back, and what loadmat would not survive never gets to it."""

import struct
import time
import zlib

import numpy as np
import pytest
import scipy.sparse
from scipy.io import savemat

from nst_jax.errors import InputError
from nst_jax.weights import convert, matconvnet

HEADER = b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + b"\x00\x01IM"
CELL, STRUCT, OBJECT, TEXT, SPARSE, DOUBLE, SINGLE, FUNCTION, OPAQUE = 1, 2, 3, 4, 5, 6, 7, 16, 17


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind, shape, content=b"", name=b"", flags=0):
    head = element(6, struct.pack("<BB6x", kind, flags)) + element(5, np.array(shape, "<i4").tobytes())
    return element(14, head + element(1, name) + content)


# An object of a newer class has no shape.
TABLE = element(
    14, element(6, struct.pack("<BB6x", OPAQUE, 0)) + b"".join(element(1, t) for t in (b"t", b"MCOS", b"table"))
)


def layers(content):
    """A variable `layers`, a cell of one item."""
    return matrix(CELL, (1, 1), content, b"layers")


def nested(kind, depth):
    """Cells in cells; the inner ones' sizes claim nothing, but loadmat reads on regardless."""
    fields = element(5, b"\1\0\0\0") + element(1, b"a") if kind == STRUCT else b""
    return matrix(kind, (1, 1), fields + matrix(kind, (1, 1), fields) * depth, b"layers")


def struct_of(width, names):
    return matrix(STRUCT, (1, 1), element(5, struct.pack("<i", width)) + element(1, names))


@pytest.mark.parametrize("compressed", [False, True])
def test_what_scipy_wrote_comes_back(tmp_path, compressed):
    numbers = {dtype: np.arange(24, dtype=dtype).reshape(2, 3, 4) for dtype in ("f4", "f8", "u1", "i2", "u4", "i8")}
    cell = np.empty((1, 3), object)
    cell[0, :] = ["text", {"inner": np.float64([[1, 2]]), "empty": ""}, np.zeros((0, 3))]
    content = {**{f"v_{k}": v for k, v in numbers.items()}, "c": cell, "other": np.ones(3) * 1j}
    savemat(tmp_path / "x.mat", content, do_compression=compressed)
    found = matconvnet.variables(tmp_path / "x.mat", [*content, "absent"][:-2])
    assert "other" not in found
    for dtype, array in numbers.items():
        np.testing.assert_array_equal(found[f"v_{dtype}"], array)
        assert found[f"v_{dtype}"].dtype == dtype
    assert found["c"][0, 0].item() == "text"
    np.testing.assert_array_equal(found["c"][0, 1]["inner"].item(), [[1, 2]])
    assert found["c"][0, 2].shape == (0, 3)


def test_small_elements_and_numbers_stored_in_fewer_bytes(tmp_path):
    """MATLAB writes whole numbers as bytes, and up to four bytes into the tag itself."""
    small = struct.pack("<HH", 2, 3) + b"\1\2\3\0"
    (tmp_path / "x.mat").write_bytes(HEADER + matrix(SINGLE, (1, 3), small, b"x"))
    found = matconvnet.variables(tmp_path / "x.mat", ["x"])["x"]
    np.testing.assert_array_equal(found, [[1, 2, 3]])
    assert found.dtype == np.float32


ODD = "holds a MATLAB object, function, sparse or complex matrix; none is read"
ANY = "damaged"
HOSTILE = {
    "a number's type that is none": (layers(matrix(SINGLE, (1, 1), element(8, bytes(4)))), ANY),  # loadmat: SIGSEGV
    "a number's type beyond the table": (layers(matrix(SINGLE, (1, 1), element(5000, bytes(4)))), ANY),  # SIGSEGV
    "cells nested 40,000 deep": (nested(CELL, 40_000), "nested deeper"),  # loadmat: SIGSEGV
    "structs nested 40,000 deep": (nested(STRUCT, 40_000), "nested deeper"),
    "an empty text of a billion letters": (layers(matrix(TEXT, (1, 1 << 30), element(16, b""))), ANY),  # 5 GB of blanks
    "a text of two megabytes": (layers(matrix(TEXT, (1, 2_000_000), element(1, bytes(2_000_000)))), ANY),
    "field names of no width": (layers(struct_of(0, b"a")), ANY),
    "field names of negative width": (layers(struct_of(-1, b"a")), ANY),
    "a million field names": (layers(struct_of(1, b"a" * 1_000_000)), ANY),
    "a billion cells": (matrix(CELL, (1 << 15, 1 << 15), name=b"layers"), ANY),
    "2^90 cells": (matrix(CELL, (1 << 30,) * 3, name=b"layers"), ANY),
    "a negative number of cells": (matrix(CELL, (1, -1), name=b"layers"), ANY),
    "a billion numbers and no bytes": (layers(matrix(DOUBLE, (1 << 15, 1 << 15), element(9, b""))), ANY),
    "four bytes too few": (layers(matrix(SINGLE, (1, 3), element(7, bytes(8)))), ANY),
    "an element of 4 GB": (layers(matrix(SINGLE, (1, 1), struct.pack("<II", 7, 0xFFFFFFFF))), ANY),
    "a matrix of one axis": (layers(matrix(SINGLE, (1,), element(7, bytes(4)))), ANY),
    "a matrix of 40 axes": (layers(matrix(SINGLE, (1,) * 40, element(7, bytes(4)))), ANY),
    "no matrix in a cell": (layers(element(7, bytes(4))), ANY),
    "a small element of 5 bytes": (layers(matrix(TEXT, (1, 5), struct.pack("<HHI", 16, 5, 0))), ANY),
    "bytes doubled eightfold beyond the limit": (
        layers(matrix(DOUBLE, (1, 200_000_000), element(2, bytes(200_000_000)))), "more numbers than any VGG-19",
    ),
    "an object": (layers(matrix(OBJECT, (1, 1), element(1, b"class"))), ODD),
    "a function": (layers(matrix(FUNCTION, (1, 1), matrix(STRUCT, (1, 1)))), ODD),
    "a table": (layers(TABLE), ODD),
    "a sparse matrix": (layers(matrix(SPARSE, (1 << 30, 1 << 30), element(5, bytes(4)) * 2 + element(9, b""))), ODD),
    "a complex number": (layers(matrix(SINGLE, (1, 1), element(7, bytes(4)) * 2, flags=8)), ODD),
    "no layers": (matrix(SINGLE, (1, 1), element(7, bytes(4)), b"meta"), ANY),
    "layers that are numbers": (matrix(SINGLE, (1, 1), element(7, bytes(4)), b"layers"), ANY),
    "the end of an element missing": (layers(matrix(SINGLE, (1, 1), element(7, bytes(4))))[:-8], "ends early"),
}  # fmt: skip


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("content", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_in_one_line(tmp_path, content, message, compressed):
    if compressed:
        packed = zlib.compress(content, 1)
        content, message = struct.pack("<II", 15, len(packed)) + packed, message.replace("ends early", ANY)
    (tmp_path / "x.mat").write_bytes(HEADER + content)
    start = time.monotonic()
    with pytest.raises(InputError, match=message) as caught:
        convert.convert(tmp_path / "x.mat", tmp_path / "out.h5")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 5


def test_a_sparse_matrix_of_scipys(tmp_path):
    savemat(tmp_path / "x.mat", {"layers": scipy.sparse.eye_array(3, format="csc"), "meta": 1.0})
    with pytest.raises(InputError, match=ODD):
        matconvnet.variables(tmp_path / "x.mat", ["layers"])
    assert matconvnet.variables(tmp_path / "x.mat", ["meta"])["meta"] == 1


def test_variables_that_are_not_asked_for_may_be_anything(tmp_path):
    (tmp_path / "x.mat").write_bytes(HEADER + TABLE + matrix(SINGLE, (1, 1), element(7, bytes(4)), b"x"))
    assert matconvnet.variables(tmp_path / "x.mat", ["x"])["x"] == 0
    with pytest.raises(InputError, match=ODD):
        matconvnet.variables(tmp_path / "x.mat", ["x", "t"])


@pytest.mark.parametrize("spare", [0, 100])
def test_the_limit_is_of_all_inflated_variables(tmp_path, monkeypatch, spare):
    content = matrix(SINGLE, (1, 100_000), element(7, bytes(400_000)), b"x")
    monkeypatch.setattr(matconvnet, "_MAX_BYTES", 2 * len(content) + spare)
    packed = zlib.compress(content)
    one = struct.pack("<II", 15, len(packed)) + packed
    (tmp_path / "x.mat").write_bytes(HEADER + one * 2)
    assert matconvnet.variables(tmp_path / "x.mat", ["x"])["x"].shape == (1, 100_000)
    (tmp_path / "x.mat").write_bytes(HEADER + one * 3)
    with pytest.raises(ValueError, match="more than any VGG-19"):
        matconvnet.variables(tmp_path / "x.mat", [])


def test_a_changed_bit_of_a_compressed_variable_is_noticed(tmp_path):
    packed = bytearray(zlib.compress(matrix(SINGLE, (1, 1000), element(7, np.ones(1000, "f4").tobytes()), b"x")))
    packed[-1] ^= 1
    (tmp_path / "x.mat").write_bytes(HEADER + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(zlib.error):
        matconvnet.variables(tmp_path / "x.mat", ["x"])


@pytest.mark.parametrize("header", [b"", HEADER[:-2] + b"MI", HEADER[:124] + b"\x00\x02IM"])
def test_other_versions_are_refused(tmp_path, header):
    (tmp_path / "x.mat").write_bytes(header)
    with pytest.raises(InputError, match="not a little-endian MATLAB 5 file"):
        matconvnet.variables(tmp_path / "x.mat", ["x"])
