"""Engines that place tasks, each for real: processes and Dask's workers that are killed, jobs that are preempted."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from program import assert_refused, run
from run_folders import NAMES, SWEEP, pictures, rows

from nst_jax.errors import InputError
from nst_jax.runs import executors, following
from nst_jax.runs.executors import Place, Processes, Requeued, opened, places_here
from nst_jax.runs.folder import RunFolder
from nst_jax.runs.options import RunOptions
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import table
from nst_jax.transfer.settings import Settings

TASKS = (*SWEEP, "--quiet", "--shares", "2", "--checkpoint-every", "0")


def whereabouts(_=None):
    """Of the process that does a task."""
    return os.getpid(), tuple(sorted(os.sched_getaffinity(0))), os.environ.get("CUDA_VISIBLE_DEVICES")


def die_once(flag):
    """Kills the process that does it, the first time."""
    if not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def warn(text):
    warnings.warn(text, stacklevel=2)


def fail(message):
    raise InputError(message)


# -- processes of this machine


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux keeps processes to cores")
def test_each_process_has_cores_or_a_gpu_of_its_own_and_is_replaced_when_it_dies(tmp_path):
    first, *_, last = sorted(os.sched_getaffinity(0))
    with Processes([Place((first,), "7"), Place((last,), None)]) as executor:
        found = set(executor.map(whereabouts, range(6)))
        assert {cores for _, cores, _ in found} <= {(first,), (last,)}
        assert all(gpu == ("7" if cores == (first,) and first != last else gpu) for _, cores, gpu in found)
        processes = {pid for pid, _, _ in found}
        assert len(processes) <= 2
        assert executor.submit(die_once, tmp_path / "flag").result() not in {os.getpid()}
        with pytest.raises(InputError, match="nothing doing"):
            executor.submit(fail, "nothing doing").result()
        assert executor.submit(whereabouts).result()[1] in {(first,), (last,)}


def test_a_process_does_not_say_that_the_cache_cannot_be_used(capfd):
    """JAX does, in two lines for each program."""
    with Processes([Place(None, None)]) as executor:
        for trouble in ("reading", "writing"):
            executor.submit(warn, f"Error {trouble} persistent compilation cache entry for 'jit_x': no").result()
        executor.submit(warn, "another").result()
    said = capfd.readouterr().err
    assert "UserWarning: another" in said
    assert "cache" not in said


def test_what_kills_each_process_is_given_up(monkeypatch):
    monkeypatch.setattr(executors, "TRIES", 2)
    with Processes([Place(None, None)]) as executor, pytest.raises(BrokenProcessPool):
        executor.submit(die, 0).result()


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_a_machine_is_divided(monkeypatch, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 5}, raising=False)
    monkeypatch.setattr(executors, "_gpus", list)
    places = places_here(count)
    assert len(places) == count
    assert {core for place in places for core in place.cores} == {0, 1, 2, 5}
    assert max(len(place.cores) for place in places) == -(-4 // count)
    assert len(places_here()) == 4
    monkeypatch.setattr(executors, "_gpus", lambda: ["3", "4"])
    assert [place.gpu for place in places_here()] == ["3", "4"]
    assert [place.gpu for place in places_here(3)] == ["3", "4", "3"]


def test_gpus_are_those_that_jax_would_use(monkeypatch):
    monkeypatch.setattr(executors.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(executors.glob, "glob", lambda _: ["/dev/nvidia0", "/dev/nvidia1"])
    for name in ("JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    assert executors._gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b,GPU-c")
    assert executors._gpus() == ["GPU-a", "GPU-b", "GPU-c"]
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert executors._gpus() == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory, inputs):
    """Four lanes in two shares, undisturbed, on processes."""
    folder = tmp_path_factory.mktemp("on") / "run"
    outcome = run("sweep", *inputs, "-o", folder, *TASKS, "--on", "processes:2")
    assert outcome.code == 0, outcome
    assert sorted(path.stem for path in (folder / "lanes").iterdir()) == NAMES
    assert len(rows(folder)) == 4 * 24
    return folder


def half_way(folder, process, seconds=240):
    """Waits until a share has a checkpoint and is not done."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for share in (0, 1):
            path, progress = RunFolder(folder).state(share, 0), folder / "checkpoint" / f"progress-{share}"
            if path.is_file() and progress.is_file() and 2 <= int(progress.read_text() or 0) < 40:
                return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("no checkpoint came")


