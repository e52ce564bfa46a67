"""A report for a bucket: written on this machine, put into its bucket when the run ends."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tagger.errors import PhotoError, RunError, VanishedError
from tagger.report import is_report
from tagger.storage import Blob, Storage, bucket_of, storage_at


@contextmanager
def local_file(place: str) -> Iterator[Path]:
    """The file to write a report to: the path itself, or one that ends up at the URL.

    An older report is kept under a number, as on a disk, before the first photo is touched.

    Raises:
        RunError: something else has that name, or the bucket does not take the report.
    """
    if not bucket_of(place):
        yield Path(place)
        return
    storage = storage_at(place)
    try:
        older = _older(storage, place)
        if older and older.data:
            storage.write(_free_name(storage, place), older.data, None)
        version = storage.write(place, b"", older.version if older else None)
    except PhotoError as error:
        raise RunError(f"--report {place}: {error}; choose another place") from error
    folder = tempfile.mkdtemp(prefix="landmark-tag-")
    path = Path(folder, "report.csv")
    try:
        yield path
    finally:
        try:
            if path.exists():
                storage.write(place, path.read_bytes(), version)
        except (PhotoError, RunError) as error:
            raise RunError(f"--report {place}: {error}; the report is left at {path}") from error
        shutil.rmtree(folder)


def _older(storage: Storage, place: str) -> Blob | None:
    try:
        older = storage.read(place)
    except VanishedError:
        return None
    if older.data and not is_report(older.data):
        raise PhotoError("exists and is not a landmark-tag report")
    return older


def _free_name(storage: Storage, place: str) -> str:
    """The first of report.1.csv, report.2.csv ... that no object has."""
    stem, dot, suffix = place.rpartition(".")
    if "/" in suffix:
        stem, dot, suffix = place, "", ""
    for number in itertools.count(1):
        name = f"{stem}.{number}{dot}{suffix}"
        try:
            storage.read_head(name, 1)
        except VanishedError:
            return name
    raise AssertionError
