"""A photo's bytes, recognised by the first of them and parsed once for all that is asked."""

from collections.abc import Callable
from enum import StrEnum
from functools import cached_property
from typing import Any

from tagger.blob import Spliced
from tagger.errors import RefusedError
from tagger.metadata.formats import heif, heif_write, jpeg_write, png, tiff, webp
from tagger.metadata.formats.container import SIDECAR, Blocks, Change, Container, Parts
from tagger.metadata.formats.jpeg import Frame, Jpeg

BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # bytes of a BMP's header, in the header


class Format(StrEnum):
    """A photo format, recognised by its first bytes."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"
    TIFF = "TIFF"
    BIG_TIFF = "BigTIFF"
    HEIC = "HEIC"
    GIF = "GIF"
    BMP = "BMP"
    OTHER = "other"


def of(head: bytes) -> Format:
    """The format of a file that starts with these bytes (18 are enough)."""
    if head.startswith(b"\xff\xd8"):
        return Format.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Format.PNG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format.WEBP
    if head[:4] in (b"II*\0", b"MM\0*"):
        return Format.TIFF
    if head[:4] in (b"II+\0", b"MM\0+"):
        return Format.BIG_TIFF
    if head[4:8] == b"ftyp":
        return Format.HEIC
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return Format.GIF
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BMP_HEADERS:
        return Format.BMP
    return Format.OTHER


WRITERS: dict[Format, Container[Any]] = {
    Format.JPEG: jpeg_write,
    Format.PNG: png,
    Format.WEBP: webp,
    Format.TIFF: tiff,
    Format.HEIC: heif_write,
}


READERS: dict[Format, Callable[[Any, bool], Blocks]] = {
    Format.JPEG: Jpeg.blocks,
    Format.PNG: png.blocks,
    Format.WEBP: webp.blocks,
    Format.TIFF: tiff.blocks,
    Format.HEIC: heif.blocks,
}


def blocks(data: bytes, whole: bool) -> Blocks:
    """EXIF and XMP in a photo's first bytes, or in a sidecar; nothing where it is neither."""
    return Head(data, whole).blocks


class Head:
    """A photo's first bytes, or all of them, parsed once for all the questions asked of them.

    Attributes:
        data: the bytes.
        whole: whether they are all of the file.
        format: the format that they show.
    """

    def __init__(self, data: bytes, whole: bool = False) -> None:
        self.data, self.whole, self.format = data, whole, of(data)
        self._jpeg = Jpeg(data) if self.format is Format.JPEG else None

    @cached_property
    def first_exif(self) -> bytes:
        """The first EXIF block of a JPEG, where it is whole in these bytes; else empty."""
        return self._jpeg.first_exif() if self._jpeg else b""

    @cached_property
    def blocks(self) -> Blocks:
        """All EXIF and XMP in these bytes; most photos with a position are settled without."""
        if self.format in READERS:
            return READERS[self.format](self._jpeg or self.data, self.whole)
        if self.data[:64].lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
            return Blocks((), (self.data,))
        return Blocks()

    @property
    def _container(self) -> Container[Any]:
        """The module that writes photos of this format.

        Raises:
            RefusedError: nothing does.
        """
        if self.format in WRITERS:
            return WRITERS[self.format]
        name = str(self.format) if self.format is Format.BIG_TIFF else "this format"
        raise RefusedError(f"{name} {SIDECAR}")

    @cached_property
    def parts(self) -> Parts:
        """The metadata that may be written.

        Raises:
            RefusedError: the photo cannot be written safely.
        """
        return self._container.read(self._jpeg or self.data)

    def unchanged(self) -> bytes:
        """The photo as it is, where nothing has to be written."""
        return self.data

    def changed(self, change: Change) -> Spliced:
        """The photo with new metadata.

        Raises:
            RefusedError: that is impossible.
        """
        return self._container.write(self._jpeg or self.data, change)

    def reread(self, new: Spliced) -> "Head":
        """What :meth:`changed` has made of the photo, to be read again.

        Raises:
            RefusedError: not everything but EXIF and XMP is the same, byte for byte.
        """
        container = self._container
        if not container.HEAD_TELLS_ALL:
            new = Spliced(bytes(new))
        container.check_rest(self._jpeg or self.data, new)
        return Head(new.head, whole=True)

    @cached_property
    def brands(self) -> frozenset[bytes]:
        """The kinds of HEIF that it says to be; none for another format."""
        return heif.brands(self.data) if self.format is Format.HEIC else frozenset()

    @cached_property
    def frame(self) -> Frame | None:
        """The frame header of a JPEG; None if no decoder would find one."""
        return self._jpeg.frame() if self._jpeg else None

    @cached_property
    def directories(self) -> bytes:
        """The bytes, where they are directories as EXIF has them (a TIFF); else empty."""
        return self.data if self.format is Format.TIFF else b""
