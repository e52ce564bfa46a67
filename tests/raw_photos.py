"""Camera raw files made for tests: true headers and previews, with noise as sensor data."""

import random
import struct
from collections.abc import Callable, Sequence

from conftest import photo

TAKEN = b"2024:05:01 12:00:00\0"
SENSOR_BYTES = 3_000_000
Entry = tuple[int, int, int, bytes]


def sensor(size: int = SENSOR_BYTES) -> bytes:
    """Sensor data that only a raw developer can read."""
    return random.Random(size).randbytes(size)


def preview(colour: tuple[int, int, int], size: tuple[int, int] = (640, 424)) -> bytes:
    """A JPEG without any metadata."""
    return photo(colour, size, quality=95)


def text(tag: int, value: bytes) -> Entry:
    return tag, 2, len(value), value


def longs(tag: int, *values: int) -> Entry:
    return tag, 4, len(values), struct.pack(f"<{len(values)}I", *values)


def shorts(tag: int, *values: int) -> Entry:
    return tag, 3, len(values), struct.pack(f"<{len(values)}H", *values)


def degrees(value: float) -> bytes:
    whole, rest = divmod(round(abs(value) * 3_600_000), 3_600_000)
    minutes, milli = divmod(rest, 60_000)
    return struct.pack("<6I", whole, 1, minutes, 1, milli, 1000)


def gps(latitude: float, longitude: float) -> list[Entry]:
    return [
        text(1, b"S\0" if latitude < 0 else b"N\0"), (2, 5, 3, degrees(latitude)),
        text(3, b"W\0" if longitude < 0 else b"E\0"), (4, 5, 3, degrees(longitude)),
    ]  # fmt: skip


class Tiff:
    """A little-endian TIFF built from its end: children before their parents."""

    def __init__(self, magic: bytes = b"II*\0") -> None:
        self.out = bytearray(magic + bytes(4))

    def put(self, data: bytes) -> int:
        self.out += b"\0" * (len(self.out) % 2)
        at = len(self.out)
        self.out += data
        return at

    def directory(self, entries: Sequence[Entry], following: int = 0) -> int:
        rows = []
        for tag, kind, count, raw in sorted(entries):
            field = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack("<I", self.put(raw))
            rows.append(struct.pack("<HHI", tag, kind, count) + field)
        body = struct.pack("<H", len(rows)) + b"".join(rows) + struct.pack("<I", following)
        return self.put(body)

    def done(self, first: int) -> bytes:
        struct.pack_into("<I", self.out, 4, first)
        return bytes(self.out)


def exif(tiff: Tiff, taken: bytes = TAKEN, note: bytes = b"") -> Entry:
    """The pointer to an Exif directory."""
    note_entry = [(0x927C, 7, len(note), note)] if note else []
    return longs(0x8769, tiff.directory([text(0x9003, taken), *note_entry]))


def dng(
    jpeg: bytes, at: tuple[float, float] | None = None, orientation: int = 1, taken: bytes = TAKEN,
    xmp: bytes = b"", far: bool = False,
) -> bytes:  # fmt: skip
    """As Adobe's converter makes it: a small plain thumbnail, the sensor and a JPEG in SubIFDs.

    ``far`` puts the directories behind the sensor's data, beyond the first bytes.
    """
    tiff = Tiff()
    data = sensor()
    strip = tiff.put(data) if far else 0
    thumbnail = tiff.put(bytes(64 * 48 * 3))
    place = tiff.put(jpeg)
    raw_at = tiff.directory(
        [longs(254, 0), longs(256, 1000), longs(257, 1000), shorts(259, 7), shorts(262, 32803),
         longs(273, strip or len(tiff.out)), longs(279, len(data))]
    )  # fmt: skip
    small = tiff.directory(
        [longs(254, 1), longs(256, 640), longs(257, 424), shorts(258, 8, 8, 8), shorts(259, 7),
         shorts(262, 6), longs(273, place), shorts(277, 3), longs(279, len(jpeg))]
    )  # fmt: skip
    entries = [
        longs(254, 1), longs(256, 64), longs(257, 48), shorts(258, 8, 8, 8), shorts(259, 1),
        shorts(262, 2), text(0x010F, b"Maker\0"), text(0x0110, b"Model 1\0"), longs(273, thumbnail),
        shorts(0x0112, orientation), shorts(277, 3), longs(279, 64 * 48 * 3), shorts(284, 1),
        longs(330, raw_at, small), exif(tiff, taken), (0xC612, 1, 4, bytes((1, 4, 0, 0))),
    ]  # fmt: skip
    if at:
        entries.append(longs(0x8825, tiff.directory(gps(*at))))
    if xmp:
        entries.append((700, 1, len(xmp), xmp))
    return tiff.done(tiff.directory(entries)) + (b"" if far else data)


