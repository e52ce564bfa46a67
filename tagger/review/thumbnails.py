"""Small pictures of photos: upright, re-encoded here, nothing of the file but its pixels."""

import base64
import io
import os
from functools import lru_cache

import numpy as np
from PIL import Image

from tagger.errors import PhotoError
from tagger.imaging import decode
from tagger.review.trusted_root import Root, read_photo

_QUALITY = 80


def thumbnail(data: bytes, edge: int) -> bytes:
    """A JPEG no larger than ``edge`` x ``edge`` pixels, upright, without metadata.

    Raises:
        PhotoError: the bytes cannot be decoded, and why.
    """
    picture = decode.open_upright(data, edge // 2)
    picture.thumbnail((edge, edge), Image.Resampling.BICUBIC, reducing_gap=2.0)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def thumbnail_of(path: str, root: Root, edge: int) -> bytes:
    """The thumbnail of a photo below ``root``; kept in memory until the photo changes.

    Raises:
        PhotoError: it cannot be shown, and why.
    """
    return _kept(path, root, edge, _written(path))


def _written(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        return 0


@lru_cache(maxsize=1024)  # 20 KB each at most in practice: 20 MB
def _kept(path: str, root: Root, edge: int, _changed: int) -> bytes:
    return thumbnail(read_photo(path, root), edge)


@lru_cache(maxsize=8)
def large_of(path: str, root: Root) -> bytes:
    """A picture of a photo below ``root`` in a larger size; the last few are cached.

    Raises:
        PhotoError: it cannot be shown, and why.
    """
    return thumbnail(read_photo(path, root), 1200)


def data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def fingerprint(jpeg: bytes) -> int:
    """64 bits that differ little between two pictures that look alike (difference hash).

    Each bit says whether one of 8 x 8 cells is brighter than the cell to its right.
    """
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as picture:
        cells = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    bits = (cells[:, :-1] > cells[:, 1:]).flatten()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


@lru_cache(maxsize=4)
def alike(fingerprints: tuple[int | None, ...], bits: int = 8) -> list[int]:
    """Group pictures whose fingerprints differ in ``bits`` of 64 or fewer, also step by step.

    Returns:
        for each picture the number of the first one of its group; None is alike to nothing.
    """
    first = list(range(len(fingerprints)))

    def top(one: int) -> int:
        while first[one] != one:
            first[one] = first[first[one]]
            one = first[one]
        return one

    known = [n for n, value in enumerate(fingerprints) if value is not None]
    codes = np.array([fingerprints[n] for n in known], dtype=np.uint64)
    for place, code in enumerate(codes):
        later = codes[place + 1 :] ^ code
        differing = np.unpackbits(later.view(np.uint8).reshape(-1, 8), axis=1).sum(1)
        for near in np.flatnonzero(differing <= bits):
            one, other = top(known[place]), top(known[place + 1 + int(near)])
            first[max(one, other)] = min(one, other)
    return [top(n) for n in range(len(fingerprints))]


def fingerprint_of(path: str, root: Root) -> int | None:
    """The fingerprint of a photo below ``root``, None where it cannot be shown; kept as long."""
    return _fingerprint(path, root, _written(path))


@lru_cache(maxsize=50_000)
def _fingerprint(path: str, root: Root, _changed: int) -> int | None:
    try:
        return fingerprint(thumbnail(read_photo(path, root), 160))
    except PhotoError:
        return None
