"""The packages and files that a photo's bytes pass through when it is tagged on a disk."""

import io
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from inspect import CO_GENERATOR
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import COLOURS, REPOSITORY, photo

from tagger.blob import Blob, Spliced
from tagger.cli.main import main
from tagger.metadata.formats.detect import Head
from tagger.metadata.formats.jpeg import Jpeg

PACKAGE = REPOSITORY / "tagger"
DISK = "storage/local.py"  # reads the bytes, and writes them in the end


class Walk:
    """Watches one run, and notes where a function is called from another file with the bytes.

    They are a photo's as read (each time it is read) or as it is to be written, whole or from their
    beginning. An object that holds them counts as they do; only a function that has a
    :class:`Head` and never touches its ``data`` asks it what the bytes say, and has none in hand.

    Attributes:
        entered: the files of tagger that are entered so.
        times: how often, by file and by which bytes. A method of the object that holds them is not
            counted: they came into its file when it was made.
        holders: classes of tagger that hold the bytes, beside those that are looked into here.
    """

    def __init__(self, folder: Path) -> None:
        (self._original,) = (path.read_bytes() for path in folder.iterdir())
        self._readings = 0
        self._frame: FrameType | None = None  # of the last generator: it is resumed, not entered
        self.entered, self.holders = set[str](), set[str]()
        self.times = Counter[tuple[str, str]]()

    def _bytes_of(self, value: Any, names: tuple[str, ...]) -> bytes:
        """The photo's bytes that a function with these names is given by a value; else none."""
        if isinstance(value, Head) and "data" not in names:
            return b""
        if isinstance(value, Blob | Head | Jpeg):
            value = getattr(value, "data", b"")  # none while it is being made
        elif isinstance(value, Spliced):
            value = value.head
        elif isinstance(value, io.BytesIO):
            value = value.getvalue()
        elif type(value).__module__.startswith("tagger."):
            if any(self._bytes_of(each, ()) for each in _fields(value)):
                self.holders.add(type(value).__name__)
            return b""
        whole = bytes(value) if isinstance(value, bytes | bytearray | memoryview) else b""
        return whole if whole[:3] == b"\xff\xd8\xff" else b""

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code, caller = frame.f_code, frame.f_back
        if event != "call" or not code.co_filename.startswith(str(PACKAGE)):
            return
        if frame is self._frame or (caller and caller.f_code.co_filename == code.co_filename):
            return
        self._frame = frame if code.co_flags & CO_GENERATOR else self._frame
        file = str(Path(code.co_filename).relative_to(PACKAGE))
        self._readings += file == DISK and code.co_name in ("read", "read_head")
        given = set[str]()
        for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            if whole := self._bytes_of(frame.f_locals.get(name), code.co_names):
                self.entered.add(file)
                old = self._original.startswith(whole)
                if name != "self":
                    given.add(f"reading {self._readings}" if old else "as written")
        self.times.update((file, which) for which in given)


def _fields(value: Any) -> Iterator[Any]:
    names = {name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())}
    yield from getattr(value, "__dict__", {}).values()
    yield from (getattr(value, name, None) for name in names)
    if isinstance(value, tuple):
        yield from value


def walk(folder: Path, model: Path) -> Walk:
    """Tag the one photo of a folder, and watch."""
    watch = Walk(folder)
    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        report = folder.with_name("report.csv")
        words = [folder, "--model", model, "--report", report, "--workers", "1"]
        done = CliRunner().invoke(main, list(map(str, words)))
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert done.exit_code == 0 and "1  tagged" in done.output, done.output
    return watch


FILES = (
    "blob.py",  # fingerprint, digests, edits
    "imaging/decode.py",
    "ledger/undo_patch.py",
    "metadata/formats/detect.py", "metadata/formats/jpeg.py", "metadata/formats/jpeg_write.py",
    "writing/recorded.py",
)  # fmt: skip


@pytest.mark.parametrize(
    ("size", "files"),
    [
        ((64, 48), FILES),
        # Scaled to an eighth by a decoder of its own.
        ((2592, 1944), (*FILES, "imaging/fast_jpeg.py")),
    ],
)
def test_one_photo_passes_through_few_rooms(
    size: tuple[int, int], files: tuple[str, ...], tmp_path: Path, colour_model: Path
) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "taj.jpg").write_bytes(photo(COLOURS["Taj_Mahal"], size))
    seen = walk(folder, colour_model)
    # Each room hands out what others need of the bytes: pixels, parsed metadata, a digest.
    assert sorted(seen.entered - {DISK}) == sorted(files)
    # It is read to see whether it has GPS, to decode it, and to write it.
    readings = {which for _, which in seen.times}
    assert "as written" in readings and len(readings) in (4, 5)
    assert {entry: times for entry, times in seen.times.items() if times > 2} == {}
    # A Version holds the bytes that it is of, for storage that compares them before it writes.
    assert seen.holders <= {"Version"}
