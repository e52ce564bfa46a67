"""The rooms and files that one photo's bytes pass through when it is tagged on a disk."""

import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from click.testing import CliRunner
from conftest import COLOURS, REPOSITORY, photo

from tagger.blob import Blob
from tagger.cli.main import main

PACKAGE = REPOSITORY / "tagger"


def files_entered(folder: Path, model: Path) -> set[str]:
    """Files of tagger with a function that another file calls with the photo's bytes."""
    entered = set[str]()

    def carries(value: Any) -> bool:
        whole = value.data if isinstance(value, Blob) else value
        return isinstance(whole, bytes | memoryview) and whole[:3] == b"\xff\xd8\xff"

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        code, caller = frame.f_code, frame.f_back
        if event != "call" or not code.co_filename.startswith(str(PACKAGE)):
            return
        if caller and caller.f_code.co_filename == code.co_filename:
            return
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if any(carries(frame.f_locals.get(name)) for name in names):
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
    files = files_entered(folder, colour_model)
    # storage/ hands the bytes out and takes new ones back as a Spliced; model/ gets pixels.
    assert {name.split("/")[0] for name in files} == {
        "run", "imaging", "metadata", "writing", "ledger", "blob.py"
    }  # fmt: skip
    outside = sorted(name for name in files if not name.startswith("metadata/"))
    assert outside == [
        "blob.py",  # SHA-256 before and after
        "imaging/decode.py", "imaging/decoders.py", "imaging/footprint.py",
        "ledger/fingerprint.py", "ledger/recorder.py", "ledger/undo_patch.py",
        "run/survey.py",
        "writing/recorded.py",
    ]  # fmt: skip
    assert sorted(name for name in files if name.startswith("metadata/")) == [
        "metadata/byte_edits.py", "metadata/capture.py", "metadata/embedding.py",
        "metadata/formats/detect.py", "metadata/formats/jpeg.py", "metadata/formats/jpeg_write.py",
        "metadata/reading.py", "metadata/signed.py",
    ]  # fmt: skip
