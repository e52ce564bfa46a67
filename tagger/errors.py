"""The errors that stages raise; every message names the thing and the remedy."""


class TaggerError(Exception):
    """Any failure this package explains itself; ``str(error)`` is fit for the terminal.

    Args:
        problem: what is wrong, and what to do about it.
        remedy: what to do about it, given apart where a caller may know a better remedy.
    """

    def __init__(self, problem: str = "", remedy: str = "") -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.problem, self.remedy = problem, remedy


class RunError(TaggerError):
    """The run as a whole cannot start or continue (bad option, model or report)."""

    exit_code = 2


class NotCompiledError(RunError):
    """A part in C that cannot be done without is missing."""

    def __init__(self) -> None:
        super().__init__(
            "this copy of landmark-tag is not compiled; install it (pip install .) where there is "
            "a C compiler, or install a wheel"
        )


class LockedError(RunError):
    """Another run is working on some of the same photos."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again later


class CredentialsError(RunError):
    """A store no longer accepts the credentials, so none of its photos can be reached."""


class SkippedError(RunError):
    """A PATH is, or lies in, a folder that is left alone: a managed library, a cache, trash."""


class LessonError(RunError):
    """One place cannot be learned from its photos; others may be."""


class FailingError(RunError):
    """So many photos failed that the cause is probably not the photos."""

    exit_code = 3


class PhotoError(TaggerError):
    """One photo cannot be read, decoded or written; the run continues."""


class DamagedError(PhotoError):
    """The photo was read, but it is damaged or incomplete."""


class UnsupportedError(PhotoError):
    """A format that this installation cannot read, or a photo beyond its limits."""


class RefusedError(PhotoError):
    """The photo cannot be written without risk of losing something in it."""


class ChangedError(PhotoError):
    """The photo changed between reading and writing; it is left as it is now."""


class VanishedError(ChangedError):
    """The photo no longer exists."""
