"""`nst-jax sweep`, `figure` and `resume` as whole programs: killed, out of disk, by twos, in a browser."""

import csv
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from program import PROGRAM, assert_refused, done, run, separately
from run_folders import FILES, NAMES, SWEEP, assert_same, assert_whole, leftovers, measured, pictures, rows

from nst_jax import topologies
from nst_jax.optim.engine import Engine
from nst_jax.pictures import images
from nst_jax.topologies.compiling import Figures
from nst_jax.topologies.planning import Outlook
from nst_jax.transfer import figures
from nst_jax.transfer.plan import Plan
from nst_jax.transfer.stylizing import evaluate

KILLS = 30
ALWAYS = ["--quiet", "--checkpoint-every", "0"]
TINY = ["--size", "48", "--evaluations", "2", "--history", "2"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Programs that find what an earlier one compiled, on one device."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    cache = tmp_path_factory.mktemp("cache")
    return own | {"JAX_COMPILATION_CACHE_DIR": str(cache), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, inputs, environment):
    """A run that nothing interrupted, as a program of its own."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    outcome = separately("sweep", *inputs, "-o", folder, *SWEEP, env=environment)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.startswith(f"{folder}/index.html: 4 lanes")
    assert len(rows(folder)) == 4 * 24
    return folder


def begin(*arguments: object, env: dict[str, str]) -> subprocess.Popen:
    return started([*PROGRAM, *map(str, arguments)], env)


def started(command: list[str], env: dict[str, str]) -> subprocess.Popen:
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait(process: subprocess.Popen) -> tuple[int, str]:
    _, err = process.communicate(timeout=300)
    return process.returncode, err


def test_the_losses_of_a_run_are_those_of_its_files(params, inputs, whole):
    """losses.csv, the page's data and the pictures, to what 8 bits cost of pictures of 48 pixels."""
    run = json.loads((whole / "run.json").read_text())
    photo, painting = (images.read_image(path) for path in inputs)
    for lane in run["table"]["lanes"]:
        layers = {name: weight for name, weight in lane["style_layers"] if weight}
        found = evaluate(
            images.read_image(whole / "lanes" / f"{lane['name']}.png"), photo, painting, params=params,
            alpha=lane["alpha"], beta=lane["beta"], content_layers=(lane["content_layers"][0][0],),
            style_layers=tuple(layers), style_weights=tuple(layers.values()),
        )  # fmt: skip
        last = [row for row in rows(whole) if row["lane"] == lane["name"]][-1]
        np.testing.assert_allclose(float(last["total"]), found.total, rtol=0.01)
        np.testing.assert_allclose(float(last["style"]), found.style, rtol=0.01)


# -- killed


def kill(process: subprocess.Popen, folder: Path, generator: random.Random, writing: bool) -> tuple[bool, bool]:
    """Kills the process at a random moment, or while it writes a file; whether it was killed, and writing then.

    The moment is counted from the first change in the folder, half of the time from the start.
    """
    until = time.monotonic() + (generator.uniform(0, 6) if generator.random() < 0.25 else 60)
    before = folder.exists() and (folder / "index.html").exists() and os.stat(folder / "index.html").st_ino
    skip, seen = generator.randrange(40), set()
    delay = generator.uniform(0, 1.5)
    while process.poll() is None and time.monotonic() < until:
        places = [folder, folder / "lanes", folder / "checkpoint"] if writing else [folder]
        names = {entry.name for place in places if place.is_dir() for entry in os.scandir(place)}
        if writing:
            seen |= {name for name in names if name.startswith(".")}
            if len(seen) > skip and any(name.startswith(".") for name in names):
                break
        elif "index.html" in names and os.stat(folder / "index.html").st_ino != before:
            until = min(until, time.monotonic() + delay)
            before = None
        time.sleep(0 if writing else 0.005)
    if process.poll() is not None:
        return False, False
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL, bool(leftovers(folder))


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path, inputs, environment, whole):
    """30 kills, half of them aimed at moments when a file is being written; each run goes on, to the same bytes."""
    generator = random.Random(7)
    folder, runs, killed, writing = tmp_path / "run-0", 0, 0, 0
    while killed < KILLS:
        begun = (folder / "run.json").exists()
        command = ["resume", folder, *ALWAYS] if begun else ["sweep", *inputs, "-o", folder, *SWEEP, *ALWAYS]
        process = begin(*command, env=environment)
        was_killed, was_writing = kill(process, folder, generator, killed % 2 == 0)
        killed, writing = killed + was_killed, writing + was_writing
        assert_whole(folder)
        if not was_killed:  # it came to its end first
            assert wait_again(process) == 0
            assert_same(folder, whole)
            assert leftovers(folder) == []
            runs += 1
            folder = tmp_path / f"run-{runs}"
    command = ["resume", folder] if (folder / "run.json").exists() else ["sweep", *inputs, "-o", folder, *SWEEP]
    outcome = separately(*command, "--quiet", env=environment)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")
    assert_whole(folder)
    assert_same(folder, whole)
    assert leftovers(folder) == []
    assert (folder / "run.json").read_bytes() == (whole / "run.json").read_bytes()
    print(f"{killed} kills in {runs + 1} runs, {writing} of them while a file was being written")
    assert writing >= 5


