"""Undo: restore, byte for byte, what a run changed, unless it was changed since."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum

from tagger.blob import BLAKE3, Blob, digest_of
from tagger.errors import ChangedError, PhotoError, VanishedError
from tagger.ledger import undo_patch
from tagger.ledger.history import PastRun, RecordedChange, State
from tagger.ledger.ledger import Ledger
from tagger.ledger.locks import only_run
from tagger.ledger.moved import Search
from tagger.records import Version
from tagger.storage.base import Storage


class Undoing(StrEnum):
    """What became of one change."""

    RESTORED = "restored"
    REMOVED = "removed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Undone:
    """One photo or sidecar of the run, and why it was refused where it was.

    ``place`` is its key now, where it was moved or renamed since.
    """

    key: str
    result: Undoing
    reason: str = ""
    place: str = ""


def undo(
    storage_for: Callable[[str], Storage],
    ledger: Ledger,
    run: PastRun,
    dry_run: bool = False,
    places: Sequence[str] = (),
    endpoint_url: str = "",
) -> Iterator[Undone]:
    """Restore what ``run`` changed, newest change first; a refusal is a value, the rest continues.

    A missing file is searched for in ``places`` (absolute paths or URLs) and the run's targets, and
    restored where it is now; only a file with exactly the bytes that the run wrote counts.

    It can be interrupted at any moment and run again: a file that already has its old bytes is only
    marked. With ``dry_run`` everything is checked and nothing is touched.

    Raises:
        LockedError: a run is working on some of the same photos.
        RunError: the ledger cannot be read or written.
    """
    places = (*places, *run.targets)
    alone = nullcontext() if dry_run else only_run(ledger.path, f"{run.run_id}-undo", places)
    search = Search(ledger, run, places, endpoint_url)
    with alone:
        if not dry_run:
            ledger.forget(run)
        for change in ledger.changes(run.run_id):
            try:
                result, place = _undo_one(storage_for(change.key), change, search, dry_run)
            except PhotoError as error:
                # An abandoned write left the file unchanged, whatever it is now.
                if change.state is not State.DROPPED:
                    yield Undone(change.key, Undoing.REFUSED, _reason(ledger, change, error))
                continue
            if not dry_run:
                ledger.mark(change, State.UNDONE)
            if result is not Undoing.UNCHANGED or change.state is State.WRITTEN:
                yield Undone(change.key, result, place=place)


def _undo_one(
    storage: Storage, change: RecordedChange, search: Search, dry_run: bool
) -> tuple[Undoing, str]:
    """As :func:`_restore`, wherever the file is; and its key where that is another one now."""
    problem: ChangedError | None = None
    result = Undoing.UNCHANGED
    try:
        result = _restore(storage, change, dry_run)
    except VanishedError as error:
        problem = error
    except ChangedError as error:
        if not search.displaced(storage, change):
            raise
        problem = error
    created_and_gone = result is Undoing.UNCHANGED and change.digest_before is None
    place = search.find(change) if problem or created_and_gone else None
    if place:
        return _restore(place.storage, replace(change, key=place.key), dry_run), place.key
    if problem:
        raise problem
    return result, ""


def _restore(storage: Storage, change: RecordedChange, dry_run: bool) -> Undoing:
    """Restore the file's earlier bytes.

    Raises:
        ChangedError: it is neither what the run made of it nor what it was before.
        PhotoError: it cannot be read or written, or the undo record is damaged.
    """
    now = _now(storage, change)
    kind = change.digest_before or change.digest_after or BLAKE3
    digest = digest_of(now.data, kind) if now else None
    if digest == change.digest_before:
        if now and not dry_run and change.state is State.WRITTEN:
            _keep_time(storage, change, now.version)
        return Undoing.UNCHANGED
    if digest != change.digest_after:
        raise ChangedError(
            "it was edited since and is left as it is",
            "landmark-tag remove PATH takes our tag out of it",
        )
    if change.before is None:
        assert now is not None  # a change has bytes before or after
        if not dry_run:
            storage.delete(change.key, now.version)
        return Undoing.REMOVED
    older = undo_patch.restore(now.data if now else b"", change.patch)
    if digest_of(older, kind) != change.digest_before:
        raise PhotoError("its undo record is damaged; restore it from a backup")
    if not dry_run:
        expected = now.version if now else None
        storage.write(change.key, older, expected, mtime_ns=change.before.mtime_ns)
    return Undoing.RESTORED


def _now(storage: Storage, change: RecordedChange) -> Blob | None:
    """The file as it is; None if it is missing and the change created or removed it."""
    try:
        return storage.read(change.key)
    except VanishedError as error:
        if change.digest_before is None or change.digest_after is None:
            return None
        raise VanishedError(
            "it is gone", "put it back there, or name the folder it was moved to: undo RUN PATH"
        ) from error


def _keep_time(storage: Storage, change: RecordedChange, now: Version) -> None:
    if change.before and change.before.mtime_ns != now.mtime_ns:
        storage.set_mtime(change.key, change.before.mtime_ns, now)


def _reason(ledger: Ledger, change: RecordedChange, error: PhotoError) -> str:
    """The refusal in words; if a later run is the cause, undoing it is the remedy."""
    later = ledger.later(change) if isinstance(error, ChangedError) and error.remedy else ""
    return f"{error.problem}; undo run {later} first" if later else str(error)
