"""Applies a reviewed report: exactly what it says, or a reason why not."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from tagger import __version__
from tagger.errors import (
    ChangedError,
    CredentialsError,
    PhotoError,
    RefusedError,
    RunError,
    SkippedError,
    UnsupportedError,
)
from tagger.failing import outcome_of
from tagger.records import (
    Coords,
    Entry,
    Landmark,
    Outcome,
    Provenance,
    Status,
    Tag,
    Version,
)
from tagger.report.camera_of_row import positions_of
from tagger.report.reader import Row, Wish, read
from tagger.storage.base import Storage
from tagger.storage.opening import open_storage
from tagger.storage.skipping import Skipping
from tagger.storage.urls import is_url
from tagger.writing.recorded import Recorder
from tagger.writing.write_tag import WriteOptions, see_unlinked, write_tag


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """How to write what the report says."""

    run_id: str
    coords: Coords = Coords.BOTH
    write: WriteOptions = field(default_factory=WriteOptions)
    skip: bool = True  # leave managed libraries and caches alone
    endpoint_url: str = ""  # the server of s3://; empty for AWS's own setting


@dataclass(frozen=True, slots=True)
class Applied:
    """A row to be written, by its line in the report, and the result."""

    line: int
    outcome: Outcome


class PhotosByFolder:
    """The photos of one folder at a time: the rows of a report come folder by folder."""

    def __init__(self, options: ApplyOptions) -> None:
        self._options = options
        self._name: str | None = None
        self._entries: dict[str, Entry] = {}

    def find(self, key: str) -> tuple[Storage, Entry]:
        """The photo's store, and the photo as it is now.

        Raises:
            PhotoError: there is no such photo, or it cannot be read.
        """
        name = os.path.dirname(key)
        try:
            if not (name and (os.path.isabs(key) or is_url(key))):
                raise RefusedError("path is not that of a photo in a report; restore the cell")
            if name != self._name:
                self._storage = open_storage(
                    [name],
                    recursive=False,
                    hard_links=self._options.write.hard_links,
                    skipping=Skipping(self._options.skip),
                    endpoint_url=self._options.endpoint_url,
                )
                self._entries = {entry.key: entry for entry in self._storage.list()}
                self._name = name
        except CredentialsError:
            raise
        except SkippedError as error:
            raise RefusedError(error.problem, "apply takes --no-skip") from error
        except RunError as error:
            raise ChangedError(f"its folder is gone ({error})") from error
        if key not in self._entries:
            raise ChangedError("the photo is gone; make a new report with --dry-run")
        entry = self._entries[key]
        # Size and time are checked against the report. The inode of a moment ago proves nothing
        # about what was reviewed, and may differ without any change.
        entry = replace(entry, version=replace(entry.version, node=None))
        if entry.problem:
            raise (PhotoError if entry.fault else UnsupportedError)(entry.problem)
        return self._storage, entry


def keys_to_write(report: Path) -> Counter[str]:
    """The photos that a report asks to write, each with how many rows write or decline it.

    Reads the whole report, writes nothing.

    Raises:
        RunError: the file cannot be read, or is no report.
    """
    counts: Counter[str] = Counter()
    declined: Counter[str] = Counter()
    for row in read(report):
        if row.declined:
            declined[row.key] += 1
        with suppress(RefusedError):
            counts[row.key] += row.wish() is Wish.WRITE
    return Counter({key: times + declined[key] for key, times in counts.items() if times})


def apply(
    report: Path,
    known: Mapping[str, Landmark],
    recorder: Recorder | None,
    options: ApplyOptions,
) -> Iterator[Applied]:
    """Write what the rows say; every row that asks for it comes out once, in the report's order.

    Without a recorder nothing is written. The whole file is read before the first photo is.

    Raises:
        RunError: the file cannot be read, or is no report.
    """
    keys, folder = keys_to_write(report), PhotosByFolder(options)
    for row in read(report):
        entry = Entry(row.key, Version(0, 0))
        try:
            if row.wish() is not Wish.WRITE:
                continue
            if keys[row.key] > 1:
                raise RefusedError("several rows write or decline this photo; keep one of them")
            storage, entry = folder.find(row.key)
            if not row.is_of(entry.version):
                raise ChangedError("it changed since the report; make a new one with --dry-run")
            yield Applied(row.line, _write(storage, recorder, entry, row, known, options))
        except PhotoError as error:
            yield Applied(row.line, outcome_of(entry, error))


def _write(
    storage: Storage,
    recorder: Recorder | None,
    entry: Entry,
    row: Row,
    known: Mapping[str, Landmark],
    options: ApplyOptions,
) -> Outcome:
    """Write one row's place.

    Raises:
        PhotoError: the row names no place, or the photo cannot be written.
    """
    confidence = row.number("confidence")
    if confidence is not None and not 0 <= confidence <= 1:
        raise RefusedError(f"confidence is {confidence:g}, not from 0 to 1; restore the cell")
    positions = positions_of(row, known, confidence)
    by_tool = not row.text("accept") and positions.as_reported and confidence is not None
    # A user who accepts or corrects a place vouches for it; the model does not count.
    provenance = Provenance(
        "landmark-tag", __version__, row.text("model").rpartition("@")[2] if by_tool else "",
        confidence if by_tool and confidence is not None else 1.0, options.run_id,
    )  # fmt: skip
    coords = options.coords
    if positions.subject_only:
        if coords is Coords.CAMERA:
            raise RefusedError("only the subject's position is known; use --coords both")
        coords = Coords.SUBJECT
    if positions.place is None and coords is Coords.SUBJECT:
        raise RefusedError("only the camera's position is known; use --coords both")
    tag = Tag(positions.place, coords, provenance, positions.camera)
    reason = "reviewed" if by_tool else "reviewed, chosen by a person"
    outcome = Outcome(
        entry, Status.WOULD_TAG, reason, landmark=positions.place, camera=tag.known_camera,
        subject_only=positions.subject_only,
    )  # fmt: skip
    see_unlinked(entry, options.write)
    if recorder is None:
        return outcome
    where = write_tag(storage, recorder, entry, tag, options.write)
    reason = "; ".join(filter(None, (reason, where)))
    return replace(outcome, status=Status.TAGGED, reason=reason)
