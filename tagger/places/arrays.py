"""Named arrays in one file, mapped and not loaded: the safetensors format, read with distrust."""

import hashlib
import json
import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tagger.storage.named_files import regular
from tagger.system import NO_LINK

# https://github.com/huggingface/safetensors#format: eight bytes with the length of a JSON header,
# the header, the arrays one after the other. Nothing in it is code.
TYPES = {"U8": "u1", "I8": "i1", "F16": "<f2", "I32": "<i4", "I64": "<i8", "F32": "<f4"}
NAMES = {np.dtype(kind): name for name, kind in TYPES.items()}
LONGEST = 1_000_000  # bytes of a header
BLOCK = 1 << 22
CONTENT = "content"  # the fact that is the arrays' SHA-256

Array = NDArray[Any]


class ArraysError(ValueError):
    """The file is no such file, or is damaged; the words say how."""


@dataclass(frozen=True, slots=True)
class Arrays:
    """What a file holds.

    Attributes:
        facts: words by name, from the header.
        arrays: by name, mapped from the file or views of its bytes, read-only.
        begin: where in the file the arrays begin.
    """

    facts: Mapping[str, str]
    arrays: Mapping[str, Array]
    begin: int


def read(source: Path | bytes) -> Arrays:
    """Map a file, or look into its bytes; see :func:`digest` for what the arrays hold.

    Raises:
        ArraysError: it is no such file.
        OSError: it cannot be read.
    """
    if isinstance(source, bytes):
        return _inside(source)
    with open(source, "rb", opener=_regular) as file:
        if os.fstat(file.fileno()).st_size == 0:  # cannot be mapped
            return _inside(b"")
        return _inside(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _inside(data: mmap.mmap | bytes) -> Arrays:
    if len(data) < 8:
        raise ArraysError("it is empty, or cut off")
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= min(LONGEST, len(data) - 8):
        raise ArraysError("its header is cut off, or it is another kind of file")
    begin = 8 + length
    facts, entries = _header(data[8:begin])
    _fill_exactly(entries, len(data) - begin)
    arrays = {}
    for name, (kind, shape, start, _) in entries.items():
        count = math.prod(shape)
        # Of an empty mapping's end no array can be made.
        flat = np.frombuffer(data, kind, count, begin + start) if count else np.empty(0, kind)
        arrays[name] = flat.reshape(shape)
    return Arrays(facts, arrays, begin)


def digest(source: Path | bytes) -> str:
    """The SHA-256, in hex, of a file's arrays, as :data:`CONTENT` should have it."""
    if isinstance(source, bytes):
        begin = 8 + int.from_bytes(source[:8], "little")
        return hashlib.sha256(memoryview(source)[begin:]).hexdigest()
    with open(source, "rb", opener=_regular) as file:
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, facts: Mapping[str, str], arrays: Mapping[str, Array | IO[bytes]],
          shapes: Mapping[str, tuple[str, tuple[int, ...]]] | None = None) -> None:  # fmt: skip
    """Write a file beside ``path`` and move it there whole, with mode 0600 or that of the old one.

    Args:
        path: where to.
        facts: words by name; the arrays' SHA-256 is added.
        arrays: by name; or an open file of an array's bytes, whose type and shape ``shapes`` tells.
        shapes: see there.

    Raises:
        OSError: it cannot be written.
    """
    entries: dict[str, Any] = {}
    at, content = 0, hashlib.sha256()
    # Numbers of many bytes first, so that all begin at a multiple of their size.
    order = sorted(arrays, key=lambda name: (-_type_of(name, arrays, shapes)[0].itemsize, name))
    for name in order:
        kind, shape = _type_of(name, arrays, shapes)
        end = at + kind.itemsize * math.prod(shape)
        entries[name] = {"dtype": NAMES[kind], "shape": shape, "data_offsets": [at, end]}
        at = end
        for block in _blocks(arrays[name]):
            content.update(block)
    entries["__metadata__"] = {**facts, CONTENT: content.hexdigest()}
    header = json.dumps(entries, ensure_ascii=True).encode()
    header += b" " * (-len(header) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.is_file() else 0o600
    # mkstemp, not a name that another process may foresee.
    descriptor, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            for name in order:
                for block in _blocks(arrays[name]):
                    file.write(block)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(made, mode)
        os.replace(made, path)
    except BaseException:
        os.unlink(made)
        raise


def _type_of(
    name: str,
    arrays: Mapping[str, Array | IO[bytes]],
    shapes: Mapping[str, tuple[str, tuple[int, ...]]] | None,
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    array = arrays[name]
    if isinstance(array, np.ndarray):
        return array.dtype.newbyteorder("="), array.shape
    assert shapes
    kind, shape = shapes[name]
    return np.dtype(TYPES[kind]), shape


def _blocks(array: Array | IO[bytes]) -> Sequence[Any] | Any:
    if isinstance(array, np.ndarray):
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        return (flat[start : start + BLOCK] for start in range(0, len(flat), BLOCK))
    array.seek(0)
    return iter(lambda: array.read(BLOCK), b"")


def _header(data: bytes) -> tuple[dict[str, str], dict[str, tuple[str, tuple[int, ...], int, int]]]:
    try:
        header = json.loads(data)
        facts = header.pop("__metadata__", {})
        if not all(isinstance(word, str) for word in (*facts, *facts.values())):
            raise ArraysError("its header's facts are not words")
        entries = {}
        for name, entry in header.items():
            kind, shape = TYPES[entry["dtype"]], tuple(entry["shape"])
            start, end = entry["data_offsets"]
            numbers = (*shape, start, end)
            if not all(type(number) is int and 0 <= number < 2**48 for number in numbers):
                raise ArraysError(f"its array {name!r} has no possible size")
            if np.dtype(kind).itemsize * math.prod(shape) != end - start or len(shape) > 2:
                raise ArraysError(f"its array {name!r} has another size than its shape says")
            if start % np.dtype(kind).itemsize:
                raise ArraysError(f"its array {name!r} begins at an odd place")
            entries[name] = kind, shape, start, end
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, ArraysError):
            raise
        raise ArraysError("its header is not one of safetensors") from error
    return facts, entries


def _fill_exactly(entries: Mapping[str, tuple[str, tuple[int, ...], int, int]], size: int) -> None:
    """See that the arrays lie one after the other and fill the file."""
    at = 0
    for start, end in sorted((start, end) for _, _, start, end in entries.values()):
        if start != at:
            raise ArraysError("its arrays overlap, or leave a gap")
        at = end
    if at != size:
        raise ArraysError("it is cut off" if at > size else "it holds more than its header says")


def _regular(path: str, flags: int) -> int:
    return regular(path, flags if os.path.islink(path) else flags | NO_LINK)


def copied(file: IO[bytes], source: IO[bytes]) -> None:
    """Append one open file to another."""
    shutil.copyfileobj(source, file, BLOCK)
