"""The records of the ledger: runs, and what each of them changed."""

from dataclasses import dataclass
from enum import StrEnum

from tagger.records import Version


class State(StrEnum):
    """The state of a change: intended, written, dropped or undone."""

    INTENDED = "intended"
    WRITTEN = "written"
    DROPPED = "dropped"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """One recorded write to a photo or sidecar.

    ``digest_before`` is None where the file was created, ``digest_after`` where it was removed.
    ``after`` is None there too, and where a run was cut short before it could note it.
    ``patch`` turns the bytes after into the bytes before (see :mod:`tagger.ledger.undo_patch`).
    """

    number: int
    run_id: str
    key: str
    state: State
    before: Version | None
    after: Version | None
    digest_before: bytes | None
    digest_after: bytes | None
    patch: bytes


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run, as ``landmark-tag runs`` lists it; ``ended`` is empty where it was cut short."""

    run_id: str
    verb: str
    started: str
    ended: str
    targets: tuple[str, ...]
    written: int
    undone: int
