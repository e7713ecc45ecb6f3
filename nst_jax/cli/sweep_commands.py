"""What `nst-jax sweep`, `figure` and `resume` do."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from nst_jax.cli.progress import SweepReporter, interruptible
from nst_jax.errors import FAILED, INTERRUPTED, InputError
from nst_jax.optim.lbfgs import NOT_FINITE
from nst_jax.runs.description import absolute, describe, differences, settings_of
from nst_jax.runs.run_scales import coarse_settings, pictures_of_run, scales_of
from nst_jax.runs.runs import RunFolder
from nst_jax.runs.shares import own_lanes, share_of
from nst_jax.transfer import figures, lanes, plan
from nst_jax.transfer.assemble import optimizer_of, read_picture, read_to_size
from nst_jax.transfer.lanes import Axes, Lane, Table
from nst_jax.transfer.problem import Problem
from nst_jax.transfer.settings import RunOptions, Settings
from nst_jax.transfer.sweep import Sweep
from nst_jax.weights import weights

SECONDS_TO_MEASURE = 2.0  # for the estimate of a dry run
_Maker = Callable[[int, plan.Cuts], Sweep]  # from a number of slots, and strips


def sweep(
    content: Path | None, style: Sequence[Path], output: Path | None, settings: Settings, *, axes: Axes,
    more_content: Sequence[Path], table: Path | None, source: Path | None, options: RunOptions,
) -> int:  # fmt: skip
    """Runs a table of lanes into a run folder, or only tells of it (`--dry-run`)."""
    if source:
        given = (content, *style, *more_content, table, settings != Settings(), axes != Axes(), options.batch)
        if any(given) or options.tolerance:
            raise InputError(
                "--from: takes pictures, lanes and settings from the run; not allowed together with others"
            )
        return _again(source, output, options)
    if content is None or not style:
        raise InputError("CONTENT and STYLE: both are needed, unless --from names a run.json")
    if table:
        made = lanes.read_table(table, content, style[0], settings)
    else:
        made = lanes.table([content, *more_content], style, axes, settings)
    return _start(made, settings, output, options)


def figure(
    number: int, content: Path | None, style: Sequence[Path], output: Path | None, settings: Settings, *,
    axes: Axes, options: RunOptions,
) -> int:  # fmt: skip
    """One of the paper's figures as a sweep."""
    if axes.ratios and number != 2:
        raise InputError("--ratio: only figure 2 takes it")
    if len(style) > 1 and number != 2:
        raise InputError(f"--style: {len(style)} given; figure {number} takes one")
    photograph = content or figures.PHOTOGRAPH
    if number == 1:
        made = figures.figure1(photograph, (style or figures.PAINTINGS)[0], settings)
    elif number == 2:
        made = figures.figure2(photograph, style or figures.PAINTINGS, axes.ratios, settings)
    else:
        made = figures.figure3(photograph, (style or figures.PAINTINGS[-1:])[0], settings)
    return _start(made, settings, output, options)


def resume(folder: Path, options: RunOptions) -> int:
    """Goes on where a run folder's checkpoint stops, to the bytes of a run that was never interrupted."""
    return _resume(folder, options, folder)


def _resume(folder: Path, options: RunOptions, whole: Path) -> int:
    share, shares = share_of(options)
    run = RunFolder(folder, share)
    before = run.run()
    if shares != before["plan"]["shares"]:
        raise InputError(f"--share: {folder} was begun with {before['plan']['shares']} shares, not {shares}")
    table, settings = lanes.from_json(before["table"]), settings_of(before, folder)
    now = describe(table, settings, before["tolerance"]) | {
        "plan": before["plan"] | {"devices": len(jax.local_devices())}
    }
    changed = differences(before, now)
    if refused := [change for change in changed if not change.startswith(_ELSEWHERE)]:
        raise InputError(f"{folder}: cannot be resumed, changed since: {', '.join(refused)}")
    if changed and not options.quiet:
        print(f"nst-jax: note: {folder}: begun elsewhere, {', '.join(changed)}; bytes may differ", file=sys.stderr)
    with run.locked():
        options = replace(options, share=(share, shares), distributed=False, tolerance=before["tolerance"])
        return _at_all_scales(run, table, settings, options, whole)


