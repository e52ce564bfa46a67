"""What all photo formats have in common: an EXIF block, an XMP packet, and the rest."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from tagger.blob import Spliced
from tagger.metadata.resolution import Density

P = TypeVar("P", contravariant=True)
# Remedies for photos that are whole, but would lose something if they were written in place.
SIDECAR = "is not written in place; a sidecar is"
ONLY_SIDECAR = "only a sidecar is safe"


@dataclass(frozen=True, slots=True)
class Parts:
    """The metadata of a photo that may be written, independent of offsets.

    ``exif`` starts at its TIFF header. ``xmp_trouble`` says why the XMP is left alone, ``room``
    is how many bytes a packet may have, ``density`` what its format states (for a first EXIF
    block), ``caption`` and ``keywords`` tell whether IPTC, or XMP that is left alone, may carry
    some: a new EXIF caption or new XMP keywords would hide them (MWG 2.0 section 5). ``xmp_tag``
    is the tag of the EXIF block that holds the XMP (TIFF), if it is not beside it.
    """

    exif: bytes | None
    xmp: bytes | None
    xmp_trouble: str = ""
    room: int = 8_000_000
    density: Density | None = None
    caption: bool = False
    keywords: bool = False
    xmp_tag: int = 0


def in_iptc(data: bytes) -> tuple[bool, bool]:
    """Whether IPTC data holds a caption (IIM 4.2 data set 2:120), and keywords (2:25)."""
    return b"\x1c\x02\x78" in data, b"\x1c\x02\x19" in data


@dataclass(frozen=True, slots=True)
class Blocks:
    """EXIF blocks and XMP packets in the first bytes of a file, possibly damaged.

    ``settled`` is False where the rest of the file may hold more. ``odd`` are parts that may hold
    metadata in a form that is not understood: where they name a position, there may be one.
    ``signed`` tells that C2PA content credentials are embedded.
    """

    exif: tuple[bytes, ...] = ()
    xmp: tuple[bytes, ...] = ()
    settled: bool = True
    odd: tuple[bytes, ...] = ()
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """The metadata that a photo is to have; None removes it, ``leave_xmp`` leaves XMP unchanged."""

    exif: bytes | None
    xmp: bytes | None
    leave_xmp: bool = False


class Container(Protocol[P]):
    """A photo format that can be written; modules of this package implement it.

    They take a photo's bytes, or what was found in them once for all questions (a JPEG).
    """

    HEAD_TELLS_ALL: bool  # whether the head that `write` returns holds all metadata

    def read(self, photo: P, /) -> Parts:
        """The photo's metadata; RefusedError if it cannot be written safely."""
        ...

    def write(self, photo: P, change: Change, /) -> Spliced:
        """The photo with new metadata; RefusedError if that is impossible."""
        ...

    def check_rest(self, photo: P, new: Spliced, /) -> None:
        """Raise RefusedError unless everything but EXIF and XMP is the same, byte for byte.

        Where the head does not tell all, ``new`` has to be all head.
        """
        ...
