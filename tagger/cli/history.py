"""The commands undo and runs; no logic."""

import os
from collections import Counter
from functools import partial
from pathlib import Path

import click

from tagger.cli import options
from tagger.cli.exits import EXIT_INTERRUPTED, exits
from tagger.cli.files import hard_links as _hard_links
from tagger.cli.help import Grouped
from tagger.records import HardLinks
from tagger.run.stopping import StopOnSignal
from tagger.storage.urls import absolute, is_url
from tagger.terminal import printable, tell

# Not read from the configuration, where it belongs to tagging.
dry_run_option = click.option(
    "--dry-run", is_flag=True, allow_from_autoenv=False, help="Only report what would be done."
)


def code_of(stop: StopOnSignal, refused: int) -> int:
    """The exit code of a command over photos, with a message if it was stopped."""
    if stop.asked():
        tell("stopped early; the same command continues with the rest", err=True)
        return EXIT_INTERRUPTED
    return 1 if refused else 0


def shown(path: str) -> str:
    """A path for the terminal, relative if shorter; unprintable characters are escaped."""
    near = path if is_url(path) else os.path.relpath(path)
    return printable(path if near.startswith("..") else near)


@click.command(cls=Grouped)
@click.argument("run", default="last")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@dry_run_option
@options.ledger
@_hard_links
@options.endpoint_url
@exits
def undo(
    run: str,
    paths: tuple[str, ...],
    dry_run: bool,
    ledger: Path | None,
    hard_links: str,
    endpoint_url: str,
) -> int:
    """Restore, byte for byte, what RUN changed.

    \b
    landmark-tag undo last --dry-run
    landmark-tag undo last
    landmark-tag undo last ~/Pictures/2024            photos moved there since

    RUN is an id of `landmark-tag runs`, or last.
    Moved and renamed photos are searched for in the folders of the run and in PATH.
    Photos that were edited since are left unchanged and listed.
    """
    from tagger.ledger.ledger import Ledger
    from tagger.ledger.undo import Undoing
    from tagger.ledger.undo import undo as undo_run
    from tagger.storage.opening import open_storage, storage_at

    counts = Counter[Undoing]()
    stored = partial(storage_at, hard_links=HardLinks(hard_links), endpoint_url=endpoint_url)
    for path in paths:
        open_storage(
            [path], endpoint_url=endpoint_url
        )  # says what is wrong with it before anything is undone
    places = [absolute(path) for path in paths]
    with StopOnSignal() as stop, Ledger.open(ledger, create=False) as book:
        past = book.find(run)
        for done in stop.until(undo_run(stored, book, past, dry_run, places, endpoint_url)):
            counts[done.result] += 1
            if done.result is Undoing.REFUSED:
                tell(f"{shown(done.key)}: not undone: {done.reason}", err=True)
            elif done.place:
                tell(f"{shown(done.key)}: {done.result} at {shown(done.place)}")
        other = None if counts else book.next_to_undo()
    totals = ", ".join(f"{number} {result}" for result, number in counts.items())
    tell(f"run {past.run_id}: {totals or 'nothing left to undo'}")
    if other:
        what = f"{other.verb}, started {other.started}, {other.written} written"
        tell(f"the run that can be undone next ({what}): landmark-tag undo {other.run_id}")
    if dry_run:
        tell("dry run: nothing was written")
    return code_of(stop, counts[Undoing.REFUSED])


@click.command(cls=Grouped)
@options.ledger
@exits
def runs(ledger: Path | None) -> int:
    """List the runs that wrote, newest first.

    \b
    landmark-tag runs
    """
    from tagger.ledger.history import PastRun
    from tagger.ledger.ledger import Ledger
    from tagger.ledger.schema import default_path

    if not (ledger or default_path()).exists():
        tell("no runs yet")
        return 0
    with Ledger.open(ledger, create=False) as book:
        listed: list[PastRun] = book.runs()
    table = [("run", "what", "started", "ended", "written", "undone", "targets")]
    table += [
        (
            run.run_id, run.verb, run.started, run.ended or "not ended", str(run.written),
            str(run.undone), ", ".join(map(shown, run.targets)),
        )
        for run in listed
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        tell("  ".join(map(str.ljust, row, widths)).rstrip())
    return 0


COMMANDS = (undo, runs)
