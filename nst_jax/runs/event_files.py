"""TensorBoard's event files: losses, measures and pictures of a lane, each step once, however often a run is resumed.

A file is a list of records: the length of an event, its checksum, the event, its checksum. Events are messages of the
package tensorboardX, which is the extra `tensorboard`; whatever shows event files can read them.
"""

import math
import os
import struct
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from nst_jax.errors import InputError, argument
from nst_jax.optim.engine import Record
from nst_jax.pictures import files
from nst_jax.runs.pace import Pace

_VERSION = "brain.Event:2"  # from which a session that begins takes the place of what went before
_PICTURE, _LOSS = "picture", "loss/total"
_PICTURES = 20  # of a lane while it runs; TensorBoard shows ten
_SIZE = slice(16, 24)  # of a PNG: width and height


def check_folder(folder: Path) -> None:
    """Checks the folder that event files are to go into, before anything is computed; does not make it.

    Args:
      folder: what `tensorboard` names.

    Raises:
      InputError: the extra is not installed, or the folder is a file, or cannot be made or written.
    """
    name = argument("tensorboard")
    try:
        _extra("record_writer")
    except ImportError:
        raise InputError(f'{name}: needs the extra tensorboard: pip install "nst_jax[tensorboard]"') from None
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except OSError as error:
        raise InputError(f"{name} {folder}: cannot write there ({error.strerror})") from None
    if not there.is_dir():
        raise InputError(f"{name} {folder}: {'is' if there == folder else f'{there} is'} a file; name a folder")
    files.check_writable(there / "events", name)


class LaneEvents:
    """What TensorBoard shows of a lane, in a folder of its own.

    A tag's step is written once: steps that are there already, from before an interruption, are left as they are. No
    trouble with the files stops a run, which is told of it by a warning; there is nothing more then.
    """

    def __init__(self, folder: Path, evaluations: int, *, anew: bool) -> None:
        """Nothing is written yet, and no file stays open.

        Args:
          folder: the lane's; need not be there.
          evaluations: that the lane takes.
          anew: the lane begins: what the folder has of an earlier run is no longer shown.
        """
        self._folder, self._anew, self._off = folder, anew, False
        self._between = max(1, evaluations // _PICTURES)
        self._path: Path | None = None
        self._pace = Pace()  # of pictures of the lane while it runs: their checksums take 0.2 s/MB
        self._last: dict[str, int] = {}
        with self._telling():
            self._earlier = sorted(folder.glob("*tfevents*"))
            if not anew:
                self._last = _last_steps(self._earlier)

    def losses(self, records: Sequence[Record]) -> None:
        """Evaluations of the lane; their losses are `Losses` of floats, and their steps the evaluations so far."""
        new = [record for record in records if record.evaluations > self._last.get(_LOSS, 0)]
        if not new:
            return
        now = time.time()

        def events() -> Iterator[Any]:
            for record in new:
                losses = record.losses
                values = {_LOSS: losses.total, "loss/content": losses.content, "loss/style": losses.style}
                values |= {f"style/{layer}": loss for layer, loss in losses.style_layers.items()}
                yield _scalars(values, record.evaluations, now - (new[-1].seconds - record.seconds))

        self._write(events)
        self._last[_LOSS] = new[-1].evaluations

    def measures(self, values: Mapping[str, float], step: int) -> None:
        """Measures by name, of the picture after `step` evaluations; what is NaN is left out."""
        known = {f"measures/{name}": value for name, value in values.items() if not math.isnan(value)}
        new = {tag: value for tag, value in known.items() if step > self._last.get(tag, 0)}
        if new:
            self._write(lambda: [_scalars(new, step, time.time())])
            self._last |= dict.fromkeys(new, step)

    def picture(self, png: Callable[[], bytes], step: int, *, over: bool) -> None:
        """The picture after `step` evaluations, unless it comes too soon after the one before.

        Args:
          png: gives the bytes of a PNG file, if they are wanted.
          step: evaluations so far.
          over: it is the lane's last one, which is always wanted.
        """
        last = self._last.get(_PICTURE, 0)
        if step > last and (over or (step >= last + self._between and self._pace.due)):
            with self._pace.spent():
                self._write(lambda: [_picture(png(), step)])
            self._last[_PICTURE] = step

    def _write(self, events: Callable[[], Iterable[Any]]) -> None:
        """Appends events to this session's file, which the first ones make."""
        if self._off:
            return
        with self._telling():
            records = b"".join(map(_record, events()))
            if self._path is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                # In the order of their names files are read.
                self._path = self._folder / f"events.out.tfevents.{time.time():.6f}.{os.getpid()}"
                records = b"".join(map(_record, _beginning(over_again=self._anew and bool(self._earlier)))) + records
            with self._path.open("ab") as file:
                file.write(records)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._off = True
            warnings.warn(f"TensorBoard is told no more: {error.strerror or error}", stacklevel=4)


def _beginning(*, over_again: bool) -> Iterator[Any]:
    messages = _extra("proto.event_pb2")
    yield messages.Event(wall_time=time.time(), file_version=_VERSION)
    if over_again:
        begun = messages.SessionLog(status=messages.SessionLog.START)
        yield messages.Event(wall_time=time.time(), step=0, session_log=begun)


def _scalars(values: Mapping[str, float], step: int, when: float) -> Any:
    summary = _extra("proto.summary_pb2").Summary
    told = [summary.Value(tag=tag, simple_value=float(value)) for tag, value in values.items()]
    return _event(step, when, summary(value=told))


def _picture(png: bytes, step: int) -> Any:
    summary = _extra("proto.summary_pb2").Summary
    width, height = struct.unpack(">II", png[_SIZE])
    image = summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
    return _event(step, time.time(), summary(value=[summary.Value(tag=_PICTURE, image=image)]))


def _event(step: int, when: float, summary: Any) -> Any:
    return _extra("proto.event_pb2").Event(wall_time=when, step=step, summary=summary)


def _record(event: Any) -> bytes:
    data = event.SerializeToString()
    length = struct.pack("<Q", len(data))
    return b"".join((length, _checksum(length), data, _checksum(data)))


def _checksum(data: bytes) -> bytes:
    return struct.pack("<I", _extra("record_writer").masked_crc32c(data))


def _extra(module: str) -> Any:
    """A module of tensorboardX."""
    return import_module(f"tensorboardX.{module}")


def _last_steps(paths: Iterable[Path]) -> dict[str, int]:
    """The last step of each tag that is shown of these files, which may be cut short."""
    begun = _extra("proto.event_pb2").SessionLog.START
    last: dict[str, int] = {}
    for path in paths:
        for event in _events(path):
            if event.session_log.status == begun:
                last.clear()
            last.update((value.tag, max(event.step, last.get(value.tag, 0))) for value in event.summary.value)
    return last


def _events(path: Path) -> Iterator[Any]:
    kind, damaged = _extra("proto.event_pb2").Event, import_module("google.protobuf.message").DecodeError
    with path.open("rb") as file:
        while True:
            length, checksum = file.read(8), file.read(4)
            if checksum != _checksum(length):
                return
            data = file.read(struct.unpack("<Q", length)[0])
            if len(file.read(4)) < 4:
                return
            try:
                event = kind.FromString(data)
            except damaged:
                return
            yield event
