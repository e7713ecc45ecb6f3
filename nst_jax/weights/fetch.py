"""Downloading the full-precision original weights, in Keras' file, into the user's cache directory."""

import hashlib
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from nst_jax.errors import InputError
from nst_jax.pictures import files
from nst_jax.weights import convert, manifest, weights
from nst_jax.weights.cache import NO_CACHE, cache_directory
from nst_jax.weights.foreign import one_line

KERAS_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
KERAS_ADDRESSES = (
    f"https://storage.googleapis.com/tensorflow/keras-applications/vgg19/{KERAS_FILE}",
    f"https://github.com/fchollet/deep-learning-models/releases/download/v0.1/{KERAS_FILE}",
)
KERAS_BYTES = 80_134_624
KERAS_MD5 = "253f8cb515780f3b799900260a226db6"

_PIECE = 1 << 16
_ATTEMPTS = 3  # at an address, as long as each brings the file further


@dataclass(frozen=True)
class Progress:
    """How far a download is, in bytes; `done` counts what an earlier run left behind too."""

    address: str
    done: int
    total: int


def fetch(
    progress: Callable[[Progress], None] = lambda _: None,
    *,
    addresses: Sequence[str] = KERAS_ADDRESSES,
    size: int = KERAS_BYTES,
    md5: str = KERAS_MD5,
    timeout: float = 30.0,
) -> Path:
    """Fetches and converts the weights "vgg19-full"; what is there and sound is kept.

    Args:
      progress: called after every piece.
      addresses: where the file is, in the order in which they are tried.
      size: the file's, in bytes.
      md5: the file's, 32 hexadecimal digits.
      timeout: seconds in which 64 kB have to come, or a connection is given up.

    Returns:
      The weights file in the cache directory.

    Raises:
      ConnectionError: no address gave the file; the line tells why, address by address.
      InputError: the cache directory cannot be written.
    """
    folder = cache_directory()
    if folder is None:
        raise InputError(f"cache directory: {NO_CACHE}")
    path = folder / f"{weights.FULL}.h5"
    try:
        weights.verify(weights.FULL)
    except InputError:
        pass  # absent or unsound: fetched anew
    else:
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cache directory {path.parent}: cannot be made ({error.strerror}); set NST_JAX_CACHE"
        ) from None
    files.check_writable(path, "cache directory")
    download = path.parent / KERAS_FILE
    fetch_file(download, progress, addresses=addresses, size=size, md5=md5, timeout=timeout)
    try:
        convert.convert(download, path, preprocessing="auto")
    finally:
        download.unlink(missing_ok=True)
    manifest.record(path)
    return path


def fetch_file(
    path: Path,
    progress: Callable[[Progress], None] = lambda _: None,
    *,
    addresses: Sequence[str],
    size: int,
    md5: str,
    timeout: float = 30.0,
) -> None:
    """Downloads a file from the first address that gives it with the right size and hash.

    What has arrived is in `path` with `.part` added until then; another attempt, address or run goes on after it.

    Args:
      path: the file to write.
      progress, addresses, size, md5, timeout: as for `fetch`.

    Raises:
      ConnectionError: no address gave the file; the line tells why, address by address.
    """
    part = path.with_name(path.name + ".part")
    failures = {}
    for address in addresses:
        for _ in range(_ATTEMPTS):
            before = _length(part)
            try:
                _check_address(address)
                _download(address, part, size, timeout, progress)
            except (OSError, EOFError, HTTPException, ValueError) as error:
                failures[address] = f"{address}: {one_line(error)}"
            else:
                if _md5(part) == md5:
                    part.replace(path)
                    return
                part.unlink()
                failures[address] = f"{address}: the file's md5 is not {md5}"
            if _length(part) == before:
                break  # it brought nothing; otherwise it may bring the rest, or the fault was in the older bytes
    raise ConnectionError("weights fetch: no address gave the file: " + "; ".join(failures.values()))


def _download(address: str, part: Path, size: int, timeout: float, progress: Callable[[Progress], None]) -> None:
    """Brings `part` to `size` bytes, going on after those it has; raises on anything that leaves it shorter."""
    done = _length(part)
    if done == size:
        return
    resume = 0 < done < size
    # "identity": a compressed reply could not be resumed, nor its size compared.
    headers = {"Accept-Encoding": "identity", "User-Agent": "nst_jax"} | ({"Range": f"bytes={done}-"} if resume else {})
    with _OPENER.open(urllib.request.Request(address, headers=headers), timeout=timeout) as reply:
        if not resume or reply.status != 206:
            done = 0  # the server does not resume: from the start
        elif not reply.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            raise ValueError("it resumed at another place than asked for")
        declared = reply.headers.get("Content-Length")
        if declared not in (None, str(size - done)):
            raise ValueError(f"it offers {declared[:20]!r} bytes where {size - done} are left of {size}")
        with part.open("ab" if done else "wb") as file:
            due, enough = time.monotonic() + timeout, done + _PIECE
            while done < size and (piece := reply.read1(min(_PIECE, size - done))):
                file.write(piece)
                done += len(piece)
                progress(Progress(address, done, size))
                if done >= enough:
                    due, enough = time.monotonic() + timeout, done + _PIECE
                elif done < size and time.monotonic() > due:  # a trickle never trips the socket's own timeout
                    raise TimeoutError(f"it only trickles: {done - enough + _PIECE} bytes in {timeout:g} seconds")
    if done < size:
        raise EOFError(f"it ended after {done} of {size} bytes")


def _check_address(address: str) -> None:
    """ValueError unless it is https, or http on this very machine (for tests and local mirrors)."""
    url = urllib.parse.urlsplit(address)
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in ("127.0.0.1", "::1", "localhost")):
        raise ValueError("not an https address")


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_CheckedRedirects)


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
