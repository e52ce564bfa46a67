"""Large files read by ranges: of a camera raw file 0.3 to 2 MB instead of 20 to 100."""

from functools import cached_property

from tagger.blob import Blob
from tagger.errors import ChangedError
from tagger.imaging import preview
from tagger.metadata.formats import raw
from tagger.metadata.formats.raw_block import Raw
from tagger.metadata.reading import HEAD_BYTES
from tagger.storage.base import CHANGED, Storage
from tagger.storage.suffixes import is_raw

PAGE = 65_536  # bytes to request at once, even if fewer are needed
MOST_PAGES = 32  # blocks kept in memory


class Ranges:
    """The bytes of a file, read only where they are accessed.

    All are of one :attr:`version`.

    Raises:
        PhotoError: it cannot be read.
    """

    def __init__(self, storage: Storage, key: str) -> None:
        self._storage, self._key = storage, key
        self._pages = dict[int, bytes]()
        self._head, self.version = storage.read_part(key, 0, HEAD_BYTES)

    def __len__(self) -> int:
        return self.version.size

    def __getitem__(self, part: slice, /) -> bytes:
        start, end, _ = part.indices(len(self))
        if end <= len(self._head):
            return self._head[start:end]
        if start >= end:
            return b""
        if end - start > PAGE:
            return self._part(start, end - start)
        first, last = start // PAGE, (end - 1) // PAGE
        pages = b"".join(map(self._page, range(first, last + 1)))
        return pages[start - first * PAGE : end - first * PAGE]

    def _page(self, number: int) -> bytes:
        if number not in self._pages:
            if len(self._pages) >= MOST_PAGES:
                self._pages.clear()
            self._pages[number] = self._part(number * PAGE, PAGE)
        return self._pages[number]

    def _part(self, start: int, size: int) -> bytes:
        part = self._storage.read_part(self._key, start, size)
        if part.version != self.version:
            raise ChangedError(CHANGED)
        return part.data


class RawFile(Ranges):
    """A camera raw file: its metadata and its preview."""

    @cached_property
    def _raw(self) -> Raw:
        return raw.read(self)

    def exif(self) -> bytes:
        """Its EXIF and XMP as a small EXIF block.

        Raises:
            PhotoError: it is of an unsupported kind, damaged, or has changed.
        """
        return self._raw.block

    def picture(self) -> bytes:
        """The preview to classify: a JPEG with its orientation in EXIF.

        Raises:
            PhotoError: as :meth:`exif`, or it has none.
        """
        return preview.picture(self, self._raw)


def read_picture(storage: Storage, key: str) -> Blob:
    """A photo's bytes to decode, and its version; for a raw file, those of its preview.

    Raises:
        PhotoError: it cannot be read.
    """
    if not is_raw(key):
        return storage.read(key)
    file = RawFile(storage, key)
    return Blob(file.picture(), file.version)
