"""The packages and files that a photo's bytes pass through when it is tagged on a disk."""

import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from click.testing import CliRunner
from conftest import COLOURS, REPOSITORY, photo

from tagger.blob import Blob
from tagger.cli.main import main
from tagger.metadata.formats.detect import Head

PACKAGE = REPOSITORY / "tagger"


def files_entered(folder: Path, model: Path) -> set[str]:
    """Files of tagger with a function that another file calls with the photo's bytes."""
    entered = set[str]()

    def carries(value: Any, names: tuple[str, ...]) -> bool:
        if isinstance(value, Head) and "data" not in names:
            return False  # the function asks it what the bytes say, and has none in hand
        whole = getattr(value, "data", None) if isinstance(value, Blob | Head) else value
        return isinstance(whole, bytes | memoryview) and whole[:3] == b"\xff\xd8\xff"

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        code, caller = frame.f_code, frame.f_back
        if event != "call" or not code.co_filename.startswith(str(PACKAGE)):
            return
        if caller and caller.f_code.co_filename == code.co_filename:
            return
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if any(carries(frame.f_locals.get(name), code.co_names) for name in names):
            entered.add(str(Path(code.co_filename).relative_to(PACKAGE)))

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
    return entered


def test_one_photo_passes_through_few_rooms(tmp_path: Path, colour_model: Path) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "taj.jpg").write_bytes(photo(COLOURS["Taj_Mahal"]))
    # Each room below hands out what others need of the bytes: pixels, parsed metadata, a digest.
    assert sorted(files_entered(folder, colour_model)) == [
        "blob.py",  # fingerprint and digests
        "imaging/decode.py", "imaging/decoders.py",
        "ledger/recorder.py", "ledger/undo_patch.py",
        "metadata/byte_edits.py", "metadata/embedding.py", "metadata/formats/detect.py",
        "metadata/formats/jpeg.py", "metadata/formats/jpeg_write.py",
        "writing/recorded.py",
    ]  # fmt: skip
