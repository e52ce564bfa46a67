"""The first pass of a run: every photo's first bytes, so that each can be placed by the others."""

import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache, partial

from tagger import metadata
from tagger.errors import PhotoError
from tagger.evidence.families import family_of, one_shot, same_moment
from tagger.evidence.sources import Sources
from tagger.evidence.takeout import MOST_BYTES, parse
from tagger.metadata.capture import Capture, capture, capture_of
from tagger.metadata.formats.detect import Format, Head
from tagger.metadata.movie import movie
from tagger.model.thumbnail_net import ThumbnailNet
from tagger.records import Entry, Outcome, Source, Status
from tagger.run.inspect import by_thumbnail, check, nothing_known
from tagger.run.library_pass import (
    Describe,
    describe_library,
    describer,
    drop_gone,
    gone,
    with_earlier_view,
)
from tagger.run.ordered import in_order
from tagger.run.quick_check import QuickCheck
from tagger.run.spool import Spool
from tagger.run.stages import Shot, WorkItem, stamp
from tagger.storage.base import Storage
from tagger.storage.local import LocalStorage
from tagger.storage.raw_file import Ranges, RawFile
from tagger.storage.suffixes import is_raw
from tagger.writing import sidecars

MOST_OF_PHOTO = 32_000_000  # bytes of a photo that is read whole for its EXIF alone
MOST_OF_SHOT = 64  # photos that are decided together; of a longer burst, so many at a time
# Bytes of small photos of a bucket that are kept between the passes rather than asked for again.
MOST_KEPT = 32_000_000
KEPT_ANSWERS = 1024  # of whether a photo is gone: a burst asks for the same ones


def survey(
    storage: Storage,
    entries: Iterable[Entry],
    sources: Sources,
    recalled: Callable[[Entry], WorkItem | None],
    workers: int,
    net: ThumbnailNet | None = None,
    describe: Describe | None = None,
) -> Iterator[WorkItem]:
    """Note when and where each photo was taken; then yield all of them, in their order.

    Unsettled photos of one shot come together, in the place of the first.

    A photo that is settled by its first bytes, or by what an earlier run found, comes with its
    outcome or guess; the others with what the sources say of them. In a bucket ``net`` checks the
    thumbnails in these bytes; on a disk they are read again, at no cost, when a thread is free.
    ``describe`` describes photos for the source library, where this machine does not.
    """
    known: dict[str, WorkItem] = {}
    sources.pair.gone = lru_cache(KEPT_ANSWERS)(partial(gone, storage))

    remote, room, one = not isinstance(storage, LocalStorage), MOST_KEPT, threading.Lock()

    def check_one(entry: Entry) -> WorkItem:
        nonlocal room
        before, heads = known.pop(entry.key, None), list[Head]()

        def noted(head: Head, outcome: Outcome | None) -> None:
            heads.append(head)
            note(storage, sources, entry, head, outcome)

        outcome = check(storage, entry, noted)
        if before or outcome or not heads:
            return before or WorkItem(entry, outcome)
        if not remote:
            return WorkItem(entry, opened=True)
        raw = is_raw(entry.key)
        settled = by_thumbnail(storage, entry, heads[0], net) if net and not raw else None
        if net and settled:
            return WorkItem(entry, guess=nothing_known(net), opened=True)
        with one:
            data = heads[0].data if heads[0].whole and not raw else b""
            data = data if len(data) <= room else b""
            room -= len(data)
        return WorkItem(entry, opened=True, data=data, passed=settled is False)

    quick_check = QuickCheck(storage)

    def ready(entry: Entry) -> WorkItem | None:
        before = recalled(entry)
        # Of a photo that we tagged, the row is still true: our position is evidence of nothing.
        stated = stamp(entry) if before and before.outcome is None else None
        if before and sources.captures.known(entry.key, stated):
            return before
        if before:
            known[entry.key] = before
        return quick_check.quickly(lambda: check_one(entry))

    views, placed = sources.views, Spool()
    listing = views.listing() if views else None
    spool, waiting = Spool(), False
    try:
        for item in in_order(check_one, entries, workers, 64 * workers, ready):
            # Until the first photo that needs the others, all are handed on as they come.
            waiting = waiting or item.outcome is None
            if listing:
                listing.add(item.entry.key)
            has_gps = item.outcome is not None and item.outcome.status is Status.HAS_GPS
            if views and has_gps and not views.known(item.entry.key, stamp(item.entry)):
                placed.add(WorkItem(item.entry))
            if waiting:
                undecided = sources.pairs and item.outcome is None
                spool.add(item, family_of(item.entry.key) if undecided else "")
            else:
                yield item
        sources.captures.flush()
        if listing and sources.library:
            drop_gone(storage, sources, listing)
            describe = describe or describer(storage, sources.library, workers)
            describe_library((item.entry for (item,) in placed), sources, describe)
        for items in spool:
            yield from by_shot(items, sources)
    finally:
        spool.close()
        placed.close()


