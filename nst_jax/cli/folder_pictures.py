"""`nst-jax stylize` of a folder: each photograph with each painting, one after the other, into a folder."""

import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax

from nst_jax.cli.commission import Commission
from nst_jax.cli.interrupt import Interrupt
from nst_jax.cli.progress import StepReporter
from nst_jax.cli.results import check_style, inputs_of, refuse_inputs
from nst_jax.errors import FAILED, InputError, argument, option
from nst_jax.optim.compiler import Compile
from nst_jax.optim.status import Status
from nst_jax.pictures import images
from nst_jax.runs import inputs, ledger, moved
from nst_jax.runs.orders import Order, check_folder, is_folder, ordered
from nst_jax.transfer.arguments import check_blend, levels
from nst_jax.transfer.region_names import written
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights

ENDING = ".png"
"""Of the pictures, unless another is asked for."""
SIZES = 16  # of pictures, whose compiled programs are kept at once: beside the loop's each has some of 12 MB


def of_folder(
    content: Path, style: Sequence[Path], output: Path, settings: Settings, *, original_size: bool, transparency: str,
    ending: str, memory: int | None, force: bool, quiet: bool, as_json: bool, compile: Compile,
) -> int:  # fmt: skip
    """Makes a picture of each photograph with each painting; returns the exit code.

    Args:
      content: the photographs' folder, or one photograph.
      style: paintings, and folders of them.
      output: the folder to write into.
      settings: of all pictures; with a `style_blend`, the paintings are blended.
      original_size: each has its photograph's own size.
      transparency: see `Commission`.
      ending: of the pictures' files.
      memory: bytes that may be used; None for most of what is free.
      force: what was made with other settings is made anew.
      quiet: neither progress nor summaries.
      as_json: each picture's summary as JSON.
      compile: what compiles the loop.

    Raises:
      InputError: what can be refused before there is any work; a photograph that cannot be read is none of that.
    """
    if ending not in images.WRITTEN_ENDINGS:
        raise InputError(f"{argument('ending')}: {ending!r} is unknown; known are {' '.join(images.WRITTEN_ENDINGS)}")
    orders = _ordered(content, paintings_in(style), settings, ending, original_size)
    images.check_ending(orders[0].name, argument("output"), settings.bits, transparent=transparency == "keep")
    _check(orders, [content, *style], output, settings)
    how = {"original_size": original_size, "transparency": transparency}
    work = _Work(output, settings, how, memory, quiet, as_json, compile)
    with work.ledger.opened([order.name for order in orders], force=force):
        todo = [order for order in orders if not work.is_done(order, force)]
        if not quiet:
            print(f"nst-jax: {_counted(orders, todo)}", file=sys.stderr)
        with Interrupt() as interrupt:
            whole = work.make(todo, len(orders), interrupt)
        return work.end(orders, interrupt) if whole else FAILED


def paintings_in(style: Sequence[Path]) -> list[Path]:
    """Paintings, with those of folders in place of the folders."""
    lists = [images.pictures_in(path, "STYLE") if is_folder(path) else [path] for path in style]
    return [path for found in lists for path in found]


def _ordered(
    content: Path, paintings: Sequence[Path], settings: Settings, ending: str, original_size: bool
) -> list[Order]:
    check_style(paintings, settings)
    check_blend(settings, paintings if settings.style_blend else ())

    def size_of(photo: Path) -> tuple[int, int]:
        return images.read_size(photo, size=None if original_size else settings.size, max_pixels=settings.max_pixels)

    photos, below = ([content], content.parent)
    if is_folder(content):
        photos, below = images.pictures_in(content, "CONTENT"), content
    return ordered(photos, below, paintings, blended=bool(settings.style_blend), ending=ending, size_of=size_of)


def _check(orders: Sequence[Order], given: Sequence[Path], output: Path, settings: Settings) -> None:
    """Refuses what cannot be, but for photographs that cannot be read; `given` are the paths on the command line."""
    names = [order.name for order in orders]
    check_folder(output, [path for path in given if is_folder(path)], names)
    alone = [path for path in (*given, *map(Path, moved.of_masks(settings))) if not is_folder(path)]
    for name in names:
        refuse_inputs(output / name, alone)
    for path in dict.fromkeys(painting for order in orders for painting in order.paintings):
        inputs.read_picture(path, settings, settings.beside(settings.size))
    masks = inputs.read_regions(settings, settings.beside(settings.size)).masks
    for size, photo in {order.size: order.photo for order in reversed(orders) if order.size}.items():
        try:
            inputs.read_start(settings, *size)
            inputs.read_kept(settings, *size)
            for region in settings.region:
                mask = written(region).mask
                levels(masks[mask], *size, f"region {mask}")
        except InputError as error:
            raise InputError(f"{error.args[0]} (of {photo})") from None


