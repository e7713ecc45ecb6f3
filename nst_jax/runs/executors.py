"""Engines that place the tasks of a run: processes of this machine, Dask's workers, Slurm's jobs."""

import glob
import importlib.util
import logging
import multiprocessing
import os
import shutil
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from nst_jax.errors import InputError, argument
from nst_jax.runs import following, tasks
from nst_jax.weights.cache import heal

TRIES = 5
"""How often a task is begun, at most, whose worker dies."""
_PATIENCE = 10  # seconds for a scheduler to answer
_A_WORKER = 2  # tasks for each, so that all are busy to the end


class Engine(NamedTuple):
    """Something that places tasks."""

    executor: following.Executor
    workers: int
    """As many tasks as it runs at once, as far as is known now."""
    together: int
    """As many of them as share a machine."""

    @property
    def shares(self) -> int:
        """Into how many tasks to divide a run, unless its user says."""
        return _A_WORKER * self.workers


def opened(on: str, folder: Path) -> AbstractContextManager[Engine]:
    """Opens an engine.

    Args:
      on: "processes", "processes:N", "dask:ADDRESS", "slurm" or "slurm:KEY=VALUE,...".
      folder: the run's.

    Returns:
      Its context, which gives it.

    Raises:
      InputError: there is no such engine, or it cannot be reached.
    """
    name, colon, about = on.partition(":")
    if name not in _ENGINES or (colon and not about):
        known = "processes, processes:N, dask:ADDRESS, slurm and slurm:KEY=VALUE,..."
        raise InputError(f"{argument('on')}: {on!r} is unknown; known are {known}")
    return _ENGINES[name](about, folder)