def cr2(jpeg: bytes, at: tuple[float, float] | None = None, taken: bytes = TAKEN) -> bytes:
    """As Canon makes it: the JPEG in IFD0, a thumbnail, the sensor as lossless JPEG in IFD3."""
    tiff = Tiff()
    tiff.out += b"CR\2\0" + bytes(4)
    lossless = b"\xff\xd8\xff\xc3\0\x0b\x0e\x03\xe8\x03\xe8\1\1\x11\0" + sensor()
    tiny = preview((9, 9, 9), (160, 120))
    place, thumb = tiff.put(jpeg), tiff.put(tiny)
    raw_place = tiff.put(lossless)
    third = tiff.directory([shorts(259, 6), longs(273, raw_place), longs(279, len(lossless))])
    first = tiff.directory([longs(0x0201, thumb), longs(0x0202, len(tiny))], third)
    entries = [
        longs(256, 640), longs(257, 424), shorts(258, 8, 8, 8), shorts(259, 6),
        text(0x010F, b"Canon\0"), text(0x0110, b"Canon EOS\0"), longs(273, place),
        shorts(0x0112, 1), longs(279, len(jpeg)), exif(tiff, taken, bytes(5000)),
    ]  # fmt: skip
    if at:
        entries.append(longs(0x8825, tiff.directory(gps(*at))))
    return tiff.done(tiff.directory(entries, first))


def orf(jpeg: bytes, at: tuple[float, float] | None = None) -> bytes:
    """As Olympus makes it: its own first bytes, the preview somewhere in the maker note."""
    tiff = Tiff(b"IIRO")
    entries = [text(0x010F, b"OLYMPUS\0"), exif(tiff, TAKEN, b"OLYMPUS\0II\3\0" + jpeg)]
    if at:
        entries.append(longs(0x8825, tiff.directory(gps(*at))))
    return tiff.done(tiff.directory(entries)) + sensor()


def rw2(jpeg: bytes, at: tuple[float, float] | None = None) -> bytes:
    """As Panasonic makes it: its own first bytes, the whole JPEG in tag 0x2E."""
    tiff = Tiff(b"IIU\0")
    entries: list[Entry] = [text(0x010F, b"Panasonic\0"), exif(tiff), (0x2E, 7, len(jpeg), jpeg)]
    if at:
        entries.append(longs(0x8825, tiff.directory(gps(*at))))
    return tiff.done(tiff.directory(entries)) + sensor()


def block(at: tuple[float, float] | None) -> bytes:
    """An EXIF block with a time and a position."""
    tiff = Tiff()
    entries = [text(0x010F, b"FUJIFILM\0"), exif(tiff)]
    if at:
        entries.append(longs(0x8825, tiff.directory(gps(*at))))
    return tiff.done(tiff.directory(entries))


def raf(jpeg: bytes, at: tuple[float, float] | None = None) -> bytes:
    """As Fujifilm makes it: a header, a whole JPEG with all metadata, the sensor."""
    segment = b"Exif\0\0" + block(at)
    jpeg = jpeg[:2] + struct.pack(">HH", 0xFFE1, len(segment) + 2) + segment + jpeg[2:]
    head = b"FUJIFILMCCD-RAW 0201FF129502".ljust(84, b"\0") + struct.pack(">2I", 148, len(jpeg))
    return head.ljust(148, b"\0") + jpeg + sensor()


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def cr3(jpeg: bytes, at: tuple[float, float] | None = None) -> bytes:
    """As newer Canon cameras make it: EXIF in three TIFF blocks of moov, the JPEG in a uuid box."""

    def one(entries: list[Entry]) -> bytes:
        tiff = Tiff()
        return tiff.done(tiff.directory(entries))

    parts = box(b"CMT1", one([text(0x010F, b"Canon\0"), text(0x0110, b"Canon EOS R5\0")]))
    parts += box(b"CMT2", one([text(0x9003, TAKEN)]))
    parts += box(b"CMT3", bytes(9000)) + box(b"CMT4", one(gps(*at) if at else []))
    uuid = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    moov = box(b"moov", box(b"uuid", uuid + parts) + box(b"mvhd", bytes(100)))
    shown = box(b"PRVW", struct.pack(">IHHHHI", 0, 1, 640, 424, 1, len(jpeg)) + jpeg)
    place = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16") + struct.pack(">2I", 0, 1)
    return b"".join(
        (box(b"ftyp", b"crx \0\0\0\1crx isom"), moov, box(b"uuid", place + shown),
         box(b"mdat", sensor()))
    )  # fmt: skip


MAKERS: dict[str, Callable[..., bytes]] = {
    "dng": dng,
    "cr2": cr2,
    "orf": orf,
    "rw2": rw2,
    "raf": raf,
    "cr3": cr3,
}
