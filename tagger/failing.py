"""One photo's error as its outcome: the one place that knows which status it is."""

from tagger.errors import (
    ChangedError,
    DamagedError,
    PhotoError,
    RefusedError,
    UnsupportedError,
)
from tagger.records import Entry, Outcome, Status


def outcome_of(entry: Entry, error: Exception) -> Outcome:
    """What an exception says of its photo."""
    match error:
        case ChangedError():
            return Outcome(entry, Status.CHANGED, str(error))
        case RefusedError() | UnsupportedError():
            return Outcome(entry, Status.UNSUPPORTED, str(error))
        case DamagedError():
            return Outcome(entry, Status.UNREADABLE, str(error))
        case PhotoError():
            return Outcome(entry, Status.FAILED, str(error))
    reason = f"unexpected {type(error).__name__}: {error}; please report it with the photo"
    return Outcome(entry, Status.FAILED, reason)
