"""What `nst-jax sweep`, `figure` and `resume` do."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nst_jax.cli import program_cache
from nst_jax.cli.interrupt import Interrupt
from nst_jax.cli.output import check_taken
from nst_jax.cli.progress import LanesReporter, SharesReporter, lost
from nst_jax.errors import InputError, argument
from nst_jax.optim.compiler import Compile
from nst_jax.optim.engine import Engine
from nst_jax.runs import executors, following, inputs, stages
from nst_jax.runs.board import Board
from nst_jax.runs.folder import RunFolder
from nst_jax.runs.forecast import forecast
from nst_jax.runs.live import Live
from nst_jax.runs.moved import AS_NAMED, Places
from nst_jax.runs.options import MANY_LANES, RunOptions
from nst_jax.runs.serving import serving
from nst_jax.runs.stage import Kept
from nst_jax.runs.stages import Ended, Watch
from nst_jax.transfer import figures, lanes, table_file
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import Table
from nst_jax.transfer.settings import Settings


def sweep(
    content: Path | None, style: Sequence[Path], output: Path | None, settings: Settings, *, original_size: bool,
    axes: Axes, more_content: Sequence[Path], table: Path | None, source: Path | None, find_in: Sequence[Path],
    options: RunOptions, compile: Compile,
) -> int:  # fmt: skip
    """Runs a table of lanes into a run folder, or only tells of it (`--dry-run`)."""
    if source:
        given = (content, *style, *more_content, table, settings != Settings(), axes != Axes(), options.batch)
        if original_size or any(given) or options.tolerance:
            raise InputError(
                "--from: takes pictures, lanes and settings from the run; not allowed together with others"
            )
        made, options, kept, places = stages.again(source, options, find_in)
        return _run(made, output, options, compile, kept, places)
    if find_in:
        raise InputError(f"{argument('find_in')}: only with --from, whose run.json says what to look for")
    if content is None or not (style or settings.region):
        raise InputError("CONTENT and STYLE: both are needed, unless --from names a run.json")
    paintings = style or [""]  # the regions' alone
    if original_size:
        settings = inputs.of_original_size([content, *more_content], settings)
    if table:
        if len(style) > 1 or more_content or axes != Axes():
            ways = "the axes of a sweep, further paintings or further photographs"
            raise InputError(f"{argument('table')}: has the lanes itself; not allowed together with {ways}")
        made = table_file.read_table(table, content, paintings[0], settings)
        if original_size:  # of the pictures that lines name, too
            inputs.of_original_size([content, *(lane.content for lane in made.lanes)], settings)
    else:
        made = lanes.table([content, *more_content], paintings, axes, settings)
    return _run(made, output, options, compile)


def figure(
    number: int, content: Path | None, style: Sequence[Path], output: Path | None, settings: Settings, *,
    ratio: tuple[float, ...], options: RunOptions, compile: Compile,
) -> int:  # fmt: skip
    """One of the paper's figures as a sweep."""
    if ratio and number != 2:
        raise InputError("--ratio: only figure 2 takes it")
    if len(style) > 1 and number != 2:
        raise InputError(f"--style: {len(style)} given; figure {number} takes one")
    photograph = content or figures.PHOTOGRAPH
    if number == 1:
        made = figures.figure1(photograph, (style or figures.PAINTINGS)[0], settings)
    elif number == 2:
        made = figures.figure2(photograph, style or figures.PAINTINGS, ratio, settings)
    else:
        made = figures.figure3(photograph, (style or figures.PAINTINGS[-1:])[0], settings)
    return _run(made, output, options, compile)


def resume(folder: Path, find_in: Sequence[Path], options: RunOptions, compile: Compile) -> int:
    """Goes on where a run folder's checkpoint stops, to the bytes of a run that was never interrupted."""
    interrupt = Interrupt()
    with _served(options) as live:
        watch = _watch(options, interrupt, live, folder)
        planned = RunFolder(folder).run()["plan"]
        if options.on or (planned["shares"] > 1 and options.share == (0, 1) and not options.distributed):
            on = options.on or f"processes:{planned['together']}"  # as many cores as before, for the same bytes
            with executors.opened(on, folder) as engine, _shown(folder, options, interrupt) as follow:
                ended = following.resume(
                    engine.executor, folder, options, follow, live=live, find_in=find_in, cached=program_cache.kept()
                )
            return _followed(iter([ended]), folder, options, interrupt)
        run = stages.resume(folder, options, watch, compile, find_in)
        return _followed(run, folder, options, interrupt)