_ELSEWHERE = ("version", "jax", "python", "device")  # of run.json: what may differ, though the bytes may as well


def _again(source: Path, output: Path | None, options: RunOptions) -> int:
    before = RunFolder(source.parent if source.name == "run.json" else source).run()
    table, settings = lanes.from_json(before["table"]), settings_of(before, source)
    now = describe(table, settings, before["tolerance"])
    if changed := [change for change in differences(before, now) if change.startswith(("inputs", "weights"))]:
        raise InputError(f"--from {source}: cannot be run again, changed since: {', '.join(changed)}")
    planned = {"batch": before["plan"]["batch"], "strips": tuple(before["plan"]["strips"])}
    kept = replace(options, tolerance=before["tolerance"], **planned)
    return _start(table, settings, output, kept)


def _start(
    table: Table, settings: Settings, output: Path | None, options: RunOptions, whole: Path | None = None
) -> int:
    share, shares = share_of(options)
    if options.dry_run:
        return _tell(table, own_lanes(table, share, shares), shares, settings, options)
    if output is None:
        raise InputError("--output: needed, unless --dry-run is given")
    table, settings = absolute(table, settings)  # a run may be resumed from another folder
    own = own_lanes(table, share, shares)
    described = describe(table, settings, options.tolerance)
    run = RunFolder(output, share)
    run.check(force=options.force, joining=shares > 1)  # before anything is computed
    make = _maker(table, own, settings, options.tolerance)
    with run.opened(force=options.force, joining=shares > 1):
        planned, current = {}, None
        if not run.begun:
            chosen, current = _choose(make, table, shares, options)
            planned = {"batch": chosen.batch, "strips": list(chosen.strips)}
            run.create(described | {"plan": planned | {"devices": chosen.devices, "shares": shares}})
        here = run.run()  # of this process or, in a folder with several shares, of a faster one
        ours = described | {"plan": here["plan"] | {"devices": len(jax.local_devices()), "shares": shares}}
        if differing := differences(here, ours):
            raise InputError(f"--output {output}: another run's folder; it differs in {', '.join(differing)}")
        if not planned.items() <= here["plan"].items():
            current = None
        options = replace(options, share=(share, shares), distributed=False)
        return _at_all_scales(run, table, settings, options, whole or output, current)


def _at_all_scales(
    run: RunFolder, table: Table, settings: Settings, options: RunOptions, whole: Path, current: Sweep | None = None
) -> int:
    """The coarser scales first, each a run of its own inside the folder that starts from the one before; then this one.

    Args:
      current: the sweep of this scale, where it has been planned and there is no coarser one.
      whole: the folder that a user may resume.
    """
    share, shares = options.share
    *coarser, finest = scales_of(table, settings)
    start = settings.init
    for scale in coarser:
        folder = run.path / "scales" / scale.name
        if RunFolder(folder).begun and not options.force:
            code = _resume(folder, options, whole)
        else:
            coarse = coarse_settings(replace(settings, init=start), scale, finest)
            code = _start(table, coarse, folder, replace(options, strips=()), whole)
        if code == INTERRUPTED:
            return code
        start = str(folder)
    planned = run.run()["plan"]
    if current is None or coarser:
        own = own_lanes(table, share, shares)
        make = _maker(table, own, replace(settings, init=start), options.tolerance)
        current = make(planned["batch"], tuple(planned["strips"]))
    run.restore(current)
    return _go_on(run, table, shares, current, options, whole)


