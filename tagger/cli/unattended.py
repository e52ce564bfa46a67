"""The options for unattended runs: limits, a log, a summary."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from tagger.cli.exits import EXIT_INTERRUPTED, EXIT_PHOTO_FAILED
from tagger.cli.options import duration
from tagger.errors import RunError
from tagger.run.limits import MIN_SAMPLE, RunLimits
from tagger.terminal import tell

Command = Callable[..., Any]


class Percent(click.FloatRange):
    """5 or 5%."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: Any = str(value).removesuffix("%")
        return super().convert(number, param, ctx)


def _duration(
    context: click.Context, option: click.Parameter, text: str | None
) -> timedelta | None:
    if text is None:
        return None
    if time := duration(text):
        return time
    raise click.BadParameter(f"{text!r} is not a duration; write 90s, 30m or 2h")


_OPTIONS = (
    click.option(
        "--limit",
        type=click.IntRange(1),
        default=None,
        metavar="N",
        help="Stop after N photos that are new, changed, or not yet seen by this model.",
    ),
    click.option(
        "--max-time",
        metavar="TIME",
        default=None,
        callback=_duration,
        help="Start no photo after this long: 90s, 30m, 2h.",
    ),
    click.option(
        "--fail-over",
        type=Percent(0, 100),
        default=None,
        metavar="N",
        help="Stop, with exit code 3, when more than N percent of the photos failed or "
        f"are unreadable; judged from photo {MIN_SAMPLE} on, and on all photos at the end.",
    ),
    click.option(
        "--summary-json",
        metavar="FILE",
        default="",
        help="One line of JSON about the run, for other programs; - is standard output.",
    ),
    click.option(
        "--log-file",
        type=click.Path(dir_okay=False, path_type=Path),
        default=None,
        help="Append a line for each photo and each message, with its time.",
    ),
    click.option(
        "--keep-reports",
        type=click.IntRange(0),
        default=14,
        show_default=True,
        metavar="N",
        help="Keep the latest N older reports, and those that somebody worked on.",
    ),
    click.option(
        "--report-news-only/--no-report-news-only",
        help="Report only photos that are new, changed, or have a new outcome.",
    ),
    click.option(
        "--allow-empty/--no-allow-empty",
        help="A PATH without any photo is success; by default it is exit code 2.",
    ),
    click.option(
        "--strict/--no-strict",
        help="Exit code 1 for every photo that fails, also where it failed in an earlier run.",
    ),
    click.option(
        "--skip/--no-skip",
        default=True,
        help="Skip managed libraries, caches and trash (default).",
    ),
)


def options(command: Command) -> Command:
    """The options of tagging for unattended runs."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def attended(run: Callable[..., int], options: dict[str, Any]) -> int:
    """Run with a log; the exit code, whatever happens."""
    from tagger.run.run_log import RunLog
    from tagger.storage.urls import absolute

    max_time = options.pop("max_time")
    limits = RunLimits(
        options.pop("limit"), max_time and max_time.total_seconds(), options.pop("fail_over")
    )
    try:
        facts = {
            "targets": [absolute(path) for path in options["paths"]],
            "report": absolute(options["report"]),
            "dry_run": options["dry_run"],
        }
        with RunLog(options.pop("summary_json"), options.pop("log_file"), limits, **facts) as log:
            try:
                code, error = run(log, **options), ""
            except RunError as stopped:
                code, error = stopped.exit_code, str(stopped)
                tell(f"landmark-tag: {error}", err=True)
            log.end(code, "signal" if code == EXIT_INTERRUPTED else limits.reached, error)
            return code
    except RunError as unwritable:
        tell(f"landmark-tag: {unwritable}", err=True)
        return unwritable.exit_code


def exit_code(limits: RunLimits, failed: bool, interrupted: bool, quiet: bool) -> int:
    """Report how a run ended.

    Raises:
        FailingError: so many photos failed that the run counts as failed.
    """
    if interrupted:
        tell("landmark-tag: stopped early; run again to continue", err=True)
        return EXIT_INTERRUPTED
    limits.check()
    if limits.reached and not quiet:
        tell(f"ended at {limits.reached}; run again to continue")
    return EXIT_PHOTO_FAILED if failed else 0
