"""Feeds mutated weights files to every reader: `fuzz_weights.py COUNT`, run in an empty folder by test_convert.py.

Each file must be read, to the very numbers it was made of where a checksum guards them, or be refused by an InputError
of one line, soon. The network is shrunk to two channels a layer, so that mutations hit the structure and not the data.
Prints "read N refused N"; any other exception, a slow file or a dead process is a failure, and `seed` names the file.
"""

import faulthandler
import random
import resource
import sys
import time
from pathlib import Path

import numpy as np

from nst_jax.network import layers

for name in layers.CONVOLUTIONS:  # before anything else copies the table's numbers
    layers.CONVOLUTIONS[name] = (3 if name == "conv1_1" else 2, 2)

import foreign_weights as foreign  # noqa: E402

from nst_jax.errors import InputError  # noqa: E402
from nst_jax.network import parameters  # noqa: E402
from nst_jax.weights import convert, weights  # noqa: E402

SLOW = 5.0  # seconds


def sources(folder: Path) -> list[bytes]:
    table = np.linspace(-1, 1, 256, dtype=np.float32)
    rng = np.random.default_rng(0)
    network = {
        name: {"kernel": table[rng.integers(0, 256, (3, 3, i, o))], "bias": rng.standard_normal(o, np.float32)}
        for name, (i, o) in layers.CONVOLUTIONS.items()
    }
    params = {"params": network, "preprocessing": parameters.CAFFE}
    paths = [folder / f"source{number}" for number in range(11)]
    weights.save(paths[0], params, attributes=weights.OXFORD)
    weights.save(paths[1], params, attributes=weights.OXFORD, tables=dict.fromkeys(network, table))
    foreign.write_keras(paths[2], network)
    foreign.write_keras(paths[3], network, newer=True)
    foreign.write_pth(paths[4], foreign.state_dict(network, "torchvision"))
    foreign.write_pth(paths[5], foreign.state_dict(network, "caffe"), legacy=True)
    foreign.write_mat(paths[6], network, compressed=False)
    foreign.write_mat(paths[7], network)
    with paths[8].open("wb") as plain, paths[9].open("wb") as compressed:
        foreign.write_npz(plain, network)  # type: ignore[arg-type]
        foreign.write_npz(compressed, network, compressed=True)  # type: ignore[arg-type]
    foreign.write_mat(paths[10], network, compressed=False, older=True)
    return [path.read_bytes() for path in paths]


def mutated(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16, 64))):
        at = rng.randrange(len(changed))
        kind = rng.randrange(5)
        if kind == 0:
            changed[at] = rng.randrange(256)
        elif kind == 1:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            changed[at] = rng.choice((0, 127, 128, 255))
        elif kind == 3:
            changed[at : at + 4] = rng.choice((b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\0"))
        else:
            start, size = rng.randrange(len(changed)), rng.choice((1, 2, 4, 8, 64))
            changed[at : at + size] = changed[start : start + size]
    if rng.random() < 0.1:
        del changed[rng.randrange(len(changed)) :]
    return bytes(changed)


def main() -> None:
    faulthandler.enable()
    folder = Path.cwd()
    originals = sources(folder)
    # The shipped file cannot be loaded into the shrunken network; nothing here looks like Oxford's weights.
    convert._likeness_to_oxford = lambda kernel: {"RGB": 0.0, "BGR": 0.0}
    resource.setrlimit(resource.RLIMIT_AS, (3 << 29, 3 << 29))
    original = weights.load(folder / "source0")["params"]
    read = refused = 0
    for seed in range(int(sys.argv[1])):
        (folder / "seed").write_text(str(seed))
        rng = random.Random(seed)
        which = seed % len(originals)
        path = folder / "mutated"
        path.write_bytes(mutated(originals[which], rng))
        start = time.monotonic()
        try:
            if which < 2:
                found = weights.load(path)["params"]
                assert all(np.array_equal(found[n][part], original[n][part]) for n in original for part in original[n])
            else:
                convert._read(path, "caffe")
            read += 1
        except InputError as error:
            if "\n" in str(error):
                raise
            refused += 1
        assert time.monotonic() - start < SLOW, f"seed {seed} took {time.monotonic() - start:.1f} s"
    print("read", read, "refused", refused)


if __name__ == "__main__":
    main()
