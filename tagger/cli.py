"""The command line: options to Settings, progress bar, report file, exit code; no logic."""

import contextlib
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click_default_group import DefaultGroup

from tagger import (
    __version__,
    cli_bucket,
    cli_cluster,
    cli_config,
    cli_cron,
    cli_ledger,
    cli_review,
)
from tagger.records import Coords, Outcome, SidecarMode, SidecarName, Status
from tagger.stopping import StopOnSignal

if TYPE_CHECKING:
    from tagger.journal import Journal
    from tagger.recorder import RunRecorder
    from tagger.report import ReportWriter


def _device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?(,cuda(:\d+)?)*", name):
        raise click.BadParameter(f"{name!r} is not auto, cpu, cuda, cuda:N or cuda:0,cuda:1")
    return name


class Group(DefaultGroup):  # type: ignore[misc]
    """``landmark-tag PATH`` is ``landmark-tag tag PATH``, and its help shows tag's options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        tag_context = click.Context(tag, info_name="tag", parent=ctx)
        options = [option for option in tag.params if isinstance(option, click.Option)]
        rows = [row for option in options if (row := option.get_help_record(tag_context))]
        with formatter.section("Options"):
            formatter.write_dl(rows)
        self.format_commands(ctx, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        with cli_config.sources_named():
            return super().invoke(ctx)


@click.group(cls=Group, default="tag", default_if_no_args=False)
@click.version_option(__version__, prog_name="landmark-tag")
def main() -> None:
    """Recognise the landmarks on photos and write their places into the photos.

    \b
    landmark-tag ~/Pictures --min-conf 0.6            tag a library
    landmark-tag ~/Pictures --dry-run                 only report what would be tagged

    Photos that already carry GPS are left alone, and so is every photo that shows no known
    landmark. Each photo gets a row in the report.
    """
    # Pillow warns of odd extras beside a picture; what matters is in the report.
    warnings.filterwarnings("ignore", module=r"PIL\.")


@click.command(no_args_is_help=True)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--min-conf",
    type=click.FloatRange(0, 1),
    default=0.6,
    show_default=True,
    help="Tag where the probability that the place is right is at least this.",
)
@click.option(
    "--report",
    metavar="FILE",
    default="report.csv",
    show_default=True,
    help="CSV file or bucket URL, a row for each photo; an older one is kept.",
)
@click.option("--dry-run/--no-dry-run", help="Report, write into no photo.")
@click.option("--recursive/--no-recursive", default=True, help="Look into subfolders (default).")
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave out files and folders whose name, relative or full path matches; repeatable.",
)
@click.option(
    "--coords",
    type=click.Choice([choice.value for choice in Coords]),
    default=Coords.BOTH.value,
    show_default=True,
    help="Write the place as the camera's position, as the subject's, or both.",
)
@click.option(
    "--sidecar",
    type=click.Choice([choice.value for choice in SidecarMode]),
    default=SidecarMode.AUTO.value,
    show_default=True,
    help="XMP sidecar: where a photo cannot be written safely (auto).",
)
@click.option(
    "--sidecar-name",
    type=click.Choice([choice.value for choice in SidecarName]),
    default=SidecarName.FULL.value,
    show_default=True,
    help="photo.jpg.xmp (full) or photo.xmp, as Lightroom has it (stem).",
)
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    default=None,
    help="Model file made by python -m train; the one that ships by default.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda",
    callback=lambda _context, _option, value: _device(value),
    help="Where the classifier runs; auto takes a GPU when there is one; cuda:0,cuda:1 takes two.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 4096),
    default=16,
    show_default=True,
    help="Photos handed to the classifier at once.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=None,
    show_default="processors; 32 for a bucket",
    help="Threads that read and decode photos.",
)
@click.option(
    "--ledger",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="File that remembers what was written, for undo; in the state folder by default.",
)
@click.option(
    "--rescan/--no-rescan", help="Look at every photo again, also at those that did not change."
)
@cli_bucket.options
@cli_cron.options
@cli_cluster.options
@click.option("-q", "--quiet/--no-quiet", help="Print nothing but errors.")
@click.option("-v", "--verbose/--no-verbose", help="Print a line for each photo.")
@click.version_option(__version__, prog_name="landmark-tag", allow_from_autoenv=False)
def tag(**options: Any) -> None:
    """Tag photos: PATH is a folder, a file or a bucket URL. Runs when no command is named."""
    sys.exit(cli_cron.attended(_tag, options))


for command in (tag, *cli_ledger.COMMANDS, *cli_review.COMMANDS):
    main.add_command(cli_config.configurable(command, tag))
main.add_command(cli_config.group(tag))


def _tag(
    journal: "Journal", paths: tuple[str, ...], min_conf: float, report: str, dry_run: bool,
    recursive: bool, exclude: tuple[str, ...], coords: str, sidecar: str, sidecar_name: str,
    rescan: bool, model: Path | None, device: str, batch_size: int, workers: int | None,
    ledger: Path | None, output: str, since: datetime | None, quiet: bool, verbose: bool,
    engine: str, **cluster: Any,
) -> int:  # fmt: skip
    """One run, from checked options to the exit code."""
    # --help needs none of this; torch itself is imported when the first photo needs it.
    from tagger.delivery import local_file
    from tagger.ledger import Ledger, new_run_id
    from tagger.model.lazy import DEFAULT_MODEL, LazyClassifier
    from tagger.output import absolute, output_at
    from tagger.pipeline import Settings
    from tagger.report import ReportWriter
    from tagger.storage import open_storage
    from tagger.writing import WriteOptions

    run = cli_cluster.runner(engine, device, **cluster)
    if engine == "ray":
        workers, device = workers or cli_cluster.THREADS, "cpu"  # of the command's own checks
    settings = Settings(
        new_run_id(), min_conf, Coords(coords), batch_size,
        cli_bucket.workers_for(paths, workers), rescan,
        WriteOptions(SidecarMode(sidecar), SidecarName(sidecar_name)),
        cli_bucket.writers_for(*paths, output), absolute(output) if output else "",
    )  # fmt: skip
    storage = open_storage(paths, recursive=recursive, exclude=exclude, since=since)
    copies = output_at(output, paths) if output else None
    classifier = LazyClassifier(model or DEFAULT_MODEL, device)
    names = {slug: landmark.name for slug, landmark in classifier.landmarks.items()}
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(StopOnSignal())
        book = None if dry_run else stack.enter_context(Ledger.open(ledger))
        if book is None or not book.has_run(classifier.sha256):
            classifier.load()  # a model that fails a check must stop the run before it starts
        recorder = None
        if book:
            targets = [absolute(place) for place in (*paths, output) if place]
            recorder = stack.enter_context(
                book.begin(settings.run_id, targets, asdict(settings), classifier.sha256)
            )
        place = stack.enter_context(local_file(report))
        rows = stack.enter_context(ReportWriter(place, names, classifier.name, settings.run_id))
        limits = journal.limits
        outcomes = run(
            storage, classifier, recorder, settings, lambda: stop.asked() or limits.over(),
            copies, limits,
        )  # fmt: skip
        outcomes = journal.follow(settings.run_id, outcomes)
        failed = _follow(outcomes, rows, recorder, quiet, verbose, dry_run)
    if not quiet:
        click.echo(f"report: {report}")
    return cli_cron.exit_code(limits, failed > 0, stop.asked(), quiet)


def _follow(
    outcomes: Iterable[Outcome],
    rows: "ReportWriter",
    recorder: "RunRecorder | None",
    quiet: bool,
    verbose: bool,
    dry_run: bool,
) -> int:
    """Hand each outcome to the report, the ledger and the terminal; how many photos failed."""
    from tqdm import tqdm

    from tagger.report import summary

    started, counts = time.monotonic(), Counter[Status]()
    silent = quiet or not sys.stderr.isatty()
    with tqdm(unit=" photos", disable=silent, smoothing=0.05) as bar:
        for outcome in outcomes:
            rows.write(outcome)
            if recorder:
                recorder.seen(outcome)
            counts[outcome.status] += 1
            if not silent:
                told = ", ".join(
                    f"{counts[status]} {status}" for status in Status if counts[status]
                )
                bar.set_postfix_str(told, refresh=False)
            bar.update()
            if verbose or outcome.status is Status.FAILED:
                bar.write(_line(outcome), file=sys.stderr)
    if not quiet:
        click.echo(summary(counts, time.monotonic() - started, dry_run))
    return counts[Status.FAILED]


def _line(outcome: Outcome) -> str:
    """One photo, for the terminal: undecodable names are shown escaped."""
    name = cli_ledger.shown(outcome.entry.key)
    place = f" {outcome.landmark.name}" if outcome.landmark else ""
    return f"{name}: {outcome.status}{place} ({outcome.reason})"
