"""What a command says where standard output or error is closed, broken, full, ASCII, or no file at all."""

import errno
import io
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from program import PROGRAM

from nst_jax import __version__
from nst_jax.cli import main, weights_commands
from nst_jax.pictures import images

posix = pytest.mark.skipif(os.name != "posix", reason="descriptors are closed as POSIX's shells do it")
LOW = ("--content-layers", "conv1_1", "--style-layers", "conv1_1", "--size", "48", "--evaluations", "2")
STYLIZE = ("stylize", "photo.png", "painting.png", "-o", "out.png", *LOW)
EVALUATE = ("evaluate", "photo.png", "--content", "photo.png", "--style", "painting.png", *LOW[:4])


@pytest.fixture
def folder(tmp_path, picture, monkeypatch):
    """With two pictures; it is the working directory."""
    images.write_image(tmp_path / "photo.png", picture("photograph", 36, 48))
    images.write_image(tmp_path / "painting.png", picture("painting", 36, 48))
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Broken(io.StringIO):
    """A stream whose reader goes after some writes."""

    def __init__(self, writes: int, *, terminal: bool = False) -> None:
        super().__init__()
        self._left, self._terminal = writes, terminal

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        self._left -= 1
        if self._left < 0:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        return super().write(text)


def closed() -> io.StringIO:
    """A stream that has been closed."""
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS = {
    "none": lambda: None,
    "closed": closed,
    "broken": lambda: Broken(0),
    "broken later": lambda: Broken(1),
    "broken terminal": lambda: Broken(3, terminal=True),
}
FEATURES = ("features", "photo.png", "painting.png", "-o", "out.npz", "--kind", "compact", *LOW[2:6])


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_command_that_writes_a_file_is_done_whoever_listens(folder, monkeypatch, stream, name):
    monkeypatch.setattr(sys, stream, STREAMS[name]())
    assert main(FEATURES) == 0
    with np.load("out.npz") as found:
        assert found["conv1_1"].shape == (2, 128)


@pytest.mark.parametrize("name", ["none", "closed", "broken"])
def test_a_command_whose_product_is_its_output_says_that_it_is_lost(folder, monkeypatch, name):
    heard = io.StringIO()
    monkeypatch.setattr(sys, "stderr", heard)
    trouble = {"none": "closed", "closed": "I/O operation on closed file", "broken": "Broken pipe"}[name]
    for command in (EVALUATE, ("weights", "list"), ("weights", "verify", "vgg19")):
        monkeypatch.setattr(sys, "stdout", STREAMS[name]())
        assert main(command) == 1, command
    assert heard.getvalue() == 3 * f"nst-jax: standard output: {trouble}; what was printed is lost\n"


def test_complaints_do_not_go_to_standard_output_for_want_of_another(monkeypatch, capsys):
    """Trap: `print(..., file=None)` is standard output's."""
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["weights", "verify", "missing.h5"]) == 2
    assert capsys.readouterr().out == ""


class Ascii:
    """A stream of another kind, as notebooks have them."""

    encoding = "ascii"

    def __init__(self) -> None:
        self.bytes = b""

    def write(self, text: str) -> None:
        self.bytes += text.encode("ascii")

    def flush(self) -> None:
        pass


def test_what_a_stream_of_any_kind_cannot_show_is_escaped(monkeypatch):
    stream = Ascii()
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit) as ended:
        main(["stylize", "--help"])
    assert ended.value.code == 0
    assert rb"\u03b1/\u03b2 of equation 7" in stream.bytes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252", "ascii"])
def test_file_names_that_no_encoding_has_are_escaped(monkeypatch, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding, write_through=True)
    monkeypatch.setattr(sys, "stderr", stream)
    assert main(["weights", "verify", "gem\udce4lde.h5"]) == 2
    assert "gem\\udce4lde.h5: no such file" in stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert stream.errors == "strict"  # as it was


def test_a_command_leaves_the_process_as_it_was(monkeypatch):
    """From a notebook, or a thread."""
    monkeypatch.setattr(sys, "stdout", None)
    before = sys.stderr, warnings.showwarning
    codes = []
    thread = threading.Thread(target=lambda: codes.append(main(["weights", "list"])))
    thread.start()
    thread.join()
    assert codes == [1]
    assert sys.stdout is None
    assert (sys.stderr, warnings.showwarning) == before


def test_commands_may_overlap(monkeypatch):
    """The first to begin is the first to end; the other still has streams then."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    begun, over = threading.Barrier(2, timeout=60), threading.Event()
    codes = {}

    def wait() -> int:
        begun.wait()
        if threading.current_thread().name == "second":
            assert over.wait(60)
        return int(sys.stderr.isatty())

    def command() -> None:
        name = threading.current_thread().name
        codes[name] = main(["weights", "list"])
        if name == "first":
            over.set()

    monkeypatch.setattr(weights_commands, "show_all", wait)
    threads = [threading.Thread(target=command, name=name) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {"first": 0, "second": 0}
    assert (sys.stdout, sys.stderr) == (None, None)


def buffered() -> dict[str, str]:
    """The environment, without what may say that Python writes at once."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def in_shell(redirections: str, *arguments: str, program: Sequence[str] = PROGRAM) -> subprocess.CompletedProcess:
    """Runs `nst-jax ARGUMENTS REDIRECTIONS`."""
    command = ["sh", "-c", f'exec "$@" {redirections}', "sh", *program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=buffered())


@posix
def test_with_all_descriptors_closed(folder):
    assert in_shell("<&- >&- 2>&-", *STYLIZE).returncode == 0
    assert images.read_image("out.png").shape == (36, 48, 3)


@posix
def test_files_do_not_take_the_numbers_of_closed_descriptors():
    """Trap: what XLA prints would go into a picture, and Pillow takes number 0 for no file at all."""
    script = """
import os, sys
from nst_jax.cli import main, weights_commands
weights_commands.show_all = lambda: os.open(os.devnull, os.O_RDONLY)
sys.exit(main())
"""
    done = in_shell("<&- >&- 2>&-", "weights", "list", program=(sys.executable, "-c", script))
    assert done.returncode >= 3


@posix
def test_with_readers_that_go_at_once(folder):
    """`2>&1 | head -0`: nothing is left at the end that Python could not write."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*PROGRAM, *STYLIZE], **pipes, env=buffered()) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stderr.close()
    assert process.returncode == 0
    assert images.read_image("out.png").shape == (36, 48, 3)


@posix
@pytest.mark.parametrize("command", [("weights", "list"), ("--version",), ("stylize", "--help")], ids=" ".join)
def test_a_product_that_nobody_takes(command):
    done = in_shell(">&-", *command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "nst-jax: standard output: closed; what was printed is lost\n"
    if os.path.exists("/dev/full"):
        full = in_shell(">/dev/full", *command)
        assert full.returncode == 1
        assert full.stderr == "nst-jax: standard output: No space left on device; what was printed is lost\n"


@posix
def test_the_answer_comes_without_standard_error():
    done = in_shell("2>&-", "--version")
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")
    assert in_shell("2>&-", "frobnicate").returncode == 2
