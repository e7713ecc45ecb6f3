""".pth files without torch: tensors lie where their strides say, and a hostile pickle is refused and never run."""

import io
import os
import pickle
import pickletools
import struct
import time
import tracemalloc
import zipfile

import foreign_weights as foreign
import numpy as np
import pytest

from nst_jax.errors import InputError
from nst_jax.weights import convert, torchfile

TENSORS = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(4, dtype=np.float64)}
ORDERED = b"ccollections\nOrderedDict\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQ"
TOUCH = b"X\x0c\x00\x00\x00touch pwned!"


def pth(path, content, legacy):
    """A .pth with this pickle, which is without its protocol and its end."""
    content = b"\x80\x02" + content + b"."
    if legacy:
        foreign.write_pth(path, {}, legacy=True)
        path.write_bytes(path.read_bytes().replace(foreign._pickled({}, True), content))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/data/0", bytes(24))
    return path


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_are_read(tmp_path, legacy):
    foreign.write_pth(tmp_path / "x.pth", TENSORS, legacy=legacy)
    found = torchfile.tensors(tmp_path / "x.pth")
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in found.items()} == {
        name: (array.shape, array.dtype) for name, array in TENSORS.items()
    }
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name].read(), array)


@pytest.mark.parametrize(
    "content",
    [
        b"}X\x0a\x00\x00\x00state_dict" + ORDERED + b")RX\x01\x00\x00\x00a%bss",
        ORDERED + b"]]X\x01\x00\x00\x00aa%baa\x85R",  # Python 2's OrderedDict([["a", tensor]])
        ORDERED + b")RX\x01\x00\x00\x00a%bs}X\x09\x00\x00\x00_metadataK\x01sb",  # with attributes
        ORDERED + b")RX\x01\x00\x00\x00actorch._utils\n_rebuild_parameter\n(%b\x88" + ORDERED + b")RtRs",
    ],
    ids=["checkpoint", "python 2", "metadata", "parameter"],
)
def test_what_torch_writes_around_tensors(tmp_path, content):
    tensor = REBUILD + b"(" + STORAGE + b"K\x00K\x02K\x03\x86K\x03K\x01\x86\x89" + ORDERED + b")RtR"
    found = torchfile.tensors(pth(tmp_path / "x.pth", content.replace(b"%b", tensor), False))
    assert list(found) == ["a"]
    assert found["a"].read().shape == (2, 3)


def test_tensors_with_strides_and_offsets_stay_inside_their_storage():
    storage = torchfile._Storage("0", np.dtype("<f4"), 6)
    data = np.arange(6, dtype="<f4").tobytes()
    transposed = torchfile.Tensor(storage, 0, (3, 2), (1, 3), lambda _: data)
    np.testing.assert_array_equal(transposed.read(), np.arange(6).reshape(2, 3).T)
    for offset, shape, strides in ((1, (3, 2), (1, 3)), (0, (7,), (1,)), (0, (2,), (6,))):
        with pytest.raises(ValueError, match="outside its storage"):
            torchfile.Tensor(storage, offset, shape, strides, lambda _: data).read()


