"""What the terminal shows of a run: a bar, lines for photos, and counts in the end."""

import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tagger.cli.history import shown
from tagger.records import Outcome, Status
from tagger.terminal import printable

if TYPE_CHECKING:
    from tagger.report.writer import ReportWriter


@dataclass(frozen=True, slots=True)
class Shown:
    """Counts of the outcomes; ``strict`` also shows failures of earlier runs."""

    quiet: bool
    verbose: bool
    strict: bool
    news_only: bool


class Counts(Counter[Status]):
    """Photos by status, the seconds they took, and how many also failed in an earlier run."""

    old_failures = placeable = 0
    seconds = 0.0

    def summary(self, dry_run: bool, skipped: int, strict: bool) -> str:
        """The closing lines for the terminal."""
        from tagger.report.summary import summary

        failures = 0 if strict else self.old_failures
        return summary(self, self.seconds, dry_run, skipped, failures, self.placeable)


def follow(
    outcomes: Iterable[Outcome],
    rows: "ReportWriter",
    show: Shown,
) -> Counts:
    """Pass each outcome to the report and the terminal."""
    from tqdm import tqdm

    started, counts = time.monotonic(), Counts()
    silent = show.quiet or not sys.stderr.isatty()
    with tqdm(unit=" photos", disable=silent, smoothing=0.05) as bar:
        for outcome in outcomes:
            if outcome.fresh or not show.news_only:
                rows.write(outcome)
            counts[outcome.status] += 1
            failed = outcome.status is Status.FAILED
            counts.old_failures += failed and not outcome.fresh
            counts.placeable += outcome.placeable
            if not silent:
                counts_text = ", ".join(
                    f"{counts[status]} {status}" for status in Status if counts[status]
                )
                bar.set_postfix_str(counts_text, refresh=False)
            bar.update()
            if show.verbose or (failed and (outcome.fresh or show.strict)):
                bar.write(_line(outcome), file=sys.stderr)
    counts.seconds = time.monotonic() - started
    return counts


def _line(outcome: Outcome) -> str:
    """One line for a photo, and one for each source's answer."""
    name = shown(outcome.entry.key)
    place = f" {outcome.landmark.name}" if outcome.landmark else ""
    if outcome.camera:
        place += f" at {outcome.camera.latitude:.5f}, {outcome.camera.longitude:.5f}"
    lines = [f"{name}: {outcome.status}{place} ({outcome.reason})"]
    lines += [f"    {answer}" for answer in outcome.answers]
    return "\n".join(map(printable, lines))