def wait_again(process: subprocess.Popen) -> int:
    out, err = process.communicate()
    assert (out, err) == ("", "")
    return process.returncode


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_tidily(tmp_path, inputs, environment, whole, number):
    folder = tmp_path / "run"
    process = begin("sweep", *inputs, "-o", folder, *SWEEP, "--evaluations", "2000", env=environment)
    while not (folder / "index.html").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(number)
    code, err = wait(process)
    assert code == 128 + number
    assert err.endswith(f"nst-jax: interrupted; go on with `nst-jax resume {folder}`\n")
    assert_whole(folder)
    assert (folder / "checkpoint" / "state-0.npz").exists()
    assert leftovers(folder) == []


# -- out of disk


def ends_out_of_disk(process: subprocess.Popen, folder: Path, reason: str) -> None:
    """One line that names a file and the reason, exit code 1, and nothing that is half written."""
    code, err = wait(process)
    assert code == 1, err
    assert err.count("\n") == 1, err
    assert err.startswith("nst-jax: ")
    assert reason in err
    assert str(folder) in err
    assert_whole(folder)
    assert leftovers(folder) == []


@pytest.mark.slow
def test_a_limit_on_the_size_of_files(tmp_path, inputs, environment, whole):
    """No checkpoint fits; with the limit lifted it goes on."""
    folder = tmp_path / "run"
    limit = (whole / "checkpoint" / "state-0.npz").stat().st_size // 2
    arguments = map(str, ["sweep", *inputs, "-o", folder, *SWEEP, *ALWAYS])
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); {PROGRAM[-1]}"
    process = started([*PROGRAM[:-1], limited, *arguments], environment)
    ends_out_of_disk(process, folder, "File too large")
    outcome = separately("resume", folder, "--quiet", env=environment)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert_same(folder, whole)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 16 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("this process may not mount a file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("early", [True, False])
def test_a_disk_that_is_full(small_disk, inputs, environment, whole, early):
    """From the beginning, or in the middle of the run; with space made, it goes on."""
    folder, ballast = small_disk / "run", small_disk / "ballast"

    def fill(leave: int) -> None:
        status = os.statvfs(small_disk)
        with ballast.open("wb") as file:
            file.write(bytes(max(0, status.f_bavail * status.f_frsize - leave)))

    if early:
        fill(leave=16384)
    process = begin("sweep", *inputs, "-o", folder, *SWEEP, *ALWAYS, env=environment)
    while not early and not (folder / "checkpoint" / "state-0.npz").exists():
        assert process.poll() is None
        time.sleep(0.001)
    if not early:
        os.kill(process.pid, signal.SIGSTOP)  # so that it does not come to its end while the disk is filled
        fill(leave=0)
        os.kill(process.pid, signal.SIGCONT)
    ends_out_of_disk(process, folder, "No space left on device")
    ballast.unlink()
    command = ["resume", folder] if (folder / "run.json").exists() else ["sweep", *inputs, "-o", folder, *SWEEP]
    outcome = separately(*command, "--quiet", env=environment)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert_same(folder, whole)
    assert leftovers(folder) == []


# -- several processes


@pytest.mark.slow
def test_a_second_process_on_one_folder(tmp_path, inputs, environment, whole):
    folder = tmp_path / "run"
    first = begin("sweep", *inputs, "-o", folder, *SWEEP, *ALWAYS, env=environment)
    while not (folder / "run.json").exists():
        assert first.poll() is None
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGSTOP)  # it holds the folder, and waits for the others
    for command in (
        ["resume", folder],
        ["sweep", *inputs, "-o", folder, *SWEEP, "--force"],
        ["sweep", *inputs, "-o", folder, *SWEEP],
    ):
        second = separately(*command, env=environment)
        assert second.returncode == 2
        assert second.stderr.count("\n") == 1
        assert "another process is working on it" in second.stderr or "is not empty" in second.stderr
    os.kill(first.pid, signal.SIGCONT)
    assert wait(first) == (0, "")
    assert_same(folder, whole)