class Processes(Executor):
    """Processes of this machine, each with cores, or a GPU, of its own; one that dies is replaced."""

    def __init__(self, places: Sequence["Place"]) -> None:
        """Nothing is started yet.

        Args:
          places: one for each process.
        """
        self._threads = ThreadPoolExecutor(len(places))
        self._free: SimpleQueue[Place] = SimpleQueue()
        self._workers: dict[Place, ProcessPoolExecutor] = {}
        for place in places:
            self._free.put(place)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Places a call; whichever process is free does it, and another one if that dies.

        Args:
          fn: can be imported.
          *args: can be pickled.
          **kwargs: likewise.

        Returns:
          Its future, which fails with `BrokenProcessPool` when TRIES processes have died.
        """
        return self._threads.submit(self._called, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends all processes when they are done."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for worker in self._workers.values():
            worker.shutdown(wait)

    def _called(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        place = self._free.get()
        try:
            for left in reversed(range(TRIES)):
                if place not in self._workers:
                    self._workers[place] = ProcessPoolExecutor(
                        1, multiprocessing.get_context("spawn"), _settle, (place, os.getpid())
                    )
                try:
                    return self._workers[place].submit(fn, *args, **kwargs).result()
                except BrokenProcessPool:
                    self._workers.pop(place).shutdown()
                    if not left:
                        raise
            raise AssertionError
        finally:
            self._free.put(place)


class Place(NamedTuple):
    """Where a process works."""

    cores: tuple[int, ...] | None
    """Its own; None for all."""
    gpu: str | None
    """The one device that it sees, as CUDA_VISIBLE_DEVICES names it; None for what the environment says."""


def places_here(count: int | None = None) -> list[Place]:
    """Divides this machine among processes: one for each GPU or, where there is none, for each core.

    Args:
      count: how many processes; they share GPUs if there are more.

    Returns:
      A place for each.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # of Linux
    cores = sorted(affinity(0)) if affinity else list(range(os.cpu_count() or 1))
    gpus = _gpus()
    count = count or len(gpus) or len(cores)
    own = [tuple(cores[n * len(cores) // count : (n + 1) * len(cores) // count]) for n in range(count)]
    return [
        Place((own[n] or (cores[n % len(cores)],)) if affinity else None, gpus[n % len(gpus)] if gpus else None)
        for n in range(count)
    ]


def _gpus() -> list[str]:
    """The GPUs that JAX would use here; asked of the system, since JAX would take their memory."""
    plugins = [name for name in ("jax_cuda12_plugin", "jax_cuda13_plugin") if importlib.util.find_spec(name)]
    if not plugins or os.environ.get("JAX_PLATFORMS", "cuda").split(",")[0] not in ("cuda", "gpu"):
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name]
    return [str(number) for number in range(len(glob.glob("/dev/nvidia[0-9]*")))]


def _settle(place: Place, parent: int) -> None:
    """Readies a process, before JAX looks for devices; it ends when its parent does."""
    if place.cores is not None:
        os.sched_setaffinity(0, place.cores)
    if place.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = place.gpu
    for name in ("SIGINT", "SIGHUP"):  # a terminal sends them to all; the parent has the run saved and stopped
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    show = warnings.showwarning

    def healed(message: Warning | str, *about: Any, **others: Any) -> None:
        if heal(str(message)) == str(message):  # what remains of trouble with the cache is not for each process to say
            show(message, *about, **others)

    warnings.showwarning = healed

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _processes(about: str, folder: Path) -> Iterator[Engine]:
    if about and not (about.isdigit() and 0 < int(about) <= 4096):
        raise InputError(f"{argument('on')}: processes:{about} is not allowed; N must be from 1 to 4096")
    places = places_here(int(about) if about else None)
    with Processes(places) as executor:
        yield Engine(executor, len(places), len(places))


@contextmanager
def _dask(about: str, folder: Path) -> Iterator[Engine]:
    distributed = _extra("distributed", "dask")
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what goes wrong is said in one line
    try:
        client = distributed.Client(about, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{argument('on')}: no scheduler answers at dask:{about} ({error})") from None
    with client:
        hosts = [worker["host"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()]
        together = max(map(hosts.count, hosts), default=1)
        yield Engine(client.get_executor(retries=TRIES - 1), max(1, len(hosts)), together)


@contextmanager
def _slurm(about: str, folder: Path) -> Iterator[Engine]:
    submitit = _extra("submitit", "slurm")
    parts = [part.partition("=") for part in about.split(",") if part.strip()]
    asked = {key.strip(): value.strip() for key, _, value in parts}
    cluster = asked.pop("cluster", "slurm")
    if cluster == "slurm" and shutil.which("sbatch") is None:
        raise InputError(f"{argument('on')}: slurm has no sbatch here; cluster=local tries a run without it")
    executor = submitit.AutoExecutor(folder.resolve().with_name(f"{folder.resolve().name}.slurm"), cluster=cluster)
    workers = int(asked.pop("jobs", 8))
    parameters = {"timeout_min": 24 * 60, "slurm_array_parallelism": workers, "slurm_signal_delay_s": 90}
    try:
        executor.update_parameters(**parameters | {key: _value(text) for key, text in asked.items()})
    except (TypeError, ValueError, NameError, AssertionError) as error:
        raise InputError(f"{argument('on')}: slurm:{about} is not allowed ({' '.join(str(error).split())})") from None
    yield Engine(Jobs(executor), workers, 1)


class Jobs:
    """Submitit's executor; a share in it saves its checkpoint when it is preempted, and is queued again."""

    def __init__(self, executor: Any) -> None:
        """Nothing is submitted yet.

        Args:
          executor: submitit's.
        """
        self._executor, self.batch = executor, executor.batch

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Submits a job, within `batch` one of an array."""
        return self._executor.submit(Requeued(function) if function is tasks.work else function, *arguments)


class Requeued:
    """A share as submitit takes it: it works in a thread, which is told to save and stop when a signal comes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Nothing is done yet.

        Args:
          function: takes a `threading.Event` after its arguments.
        """
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        """Does the share, and waits for it."""
        self._stop, found = threading.Event(), SimpleQueue()

        def work() -> None:
            try:
                found.put((self._function(*arguments, self._stop), None))
            except BaseException as error:
                found.put((None, error))

        thread = threading.Thread(target=work)
        thread.start()
        self._thread = thread
        while thread.is_alive():
            thread.join(0.2)  # signals come in between
        result, error = found.get()
        if error:
            raise error
        return result

    def checkpoint(self, *arguments: Any) -> Any:
        """Called by submitit on its signal: waits until the share is saved, and has it submitted again."""
        from submitit.helpers import DelayedSubmission  # noqa: PLC0415 (an extra)

        if hasattr(self, "_thread"):  # it has begun
            self._stop.set()
            self._thread.join()
        return DelayedSubmission(Requeued(self._function), *arguments)


def _value(text: str) -> Any:
    return int(text) if text.lstrip("-").isdigit() else text


def _extra(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        needs = f"needs the extra {extra}: pip install 'nst_jax[{extra}]'"
        raise InputError(f"{argument('on')}: {extra} {needs}") from None


_ENGINES: dict[str, Callable[[str, Path], AbstractContextManager[Engine]]] = {
    "processes": _processes, "dask": _dask, "slurm": _slurm,
}  # fmt: skip
