"""A storage in memory, with hooks where another program may interfere or the disk may fail."""

import itertools
from collections.abc import Callable, Iterator

from tagger.blob import Blob, Content
from tagger.errors import ChangedError, VanishedError
from tagger.records import Entry, Version
from tagger.storage.base import Traits, nothing
from tagger.storage.siblings import Siblings
from tagger.storage.suffixes import LISTED_SUFFIXES, is_movie, is_sidecar, suffix


class MemoryStorage:
    """Photos in a dict; ``before_write`` is called with the key before each write or removal."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self._clock = itertools.count(1_700_000_000_000_000_000, 1_000_000)
        self._etag = itertools.count(1)
        self.files: dict[str, Blob] = {}
        self.asked: list[tuple[str, int]] = []  # by read_part
        self.before_write: Callable[[str], object] = lambda key: None
        for key, data in (files or {}).items():
            self.put(key, data)

    def put(self, key: str, data: bytes, mtime_ns: int | None = None) -> Version:
        """Write a new file of that name, as any program may."""
        time = next(self._clock) if mtime_ns is None else mtime_ns
        version = Version(len(data), time, str(next(self._etag)))
        self.files[key] = Blob(data, version)
        return version

    @property
    def roots(self) -> tuple[str, ...]:
        return ("",)

    def list(self) -> Iterator[Entry]:
        for key in sorted(self.files):
            if suffix(key) in LISTED_SUFFIXES:
                folder, slash, name = key.rpartition("/")
                names = [
                    other.removeprefix(f"{folder}{slash}")
                    for other in self.files
                    if other.rpartition("/")[0] == folder
                ]
                photos = (other for other in names if suffix(other) in LISTED_SUFFIXES)
                movies = filter(is_movie, names)
                siblings = Siblings(photos, filter(is_sidecar, names), (), movies)
                movie = siblings.movie(name) and f"{folder}{slash}{siblings.movie(name)}"
                sidecars = tuple(f"{folder}{slash}{name}" for name in siblings.sidecars(name))
                shares = siblings.share_stem(name)
                version = self.files[key].version
                yield Entry(key, version, sidecars=sidecars, shares_stem=shares, movie=movie)

    def read_head(self, key: str, size: int) -> bytes:
        return self.read(key).data[:size]

    def read_part(self, key: str, start: int, size: int) -> Blob:
        data, version = self.read(key)
        self.asked.append((key, size))
        return Blob(data[start : start + size], version)

    def read(self, key: str) -> Blob:
        if key not in self.files:
            raise VanishedError("it vanished during the run; run again")
        return self.files[key]

    def traits(self, key: str) -> Traits:
        return Traits({}, {})

    def write(
        self,
        key: str,
        data: Content,
        expected: Version | None,
        traits: Traits | None = None,
        ready: Callable[[], None] = nothing,
        mtime_ns: int | None = None,
    ) -> Version:
        ready()
        self.before_write(key)
        self._guard(key, expected)
        if mtime_ns is None and expected:
            mtime_ns = expected.mtime_ns
        return self.put(key, bytes(data), mtime_ns)

    def delete(self, key: str, expected: Version) -> None:
        self.before_write(key)
        self._guard(key, expected)
        del self.files[key]

    def set_mtime(self, key: str, mtime_ns: int, expected: Version) -> None:
        self._guard(key, expected)
        data, version = self.read(key)[:2]
        self.files[key] = Blob(data, Version(version.size, mtime_ns, version.etag))

    def _guard(self, key: str, expected: Version | None) -> None:
        if expected is not None:
            if self.read(key).version != expected:
                raise ChangedError("it changed since it was read and is left as it is; run again")
        elif key in self.files:
            raise ChangedError("a file of that name appeared meanwhile; run again")
