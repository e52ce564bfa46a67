"""The command line: options to Settings, progress bar, report file, exit code; no logic."""

import contextlib
import re
import sys
import warnings
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click_default_group import DefaultGroup

from tagger import __version__
from tagger.cli import (
    config,
    correcting,
    files,
    history,
    learn,
    options,
    pack_options,
    places,
    review,
    unattended,
)
from tagger.cli import engine as engines
from tagger.cli import sources as evidence
from tagger.cli.following import Shown, follow
from tagger.cli.help import Grouped
from tagger.records import Coords, HardLinks, SidecarMode, SidecarName, Source, Status
from tagger.run.stopping import StopOnSignal
from tagger.terminal import hold_streams, tell

if TYPE_CHECKING:
    from tagger.run.run_log import RunLog


def _device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?(,cuda(:\d+)?)*", name):
        raise click.BadParameter(
            f"{name!r} is no device; give auto, cpu, cuda, cuda:N or cuda:0,cuda:1"
        )
    return name


class Group(DefaultGroup):  # type: ignore[misc]
    """``landmark-tag PATH`` is ``landmark-tag tag PATH``, and its help shows tag's options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        Grouped.format_options(tag, click.Context(tag, info_name="tag", parent=ctx), formatter)
        self.format_commands(ctx, formatter)

    def main(self, *args: Any, **extra: Any) -> Any:
        hold_streams()
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with config.names_escaped(), config.sources_named():
            config.warn_of_unknown(self)
            return super().invoke(ctx)


@click.group(cls=Group, default="tag", default_if_no_args=False)
@click.version_option(__version__, prog_name="landmark-tag")
def main() -> None:
    """Give location back to photos: from landmarks, neighbours in time, tracks and Takeout.

    \b
    landmark-tag ~/Pictures --dry-run                 only report what would be tagged
    landmark-tag ~/Pictures --min-conf 0.6            tag a library
    landmark-tag ~/Pictures --from all                also by time, tracks and Takeout
    landmark-tag s3://photos/uploads --quiet          tag a bucket, from cron
    landmark-tag undo last                            undo the last run

    Photos that already carry GPS are left alone, and so are photos whose place is not known.
    Each photo gets a row in the report. landmark-tag COMMAND --help shows the help of a command.
    """
    # Pillow warns about odd extra data; what matters is in the report.
    warnings.filterwarnings("ignore", module=r"PIL\.")


@click.command(cls=Grouped, no_args_is_help=True)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@options.min_conf("Tag photos whose place is right with at least this probability.")
@click.option(
    "--report",
    metavar="FILE",
    default="report.csv",
    show_default=True,
    help="Report: CSV (or .jsonl), a file or bucket URL, a row per photo; older ones are kept.",
)
@click.option("--dry-run/--no-dry-run", help="Only report; write into no photo.")
@click.option("--recursive/--no-recursive", default=True, help="Look into subfolders (default).")
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Skip files and folders whose name, relative path or full path matches; repeatable.",
)
@options.coords
@options.sidecar
@options.sidecar_name
@options.model("Model file made by python -m train; default: the one in the package.")
@click.option(
    "--without",
    multiple=True,
    metavar="NAME",
    help="References beside the model file to leave alone: castles (photos under CC BY-NC), "
    "or more (photos of unstated licences).",
)
@pack_options.run_options
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda",
    callback=lambda _context, _option, value: _device(value),
    help="Where the classifier runs; auto uses a GPU if there is one; cuda:0,cuda:1 uses two.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 4096),
    default=16,
    show_default=True,
    help="Photos per pass of the classifier.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=None,
    show_default="processors; 32 for a bucket",
    help="Threads that read and decode photos.",
)
@options.ledger
@click.option("--rescan/--no-rescan", help="Look at every photo again, unchanged ones too.")
@click.option(
    "--thorough/--no-thorough",
    help="Decode each photo, also where its embedded thumbnail shows nothing known.",
)
@evidence.options
@files.options
@options.options
@unattended.options
@engines.options
@click.option("-q", "--quiet/--no-quiet", help="Print nothing but errors.")
@click.option("-v", "--verbose/--no-verbose", help="Print a line for each photo.")
@click.version_option(__version__, prog_name="landmark-tag", allow_from_autoenv=False)
def tag(**options: Any) -> None:
    """Tag photos; the default command.

    \b
    landmark-tag ~/Pictures --dry-run
    landmark-tag ~/Pictures --min-conf 0.8 --exclude thumbnails
    landmark-tag tag undo                             a folder that is named like a command

    PATH is a folder, a file or a bucket URL.
    """
    sys.exit(unattended.attended(_tag, options))


for command in (
    tag, *history.COMMANDS, *correcting.COMMANDS, *review.COMMANDS, *evidence.COMMANDS,
    *learn.COMMANDS,
):  # fmt: skip
    main.add_command(config.configurable(command, tag))
main.add_command(places.places)
main.add_command(config.group(tag))


def _tag(
    log: "RunLog", paths: tuple[str, ...], min_conf: float, report: str, dry_run: bool,
    recursive: bool, exclude: tuple[str, ...], coords: str, sidecar: str, sidecar_name: str,
    rescan: bool, model: Path | None, without: tuple[str, ...],
    packs: tuple[Path, ...], own_places: bool, device: str, batch_size: int,
    workers: int | None, ledger: Path | None, output: str, since: datetime | None, quiet: bool,
    verbose: bool, engine: str, hard_links: str, new_mtime: bool, keep_reports: int,
    report_news_only: bool, allow_empty: bool, strict: bool, skip: bool,
    sources: tuple[Source, ...], tracks: tuple[Path, ...], max_radius: float, max_gap: float,
    utc_offsets: dict[str, float], time_zone: str, clock_offsets: dict[str, float],
    endpoint_url: str, pairs: bool, thorough: bool, **cluster: Any,
) -> int:  # fmt: skip
    """One run, from checked options to the exit code."""
    # --help needs none of this; torch itself is imported when the first photo needs it.
    from tagger.evidence.estimate import allowed
    from tagger.ledger.ledger import new_run_id
    from tagger.model import DEFAULT_MODEL
    from tagger.model.lazy import LazyClassifier
    from tagger.places.known import Names
    from tagger.places.own import opened
    from tagger.report.delivery import local_file
    from tagger.report.writer import ReportWriter
    from tagger.run.stages import Settings
    from tagger.run.tagging import tagging
    from tagger.storage.opening import open_storage
    from tagger.storage.urls import absolute
    from tagger.writing.write_tag import WriteOptions

    run = engines.runner(engine, device, **cluster)
    if engine == "ray":
        workers, device = workers or engines.THREADS, "cpu"  # for the command's own checks
    learned = opened(packs, own_places and model is None)
    classifier = LazyClassifier(model or DEFAULT_MODEL, device, without, learned)
    sources = evidence.comparing(sources, classifier, quiet)
    settings = Settings(
        new_run_id(), min_conf, Coords(coords), batch_size,
        options.workers_for(paths, workers), rescan,
        WriteOptions(
            SidecarMode(sidecar), SidecarName(sidecar_name), HardLinks(hard_links), new_mtime
        ),
        options.writers_for(*paths, output), absolute(output) if output else "",
        endpoint_url, allowed(sources, pairs), thorough,
    )  # fmt: skip
    log.skipping.on = skip
    storage = open_storage(
        paths, recursive=recursive, exclude=exclude, since=since,
        hard_links=HardLinks(hard_links), skipping=log.skipping, allow_empty=allow_empty,
        endpoint_url=endpoint_url,
    )  # fmt: skip
    names = Names(classifier.landmarks)
    gather = partial(
        evidence.gathered, tracks=tracks, max_radius=max_radius, max_gap=max_gap,
        utc_offsets=utc_offsets, time_zone=time_zone, clock_offsets=clock_offsets, pairs=pairs,
        quiet=quiet, model=classifier if Source.LIBRARY in sources else None,
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        stop, limits = stack.enter_context(StopOnSignal()), log.limits
        outcomes = stack.enter_context(
            tagging(
                paths, storage, classifier, settings, dry_run=dry_run, ledger=ledger, output=output,
                engine=run, stop=stop.asked, limits=limits,
                gather=gather,
            )
        )  # fmt: skip
        place = stack.enter_context(local_file(report, keep_reports, endpoint_url))
        rows = stack.enter_context(
            ReportWriter(place, names, classifier.name, settings.run_id, keep_reports)
        )
        show = Shown(quiet, verbose, strict, report_news_only)
        counts = follow(log.follow(settings.run_id, outcomes), rows, show)
        failed = counts[Status.FAILED] - (0 if strict else counts.old_failures)
    if not quiet:
        click.echo(counts.summary(dry_run, log.skipping.folders, strict))
        tell(f"report: {report}")
    return unattended.exit_code(limits, failed > 0, stop.asked(), quiet)
