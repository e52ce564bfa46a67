"""The protocol of a storage: any place where photos live."""

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
    """What a store keeps with a photo besides its bytes, and the version that belongs to it.

    ``attributes`` are headers such as Content-Type, and the user's own metadata. ``protection`` is
    how it is encrypted, locked and checked, in the store's own terms.
    """

    attributes: Mapping[str, str]
    tags: Mapping[str, str]
    etag: str = ""
    version: str = ""
    protection: Mapping[str, Any] = MappingProxyType({})


def nothing() -> None:
    """Default callback: do nothing."""


class Storage(Protocol):
    """Where photos live. A key names a photo; versions guard every write.

    Methods raise PhotoError with a reason if one photo cannot be read or written, and
    ChangedError if it is not the expected version.
    """

    @property
    def roots(self) -> tuple[str, ...]:
        """The folders, or single photos, that it lists: keys begin with one of them."""
        ...

    def list(self) -> Iterator[Entry]:
        """Every photo once, in an order that is the same from run to run."""
        ...

    def read_head(self, key: str, size: int) -> bytes:
        """The first ``size`` bytes, or fewer if the photo is shorter."""
        ...

    def read_part(self, key: str, start: int, size: int) -> Blob:
        """``size`` bytes from ``start`` on, or fewer if the photo ends; the version is the photo's.

        ``start`` lies within the photo.
        """
        ...

    def read(self, key: str) -> Blob:
        """All bytes, and their version."""
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
        """Replace the photo in one step if it is still ``expected`` (None: create it).

        A replaced photo keeps its traits, a new one gets ``traits``. ``ready`` is called before
        the photo changes, as late as the store can; an exception from it stops the write, and the
        photo is then unchanged, as far as the store can tell. If the store can set times, the
        file gets ``mtime_ns`` (None: it keeps the one it has).
        """
        ...

    def traits(self, key: str) -> Traits:
        """The traits to create a copy of the photo with."""
        ...

    def delete(self, key: str, expected: Version) -> None:
        """Remove it if it is still ``expected``."""
        ...

    def set_mtime(self, key: str, mtime_ns: int, expected: Version) -> None:
        """Restore the time of a file that is still ``expected``, if the store can set times."""
        ...
