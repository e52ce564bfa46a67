"""The summary of a run, in words."""

from collections import Counter
from collections.abc import Iterable

from tagger.records import Outcome, Status
from tagger.terminal import counted


def summary(
    counts: Counter[Status],
    seconds: float,
    dry_run: bool,
    skipped: int = 0,
    old_failures: int = 0,
    placeable: int = 0,
) -> str:
    """The closing lines for the terminal: counts by status, in the order of the enum.

    ``skipped`` folders were left alone; ``old_failures`` failed in an earlier run too;
    ``placeable`` photos could be placed by sources that were not asked to.
    """
    total = sum(counts.values())
    rate = total / seconds if seconds > 0 else 0.0
    lines = [f"{counted(total, 'photo')} in {seconds:.1f} s ({rate:.1f}/s)"]
    lines += [f"  {counts[status]:>7}  {_WORDS[status]}" for status in Status if counts[status]]
    if placeable:
        more = counted(placeable, "more photo")
        lines.append(f"{more} can be placed by time, tracks or Takeout: add --from all")
    if old_failures:
        lines.append(f"{old_failures} of them failed before; --strict makes that exit code 1")
    if skipped:
        folders = counted(skipped, "folder")
        lines.append(f"{folders} skipped: managed libraries, caches, trash (--no-skip takes them)")
    if dry_run:
        lines.append("dry run: nothing was written")
    return "\n".join(lines)


_WORDS = {
    Status.TAGGED: "tagged",
    Status.WOULD_TAG: "would be tagged",
    Status.HAS_GPS: "already have GPS",
    Status.UNSURE: "unsure, left alone",
    Status.NO_LANDMARK: "no known landmark",
    Status.UNREADABLE: "unreadable",
    Status.UNSUPPORTED: "not supported",
    Status.CHANGED: "changed meanwhile, left alone",
    Status.FAILED: "failed",
}


def count(outcomes: Iterable[Outcome]) -> Counter[Status]:
    """How many outcomes there are of each status."""
    return Counter(outcome.status for outcome in outcomes)