def assert_filled_by_two(folder: Path, whole: Path) -> None:
    assert_same(folder, whole)
    assert_whole(folder)
    assert leftovers(folder) == []
    assert "4 lanes: 4 done" in (folder / "index.html").read_text("utf-8")
    assert sorted(path.name for path in (folder / "checkpoint").glob("*.npz")) == ["state-0.npz", "state-1.npz"]


@pytest.mark.slow
@pytest.mark.parametrize("distributed", [True, False])
def test_two_processes_fill_one_folder(tmp_path, inputs, environment, whole, distributed):
    """By jax.distributed on loopback, and by shares given by hand: the bytes of one process."""
    folder = tmp_path / "run"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    processes = []
    for number in range(2):
        own, share = environment, ["--share", f"{number}/2"]
        if distributed:
            share = ["--distributed"]
            own = own | {
                "JAX_COORDINATOR_ADDRESS": address,
                "JAX_NUM_PROCESSES": "2",
                "JAX_PROCESS_ID": str(number),
            }
        processes.append(begin("sweep", *inputs, "-o", folder, *SWEEP, *ALWAYS, *share, env=own))
    assert [wait(process) for process in processes] == [(0, ""), (0, "")]
    assert_filled_by_two(folder, whole)
    plan = json.loads((folder / "run.json").read_text("utf-8"))["plan"]
    asked = {"batch": 2, "memory": None}
    assert plan == {"groups": [{"batch": 2, "strips": []}], "devices": 1, "shares": 2, "asked": asked}


@pytest.mark.slow
def test_shares_that_are_killed_and_resumed(tmp_path, inputs, environment, whole):
    """One share at a time; what is there in between is told by the page."""
    folder = tmp_path / "run"
    outcome = separately("sweep", *inputs, "-o", folder, *SWEEP, "--share", "1/2", "--quiet", env=environment)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "4 lanes: 2 done, 2 waiting" in (folder / "index.html").read_text("utf-8")
    assert {row["lane"] for row in rows(folder)} == set(NAMES[1::2])
    process = begin("sweep", *inputs, "-o", folder, *SWEEP, *ALWAYS, "--share", "0/2", env=environment)
    while not (folder / "checkpoint" / "state-0.npz").exists():
        assert process.poll() is None
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    wait(process)
    for share, code in (("0/3", 2), ("2/3", 2), ("0/2", 0)):
        outcome = separately("resume", folder, "--share", share, "--quiet", env=environment)
        assert outcome.returncode == code
        assert outcome.stderr.count("\n") == (1 if code else 0)
    assert_filled_by_two(folder, whole)


@pytest.mark.slow
def test_a_share_of_another_run_is_refused(tmp_path, inputs, environment):
    folder = tmp_path / "run"
    arguments = ["sweep", *inputs, "-o", folder, "--quiet"]
    assert separately(*arguments, *SWEEP, "--share", "1/2", env=environment).returncode == 0
    for changed, word in (
        ([*SWEEP, "--evaluations", "9", "--share", "0/2"], "settings.evaluations"),
        ([*SWEEP, "--share", "2/3"], "plan.shares (2, not 3)"),
        ([*SWEEP, "--ratio", "5,6", "--share", "0/2"], "table"),
    ):
        outcome = separately(*arguments, *changed, env=environment)
        assert outcome.returncode == 2
        assert word in outcome.stderr
        assert outcome.stderr.count("\n") == 1


