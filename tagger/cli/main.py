"""The command line: options to Settings, progress bar, report file, exit code; no logic."""

import contextlib
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click_default_group import DefaultGroup

from tagger import __version__
from tagger.cli import config, files, history, options, review, unattended
from tagger.cli import engine as engines
from tagger.records import Coords, HardLinks, Outcome, SidecarMode, SidecarName, Status
from tagger.run.stopping import StopOnSignal
from tagger.terminal import hold_streams, printable, tell

if TYPE_CHECKING:
    from tagger.ledger.recorder import RunRecorder
    from tagger.report.writer import ReportWriter
    from tagger.run.run_log import Journal


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

    def main(self, *args: Any, **extra: Any) -> Any:
        hold_streams()
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with config.told_plainly(), config.sources_named():
            config.warn_of_unknown(self)
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
    "--without",
    multiple=True,
    metavar="NAME",
    help="References beside the model file to leave alone: castles (photos under CC BY-NC).",
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
@files.options
@options.options
@unattended.options
@engines.options
@click.option("-q", "--quiet/--no-quiet", help="Print nothing but errors.")
@click.option("-v", "--verbose/--no-verbose", help="Print a line for each photo.")
@click.version_option(__version__, prog_name="landmark-tag", allow_from_autoenv=False)
def tag(**options: Any) -> None:
    """Tag photos: PATH is a folder, a file or a bucket URL. Runs when no command is named."""
    sys.exit(unattended.attended(_tag, options))


for command in (tag, *history.COMMANDS, *review.COMMANDS):
    main.add_command(config.configurable(command, tag))
main.add_command(config.group(tag))


def _tag(
    journal: "Journal", paths: tuple[str, ...], min_conf: float, report: str, dry_run: bool,
    recursive: bool, exclude: tuple[str, ...], coords: str, sidecar: str, sidecar_name: str,
    rescan: bool, model: Path | None, without: tuple[str, ...], device: str, batch_size: int,
    workers: int | None, ledger: Path | None, output: str, since: datetime | None, quiet: bool,
    verbose: bool, engine: str, hard_links: str, new_mtime: bool, keep_reports: int,
    report_news_only: bool, allow_empty: bool, strict: bool, skip: bool, **cluster: Any,
) -> int:  # fmt: skip
    """One run, from checked options to the exit code."""
    # --help needs none of this; torch itself is imported when the first photo needs it.
    from tagger.ledger.ledger import Ledger, new_run_id
    from tagger.model import DEFAULT_MODEL
    from tagger.model.lazy import LazyClassifier
    from tagger.report.delivery import local_file
    from tagger.report.writer import ReportWriter
    from tagger.run.stages import Settings
    from tagger.storage.opening import open_storage
    from tagger.writing.copies import absolute, output_at
    from tagger.writing.write_tag import WriteOptions

    run = engines.runner(engine, device, **cluster)
    if engine == "ray":
        workers, device = workers or engines.THREADS, "cpu"  # of the command's own checks
    settings = Settings(
        new_run_id(), min_conf, Coords(coords), batch_size,
        options.workers_for(paths, workers), rescan,
        WriteOptions(
            SidecarMode(sidecar), SidecarName(sidecar_name), HardLinks(hard_links), new_mtime
        ),
        options.writers_for(*paths, output), absolute(output) if output else "",
    )  # fmt: skip
    journal.skipping.on = skip
    storage = open_storage(
        paths, recursive=recursive, exclude=exclude, since=since,
        hard_links=HardLinks(hard_links), skipping=journal.skipping, allow_empty=allow_empty,
    )  # fmt: skip
    copies = output_at(output, paths) if output else None
    classifier = LazyClassifier(model or DEFAULT_MODEL, device, without)
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
        place = stack.enter_context(local_file(report, keep_reports))
        rows = stack.enter_context(
            ReportWriter(place, names, classifier.name, settings.run_id, keep_reports)
        )
        limits = journal.limits
        outcomes = run(
            storage, classifier, recorder, settings, lambda: stop.asked() or limits.over(),
            copies, limits,
        )  # fmt: skip
        outcomes = journal.follow(settings.run_id, outcomes)
        show = Shown(quiet, verbose, strict, report_news_only)
        seen = _follow(outcomes, rows, recorder, show)
        failed = seen[Status.FAILED] - (0 if strict else seen.old_failures)
    if not quiet:
        click.echo(seen.told(dry_run, journal.skipping.folders, strict))
        tell(f"report: {report}")
    return unattended.exit_code(limits, failed > 0, stop.asked(), quiet)


@dataclass(frozen=True, slots=True)
class Shown:
    """What of the outcomes is shown; of failures, ``strict`` shows those that are no news too."""

    quiet: bool
    verbose: bool
    strict: bool
    news_only: bool


class Counts(Counter[Status]):
    """How many photos came out how, in how many seconds; how many failed in an earlier run too."""

    old_failures = 0
    seconds = 0.0

    def told(self, dry_run: bool, skipped: int, strict: bool) -> str:
        """The closing lines for the terminal."""
        from tagger.report.summary import summary

        return summary(self, self.seconds, dry_run, skipped, 0 if strict else self.old_failures)


def _follow(
    outcomes: Iterable[Outcome],
    rows: "ReportWriter",
    recorder: "RunRecorder | None",
    show: Shown,
) -> Counts:
    """Hand each outcome to the report, the ledger and the terminal."""
    from tqdm import tqdm

    started, counts = time.monotonic(), Counts()
    silent = show.quiet or not sys.stderr.isatty()
    with tqdm(unit=" photos", disable=silent, smoothing=0.05) as bar:
        for outcome in outcomes:
            if outcome.fresh or not show.news_only:
                rows.write(outcome)
            if recorder:
                recorder.seen(outcome)
            counts[outcome.status] += 1
            failed = outcome.status is Status.FAILED
            counts.old_failures += failed and not outcome.fresh
            if not silent:
                told = ", ".join(
                    f"{counts[status]} {status}" for status in Status if counts[status]
                )
                bar.set_postfix_str(told, refresh=False)
            bar.update()
            if show.verbose or (failed and (outcome.fresh or show.strict)):
                bar.write(_line(outcome), file=sys.stderr)
    counts.seconds = time.monotonic() - started
    return counts


def _line(outcome: Outcome) -> str:
    """One photo, for the terminal."""
    name = history.shown(outcome.entry.key)
    place = f" {outcome.landmark.name}" if outcome.landmark else ""
    return printable(f"{name}: {outcome.status}{place} ({outcome.reason})")
