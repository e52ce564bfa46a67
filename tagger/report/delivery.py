"""A report for a bucket: written on this machine, put into its bucket when the run ends."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tagger.blob import Blob
from tagger.errors import PhotoError, RunError, VanishedError
from tagger.report.files import as_written, is_empty, is_report, numbers
from tagger.storage.base import Storage
from tagger.storage.opening import storage_at
from tagger.storage.urls import bucket_of


@contextmanager
def local_file(place: str, keep: int | None = None, endpoint_url: str = "") -> Iterator[Path]:
    """The file to write a report to: the path itself, or one that ends up at the URL.

    An older report is kept under a number, as on a disk, before the first photo is touched; of
    the numbered ones ``keep`` are kept, None for all.

    Raises:
        RunError: something else has that name, or the bucket does not take the report.
    """
    if not bucket_of(place):
        yield Path(place)
        return
    storage = storage_at(place, endpoint_url=endpoint_url)
    try:
        older = _older(storage, place)
        if older and older.data and not is_empty(older.data):
            storage.write(_free_name(storage, place, keep), older.data, None)
        version = storage.write(place, b"", older.version if older else None)
    except PhotoError as error:
        raise RunError(f"--report {place}: {error}; choose another place") from error
    folder = tempfile.mkdtemp(prefix="landmark-tag-")
    path = Path(folder, f"report{PurePosixPath(place).suffix}")
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


def _free_name(storage: Storage, place: str, keep: int | None) -> str:
    """The next name of report.1.csv, report.2.csv ...; all but the latest are removed."""
    from tagger.storage.bucket import BucketStorage

    assert isinstance(storage, BucketStorage)
    folder, _, name = place.rpartition("/")
    stem, suffix = os.path.splitext(name)
    names = {key.rpartition("/")[2] for key in storage.named(f"{folder}/{stem}.")}
    known = sorted(numbers(name, names), reverse=True)
    if keep is not None:
        reports = [f"{stem}.{number}{suffix}" for number in known]
        for older in [report for report in reports if report in names][max(0, keep - 1) :]:
            blob = storage.read(f"{folder}/{older}")
            reviewed = any(other.startswith(f"{older}.review") for other in names)
            if as_written(blob.data) and not reviewed:
                storage.delete(f"{folder}/{older}", blob.version)
    return f"{folder}/{stem}.{max(known, default=0) + 1}{suffix}"
