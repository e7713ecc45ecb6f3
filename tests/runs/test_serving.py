"""The server: what it gives, to whom, and that nothing keeps it from ending."""

import socket
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from nst_jax.errors import InputError
from nst_jax.runs.serving import serving


class Two:
    """A source of one picture."""

    html: str | None = "<p>Δ"

    def page(self):
        return self.html

    def changes(self, since):
        return f'{{"since": {since}}}'

    def picture(self, file):
        if file == "broken.png":
            raise OSError("it is gone")
        return b"PNG" if file == "a b/é.png" else None


def port_of(address: str) -> int:
    found = urlsplit(address)
    assert (found.scheme, found.hostname, found.path) == ("http", "127.0.0.1", "/")
    assert found.port
    return found.port


@pytest.fixture
def source():
    return Two()


@pytest.fixture
def port(source):
    with serving(source, 0) as address:
        yield port_of(address)


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    got = answer.status, answer.headers["Content-Type"], answer.read()
    connection.close()
    return got


def test_the_page_its_news_and_the_pictures(port, source):
    assert ask(port, "/") == ask(port, "/index.html") == (200, "text/html; charset=utf-8", "<p>Δ".encode())
    assert ask(port, "/state.json?since=7") == (200, "application/json; charset=utf-8", b'{"since": 7}')
    for odd in ("/state.json", "/state.json?since=-1", "/state.json?since=x"):
        assert ask(port, odd)[2] == b'{"since": 0}'
    assert ask(port, "/lanes/a%20b/%C3%A9.png?12") == (200, "image/png", b"PNG")
    source.html = None
    assert b"The run begins." in ask(port, "/")[2]


@pytest.mark.parametrize(
    "path", ["/run.json", "/lanes/", "/lanes/../run.json", "/lanes/%2e%2e/run.json", "//etc/passwd", "/etc/passwd", "x"]
)
def test_there_is_nothing_else(port, path):
    assert ask(port, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_nothing_but_get(port, method):
    assert ask(port, "/", method)[0] == 501


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "[::1", "", "0.0.0.0"]
)
def test_other_names_of_this_machine_are_refused(port, host):
    """A site may have its own name mean 127.0.0.1, so that its pages could read the answers."""
    assert ask(port, "/", Host=host)[0] == 403
    assert ask(port, "/state.json", Host=host)[2] == b"only as 127.0.0.1 or localhost\n"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "localhost:8080", "LOCALHOST:1"])
def test_a_tunnel_may_have_another_port(port, host):
    assert ask(port, "/", Host=host)[0] == 200


def test_it_listens_on_the_loopback_alone(port):
    with socket.socket() as other:
        other.bind(("127.0.0.2", port))  # which a server of all addresses would have taken


def test_what_fails_is_told_to_who_asked_and_nobody_else(port, capfd):
    assert ask(port, "/lanes/broken.png") == (500, "text/plain; charset=utf-8", b"OSError('it is gone')\n")
    assert ask(port, "/")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_port_that_is_taken_is_one_line(port, source):
    with pytest.raises(InputError, match=f"serve: port {port} cannot be used .*; 0 takes one that is free") as refused:
        serving(source, port).__enter__()
    assert "\n" not in str(refused.value)


def test_the_port_is_free_again_at_once(source):
    with serving(source, 0) as address:
        port = port_of(address)
        assert ask(port, "/")[0] == 200
    with pytest.raises(OSError, match="refused"):
        ask(port, "/")
    with serving(source, port):
        assert ask(port, "/")[0] == 200


def test_clients_that_hang_keep_nothing_waiting(source):
    """One says nothing, one half a question; one takes no answer, of more than sockets hold."""
    source.html = "x" * 50_000_000
    with serving(source, 0) as address:
        port = port_of(address)
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        clients[1].sendall(b"GET / HT")
        clients[2].sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        time.sleep(0.2)
        assert ask(port, "/state.json")[0] == 200
        begun = time.monotonic()
    assert time.monotonic() - begun < 2
    assert all(thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())
    for client in clients:
        client.close()


def test_ordinary_clients_can_read_it(port):
    with urllib.request.urlopen(f"http://localhost:{port}/", timeout=5) as answer:
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in answer.headers
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/nothing", timeout=5)
