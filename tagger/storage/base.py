"""The protocol of a storage: where photos live, whatever that is."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from tagger.blob import Blob, Content
from tagger.records import Entry, Version

CHANGED = "it changed since it was read and is left as it is; run again"
APPEARED = "a file of that name appeared meanwhile; run again"
NO_PHOTOS = (
    "{}: no photos there; check the PATH and whether it is mounted, or add --allow-empty if it may "
    "be empty"
)


class Traits(NamedTuple):
    """What a store keeps with a photo beside its bytes, and the version that goes with.

    ``attributes`` are headers such as Content-Type, and the user's own metadata. ``protection`` is
    how it is encrypted, locked and checked, in the words of its store.
    """

    attributes: Mapping[str, str]
    tags: Mapping[str, str]
    etag: str = ""
    version: str = ""
    protection: Mapping[str, Any] = MappingProxyType({})


def nothing() -> None:
    """What is called where nothing is to be done."""


class Storage(Protocol):
    """Where photos live. A key names a photo; versions guard every write.

    Methods raise PhotoError with a reason where one photo cannot be read or written, and
    ChangedError where it is not the version that was expected.
    """

    @property
    def roots(self) -> tuple[str, ...]:
        """The folders, or single photos, that it lists: keys begin with one of them."""
        ...

    def list(self) -> Iterator[Entry]:
        """Every photo once, in an order that is the same from run to run."""
        ...

    def read_head(self, key: str, size: int) -> bytes:
        """The first ``size`` bytes, fewer where the photo is shorter."""
        ...

    def read_part(self, key: str, start: int, size: int) -> Blob:
        """``size`` bytes from ``start`` on, fewer where the photo ends; the version is the photo's.

        ``start`` lies within the photo.
        """
        ...

    def read(self, key: str) -> Blob:
        """All bytes and the version they are of."""
        ...

    def write(
        self,
        key: str,
        data: Content,
        expected: Version | None,
        traits: Traits | None = None,
        ready: Callable[[], None] = nothing,
        mtime_ns: int | None = None,
    ) -> Version:
        """Replace the photo in one step if it still is ``expected`` (None: create it).

        A photo that is replaced keeps its traits, one that is created takes ``traits``. ``ready``
        is called before anything of the photo changes, as late as the store can; what it raises
        stops the write. Where it raises, the photo is as it was, as far as the store can tell.
        Where times can be set, the file gets ``mtime_ns`` (None: a photo keeps the one it has).
        """
        ...

    def traits(self, key: str) -> Traits:
        """What to create a copy of the photo with."""
        ...

    def delete(self, key: str, expected: Version) -> None:
        """Remove it if it still is ``expected``."""
        ...

    def set_mtime(self, key: str, mtime_ns: int, expected: Version) -> None:
        """Give a file that still is ``expected`` its time back, where times can be set."""
        ...