def started(*arguments, **options):
    command = [sys.executable, "-c", "import sys; from nst_jax.cli import main; sys.exit(main())", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def children(pid):
    """The processes that a process started, and those that they did."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found += [int(path.parent.name), *children(int(path.parent.name))]
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells of a process's children")
def test_a_worker_that_is_killed_is_replaced_and_one_that_is_left_alone_ends(whole, inputs, tmp_path):
    """Then the whole run is killed, and its workers with it; it is resumed without a word of shares."""
    folder = tmp_path / "run"
    process = started("sweep", *inputs, "-o", folder, *TASKS, "--on", "processes:2")
    half_way(folder, process)
    workers = [pid for pid in children(process.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(workers[0], signal.SIGKILL)
    _, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    assert pictures(folder) == pictures(whole)
    assert rows(folder) == rows(whole)
    other = tmp_path / "other"
    process = started("sweep", *inputs, "-o", other, *TASKS, "--on", "processes:2")
    half_way(other, process)
    workers = children(process.pid)
    process.kill()
    process.communicate()
    time.sleep(3)
    alive = [pid for pid in workers if Path(f"/proc/{pid}/stat").exists()]
    assert not [pid for pid in alive if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    outcome = run("resume", other, "--quiet")
    assert outcome.code == 0, outcome
    assert pictures(other) == pictures(whole)


@pytest.mark.slow
def test_a_run_that_is_stopped_by_a_signal_is_saved(whole, inputs, tmp_path):
    folder = tmp_path / "run"
    process = started("sweep", *inputs, "-o", folder, *TASKS, "--on", "processes:2")
    half_way(folder, process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 143, err
    assert f"go on with `nst-jax resume {folder}`" in err
    outcome = run("resume", folder, "--on", "processes:2", "--quiet")
    assert outcome.code == 0, outcome
    assert pictures(folder) == pictures(whole)


# -- Dask


@pytest.fixture
def dask(tmp_path):
    """A scheduler of Dask's on loopback, and workers that are kept to one core, as those of `whole` are."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("only Linux keeps processes to cores")
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    programs = []

    def start(kind, *arguments):
        one_core = "import os, runpy, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        program = one_core + f"sys.argv[0] = ''; runpy.run_module('distributed.cli.dask_{kind}', run_name='__main__')"
        command = [sys.executable, "-c", program, *arguments]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with (tmp_path / f"{kind}-{len(programs)}.log").open("w") as log:
            programs.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=tmp_path))
        return programs[-1]

    def worker():
        return start("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0")

    start.worker, start.address, start.logs = worker, address, tmp_path
    start.scheduler = start("scheduler", "--host", address, "--no-dashboard")
    yield start
    for program in programs:
        program.kill()
        program.wait()


@pytest.mark.slow
def test_a_dask_worker_is_killed_and_one_is_added(whole, inputs, tmp_path, dask):
    """In the middle of a share; and the bytes are those of an undisturbed run."""
    workers = [dask.worker(), dask.worker()]
    folder = tmp_path / "run"
    process = started("sweep", *inputs, "-o", folder, *TASKS, "--on", f"dask:{dask.address}")
    half_way(folder, process)
    workers[0].kill()
    dask.worker()
    _, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    assert pictures(folder) == pictures(whole)
    assert rows(folder) == rows(whole)
    assert "Remove worker" in (dask.logs / "scheduler-0.log").read_text()


@pytest.mark.slow
def test_a_scheduler_that_is_gone_is_one_line_and_resume_goes_on(whole, inputs, tmp_path, dask):
    dask.worker()
    folder = tmp_path / "run"
    process = started("sweep", *inputs, "-o", folder, *TASKS, "--on", f"dask:{dask.address}")
    half_way(folder, process)
    dask.scheduler.kill()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert [line for line in err.splitlines() if line.startswith("nst-jax: ")][-1].count(
        "go on with `nst-jax resume"
    ) == 1
    assert "Traceback" not in err
    time.sleep(1)
    end = time.monotonic() + 120
    while (outcome := run("resume", folder, "--on", "processes:2", "--quiet")).code and time.monotonic() < end:
        assert "another process" in outcome.err, outcome  # the worker does what it has begun
        time.sleep(1)
    assert pictures(folder) == pictures(whole)


# -- Slurm, by submitit's local executor