# -- served


def served_at(process: subprocess.Popen) -> str:
    assert process.stderr
    line = process.stderr.readline()
    assert line.startswith("nst-jax: the run is shown at http://127.0.0.1:")
    return line.split()[-1]


@pytest.mark.slow
def test_a_run_that_is_served(tmp_path, inputs, environment, whole):
    """Losses are heard of while it runs; a client that hangs keeps neither the run nor its end from coming."""
    folder = tmp_path / "run"
    process = begin("sweep", *inputs, "-o", folder, *SWEEP, "--quiet", "--serve", env=environment)
    address = served_at(process)
    hanging = socket.create_connection(("127.0.0.1", int(address.rstrip("/").rpartition(":")[2])))
    heard = set()
    with suppress(OSError):  # when it has ended
        while process.poll() is None:
            news = json.loads(urllib.request.urlopen(f"{address}state.json", timeout=5).read())
            heard.add(tuple(len(cell["losses"].get("total", ())) for cell in news["cells"].values()))
            time.sleep(0.05)
    assert wait(process) == (0, "")
    hanging.close()
    assert {sum(lengths) for lengths in heard} >= {0, 4 * 24}
    assert any(0 < sum(lengths) < 4 * 24 for lengths in heard)
    assert_same(folder, whole)


def test_an_address_that_is_taken_or_none_is_refused(tmp_path, inputs):
    out = tmp_path / "out"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for command in (["sweep", *inputs, "-o", out], ["figure", 3, "-o", out], ["resume", out]):
            assert_refused(run(*command, "--serve", port), f"--serve: port {port} cannot be used")
    assert_refused(run("sweep", *inputs, "-o", tmp_path / "out", "--serve", 70000), "--serve: 70000 is not allowed")
    assert_refused(run("sweep", *inputs, "--dry-run", "--serve"), "--serve: not allowed with --dry-run")
    assert not (tmp_path / "out").exists()


def test_shares_of_a_cluster_wait_for_each_other(tmp_path, monkeypatch, inputs, cluster):
    """A share that is done does not end the others, as JAX would by itself when they take five minutes longer."""
    monkeypatch.chdir(tmp_path)
    command = ["sweep", *inputs, "-o", "out", *TINY, "--distributed"]
    assert_refused(run(*command), "--distributed: no cluster found")
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "127.0.0.1:1")
    assert_refused(run(*command), "--distributed", "JAX_NUM_PROCESSES")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    monkeypatch.setenv("JAX_PROCESS_ID", "x")
    assert_refused(run(*command), "--distributed", "JAX_PROCESS_ID")
    monkeypatch.setenv("JAX_PROCESS_ID", "1")
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert_refused(run(*command), "--share: 2 shares of 1 lanes leave none for share 1")
    day = 24 * 3600
    assert [call[:3] for call in cluster] == [(None, None, None), ("127.0.0.1:1", 2, 1)]
    assert all(call[3] > day for call in cluster)
    assert [*tmp_path.iterdir()] == []


# -- figures, dry runs, tables


