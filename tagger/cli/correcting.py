"""The commands apply and remove, which write without recognising anything; no logic."""

import contextlib
import os
from collections import Counter
from pathlib import Path

import click

from tagger.cli import options
from tagger.cli.exits import exits
from tagger.cli.files import hard_links as _hard_links
from tagger.cli.files import options as _files
from tagger.cli.help import Grouped
from tagger.cli.history import code_of, dry_run_option, shown
from tagger.errors import RunError
from tagger.records import Coords, HardLinks, SidecarMode, SidecarName, Status
from tagger.run.stopping import StopOnSignal
from tagger.storage.urls import absolute
from tagger.terminal import counted, tell

_skip = click.option(
    "--skip/--no-skip",
    default=True,
    allow_from_autoenv=False,
    help="Skip managed libraries, caches and trash (default).",
)


@click.command(cls=Grouped)
@click.argument("report", type=click.Path(dir_okay=False, path_type=Path))
@dry_run_option
@options.coords
@options.sidecar
@options.sidecar_name
@click.option(
    "--report",
    "applied",
    metavar="FILE",
    default="",
    help="CSV file or bucket URL for what was applied, a row for each photo.",
)
@options.model("Model file of the run, where it brings places of its own.")
@options.packs("Pack of the run; repeatable.")
@_skip
@options.ledger
@_files
@options.endpoint_url
@exits
def apply(
    report: Path,
    dry_run: bool,
    coords: str,
    sidecar: str,
    sidecar_name: str,
    applied: str,
    model: Path | None,
    packs: tuple[Path, ...],
    skip: bool,
    ledger: Path | None,
    hard_links: str,
    new_mtime: bool,
    endpoint_url: str,
) -> int:
    """Write what a reviewed REPORT says.

    \b
    landmark-tag ~/Pictures --dry-run --report review.csv
    landmark-tag apply review.csv --dry-run
    landmark-tag apply review.csv

    REPORT comes from --dry-run. Edit it in a spreadsheet first: delete rows, write no under
    accept to leave a photo alone or yes to tag an unsure one, correct a landmark's name, or type
    coordinates of your own. Photos that changed since the report are left alone.
    """
    from tagger.ledger.ledger import Ledger, new_run_id
    from tagger.places.own import known_places
    from tagger.report import apply, reader
    from tagger.report.delivery import local_file
    from tagger.report.writer import ReportWriter
    from tagger.writing.write_tag import WriteOptions

    known, run_id = known_places(packs, model), new_run_id()
    write = WriteOptions(
        SidecarMode(sidecar), SidecarName(sidecar_name), HardLinks(hard_links), new_mtime
    )
    how = apply.ApplyOptions(run_id, Coords(coords), write, skip, endpoint_url)
    counts: Counter[bool] = Counter()
    places = reader.targets(set(apply.keys_to_write(report)))
    if os.path.exists(applied) and os.path.samefile(applied, report):
        raise RunError(f"--report {applied}: is the report to apply; choose another name")
    with contextlib.ExitStack() as stack:
        stop, recorder = stack.enter_context(StopOnSignal()), None
        if not dry_run:
            book = stack.enter_context(Ledger.open(ledger))
            settings = {"report": report.absolute(), "coords": coords, "sidecar": sidecar}
            recorder = stack.enter_context(book.begin(run_id, places, settings, verb="apply"))
        rows = None
        if applied:
            place = stack.enter_context(local_file(applied, endpoint_url=endpoint_url))
            rows = stack.enter_context(ReportWriter(place, {}, "", run_id))
        for done in stop.until(apply.apply(report, known, recorder, how)):
            settled = done.outcome.status in (Status.TAGGED, Status.WOULD_TAG)
            counts[settled] += 1
            if rows:
                rows.write(done.outcome)
            if not settled:
                where = shown(done.outcome.entry.key) if done.outcome.entry.key else "no path"
                message = f"{report}:{done.line}: {where}: {done.outcome.reason}"
                tell(message, err=True)
    verb = "would be written (dry run)" if dry_run else f"written, as run {run_id}"
    tell(f"{counts[True]} {verb}; {counts[False]} refused")
    return code_of(stop, counts[False])


@click.command(cls=Grouped)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@dry_run_option
@_skip
@options.ledger
@_hard_links
@options.endpoint_url
@exits
def remove(
    paths: tuple[str, ...],
    dry_run: bool,
    skip: bool,
    ledger: Path | None,
    hard_links: str,
    endpoint_url: str,
) -> int:
    """Remove the tags that landmark-tag wrote.

    \b
    landmark-tag remove ~/Pictures --dry-run
    landmark-tag remove ~/Pictures/2024

    No other tag is touched, and undo brings them back.
    """
    from tagger.ledger.ledger import Ledger, new_run_id
    from tagger.storage.opening import open_storage
    from tagger.storage.skipping import Skipping
    from tagger.writing import remove_tag

    storage = open_storage(
        paths, hard_links=HardLinks(hard_links), skipping=Skipping(skip), endpoint_url=endpoint_url
    )
    run_id = new_run_id()
    counts: Counter[bool] = Counter()
    with contextlib.ExitStack() as stack:
        stop, recorder = stack.enter_context(StopOnSignal()), None
        if not dry_run:
            book = stack.enter_context(Ledger.open(ledger))
            targets = [absolute(path) for path in paths]
            recorder = stack.enter_context(book.begin(run_id, targets, {}, verb="remove"))
        for removed in stop.until(remove_tag.remove(storage, recorder)):
            counts[not removed.problem] += 1
            if removed.problem:
                tell(f"{shown(removed.key)}: not removed: {removed.problem}", err=True)
    verb = "would be removed (dry run)" if dry_run else f"removed, as run {run_id}"
    tell(f"{counted(counts[True], 'tag')} {verb}; {counts[False]} refused")
    return code_of(stop, counts[False])


COMMANDS = (apply, remove)