def by_shot(items: list[WorkItem], sources: Sources) -> Iterator[WorkItem]:
    """Photos of one family, shot by shot, each with the sources' estimates."""
    if len(items) == 1:
        yield _answered(items[0], sources)
        return
    shots: list[tuple[Capture, list[WorkItem]]] = []
    for item in (_answered(item, sources) for item in items):
        photo = sources.captures.get(item.entry.key) or Capture(item.entry.key)
        # A position is not passed on from photo to photo: each must be of the shot that states it.
        same = (
            taken
            for first, taken in shots
            if one_shot(first, photo) and _stated(taken[0]) == _stated(item)
        )
        shot = next((taken for taken in same if len(taken) < MOST_OF_SHOT), None)
        if shot is None:
            shot = []
            shots.append((photo, shot))
        shot.append(item)
    for _, taken in shots:
        shared = Shot(taken[0].entry.key, len(taken)) if len(taken) > 1 else None
        for item in taken:
            yield replace(item, shot=shared)


def _stated(item: WorkItem) -> bool:
    """Whether another photo of the shot states the position."""
    return any(estimate.source is Source.PAIR for estimate in item.estimates)


def _answered(item: WorkItem, sources: Sources) -> WorkItem:
    if item.outcome is not None:
        return item
    item = replace(item, estimates=tuple(sources.estimates(item.entry.key)))
    if sources.library and item.guess:
        return with_earlier_view(item, sources)
    return item


def note(storage: Storage, sources: Sources, entry: Entry, head: Head, out: Outcome | None) -> None:
    """Add a photo to the index by its first bytes and by what lies beside it."""
    photo = capture_of(entry.key, head)
    if out is None and not head.whole and photo == Capture(entry.key, taken=False):
        photo = _by_the_rest(storage, entry, head)
    if out is not None and out.status is Status.HAS_GPS and not photo.position:
        photo = replace(photo, position=_elsewhere(storage, entry, head))
    if entry.takeout:
        photo = _with_takeout(storage, entry, photo)
    if entry.movie and sources.pairs and out is None:
        _note_movie(storage, sources, entry.movie, photo)
    sources.note(photo, stamp(entry))


def _by_the_rest(storage: Storage, entry: Entry, head: Head) -> Capture:
    """The facts of a photo whose EXIF comes after its picture, as libheif and libtiff write it."""
    first = head.data
    try:
        if head.format is Format.TIFF:
            return capture(entry.key, RawFile(storage, entry.key).exif(), whole=True)
        flagged = head.format is Format.WEBP and first[12:16] == b"VP8X" and first[20] & 8
        behind = flagged or (head.format is Format.HEIC and b"Exif" in first)
        if behind and entry.version.size <= MOST_OF_PHOTO:
            return capture(entry.key, storage.read(entry.key).data, whole=True)
    except PhotoError:
        pass
    return Capture(entry.key, taken=False)


def _elsewhere(storage: Storage, entry: Entry, head: Head) -> tuple[float, float] | None:
    """The camera's position that is not in EXIF but in XMP or a sidecar, unless we wrote it."""
    places = itertools.chain(
        [head.data], (sidecar.blob.data for sidecar in sidecars.own(storage, entry))
    )
    for data in places:
        if metadata.provenance(data) is None and (position := metadata.camera_position(data)):
            return position
    return None


def _note_movie(storage: Storage, sources: Sources, key: str, photo: Capture) -> None:
    """Add the position of a Live Photo's movie to the index, for its family alone."""
    try:
        facts = movie(key, Ranges(storage, key))
    except PhotoError:
        return
    position = facts.position if same_moment(photo, facts) else None
    # Without a time, it is nobody's neighbour in time; without a position, it says nothing: the
    # index may hold what it said of another photo of this name.
    sources.note(replace(facts, local=None, offset=None, position=position), "")


def _with_takeout(storage: Storage, entry: Entry, photo: Capture) -> Capture:
    try:
        data = storage.read_head(entry.takeout, MOST_BYTES)
    except PhotoError:
        return photo
    stated = parse(os.path.basename(entry.takeout), data, os.path.basename(entry.key))
    if photo.local is None and stated.taken is not None:
        # Google's clock, which says nothing of the camera's.
        camera = f"{photo.camera} (time by Takeout)" if photo.camera else ""
        photo = replace(photo, local=stated.taken, offset=0.0, camera=camera)
    return replace(photo, beside=stated)