def sizes(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in sorted((folder / "lanes").iterdir()):
        with Image.open(path) as picture:
            found[path.stem] = picture.size
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("number", "lanes"), [(1, 10), (2, 3), (3, 20)])
def test_figures(tmp_path, number, lanes):
    """Of the shipped samples; each lane's loss falls."""
    folder = tmp_path / f"figure{number}"
    done("figure", number, "-o", folder, *TINY, "--evaluations", "10", "--quiet")
    assert sorted(os.listdir(folder)) == FILES
    assert assert_whole(folder) == lanes + 6
    assert len(sizes(folder)) == lanes
    photograph = images.read_image(figures.PHOTOGRAPH, size=48)
    assert set(sizes(folder).values()) == {photograph.shape[1::-1]}
    totals: dict[str, list[float]] = {}
    for row in rows(folder):
        totals.setdefault(row["lane"], []).append(float(row["total"]))
    assert len(totals) == lanes
    for name, values in totals.items():
        assert len(values) == 10
        assert values[-1] < values[0], name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["figure", "3", "--ratio", "1"], ["--ratio", "figure 2"]),
        (["figure", "1", "--style", "a.png", "b.png"], ["--style", "takes one"]),
        (["figure", "2", "--ratio", "1,2"], ["--ratio: 2 given for 3"]),
        (["figure", "3"], ["--output"]),
        (["sweep"], ["CONTENT and STYLE"]),
        (["sweep", "{photo}"], ["CONTENT and STYLE"]),
        (["sweep", "{photo}", "none.png", "-o", "out"], ["none.png: no such file"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--table", "none.csv"], ["none.csv"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--table", "t.csv", "--ratio", "1,2"], ["--table", "axes"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--init", "none.png"], ["none.png: no such file"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--rows", "A,Z"], ["--rows", "'Z'"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--seed", "0,x"], ["--seed"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--share", "2/2"], ["--share", "0 to N - 1"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--share", "1/2"], ["2 shares of 1 lanes"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--memory", "many"], ["--memory", "4GB"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--memory", "0"], ["--memory"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--batch", "0"], ["--batch"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--tolerance", "nan"], ["--tolerance"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--checkpoint-every", "-1"], ["--checkpoint-every"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--force", "--share", "0/2", "--seed", "1,2"], ["--force"]),
        (["sweep", "{photo}", "{painting}", "--more-content", "{painting}", "-o", "out", "--size", "48"], ["one size"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", *SWEEP, "--memory", "1MB"], ["memory"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", *SWEEP, "--scales", "2"], ["--scales: 2", "at most 1"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--init", "."], ["run.json: no such file"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--find-in", "."], ["--find-in: only with --from"]),
        (["sweep", "{photo}", "{painting}", "-o", "out", "--device", "h100"], ["--device: only with --dry-run"]),
        (
            ["sweep", "{photo}", "{painting}", "--dry-run", "--device", "v9:1"],
            ["--device 'v9:1'", "known are v4:2x2x1"],
        ),
    ],
)
def test_what_is_refused(tmp_path, monkeypatch, inputs, arguments, words):
    monkeypatch.chdir(tmp_path)
    named = {"photo": inputs[0], "painting": inputs[1]}
    assert_refused(run(*[argument.format(**named) for argument in arguments]), *words)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and not path.name.startswith("lock-")] == []


def test_a_dry_run_tells_and_writes_nothing(tmp_path, monkeypatch, inputs):
    monkeypatch.chdir(tmp_path)
    outcome = done("sweep", *inputs, *SWEEP, "--dry-run", "-o", "out")
    lines = outcome.out.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == NAMES
    assert "α 0.001, β 1, style layers conv1_1, seed 0" in lines[0]
    assert "4 lanes in 1 batches of 4 on 4 devices" in lines[-1]
    for word in ("GB for a batch", " s (24 evaluations of "):
        assert word in lines[-1]
    assert [*tmp_path.iterdir()] == []


def test_a_dry_run_for_a_device_that_is_not_there(monkeypatch, inputs):
    """Its plan, and the least that it takes: 24 evaluations of two batches of half a second."""

    def outlook(table, height, width, device, *, shares, batch, memory, note):
        note("compiling")
        assert (height, width, device, shares, batch, memory) == (40, 48, "v5e:1x1", 1, 2, 10**9)
        figures = Figures(10, 20, 0, 0, 0, 0, 500.0, 400.0, (), {}, 1.0)
        return Outlook(Plan(2, 1, 30 * 10**6, (8,)), 4, figures)

    monkeypatch.setattr(topologies, "outlook", outlook)
    outcome = done("sweep", *inputs, *SWEEP, "--dry-run", "--device", "v5e:1x1", "--memory", "1GB")
    lines = outcome.out.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == NAMES
    assert lines[-1] == (
        "4 lanes in 2 batches of 2 on 1 devices of v5e:1x1; 0.03 GB for a batch on each, in 8 strips; "
        "about 24 s at its peak (24 evaluations of 0.5 s a batch)"
    )
    assert outcome.err == "nst-jax: note: compiling\n"


