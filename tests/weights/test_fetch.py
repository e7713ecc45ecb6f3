"""Downloads, against a server on this machine that works, truncates, corrupts, stalls, refuses, redirects and lies."""

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import h5py
import numpy as np
import pytest

from nst_jax.errors import InputError
from nst_jax.weights import fetch, weights

PAYLOAD = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(PAYLOAD).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `payload` in the manner that the path names; `ranges` records what each request asked for."""

    daemon_threads = True
    payload = PAYLOAD

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[tuple[str, str | None]] = []
        self.stop_stalling = threading.Event()

    def address(self, manner: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{manner}"

    def handle_error(self, request, client_address):
        pass  # clients that hang up are what these tests are about


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        manner, asked = self.path.strip("/"), self.headers.get("Range")
        self.server.ranges.append((manner, asked))
        if manner == "missing":
            self.send_error(404)
            return
        if manner in ("redirect", "redirect-file"):
            self.send_response(302)
            self.send_header("Location", "http://example.invalid/x" if manner == "redirect" else "file:///etc/passwd")
            self.end_headers()
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and manner != "no-resume" else 0
        body = self.server.payload[start:]
        if manner == "corrupt":
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.send_response(206 if start else 200)
        if start:
            place = 0 if manner == "wrong-place" else start
            whole = len(self.server.payload)
            self.send_header("Content-Range", f"bytes {place}-{whole - 1}/{whole}")
        if manner == "endless":
            body = bytes(100_000_000)
        elif manner == "long":
            self.send_header("Content-Length", str(len(body) + 1))
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if (manner == "truncate" and not start) or manner == "drop":
            self.wfile.write(body[:100_000])
        elif manner == "trickle":
            until = time.monotonic() + 2
            while time.monotonic() < until:
                self.wfile.write(body[:1])
                time.sleep(0.02)
        elif manner == "stall":
            self.wfile.write(body[:50_000])
            self.wfile.flush()
            self.server.stop_stalling.wait()
        else:
            self.wfile.write(body)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.stop_stalling.set()
    server.shutdown()
    thread.join()
    server.server_close()


def download(server, path, *manners, progress=lambda _: None, timeout=5.0):
    addresses = [server.address(manner) for manner in manners]
    fetch.fetch_file(path, progress, addresses=addresses, size=len(PAYLOAD), md5=MD5, timeout=timeout)


def test_a_working_server_gives_the_file_and_progress(server, tmp_path):
    seen = []
    download(server, tmp_path / "f", "works", progress=seen.append)
    assert (tmp_path / "f").read_bytes() == PAYLOAD
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]
    done = [p.done for p in seen]
    assert done == sorted(done)
    assert done[-1] == len(PAYLOAD)
    assert {p.total for p in seen} == {len(PAYLOAD)}


def test_a_truncated_download_is_resumed_where_it_stopped(server, tmp_path):
    download(server, tmp_path / "f", "truncate")
    assert (tmp_path / "f").read_bytes() == PAYLOAD
    assert server.ranges == [("truncate", None), ("truncate", "bytes=100000-")]


def test_connections_that_drop_are_taken_up_again(server, tmp_path):
    """As often as three times at an address, the next one going on."""
    download(server, tmp_path / "f", "drop")
    assert (tmp_path / "f").read_bytes() == PAYLOAD
    assert server.ranges == [("drop", None), ("drop", "bytes=100000-"), ("drop", "bytes=200000-")]
    server.payload = PAYLOAD + PAYLOAD[:50_000]
    size, md5 = len(server.payload), hashlib.md5(server.payload).hexdigest()
    addresses = [server.address("drop"), server.address("missing"), server.address("works")]
    fetch.fetch_file(tmp_path / "g", addresses=addresses, size=size, md5=md5)
    assert server.ranges[-2:] == [("missing", "bytes=300000-"), ("works", "bytes=300000-")]


def test_a_server_that_trickles_holds_nobody(server, tmp_path):
    start = time.monotonic()
    with pytest.raises(ConnectionError, match=r"it only trickles: \d+ bytes in 0\.2 seconds$"):
        download(server, tmp_path / "f", "trickle", timeout=0.2)
    assert time.monotonic() - start < 2
    download(server, tmp_path / "f", "works")


def test_an_interrupted_run_is_resumed_by_the_next(server, tmp_path):
    def interrupt(progress):
        if progress.done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server, tmp_path / "f", "works", progress=interrupt)
    kept = (tmp_path / "f.part").stat().st_size
    assert kept > 100_000
    download(server, tmp_path / "f", "works")
    assert (tmp_path / "f").read_bytes() == PAYLOAD
    assert server.ranges[-1] == ("works", f"bytes={kept}-")


def test_a_server_that_cannot_resume_starts_over(server, tmp_path):
    (tmp_path / "f.part").write_bytes(b"?" * 1000)
    download(server, tmp_path / "f", "no-resume")
    assert (tmp_path / "f").read_bytes() == PAYLOAD


def test_bad_older_bytes_are_thrown_away_and_the_file_fetched_whole(server, tmp_path):
    (tmp_path / "f.part").write_bytes(b"?" * 1000)
    download(server, tmp_path / "f", "works")
    assert (tmp_path / "f").read_bytes() == PAYLOAD
    assert server.ranges == [("works", "bytes=1000-"), ("works", None)]


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "f.part").write_bytes(PAYLOAD + b"more")
    download(server, tmp_path / "f", "works")
    assert (tmp_path / "f").read_bytes() == PAYLOAD


@pytest.mark.parametrize("bad", ["missing", "corrupt", "stall", "long", "redirect", "redirect-file"])
def test_the_next_address_serves_when_the_first_does_not(server, tmp_path, bad):
    download(server, tmp_path / "f", bad, "works", timeout=0.3)
    assert (tmp_path / "f").read_bytes() == PAYLOAD


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("missing", "404"),
        ("corrupt", "md5"),
        ("stall", "timed out"),
        ("long", "offers '300001' bytes"),
        ("endless", "md5"),
        ("redirect", "not an https address"),
        ("redirect-file", "not allowed"),
    ],
)
def test_failure_names_address_and_reason_in_one_line_and_leaves_no_file(server, tmp_path, bad, reason):
    start = time.monotonic()
    with pytest.raises(ConnectionError, match=reason) as caught:
        download(server, tmp_path / "f", bad, timeout=0.3)
    assert time.monotonic() - start < 5
    assert server.address(bad) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "f").exists()
    assert sum(entry.stat().st_size for entry in tmp_path.iterdir()) <= len(PAYLOAD)


def test_resuming_at_the_wrong_place_is_refused(server, tmp_path):
    (tmp_path / "f.part").write_bytes(PAYLOAD[:1000])
    with pytest.raises(ConnectionError, match="another place"):
        download(server, tmp_path / "f", "wrong-place")


def test_a_refused_connection_is_a_line(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    closed = Server()
    closed.server_close()
    with pytest.raises(ConnectionError, match="refused"):
        download(closed, tmp_path / "f", "works")


@pytest.mark.parametrize("address", ["http://example.invalid/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "nonsense"])
def test_only_https_or_this_machine(tmp_path, address):
    with pytest.raises(ConnectionError, match="not an https address"):
        fetch.fetch_file(tmp_path / "f", addresses=[address], size=1, md5="")


def test_the_known_addresses_are_https():
    assert len(fetch.KERAS_ADDRESSES) == 2
    for address in fetch.KERAS_ADDRESSES:
        fetch._check_address(address)
        assert address.startswith("https://")


def test_fetch_converts_records_and_keeps(server, tmp_path, monkeypatch):
    monkeypatch.setenv("NST_JAX_CACHE", str(tmp_path / "cache" / "nst"))
    params = weights.load()["params"]
    keras = tmp_path / "keras.h5"
    with h5py.File(keras, "w") as file:
        for layer, arrays in params.items():
            name = layer.replace("conv", "block").replace("_", "_conv")
            kernel = arrays["kernel"][:, :, ::-1] if layer == "conv1_1" else arrays["kernel"]
            file[f"{name}/{name}_W_1:0"] = kernel
            file[f"{name}/{name}_b_1:0"] = arrays["bias"]
    server.payload = keras.read_bytes()
    wanted = {"size": len(server.payload), "md5": hashlib.md5(server.payload).hexdigest()}
    path = fetch.fetch(addresses=[server.address("truncate"), server.address("works")], **wanted)
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["SHA256SUMS", "vgg19-full.h5"]
    found = weights.load(weights.FULL)["params"]
    assert all(np.array_equal(found[layer][part], params[layer][part]) for layer in params for part in params[layer])
    assert weights.verify(weights.FULL).in_manifest
    asked = len(server.ranges)
    assert fetch.fetch(addresses=[server.address("truncate")], **wanted) == path
    assert len(server.ranges) == asked  # sound already: nothing was asked for again


def test_a_cache_that_cannot_be_made_is_a_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NST_JAX_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match="set NST_JAX_CACHE"):
        fetch.fetch(addresses=[])
