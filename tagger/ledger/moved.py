"""Finds photos of a run that were moved or renamed since."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from tagger.blob import BLAKE3, digest_of
from tagger.errors import ChangedError, PhotoError, RunError
from tagger.ledger.history import PastRun, RecordedChange
from tagger.ledger.ledger import Ledger
from tagger.storage.base import Storage
from tagger.storage.opening import open_storage


class SameSizeFile(NamedTuple):
    """A photo or sidecar with the size of a missing one."""

    storage: Storage
    key: str
    mtime_ns: int


class Search:
    """Looks for a run's photos under ``places`` by size, then by the digest of all bytes.

    The places are listed once, when the first photo is missing; memory grows with the run, not
    with the library. Places that no longer exist are skipped.
    """

    def __init__(
        self, ledger: Ledger, run: PastRun, places: Sequence[str], endpoint_url: str = ""
    ) -> None:
        self._ledger, self._run, self._places = ledger, run, places
        self._endpoint_url = endpoint_url
        self._by_size: dict[int, list[SameSizeFile]] | None = None
        self._taken: set[str] = set()

    def find(self, change: RecordedChange) -> SameSizeFile | None:
        """The file that has the bytes after ``change`` now; None if there is none.

        Of several copies, the one that kept its name or time counts as the file itself.

        Raises:
            ChangedError: several are equally likely; none is touched.
        """
        if change.after is None or change.digest_after is None:
            return None
        if self._by_size is None:
            self._by_size = self._listed()
        name, time_ns = os.path.basename(change.key), change.after.mtime_ns
        ranked = defaultdict[int, list[SameSizeFile]](list)
        for place in self._by_size.get(change.after.size, ()):
            if self._is_it(place, change):
                likeness = 2 * (os.path.basename(place.key) == name) + (place.mtime_ns == time_ns)
                ranked[likeness].append(place)
        if not ranked:
            return None
        best = ranked[max(ranked)]
        if len(best) > 1:
            raise ChangedError(
                f"it is gone, and there are copies of it at {best[0].key} and {best[1].key}; "
                "move one of them back there to have it restored"
            )
        self._taken.add(best[0].key)
        return best[0]

    def displaced(self, storage: Storage, change: RecordedChange) -> bool:
        """Whether another photo of the run has taken the name, as renaming a series does."""
        kind = change.digest_before or change.digest_after or BLAKE3
        return self._ledger.knows(self._run, digest_of(storage.read(change.key).data, kind))

    def _is_it(self, place: SameSizeFile, change: RecordedChange) -> bool:
        assert change.digest_after is not None
        if place.key in self._taken:
            return False
        if self._ledger.has(self._run, place.key, change.digest_after):
            return False  # another of the run, at its own place
        with suppress(PhotoError):
            data = place.storage.read(place.key).data
            return digest_of(data, change.digest_after) == change.digest_after
        return False

    def _listed(self) -> dict[int, list[SameSizeFile]]:
        sizes, listed = self._ledger.sizes(self._run), set[str]()
        by_size = defaultdict[int, list[SameSizeFile]](list)
        for place in self._places:
            try:
                storage = open_storage([place], endpoint_url=self._endpoint_url)
            except RunError:
                continue
            for size, file in _files(storage, self._ledger.wrote_sidecars(self._run)):
                if size in sizes and file.key not in listed:
                    listed.add(file.key)
                    by_size[size].append(file)
        return by_size


def _files(storage: Storage, sidecars: bool) -> Iterator[tuple[int, SameSizeFile]]:
    """Photos, and the sidecars beside them where asked for, with their sizes."""
    for entry in storage.list():
        if not entry.problem:
            yield entry.version.size, SameSizeFile(storage, entry.key, entry.version.mtime_ns)
        for key in entry.sidecars if sidecars else ():
            with suppress(PhotoError):
                version = storage.read(key).version
                yield version.size, SameSizeFile(storage, key, version.mtime_ns)
