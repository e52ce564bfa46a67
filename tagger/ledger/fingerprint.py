"""A photo's content in 16 bytes: a digest of its head and tail, cheap enough for each photo."""

import hashlib
import os

from tagger.metadata.ifd import Block

# A camera's header with its time and serial number, and the last of the compressed picture: two
# photos of the same size that agree in both are the same photo.
EDGE = 65_536


def fingerprint(data: bytes) -> bytes:
    """Of bytes in memory: 0.2 ms."""
    return _digest(data[:EDGE], data[-EDGE:])


def of_parts(file: Block) -> bytes:
    """Of a file of which only a part is read."""
    return _digest(file[:EDGE], file[max(0, len(file) - EDGE) :])


def of_file(path: str) -> bytes:
    """Of a file, without reading what lies between; empty where it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(EDGE)
            file.seek(max(0, os.fstat(file.fileno()).st_size - EDGE))
            return _digest(head, file.read(EDGE))
    except OSError:
        return b""


def _digest(head: bytes, tail: bytes) -> bytes:
    return hashlib.blake2b(head + tail, digest_size=16).digest()
