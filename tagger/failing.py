"""The one place that turns a photo's error into its outcome."""

from tagger.errors import (
    ChangedError,
    DamagedError,
    PhotoError,
    RefusedError,
    UnsupportedError,
)
from tagger.records import Entry, Outcome, Status


def outcome_of(entry: Entry, error: Exception) -> Outcome:
    """The outcome of a photo that raised an error."""
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
