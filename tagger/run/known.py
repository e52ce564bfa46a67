"""What earlier runs know of a photo, so that it need not be opened."""

from dataclasses import replace

from tagger.records import (
    Entry,
    Outcome,
    Seen,
    Status,
)
from tagger.run.limits import RunLimits
from tagger.run.stages import Memory, Settings, WorkItem

UNCHANGED = "unchanged since an earlier run"
# What every run tries again: the remedy (a permission, an extra, the network) leaves no trace.
TRIED_AGAIN = frozenset({Status.UNREADABLE, Status.UNSUPPORTED, Status.CHANGED, Status.FAILED})


def recall(
    recorder: Memory | None,
    entry: Entry,
    model_sha256: str,
    settings: Settings,
    limits: RunLimits | None = None,
    thumbnails: str = "",
) -> WorkItem | None:
    """The photo as the ledger knows it, unopened; None if it has to be processed."""
    seen = recorder.recall(entry) if recorder and not settings.rescan else None
    known = recalled_as(entry, seen, model_sha256, settings.output, thumbnails) if seen else None
    if limits and not known and not (seen and seen.status in TRIED_AGAIN):
        limits.begin()
    return known


def recalled_as(
    entry: Entry, seen: Seen, model_sha256: str, output: str = "", thumbnails: str = ""
) -> WorkItem | None:
    """The outcome of an unchanged photo by an earlier run, unopened; None if unknown.

    A photo with a tagged copy is settled for runs with the same output; a photo of which only the
    thumbnail was checked, for runs that check it with the same network, ``thumbnails``.
    """
    match seen.status:
        case Status.TAGGED if seen.output != output:
            return None
        case Status.HAS_GPS | Status.TAGGED:
            copied = seen.status is Status.TAGGED and output
            reason = "a copy was tagged by an earlier run" if copied else UNCHANGED
            return WorkItem(entry, Outcome(entry, Status.HAS_GPS, reason, fresh=False))
        case Status.UNSURE | Status.NO_LANDMARK:
            if seen.guess and seen.model_sha256 == model_sha256:
                if seen.guess.thumbnail not in ("", thumbnails):
                    return None
                entry = replace(entry, fingerprint=seen.fingerprint)
                return WorkItem(entry, guess=seen.guess, fresh=False)
    return None


def news(outcome: Outcome, recorder: Memory | None) -> Outcome:
    """A failure that an earlier run met with the same photo is not fresh."""
    if outcome.status not in TRIED_AGAIN:
        return outcome
    seen = recorder.recall(outcome.entry) if recorder else None
    return replace(outcome, fresh=seen is None or seen.status is not outcome.status)