def _counted(orders: Sequence[Order], todo: Sequence[Order]) -> str:
    sizes = {order.size for order in orders if order.size}
    told = f"{len(orders)} picture{'s'[: len(orders) > 1]} of {len(sizes)} size{'s'[: len(sizes) != 1]}"
    done = len(orders) - len(todo)
    return f"{told}, {done} of them done already" if done else told


class _Work:
    """The making of a folder's pictures."""

    def __init__(
        self, output: Path, settings: Settings, how: dict[str, Any], memory: int | None, quiet: bool, as_json: bool,
        compile: Compile,
    ) -> None:  # fmt: skip
        self._how = how
        self._output, self._settings, self._memory = output, settings, memory
        self._quiet, self._as_json, self._compile = quiet, as_json, compile
        self._sizes: set[Any] = set()
        made_with = {"settings": vars(settings) | how, "weights": weights.sha256(settings.weights)}
        self.ledger = ledger.Ledger(output, made_with)

    def is_done(self, order: Order, force: bool) -> bool:
        """See `Ledger.is_done`."""
        inputs = partial(inputs_of, order.photo, order.paintings, self._settings)
        return self.ledger.is_done(order.name, inputs, force=force)

    def make(self, todo: Sequence[Order], count: int, interrupt: Interrupt) -> bool:
        """Makes what is to do of so many pictures; tells whether there is room to go on for all that was made."""
        for number, order in enumerate(todo):
            if interrupt.number:
                break
            pixels = [height * width for height, width in (each.size or (0, 0) for each in todo[number:])]
            title = f"{count - len(todo) + number + 1}/{count} {order.name}"
            try:
                if not self._made(order, title, sum(pixels[1:]) / max(1, pixels[0]), interrupt):
                    return False
            except (InputError, MemoryError, jax.errors.JaxRuntimeError) as error:
                self.ledger.note(order.name, ledger.FAILED, why=_why(error))
        return True

    def end(self, orders: Sequence[Order], interrupt: Interrupt) -> int:
        """Names what has failed, a line each; the exit code."""
        entries = {order.name: self.ledger.entries[order.name] for order in orders}
        failed = {name: entry["why"] for name, entry in entries.items() if entry["state"] == ledger.FAILED}
        for name, why in failed.items():
            print(f"nst-jax: failed: {self._output / name}: {why}", file=sys.stderr)
        if any(entry["state"] == ledger.WAITING for entry in entries.values()):
            done = sum(entry["state"] == ledger.DONE for entry in entries.values())
            told = f"{done} of {len(orders)} pictures are done; the same command goes on with the others"
            print(f"nst-jax: interrupted; {told}", file=sys.stderr)
            return interrupt.code
        return FAILED if failed else 0

    def _made(self, order: Order, title: str, after: float, interrupt: Interrupt) -> bool:
        """Makes a picture; tells whether it could be written where it belongs, if it was to be written at all."""
        started = time.perf_counter()
        settings, begin = self._settings, "" if order.size in self._sizes else "compiling"
        if begin and len(self._sizes) % SIZES == SIZES - 1:
            jax.clear_caches()
        work = Commission(
            order.photo, order.paintings, settings, memory=self._memory, quiet=self._quiet, compile=self._compile,
            **self._how,
        )  # fmt: skip
        self._sizes.add(order.size)
        with StepReporter(title, settings.evaluations, self._quiet, after=after, begin=begin) as report:
            outcome = work.make(lambda step: report(step) or interrupt.number != 0, None)
        if interrupt.number:  # what is half done is nothing
            return True
        path = self._output / order.name
        path.parent.mkdir(parents=True, exist_ok=True)
        written = work.save(path, outcome.image, outcome.strips)
        seconds = time.perf_counter() - started
        if self._as_json or not self._quiet:
            print(work.told(outcome, written, seconds, as_json=self._as_json))
        about = {
            "inputs": work.made_from["inputs"],
            "settings": {name: own for name, own in vars(work.settings).items() if own != getattr(settings, name)},
            "losses": work.losses(outcome), "evaluations": outcome.evaluations, "seconds": round(seconds, 3),
        }  # fmt: skip
        if written != path:
            return False
        if outcome.status == Status.NOT_FINITE:
            self.ledger.note(order.name, ledger.FAILED, why="the loss is not finite; kept the last good picture")
        else:
            self.ledger.note(order.name, ledger.DONE, **about)
        return True


def _why(error: Exception) -> str:
    """In one line."""
    told = error.message(option) if isinstance(error, InputError) else str(error) or type(error).__name__
    hint = " (a smaller --size takes less memory)" if "RESOURCE_EXHAUSTED" in told else ""
    return " ".join(told.split()) + hint