class Call:
    """Pickles as a call; `pickle.loads` would make it."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def pickled(value, protocol):
    return pickle.dumps(value, protocol)[2:-1]


PLAIN = "only a plain dict of tensors is read"
ANY = "damaged|missing|holds no dict of tensors"
HOSTILE = {
    "os.system by GLOBAL": (b"cposix\nsystem\n" + TOUCH + b"\x85R", "asks for 'posix system'; " + PLAIN),
    "os.system as pickle writes it": (pickled({"a": Call(os.system, "touch pwned!")}, 2), PLAIN),
    "os.system by STACK_GLOBAL": (
        b"\x8c\x05posix\x8c\x06system\x93" + TOUCH + b"\x85R",
        "its pickle does SHORT_BINUNICODE; " + PLAIN,
    ),
    "STACK_GLOBAL": (b"X\x05\x00\x00\x00posixX\x06\x00\x00\x00system\x93" + TOUCH + b"\x85R", "does STACK_GLOBAL"),
    "protocol 4 with frames": (pickled({"a": Call(os.system, "touch pwned!")}, 4), PLAIN),
    "builtins.eval": (pickled([Call(eval, "__import__('os').system('touch pwned!')")], 2), "asks for '.*eval'"),
    "getattr": (pickled([Call(getattr, 1, "real")], 2), PLAIN),
    "our own module": (b"cnst_jax.weights.torchfile\nos\n", PLAIN),
    "a name with dots": (b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n", PLAIN),
    "a very long name": (b"c" + b"m" * 10_000 + b"\nn\n", PLAIN),
    "INST": (b"(" + TOUCH + b"iposix\nsystem\n", "does INST"),
    "OBJ": (b"(" + ORDERED + b"o", "does OBJ"),
    "NEWOBJ": (ORDERED + b")\x81", "does NEWOBJ"),
    "EXT1": (b"\x82\x01", "does EXT1"),
    "EXT4": (b"\x84\x01\x00\x00\x00", "does EXT4"),
    "PERSID": (b"P0\n", "does PERSID"),
    "LONG4": (b"\x8b\xff\xff\xff\x7f", "does LONG4"),
    "BINUNICODE8": (b"\x8d" + b"\xff" * 7 + b"\x7f", "does BINUNICODE8"),
    "BYTEARRAY8": (b"\x96" + b"\xff" * 7 + b"\x7f", "does BYTEARRAY8"),
    "MEMOIZE": (b"}\x94", "does MEMOIZE"),
    "an opcode that is none": (b"\xff", ANY),
    "a text longer than the file": (b"X\xff\xff\xff\x7f", ANY),
    "a call of a text": (b"X\x01\x00\x00\x00a)R", ANY),
    "a call of a dict": (b"})R", ANY),
    "a call of a storage's type": (b"ctorch\nFloatStorage\n(K\x01K\x02K\x03K\x04tR", ANY),
    "a tensor of no arguments": (REBUILD + b")R", ANY),
    "a tensor of texts": (REBUILD + b"(" + b"X\x01\x00\x00\x00a" * 4 + b"tR", ANY),
    "a tensor without a storage": (REBUILD + b"(NK\x00K\x01\x85K\x01\x85tR", ANY),
    "a tensor of negative shape": (REBUILD + b"(" + STORAGE + b"K\x00J\xff\xff\xff\xff\x85K\x01\x85tR", ANY),
    "a tensor of a vast shape": (REBUILD + b"(" + STORAGE + b"K\x00\x8a\x08" + b"\x7f" * 8 + b"\x85K\x01\x85tR", ANY),
    "a tensor of many axes": (REBUILD + b"(" + STORAGE + b"K\x00" + (b"(" + b"K\x01" * 99 + b"t") * 2 + b"tR", ANY),
    "a storage of a negative size": (STORAGE.replace(b"K\x06", b"J\xff\xff\xff\xff"), ANY),
    "a storage of an OrderedDict": (STORAGE.replace(b"ctorch\nFloatStorage\n", ORDERED), ANY),
    "a storage that is no tuple": (b"NQ", ANY),
    "an OrderedDict of a number": (ORDERED + b"K\x01\x85R", ANY),
    "BUILD on a tensor": (
        b"}X\x01\x00\x00\x00a" + REBUILD + b"(" + STORAGE + b"K\x00K\x01\x85K\x01\x85tR"
        b"}X\x05\x00\x00\x00shapeX\x03\x00\x00\x00foosbs",
        ANY,
    ),
    "BUILD on a name": (ORDERED + b"N}X\x04\x00\x00\x00nameX\x01\x00\x00\x00xs\x86b)R", ANY),
    "BUILD on nothing": (b"b", ANY),
    "items of a list": (b"]K\x00K\x01s", ANY),
    "items of an odd number": (b"}(K\x00u", ANY),
    "an unhashable key": (b"}]K\x01s", ANY),
    "a key of nested tuples": (b"}" + b")" + b"q\x00h\x00\x86" * 60 + b"K\x01s", ANY),
    "lists nested 300,000 deep": (b"]" * 300_000 + b"a" * 299_999, ANY),
    "tuples nested 300,000 deep": (b")" + b"\x85" * 300_000, ANY),
    "dicts nested 100,000 deep": (b"}K\x00" * 100_000 + b"}" + b"s" * 100_000, ANY),
    "marks without end": (b"(" * 900_000, ANY),
    "one list made into thousands of dicts": (
        b"](" + b"X\x01\x00\x00\x00aN\x86" * 9_000 + b"eq\x00" + (ORDERED + b"h\x00\x85R") * 9_000, "more pairs",
    ),
    "a memo index of 2^32 - 1": (b"}r\xff\xff\xff\xff", ANY),
    "an empty stack": (b"\x85", ANY),
    "a memo entry that is not there": (b"h\x05", ANY),
    "larger than a megabyte": (b"N" * 1_100_000, ANY),
}  # fmt: skip


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(("content", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_pickle_is_refused_in_one_line_and_never_run(tmp_path, monkeypatch, content, message, legacy):
    monkeypatch.chdir(tmp_path)
    path = pth(tmp_path / "evil.pth", content, legacy)
    start = time.monotonic()
    with pytest.raises(InputError, match=message) as caught:
        convert.convert(path, tmp_path / "out.h5", preprocessing="caffe")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 3000  # at most the list of what is missing
    assert [entry.name for entry in tmp_path.iterdir()] == ["evil.pth"]
    assert time.monotonic() - start < 30


def test_a_huge_memo_index_takes_no_memory(tmp_path):
    path = pth(tmp_path / "x.pth", b"}r\xff\xff\xff\xff", False)
    tracemalloc.start()
    try:
        assert torchfile.tensors(path) == {}
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_tensors_attributes_cannot_be_set(tmp_path):
    content = HOSTILE["BUILD on a tensor"][0]
    assert torchfile.tensors(pth(tmp_path / "x.pth", content, False))["a"].shape == (1,)
    content = HOSTILE["BUILD on a name"][0]
    assert torchfile.tensors(pth(tmp_path / "x.pth", content, False)) == {}


def test_keys_of_an_old_file_are_checked_before_they_are_hashed(tmp_path):
    foreign.write_pth(tmp_path / "x.pth", TENSORS, legacy=True)
    keys = b"\x80\x02](" + foreign._text("0") + foreign._text("1") + b"e."
    nested = b"\x80\x02])" + b"q\x00h\x00\x86" * 60 + b"a."
    content = (tmp_path / "x.pth").read_bytes()
    assert keys in content
    (tmp_path / "x.pth").write_bytes(content.replace(keys, nested))
    with pytest.raises(TypeError, match="neither text nor a number"):
        torchfile.tensors(tmp_path / "x.pth")


def test_a_storage_must_be_of_the_size_that_its_tensor_says(tmp_path):
    foreign.write_pth(tmp_path / "x.pth", TENSORS, legacy=True)
    content = (tmp_path / "x.pth").read_bytes()
    (tmp_path / "x.pth").write_bytes(content.replace(struct.pack("<q", 6), struct.pack("<q", 5)))
    with pytest.raises(ValueError, match="not of the size"):
        torchfile.tensors(tmp_path / "x.pth")["a.weight"].read()
    (tmp_path / "x.pth").write_bytes(content[:-1])
    with pytest.raises(EOFError, match="ends early"):
        torchfile.tensors(tmp_path / "x.pth")["b"].read()


def test_a_compressed_member_is_refused(tmp_path):
    """It could be larger than its file."""
    with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
    with pytest.raises(ValueError, match="is compressed"):
        torchfile.tensors(tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"archive/data.pkl": b"\x80\x02}.", "archive/byteorder": b"big"}, "big-endian"),
        ({"archive/other": b""}, "not from torch.save"),
        ({"archive/data.pkl": b"\x80\x02]."}, "no dict of tensors"),
    ],
)
def test_other_zips_are_refused(tmp_path, members, message):
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match=message):
        torchfile.tensors(tmp_path / "x.pth")


def test_only_the_opcodes_of_a_dict_of_tensors_are_known():
    """What torch writes is among them, and nothing else; a new Python's new opcodes are refused too."""
    written = {opcode.name for opcode, _, _ in pickletools.genops(io.BytesIO(foreign._pickled(TENSORS, True)))}
    assert written - torchfile._OPCODES == {"REDUCE", "SETITEMS"}
    assert not {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "FRAME"} & torchfile._OPCODES
