"""Decodes JPEGs at an eighth of their size to the same pixels as libjpeg, in half the time."""

import struct
from dataclasses import dataclass, field

from tagger.errors import RefusedError
from tagger.metadata.formats.jpeg import APP0, SOS, segments

try:
    from tagger.imaging import _fast_jpeg
except ImportError:  # installed without a C compiler: Pillow decodes everything
    _fast_jpeg = None  # type: ignore[assignment]

_SOF0, _SOF1, _DHT, _DQT, _DRI, _APP14, _COM = 0xC0, 0xC1, 0xC4, 0xDB, 0xDD, 0xEE, 0xFE
_YCC = b"\1\2\3"  # how JFIF numbers its components
_MOST_BLOCKS = 10  # a unit (MCU) holds, ITU-T T.81 section B.2.3


class _Unlike(Exception):
    """The JPEG is not of the plain kind that is decoded here, or it is malformed."""


@dataclass(slots=True)
class _Header:
    """What the segments up to the scan say (ITU-T T.81 annex B)."""

    quants: dict[int, bytes] = field(default_factory=dict)
    codes: dict[int, bytes] = field(default_factory=dict)  # counts and symbols, by class and number
    frame: bytes = b""
    interval: int = 0
    jfif: bool = False
    transform: int | None = None  # what Adobe's segment says about the colours


def decode(data: bytes) -> tuple[bytes, int, int, int] | None:
    """A baseline JPEG in grey or YCbCr at an eighth of its size, rounded up.

    Returns:
        the values, row by row, width, height, and how many values a pixel has: 1 (grey) or 3 (RGB);
        None for any other or damaged JPEG; Pillow then says what is wrong.
    """
    if _fast_jpeg is None:
        return None
    try:
        header, scan, at = _read(data)
        height, width, count = struct.unpack_from(">HHB", header.frame, 1)
        parts = _components(header, scan, count)
        values = _fast_jpeg.eighth(data, at, width, height, header.interval, parts)
    except (_Unlike, RefusedError, struct.error, IndexError, KeyError, ValueError):
        return None
    if values is None:
        return None
    return values, (width + 7) // 8, (height + 7) // 8, count


def _read(data: bytes) -> tuple[_Header, bytes, int]:
    """The header, the scan's header, and where the scan's codes begin."""
    header = _Header()
    for part in segments(data):
        payload = data[part.at : part.end]
        if len(payload) != part.end - part.at:
            break
        if part.marker == SOS:
            return header, payload, part.end
        _take(header, part.marker, payload)
    raise _Unlike


def _take(header: _Header, marker: int, payload: bytes) -> None:
    """Read one segment; libjpeg fails at any malformed one, used or not."""
    if marker == _DQT:
        for start in range(0, len(payload), 65):
            number, table = payload[start], payload[start + 1 : start + 65]
            if number > 3 or len(table) != 64 or 0 in table:  # 4 and more: 16 bits, or no table
                raise _Unlike
            header.quants[number] = table
    elif marker == _DHT:
        while payload:
            end = 17 + sum(payload[1:17])
            number, table, payload = payload[0], payload[1:end], payload[end:]
            if number & 0xEC or len(table) != end - 1 or end > 17 + 256:
                raise _Unlike
            if number < 0x10 and max(table[16:], default=0) > 15:
                raise _Unlike
            header.codes[number] = table
    elif marker in (_SOF0, _SOF1):
        if header.frame or payload[0] != 8 or len(payload) != 6 + 3 * payload[5]:
            raise _Unlike
        header.frame = payload
    elif marker == _DRI:
        (header.interval,) = struct.unpack(">H", payload)
    elif marker == APP0 and payload[:5] == b"JFIF\0":
        header.jfif = header.jfif or len(payload) >= 14
    elif marker == _APP14 and payload[:5] == b"Adobe" and len(payload) >= 12:
        header.transform = payload[11]
    elif marker & 0xF0 != APP0 and marker != _COM:
        raise _Unlike


def _components(header: _Header, scan: bytes, count: int) -> tuple[tuple[object, ...], ...]:
    """What the decoder must know about each component; one scan must hold all of them in order."""
    entries = [header.frame[6 + 3 * n : 9 + 3 * n] for n in range(count)]
    numbers = bytes(part[0] for part in entries)
    tables = scan[2 : 1 + 2 * count : 2]
    each = b"".join(bytes(pair) for pair in zip(numbers, tables, strict=True))
    # All components in this scan, all coefficients of them, in full.
    if scan != bytes((count,)) + each + bytes((0, 63, 0)):
        raise _Unlike
    # The rule by which libjpeg distinguishes YCbCr from RGB.
    ycc = numbers == _YCC if header.transform is None else header.transform == 1
    if count == 3 and not (header.jfif or ycc):
        raise _Unlike
    parts = []
    for (_, factors, quant), codes in zip(entries, tables, strict=True):
        h, v = factors >> 4, factors & 15
        if not (1 <= h <= 4 and 1 <= v <= 4):
            raise _Unlike
        if count == 1:  # then the blocks come row by row, whatever the sampling factors
            h = v = 1
        used = header.codes[codes >> 4], header.codes[0x10 | codes & 15]
        parts.append((h, v, header.quants[quant], *used))
    if count > 1 and sum(h * v for h, v, *_ in parts) > _MOST_BLOCKS:
        raise _Unlike
    return tuple(parts)