def test_a_compiler_s_other_errors_are_one_line(monkeypatch, inputs):
    def outlook(*arguments, **options):
        raise jax.errors.JaxRuntimeError("INTERNAL: something\nwith a second line")

    monkeypatch.setattr(topologies, "outlook", outlook)
    outcome = run("figure", 3, "--size", "48", "--dry-run", "--device", "v5e:1x1", "--quiet")
    assert (outcome.code, outcome.out) == (1, "")
    assert "INTERNAL: something" in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_table_from_a_file(tmp_path, inputs):
    table = tmp_path / "lanes.json"
    lanes = [
        {"name": "first", "style_layers": ["conv1_1"], "content_layers": ("conv1_2",), "seed": n} for n in range(2)
    ]
    lanes[1] |= {"name": "second", "ratio": 0.5}
    table.write_text(json.dumps(lanes))
    folder = tmp_path / "out"
    done("sweep", *inputs, "-o", folder, "--table", table, *TINY, "--quiet", "--init", "content")
    assert sizes(folder) == {"first": (48, 40), "second": (48, 40)}
    assert [row["lane"] for row in rows(folder)] == ["first"] * 2 + ["second"] * 2
    with (folder / "losses.csv").open(newline="") as file:
        header = next(csv.reader(file))
    assert header == ["lane", "step", "evaluations", "total", "content", "style", "conv1_1", "seconds"]


def test_photographs_of_their_own_size(tmp_path, inputs):
    """run.json has the number. Photographs of several sizes are refused, those of a table too."""
    photo, painting = inputs
    done("sweep", photo, painting, "-o", tmp_path / "run", *TINY, "--size", "original", "--seed", "0,1")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["size"] == 48
    with Image.open(tmp_path / "run" / "lanes" / "0_seed-0.png") as picture:
        assert picture.size == (48, 40)
    large = tmp_path / "large.png"
    images.write_image(large, images.read_image(photo, size=96))
    (tmp_path / "table.csv").write_text(f"content,seed\n{large},0\n")
    command = ("sweep", photo, painting, "-o", tmp_path / "other", "--size", "original")
    for more in (("--more-content", large), ("--table", tmp_path / "table.csv")):
        assert_refused(run(*command, *more), f"--size original: {photo} has 48 pixels a side, {large} 96; give")
    assert_refused(run("sweep", "--from", tmp_path / "run" / "run.json", *command[3:]), "--from: takes")
    assert not (tmp_path / "other").exists()