def _run(
    table: Table, output: Path | None, options: RunOptions, compile: Compile, kept: tuple[Kept, ...] = (),
    places: Places = AS_NAMED,
) -> int:  # fmt: skip
    if len(table.lanes) > MANY_LANES and not options.yes:
        raise InputError(
            f"the sweep has {len(table.lanes):,} lanes; {argument('yes')} goes on with more than {MANY_LANES:,}"
        )
    if options.dry_run:
        return _tell(table, options, compile, kept, places)
    if output is None:
        raise InputError(f"{argument('output')}: needed, unless {argument('dry_run')} is given")
    interrupt = Interrupt()
    with _served(options) as live:
        if options.on:
            with executors.opened(options.on, output) as engine, _shown(output, options, interrupt) as follow:
                ended = following.begin(
                    engine.executor, table, output, options, follow, options.shares or engine.shares,
                    together=engine.together, live=live, kept=kept, places=places, cached=program_cache.kept(),
                )  # fmt: skip
            return _followed(iter([ended]), output, options, interrupt)
        run = stages.begin(table, output, options, _watch(options, interrupt, live, output), compile, kept, places)
        return _followed(run, output, options, interrupt)


@contextmanager
def _shown(folder: Path, options: RunOptions, interrupt: Interrupt) -> Iterator[following.Follow]:
    """Shows how far all shares are, and has them stopped when a signal came."""
    with interrupt, SharesReporter(folder.name, options.quiet) as report:

        def follow(state: following.State) -> bool:
            report(state)
            return interrupt.number != 0

        yield follow


@contextmanager
def _served(options: RunOptions) -> Iterator[Live | None]:
    """Serves what the run is to tell, if that is asked for, until the end of the context."""
    if options.serve is None:
        yield None
        return
    live = Live()
    with serving(live, options.serve) as address:
        print(f"nst-jax: the run is shown at {address}", file=sys.stderr, flush=True)
        yield live
        live.end()


def _watch(options: RunOptions, interrupt: Interrupt, live: Live | None, folder: Path) -> Watch:
    """Shows how far each stage of the run in a folder is, and stops it when a signal came."""

    @contextmanager
    def showing(title: str, engine: Engine) -> Iterator:
        with interrupt, LanesReporter(title, engine, options.quiet) as report:

            def followed() -> bool:
                report()
                return interrupt.number != 0

            yield followed

    board = None if options.tensorboard is None else Board(Path(options.tensorboard), folder)
    return Watch(showing, _note(options), live, board=board)


def _note(options: RunOptions) -> Callable[[str], None]:
    """Tells what the user should know, unless it is to be quiet."""

    def note(text: str) -> None:
        if not options.quiet:
            print(f"nst-jax: note: {text}", file=sys.stderr)

    return note


def _followed(run: Iterable[Ended], folder: Path, options: RunOptions, interrupt: Interrupt) -> int:
    """Tells how each stage ended; the exit code of the last."""
    code = 0
    for ended in run:
        if ended.interrupted:
            print(f"nst-jax: interrupted; go on with `nst-jax resume {folder}`", file=sys.stderr)
            return interrupt.code
        if not options.quiet:
            print(f"{ended.folder / 'index.html'}: {ended.lanes} lanes, {ended.seconds:.0f} s")
        code = lost(ended.lost)
    return code


def _tell(table: Table, options: RunOptions, compile: Compile, kept: tuple[Kept, ...], places: Places) -> int:
    """Prints the lanes, the batches, and what one batch needs."""
    found = forecast(table, options, compile, kept, places, _note(options))
    for lane in table.lanes:
        layers = ",".join(layer for layer, weight in lane.style_layers if weight)
        own = "".join(f", {name.replace('_', ' ')} {value}" for name, value in lane.own)
        weighed = f"α {lane.alpha:g}, β {lane.beta:g}"
        if lane.searched:  # a search would take longer than what a dry run is for
            weighed = f"α/β searched for first, for presence {lane.presence:g}"
        print(f"{lane.name}: {weighed}, style layers {layers or 'none'}, seed {lane.seed}{own}")
    where, peak = (f" of {options.device}", " at its peak") if options.device else ("", "")
    for each in found:
        plan, seconds = each.plan, each.pace * each.rounds * each.evaluations
        cut = f", in {'+'.join(map(str, plan.strips))} strips" if plan.strips else ""
        print(
            (f"{each.label}: " if each.label else "")
            + f"{each.lanes} lanes in {each.rounds} batches of {plan.batch} on {plan.devices} devices{where}; "
            f"{plan.bytes / 1e9:.2f} GB for a batch on each{cut}; about {seconds:.{1 if seconds < 10 else 0}f} s{peak} "
            f"({each.evaluations} evaluations of {each.pace:.2g} s a batch)"
        )
    check_taken()
    return 0