def _choose(make: _Maker, table: Table, shares: int, options: RunOptions) -> tuple[plan.Plan, Sweep]:
    """As `plan.choose`, for the largest share, so that all processes of a run choose alike."""
    return plan.choose(
        make, -(-len(table.lanes) // shares),
        batch=options.batch, cuts=options.strips, memory=plan.of_process(options.memory),
    )  # fmt: skip


def _go_on(run: RunFolder, table: Table, shares: int, current: Sweep, options: RunOptions, whole: Path) -> int:
    style_layers = current.problem.style_layers
    run.tidy(table, shares)
    saved = time.monotonic()
    with interruptible() as interrupt, SweepReporter(run.path.name, current, options.quiet) as report:
        run.report(table, style_layers)
        while not current.finished and not interrupt.requested:
            progress = current.advance()
            report()
            for finished in progress.finished:
                lane = current.lanes[finished.lane]
                run.write_picture(lane, finished.image)
                run.measures[finished.lane] = current.problem.measure(lane, finished.image).row()
            if progress.finished or interrupt.requested or time.monotonic() - saved >= options.checkpoint_every:
                run.save(current)
                run.report(table, style_layers)
                saved = time.monotonic()
    if interrupt.requested and not current.finished:
        print(f"nst-jax: interrupted; go on with `nst-jax resume {whole}`", file=sys.stderr)
        return INTERRUPTED
    if not options.quiet:
        print(f"{run.path / 'index.html'}: {len(current.lanes)} lanes, {current.seconds:.0f} s")
    lost = [current.lanes[lane].name for lane, status in current.status.items() if status == NOT_FINITE]
    if lost:
        print(f"nst-jax: {', '.join(lost)}: the loss is not finite; kept the last good picture", file=sys.stderr)
    return FAILED if lost else 0


def _tell(table: Table, own: Sequence[Lane], shares: int, settings: Settings, options: RunOptions) -> int:
    """Prints the lanes, the batches, and what one batch needs, which is measured on its first steps."""
    for lane in table.lanes:
        layers = ",".join(layer for layer, weight in lane.style_layers if weight)
        print(f"{lane.name}: α {lane.alpha:g}, β {lane.beta:g}, style layers {layers or 'none'}, seed {lane.seed}")
    chosen, current = _choose(_maker(table, own, settings, 0.0), table, shares, options)
    while current.seconds < SECONDS_TO_MEASURE and not current.finished:
        current.advance()
    pace = current.seconds * min(chosen.batch, len(own)) / sum(map(len, current.records.values()))
    rounds = -(-len(own) // chosen.batch)
    *coarser, finest = scales_of(table, settings)
    evaluations = finest.steps
    if coarser:  # in evaluations of the finest scale
        evaluations += round(sum(one.steps * one.height * one.width for one in coarser) / finest.height / finest.width)
    print(
        f"{len(own)} lanes in {rounds} batches of {chosen.batch} on {chosen.devices} devices; "
        f"{chosen.bytes / 1e9:.2f} GB for a batch on each{_cut(chosen)}; about {pace * rounds * evaluations:.0f} s "
        f"({evaluations} evaluations of {pace:.2f} s a batch)"
    )
    return 0


def _cut(chosen: plan.Plan) -> str:
    return f", in {'+'.join(map(str, chosen.strips))} strips" if chosen.strips else ""


def _maker(table: Table, own: Sequence[Lane], settings: Settings, tolerance: float) -> _Maker:
    """Reads pictures and parameters; from a number of slots, and strips, to a sweep, of `own`, that has not begun.

    The problem is that of all lanes, so that each share runs the same program and tells of the same layers.
    """
    contents = {lane.content: read_picture(Path(lane.content), settings, settings.size) for lane in table.lanes}
    styles = {
        lane.style: read_picture(Path(lane.style), settings, settings.style_size or settings.size)
        for lane in table.lanes
        if lane.style
    }
    init: Any = settings.init
    if init in ("noise", "content"):
        pass
    elif Path(init).is_dir():
        init = pictures_of_run(Path(init), own, contents, settings)
    else:
        height, width = next(iter(contents.values())).shape[:2]
        init = read_to_size(Path(init), settings, height, width, "--init")
    problem = Problem(
        weights.load(settings.weights), contents, styles, table.lanes,
        pool=settings.pool, precision=settings.precision, init=init, noise=settings.noise, tv=settings.tv,
        convention=settings.convention, ratio_size=settings.ratio_size,
    )  # fmt: skip
    optimizer, steps = optimizer_of(settings), scales_of(table, settings)[-1].steps
    return lambda batch, strips: Sweep(
        problem, own, steps=steps, batch=batch, optimizer=optimizer, strips=strips, tolerance=tolerance
    )
