"""JPEG segments: finds EXIF, XMP and MPF, and whatever makes a file unsafe to write."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from tagger.errors import RefusedError
from tagger.metadata import inside, resolution
from tagger.metadata.formats import app1
from tagger.metadata.formats.container import ONLY_SIDECAR, Blocks, Parts, in_iptc
from tagger.metadata.resolution import Density

SOI, EOI, SOS, APP0, APP1, APP2, APP11, APP13 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEB, 0xED
EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
MPF = b"MPF\0"
MAX_STRAY = 1 << 18  # bytes to search if something else follows the segments
MAX_PAYLOAD = 65_533  # ITU T.81 B.1.1.4: the two length bytes count themselves
MAX_SEGMENTS = 10_000  # depth maps take some hundreds; limits the work on damaged files


class Segment(NamedTuple):
    """One marker segment: ``start`` is its 0xFF, ``at`` its payload after the two length bytes."""

    marker: int
    start: int
    at: int
    end: int


@dataclass(slots=True)
class Header:
    """Where the parts of a JPEG up to its first scan are; offsets into the file.

    ``problem`` says why they cannot be followed to the first scan.
    """

    segments: list[Segment] = field(default_factory=list)
    exif: list[Segment] = field(default_factory=list)
    xmp: list[Segment] = field(default_factory=list)
    extended: list[Segment] = field(default_factory=list)
    mpf: list[Segment] = field(default_factory=list)
    odd: list[Segment] = field(default_factory=list)  # APP1 with neither EXIF nor XMP, APP11
    photoshop: list[Segment] = field(default_factory=list)
    sos: int = 0  # 0 if the bytes end before it
    picture: int = 0  # what follows the marker of the first scan and its two length bytes
    problem: str = ""


def segments(data: bytes) -> Iterator[Segment]:
    """The segments from SOI up to and including the first SOS; stops where the bytes end.

    Raises:
        RefusedError: a marker that cannot stand before the first scan, or bytes that are none.
    """
    at, count = 2, 0
    while at + 4 <= len(data):
        start, count = at, count + 1
        if count > MAX_SEGMENTS:
            raise RefusedError(f"has more than {MAX_SEGMENTS} JPEG segments; re-save a copy")
        if data[at] != 0xFF:
            raise RefusedError(f"stray bytes at {at} between its JPEG segments; re-save a copy")
        while data[at + 1 : at + 2] == b"\xff":  # fill bytes, ITU T.81 B.1.1.2
            at += 1
        if at + 4 > len(data):
            return
        marker = data[at + 1]
        if marker in (0, 1, SOI, EOI) or 0xD0 <= marker <= 0xD7:
            raise RefusedError(f"JPEG marker 0x{marker:02x} comes before its picture; re-save it")
        (length,) = struct.unpack_from(">H", data, at + 2)
        if length < 2:
            raise RefusedError(f"the JPEG segment at {start} has an impossible length; re-save it")
        yield Segment(marker, start, at + 4, at + 2 + length)
        if marker == SOS:
            return
        at += 2 + length


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame header (ITU T.81 B.2.2); ``sampling`` is across and down of each component.

    ``one_scan`` tells whether the first scan holds all components.
    """

    width: int
    height: int
    sampling: tuple[tuple[int, int], ...]
    one_scan: bool