def test_adam_and_a_start_picture(tmp_path, inputs):
    """The picture to start from is not distorted, and Adam has no history."""
    start = tmp_path / "start.png"
    images.write_image(start, np.full((80, 96, 3), 0.5, np.float32))
    arguments = ["sweep", *inputs, *TINY, "--content-layers", "conv1_2", "--style-layers", "conv1_1", "--quiet"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    outcome = separately(
        *arguments,
        "-o",
        tmp_path / "out",
        "--init",
        start,
        "--optimizer",
        "adam",
        "--evaluations",
        "3",
        env=environment,
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")
    losses = [float(row["total"]) for row in rows(tmp_path / "out")]
    assert len(losses) == 3
    assert losses[2] < losses[0]
    images.write_image(start, np.full((48, 96, 3), 0.5, np.float32))
    assert_refused(run(*arguments, "-o", tmp_path / "new", "--init", start), "--init", "another aspect")


# -- scales


SCALES = (
    "--size", "96", "--history", "3", "--batch", "2", "--content-layers", "conv2_1", "--style-layers", "conv1_1",
    "--quiet",
)  # fmt: skip


@pytest.fixture(scope="module")
def at_two_scales(tmp_path_factory, inputs):
    """Three lanes in two rounds, that nothing interrupted."""
    folder = tmp_path_factory.mktemp("scales") / "run"
    done("sweep", *inputs, "-o", folder, *SCALES, "--ratio", "0,1e-3,1e-2", "--evaluations", "10", "--scales", "2")
    return folder


def without_scales(folder: Path, elsewhere: Path) -> Path:
    return Path(shutil.copytree(folder, elsewhere / "copy", ignore=shutil.ignore_patterns("scales")))


def test_a_coarser_scale_is_a_run_that_the_finer_one_starts_from(tmp_path, inputs, at_two_scales):
    """The same by hand: at half the size, α/β meant for the whole one; then from there."""
    assert sorted(os.listdir(at_two_scales)) == sorted([*FILES, "scales"])
    coarse, fine = tmp_path / "coarse", tmp_path / "fine"
    ratios = ("--ratio", "0,1e-3,1e-2")
    half = ("--size", "48", "--evaluations", "4", "--ratio-size", "96")
    done("sweep", *inputs, "-o", coarse, *SCALES, *ratios, *half)
    done("sweep", *inputs, "-o", fine, *SCALES, *ratios, "--evaluations", "6", "--init", coarse)
    assert_same(at_two_scales / "scales" / "48x40", coarse)
    assert_same(without_scales(at_two_scales, tmp_path), fine)
    first = {row["lane"]: float(row["total"]) for row in rows(at_two_scales) if row["evaluations"] == "1"}
    done("sweep", *inputs, "-o", tmp_path / "noise", *SCALES, *ratios, "--evaluations", "1")
    for row in rows(tmp_path / "noise"):
        assert first[row["lane"]] < float(row["total"])


@pytest.mark.parametrize("chunks", [1, 4])
def test_killed_at_one_of_the_scales_and_resumed(tmp_path, monkeypatch, inputs, at_two_scales, chunks):
    folder = tmp_path / "run"
    command = [
        "sweep",
        *inputs,
        "-o",
        folder,
        *SCALES,
        "--ratio",
        "0,1e-3,1e-2",
        "--evaluations",
        "10",
        "--scales",
        "2",
    ]
    with monkeypatch.context() as patched:
        advance, count = Engine.advance, iter(range(100))

        def dying(engine: Engine) -> object:
            if next(count) == chunks:
                raise RuntimeError("killed")
            return advance(engine)

        patched.setattr(Engine, "advance", dying)
        with pytest.raises(RuntimeError, match="killed"):
            run(*command, "--checkpoint-every", "0")
    assert (folder / "scales" / "48x40" / "grid.png").is_file()
    done("resume", folder, "--quiet")
    assert_same(folder, at_two_scales)
    again = done("resume", folder)  # what is done says so, a line a scale, and no more
    assert (again.err, again.out.count("\n")) == ("", 2)


def test_several_scales_are_named_and_told_of_before(inputs):
    outcome = done("sweep", *inputs, *SCALES, "--evaluations", "10", "--scales", "2", "--dry-run")
    assert "(7 evaluations of" in outcome.out  # six, and four of a quarter's cost


def test_a_lane_must_be_in_the_run_to_start_from(tmp_path, inputs, whole):
    outcome = run("sweep", *inputs, "-o", tmp_path / "out", *TINY, "--init", whole)
    assert_refused(outcome, f"--init {whole}", "no run folder with a picture of lane")


# -- in a browser


@pytest.mark.slow
def test_the_page_of_a_real_run_in_a_browser(tmp_path, inputs):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip("no chromium or google-chrome on PATH")
    folder = tmp_path / "run <b>&"
    done("sweep", *inputs, "-o", folder, *SWEEP, "--quiet")
    trouble: list[str] = []
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(
            executable_path=browser, args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        tab = chromium.new_page()
        tab.on("console", lambda message: trouble.append(message.text))
        tab.on("pageerror", lambda error: trouble.append(str(error)))
        tab.goto((folder / "index.html").as_uri())
        assert tab.locator("button.cell img").count() == 4
        assert "4 lanes: 4 done" in tab.text_content(".state")

        def shown() -> str:
            return tab.locator("#along-layer img").get_attribute("src")

        tab.focus("#along")
        tab.keyboard.press("Home")
        first = shown()
        tab.keyboard.press("ArrowRight")
        assert shown() != first
        assert tab.text_content("#along-value") == "10⁻²"
        tab.click("#cell-2")
        assert tab.text_content("#large-name") == NAMES[2]
        assert tab.locator("#curves path").count() >= 3
        chromium.close()
    assert trouble == []


CONTROLS = ["--size", "48", "--evaluations", "8", "--history", "2", "--ratio", "1e-4,1e-2", "--style-layers", "conv1_1",
            "--content-layers", "conv1_2", "--vary", "color=painting,luminance", "--vary", "style-scale=1,1.5",
            "--vary", "pool=avg,max", "--checkpoint-every", "0"]  # fmt: skip


def test_a_sweep_over_programs_that_is_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch, inputs):
    """Any setting is an axis; groups of lanes with a program of their own share a folder, a page and a resume."""
    whole, folder = tmp_path / "whole", tmp_path / "run"
    done("sweep", *inputs, "-o", whole, *CONTROLS, "--quiet")
    assert sorted(path.name for path in (whole / "checkpoint").glob("*.npz")) == ["state-0-1.npz", "state-0.npz"]
    assert len(list((whole / "lanes").glob("*.png"))) == len(measured(whole)) == 16
    last = {row["lane"]: row["evaluations"] for row in rows(whole)}
    assert set(last.values()) == {"8"}
    advance = Engine.advance
    for chunks in (1, 2, 3):
        left = iter(range(chunks))

        def dying(engine: Engine, left=left) -> object:
            if next(left, None) is None:
                raise RuntimeError("killed")
            return advance(engine)

        with monkeypatch.context() as patched:
            patched.setattr(Engine, "advance", dying)
            command = ["resume", folder] if folder.exists() else ["sweep", *inputs, "-o", folder, *CONTROLS]
            with suppress(RuntimeError):
                done(*command, "--quiet")
    done("resume", folder, "--quiet")
    assert_same(folder, whole)
    again = done("sweep", "--from", whole / "run.json", "-o", tmp_path / "again", "--quiet")
    assert again.err == ""
    assert_same(tmp_path / "again", whole)


def test_shares_of_a_sweep_over_programs(tmp_path, inputs):
    whole, folder = tmp_path / "whole", tmp_path / "run"
    done("sweep", *inputs, "-o", whole, *CONTROLS, "--quiet", "--batch", "2")
    for share in ("0/2", "1/2"):
        done("sweep", *inputs, "-o", folder, *CONTROLS, "--quiet", "--batch", "2", "--share", share)
    assert sorted(pictures(folder)) == sorted(pictures(whole))
    assert (folder / "measures.csv").read_bytes() == (whole / "measures.csv").read_bytes()


def test_what_a_sweep_over_programs_would_take(inputs):
    outcome = done("sweep", *inputs, *CONTROLS, "--dry-run")
    told = outcome.out.splitlines()
    assert told[3].startswith("03_color-painting-style-scale-1-pool-max_1e-2: α 0.01, β 1, style layers conv1_1")
    assert told[3].endswith(", pool max")
    assert [line.split(":")[0] for line in told[16:]] == ["pool avg", "pool max"]


def test_more_lanes_than_anybody_would_want_are_asked_about(tmp_path, inputs):
    many = ["--vary", "tv=" + ",".join(f"{n}e-9" for n in range(1, 10_002))]
    assert_refused(run("sweep", *inputs, "-o", tmp_path / "out", *many), "10,001 lanes", "--yes goes on with more than")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--vary", "colour=a"], ["--vary", "'colour' is no setting; known are"]),
        (["--vary", "color=blue"], ["--color", "'blue' is unknown; known are painting, luminance, match"]),
        (["--vary", "weights=vgg19,mine.h5"], ["--weights", "'mine.h5' is not allowed; as an axis only names"]),
        (
            ["--vary", "size=96,64", "--scales", "2", "--size", "96"],
            ["--scales", "only one is allowed where lanes"],
        ),
        (["--grid-rows", "seed"], ["--grid-rows", "'seed' does not vary in this sweep"]),
    ],
)
def test_axes_that_cannot_be(tmp_path, inputs, options, words):
    assert_refused(run("sweep", *inputs, "-o", tmp_path / "out", *options), *words)
    assert not (tmp_path / "out").exists()


def test_a_table_s_columns_are_settings(tmp_path, inputs):
    table = tmp_path / "table.csv"
    table.write_text("name,color,pool,style_scale,ratio\na,luminance,max,1,1e-3\nb,,,1.5,\n")
    outcome = done("sweep", *inputs, "--table", table, "--size", "48", "--dry-run", "--content-layers", "conv1_2")
    assert "color luminance, pool max" in outcome.out
    table.write_text("name,colour\na,luminance\n")
    refused = run("sweep", *inputs, "--table", table, "-o", tmp_path / "out")
    assert_refused(refused, "unknown column 'colour'; known columns are name, row, column")
