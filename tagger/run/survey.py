"""The first pass of a run: every photo's first bytes, so that each can be placed by the others."""

import itertools
import os
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Generic, TypeVar

from tagger import metadata
from tagger.errors import PhotoError
from tagger.evidence.sources import Sources
from tagger.evidence.takeout import MOST_BYTES, parse
from tagger.metadata.capture import Capture, capture
from tagger.records import Entry, Outcome, Status
from tagger.run.inspect import Glance, first_look
from tagger.run.library_pass import look_at_library, with_earlier_look
from tagger.run.ordered import in_order
from tagger.run.stages import Looked, stamp
from tagger.storage.base import Storage
from tagger.storage.local import LocalStorage
from tagger.writing import sidecars

T = TypeVar("T")
# Photos that are kept in memory between the two passes, about 700 bytes each; the rest lies in a
# temporary file.
KEPT = 50_000
# Bytes of small photos of a bucket that are kept between the passes rather than asked for again.
MOST_KEPT = 32_000_000


def survey(
    storage: Storage,
    entries: Iterable[Entry],
    sources: Sources,
    recalled: Callable[[Entry], Looked | None],
    workers: int,
) -> Iterator[Looked]:
    """Note when and where each photo was taken; then hand on all of them, in their order.

    A photo that is settled by its first bytes, or by what an earlier run found, comes with its
    outcome or guess; the others with what the sources say of them.
    """
    known: dict[str, Looked] = {}

    remote, room = not isinstance(storage, LocalStorage), MOST_KEPT

    def look(entry: Entry) -> Looked:
        nonlocal room
        before, heads = known.pop(entry.key, None), list[bytes]()

        def noted(head: bytes, whole: bool, outcome: Outcome | None) -> None:
            heads.append(head if whole else b"")
            note(storage, sources, entry, head, whole, outcome)

        outcome = first_look(storage, entry, noted)
        if before or outcome or not (remote and heads):
            return before or Looked(entry, outcome)
        data = heads[0] if len(heads[0]) <= room else b""
        room -= len(data)
        return Looked(entry, opened=True, data=data)

    glance = Glance(storage)

    def ready(entry: Entry) -> Looked | None:
        before = recalled(entry)
        # Of a photo that we tagged, the row is still true: our position is evidence of nothing.
        stated = stamp(entry) if before and before.outcome is None else None
        if before and sources.captures.known(entry.key, stated):
            return before
        if before:
            known[entry.key] = before
        return glance.quickly(lambda: look(entry))

    library, placed = sources.library, Spool[Entry]()
    spool, waiting = Spool[Looked](), False
    try:
        for item in in_order(look, entries, workers, 64 * workers, ready):
            # Until the first photo that needs the others, all are handed on as they come.
            waiting = waiting or item.outcome is None
            if (
                library
                and item.outcome
                and item.outcome.status is Status.HAS_GPS
                and not library.index.known(item.entry.key, stamp(item.entry))
            ):
                placed.add(item.entry)
            if waiting:
                spool.add(item)
            else:
                yield item
        sources.captures.flush()
        if library:
            look_at_library(storage, placed, sources, workers)
        for item in spool:
            if item.outcome is None:
                item = replace(item, estimates=tuple(sources.estimates(item.entry.key)))
                if library and item.guess:
                    item = with_earlier_look(item, library)
            yield item
    finally:
        spool.close()
        placed.close()


def note(
    storage: Storage, sources: Sources, entry: Entry, head: bytes, whole: bool, out: Outcome | None
) -> None:
    """Add a photo to the index by its first bytes and by what lies beside it."""
    photo = capture(entry.key, head, whole)
    if out is not None and out.status is Status.HAS_GPS and not photo.position:
        photo = replace(photo, position=_elsewhere(storage, entry, head))
    if entry.takeout:
        photo = _with_takeout(storage, entry, photo)
    sources.note(photo, stamp(entry))


def _elsewhere(storage: Storage, entry: Entry, head: bytes) -> tuple[float, float] | None:
    """A position that is not in EXIF but in XMP or a sidecar, unless we wrote it."""
    places = itertools.chain(
        [head], (sidecar.blob.data for sidecar in sidecars.own(storage, entry))
    )
    for data in places:
        if metadata.provenance(data) is None and (found := metadata.position(data)):
            return found
    return None


def _with_takeout(storage: Storage, entry: Entry, photo: Capture) -> Capture:
    try:
        data = storage.read_head(entry.takeout, MOST_BYTES)
    except PhotoError:
        return photo
    stated = parse(os.path.basename(entry.takeout), data)
    if photo.local is None and stated.taken is not None:
        photo = replace(photo, local=stated.taken, offset=0.0)
    return replace(photo, beside=stated)


class Spool(Generic[T]):
    """Items in order, the first of them in memory and the rest in a temporary file."""

    def __init__(self) -> None:
        self._kept: list[T] = []
        self._more: list[T] = []
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        self._blocks = 0

    def add(self, item: T) -> None:
        if len(self._kept) < KEPT:
            self._kept.append(item)
            return
        self._more.append(item)
        if len(self._more) == 1000:
            self._spill()

    def _spill(self) -> None:
        pickle.dump(self._more, self._file, pickle.HIGHEST_PROTOCOL)
        self._blocks += 1
        self._more.clear()

    def __iter__(self) -> Iterator[T]:
        """All that was added, once; memory is let go of on the way."""
        self._kept.reverse()
        while self._kept:
            yield self._kept.pop()
        self._file.seek(0)
        for _ in range(self._blocks):
            yield from pickle.load(self._file)
        yield from self._more

    def close(self) -> None:
        self._file.close()
