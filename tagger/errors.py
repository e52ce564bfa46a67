"""The errors that stages raise; every message names the thing and the remedy."""


class TaggerError(Exception):
    """Any failure this package explains itself; ``str(error)`` is fit for the terminal."""


class RunError(TaggerError):
    """The run as a whole cannot start or go on (bad option, model or report)."""

    exit_code = 2


class LockedError(RunError):
    """Another run is at work on some of the same photos."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again later


class PhotoError(TaggerError):
    """One photo cannot be read or decoded; the run goes on."""


class AccessError(PhotoError):
    """The store would not let one photo be read or written; nothing is known of the photo."""


class UnsupportedError(PhotoError):
    """A format that this installation cannot read, or a photo beyond its limits."""


class RefusedError(PhotoError):
    """The photo cannot be written without risk of losing something in it."""


class ChangedError(PhotoError):
    """The photo changed between reading and writing; it is left as it is now."""


class VanishedError(ChangedError):
    """The photo is not there any more."""
