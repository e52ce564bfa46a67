"""Note, write, settle: every change to a file is in the ledger before it happens."""

from collections.abc import Callable
from typing import Protocol

from tagger.blob import Blob, Content
from tagger.errors import PhotoError
from tagger.records import Version
from tagger.storage.base import Storage, Traits


class Recorder(Protocol):
    """Remembers a write before it happens, so that it can be undone whenever it is cut short."""

    def intend(self, key: str, before: Blob | None, after: Content | None) -> Callable[[], int]:
        """Begin to note that ``key`` is about to become ``after`` (None: be removed).

        The function given is called before that happens: it returns once the change is noted
        durably, and gives its number.
        """
        ...

    def settle(self, change: int, version: Version | None) -> None:
        """The write is done; ``version`` is the new version in the store (None: removed)."""
        ...

    def drop(self, change: int) -> None:
        """The write did not happen."""
        ...


def replace(
    storage: Storage,
    recorder: Recorder,
    key: str,
    before: Blob | None,
    after: Content | None,
    traits: Traits | None = None,
    mtime_ns: int | None = None,
) -> None:
    """Change a file, noted: ``before`` None creates it, ``after`` None removes it.

    Args:
        before: the file as it was read; anything else is there now raises ChangedError.
        traits: what a file that is created is to have beside its bytes.
        mtime_ns: the time that it gets; None for the one that it has.

    Raises:
        PhotoError: it did not happen; the file is as it was.
    """
    if before is not None and before.data == after:
        return
    noted, changes = recorder.intend(key, before, after), list[int]()

    def note() -> None:
        changes.append(noted())

    version = None
    try:
        if after is not None:
            expected = before.version if before else None
            version = storage.write(key, after, expected, traits, note, mtime_ns)
        elif before is not None:
            note()
            storage.delete(key, before.version)
    except PhotoError:
        for change in changes:
            recorder.drop(change)
        raise
    for change in changes:
        recorder.settle(change, version)