@pytest.mark.slow
def test_a_job_that_is_preempted_saves_and_is_queued_again(inputs, tmp_path, monkeypatch):
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    axes = Axes(ratio=(1e-3, 1e-2), style_layers=(("conv1_1",), ("conv1_1", "conv2_1")))
    settings = Settings(size=48, evaluations=200, history=3, content_layers=("conv2_1",))
    monkeypatch.setattr(following, "POLL_SECONDS", 0.05)
    made = table(list(inputs[:1]), list(inputs[1:]), axes, settings)
    folder, interrupted, jobs = tmp_path / "run", [], []

    def follow(state):
        progress = folder / "checkpoint" / "progress-0"
        if not interrupted and progress.is_file() and 2 <= int(progress.read_text() or 0) < 300:
            (task,) = children(jobs[1]._process.pid)
            os.kill(task, signal.SIGUSR2)
            interrupted.append(task)
        return False

    for place, heard in ((tmp_path / "undisturbed", lambda state: False), (folder, follow)):
        with opened("slurm:cluster=local,timeout_min=10", place) as engine:
            submit = engine.executor.submit

            def recorded(function, /, *arguments, submit=submit):
                jobs.append(submit(function, *arguments))
                return jobs[-1]

            engine.executor.submit = recorded
            jobs.clear()
            following.begin(engine.executor, made, place, RunOptions(checkpoint_every=1000, batch=2), heard, 2)
    assert interrupted
    logs = "".join(path.read_text() for path in folder.with_name("run.slurm").glob("*_log.*"))
    assert "Caught signal SIGUSR2" in logs
    assert logs.count("Loading pickle") == 1 + 2 + 1  # prepared, two shares, one of them again
    assert pictures(folder) == pictures(tmp_path / "undisturbed")


def test_what_sbatch_would_be_told(tmp_path, monkeypatch):
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    from submitit.slurm import slurm  # noqa: PLC0415

    monkeypatch.setattr(executors.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(slurm.SlurmExecutor, "affinity", classmethod(lambda cls: 1))
    with opened("slurm:slurm_partition=gpu,gpus_per_node=1,timeout_min=60,jobs=5", tmp_path / "run") as engine:
        assert (engine.workers, engine.shares) == (5, 10)
        inner = engine.executor._executor._executor
        text = slurm._make_sbatch_string(command="do it", folder=tmp_path, map_count=10, **inner.parameters)
    for line in ("--partition=gpu", "--gpus-per-node=1", "--time=60", "--array=0-9%5", "--signal=USR2@90"):
        assert f"#SBATCH {line}" in text, text


def test_a_share_in_a_thread_is_told_to_stop():
    def share(word, stop):
        assert stop.wait(10)
        return word

    job = Requeued(share)
    found = []
    thread = threading.Thread(target=lambda: found.append(job("saved")))
    thread.start()
    while not hasattr(job, "_thread"):
        time.sleep(0.01)
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    again = job.checkpoint("saved")
    thread.join()
    assert found == ["saved"]
    assert again.args == ("saved",)
    with pytest.raises(InputError, match="wrong"):
        Requeued(lambda stop: fail("wrong"))()


# -- what is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--on", "cluster"], ["--on: 'cluster' is unknown", "dask:ADDRESS"]),
        (["--on", "processes:0"], ["--on", "N must be from 1"]),
        (["--on", "processes:many"], ["--on", "N must be from 1"]),
        (["--on", "dask"], ["--on", "no scheduler answers"]),
        (["--on", "dask:tcp://127.0.0.1:9"], ["--on", "no scheduler answers at dask:tcp://127.0.0.1:9"]),
        (["--on", "slurm"], ["--on: slurm has no sbatch here"]),
        (["--on", "slurm:cluster=local,colour=red"], ["--on", "colour"]),
        (["--on", "processes", "--share", "0/2"], ["--on: not allowed together with", "--share"]),
        (["--on", "processes", "--dry-run"], ["--on: not allowed together with", "--dry-run"]),
        (["--shares", "2"], ["--shares: only with --on"]),
    ],
)
def test_what_cannot_be_is_one_line(inputs, tmp_path, monkeypatch, options, words):
    monkeypatch.setattr(executors, "_PATIENCE", 1)
    monkeypatch.setattr(executors.shutil, "which", lambda name: None)
    assert_refused(run("sweep", *inputs, "-o", tmp_path / "run", *SWEEP, *options), *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("on", "module", "extra"), [("dask:tcp://a:1", "distributed", "dask"), ("slurm", "submitit", "slurm")]
)
def test_a_missing_extra_is_named(inputs, tmp_path, monkeypatch, on, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    refused = run("sweep", *inputs, "-o", tmp_path / "run", *SWEEP, "--on", on)
    assert_refused(refused, f"--on: {extra} needs the extra {extra}: pip install 'nst_jax[{extra}]'")


def test_a_run_says_into_how_many_shares_it_is_divided(whole):
    plan = json.loads((whole / "run.json").read_text("utf-8"))["plan"]
    assert (plan["shares"], plan["together"]) == (2, 2)