class Jpeg:
    """A JPEG's bytes, or its first ones, whose segments are found once for all that is asked."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    @cached_property
    def header(self) -> Header:
        """Its segments by content, as far as they can be followed."""
        data, header = self.data, Header()
        try:
            for segment in segments(data):
                if segment.marker == SOS:
                    header.sos, header.picture = segment.start, segment.at
                    break
                header.segments.append(segment)
                if segment.marker == APP1:
                    if data.startswith(EXIF, segment.at):
                        header.exif.append(segment)
                    elif data.startswith(XMP, segment.at):
                        header.xmp.append(segment)
                    elif data.startswith(EXTENDED_XMP, segment.at):
                        header.extended.append(segment)
                    else:
                        header.odd.append(segment)
                elif segment.marker == APP13:
                    header.photoshop.append(segment)
                elif segment.marker == APP11:
                    header.odd.append(segment)
                elif segment.marker == APP2 and data.startswith(MPF, segment.at):
                    header.mpf.append(segment)
        except RefusedError as error:
            header.problem = str(error)
        return header

    def first_exif(self) -> bytes:
        """The first EXIF block, where it is whole in these bytes; else none."""
        if self.data.startswith(b"\xff\xd8"):
            with suppress(RefusedError):
                for part in segments(self.data):
                    if part.marker == APP1 and self.data.startswith(EXIF, part.at):
                        cut = part.end > len(self.data)
                        return b"" if cut else self.data[part.at + len(EXIF) : part.end]
        return b""

    def frame(self) -> Frame | None:
        """The frame header, before the first scan; None if no decoder would find one."""
        data = self.data
        try:
            parts = list(segments(data))
            at = next(part.at for part in parts if 0xC0 <= part.marker <= 0xC2)
            count = data[at + 5]
            components = range(at + 7, at + 7 + 3 * count, 3)
            factors = tuple((data[n] >> 4, data[n] & 15) for n in components)
            height, width = struct.unpack_from(">HH", data, at + 1)
            whole = parts[-1].marker == SOS and data[parts[-1].at] >= count
        except (RefusedError, StopIteration, IndexError, struct.error):
            return None
        return Frame(width, height, factors, whole) if factors else None

    def blocks(self, whole: bool) -> Blocks:
        """EXIF and XMP in these bytes; parts that are cut short are not settled."""
        data, header, stray = self.data, self.header, b""
        if header.problem:
            whole = True  # nothing readable follows
            last = max([part.end for part in header.segments], default=2)
            stray = data[last : last + MAX_STRAY]
        length = len(data)
        exif = tuple([data[p.at + 6 : p.end] for p in header.exif if whole or p.end <= length])
        xmp = tuple([data[p.at + 29 : p.end] for p in header.xmp if whole or p.end <= length])
        if header.extended:
            xmp += (self._extended(),)
        settled = whole or header.sos > 0
        if not header.odd and not header.photoshop and not stray:
            return Blocks(exif, xmp, settled)
        signed = any(  # JUMBF in APP11 (ISO/IEC 19566-5 annex D)
            part.marker == APP11 and data.find(b"jumb", part.at, min(part.end, part.at + 64)) >= 0
            for part in header.odd
        )
        bodies = [data[p.at : p.end] for p in header.odd if whole or p.end <= length]
        odd = [app1.unusual(body) for body in bodies]
        photoshop = inside.of_photoshop(self._photoshop() if settled else b"")
        return Blocks(
            (*exif, *[block for one in odd for block in one.exif], *photoshop.exif),
            (*xmp, *[packet for one in odd for packet in one.xmp], *photoshop.xmp),
            settled,
            (*[part for one in odd for part in one.odd], stray),
            signed,
        )

    def parts(self) -> Parts:
        """The EXIF block and XMP packet of a JPEG that may be written.

        Raises:
            RefusedError: it cannot be written without risk.
        """
        data, header = self.data, self.writable()
        exif = data[header.exif[0].at + len(EXIF) : header.exif[0].end] if header.exif else None
        xmp = data[header.xmp[0].at + len(XMP) : header.xmp[0].end] if header.xmp else None
        caption, keywords = in_iptc(self._photoshop())
        extended = self._extended() if header.extended else b""
        return Parts(
            exif,
            xmp,
            self._xmp_trouble(),
            MAX_PAYLOAD - len(XMP),
            self._density(),
            caption or b"description" in extended,
            keywords,
        )

    def writable(self) -> Header:
        """The header of a photo that can be written safely; others get sidecars.

        Raises:
            RefusedError: with the reason.
        """
        data, header = self.data, self.header
        if header.problem:
            raise RefusedError(header.problem)
        if not header.sos or any(segment.end > len(data) for segment in header.segments):
            raise RefusedError("the JPEG ends before its picture; restore it from a backup")
        if len(header.exif) > 1:
            raise RefusedError(
                "has more than one EXIF block; merge them with a metadata editor first"
            )
        for segment in header.segments:
            body = data[segment.at : min(segment.end, segment.at + 64)]
            if segment.marker == APP1 and segment in header.odd and app1.EXIF.match(body):
                raise RefusedError("has an EXIF block with a wrong header; repair the EXIF first")
            if segment.marker == APP0 and body[6:14] == b"HEAPJPGM":
                # ExifTool counts its directories from elsewhere; one may pass for the new GPS's.
                raise RefusedError(
                    f"has a CIFF block of an early Canon, which GPS might hide; {ONLY_SIDECAR}"
                )
        if data[-12:-8] in (b"AXS!", b"AXS*"):
            raise RefusedError(
                f"has an AFCP trailer, which counts from the file's start; {ONLY_SIDECAR}"
            )
        return header

    def new_exif_place(self) -> int:
        """Right after SOI, or after JFIF's APP0 segments, as EXIF 2.32 section 4.5.4 wants it."""
        place = 2
        for part in self.header.segments:
            start = self.data[part.at : part.at + 4]
            if part.marker != APP0 or start not in (b"JFIF", b"JFXX"):
                break
            place = part.end
        return place

    def _photoshop(self) -> bytes:
        """Photoshop's image resources; one may continue in the next segment."""
        parts = [self.data[part.at : part.end] for part in self.header.photoshop]
        return b"".join(part.removeprefix(inside.PHOTOSHOP_HEAD) for part in parts)

    def _extended(self) -> bytes:
        """Extended XMP, joined (XMP part 3 section 1.1.3.1): GUID, length and offset, text."""
        start, extended = len(EXTENDED_XMP) + 36, self.header.extended
        pieces = sorted(self.data[part.at + start : part.end] for part in extended)
        return b"".join(piece[4:] for piece in pieces)

    def _xmp_trouble(self) -> str:
        """Why the XMP must be left alone; empty if it need not be."""
        data, header = self.data, self.header
        if len(header.xmp) > 1:
            return "it has two XMP packets"
        for part in header.odd:
            if part.marker == APP1 and app1.is_xmp(data[part.at : part.end]):
                return "its XMP has a wrong header"
        if any(
            data.find(name, part.at, part.end) >= 0
            for part in header.extended
            for name in (b":subject", b"LocationShown", b"landmarktag")
        ):
            return "its keywords are in extended XMP"
        if header.extended and not header.xmp:
            return "its extended XMP has no XMP to belong to"
        return ""

    def _density(self) -> Density | None:
        """The resolution in JFIF, or else in Photoshop's data."""
        for marker, read_of in ((APP0, resolution.of_jfif), (APP13, resolution.of_photoshop)):
            for part in self.header.segments:
                body = self.data[part.at : part.end]
                stated = read_of(body) if part.marker == marker else None
                if stated:
                    return stated
        return None


def read(data: bytes) -> Parts:
    """As :meth:`Jpeg.parts`, of bytes."""
    return Jpeg(data).parts()
