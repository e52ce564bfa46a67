"""The source ``library`` in a run: photos with a position are looked at, the others compared."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tagger.errors import PhotoError
from tagger.evidence.sources import Sources
from tagger.imaging.room import ROOM
from tagger.metadata.capture import Capture
from tagger.records import Entry
from tagger.run.ordered import in_order
from tagger.run.stages import Looked, stamp
from tagger.storage.base import Storage

if TYPE_CHECKING:  # they load torch
    from tagger.evidence.library import LibrarySource
    from tagger.model.local_features.same_view import Described

Look = tuple[Entry, Capture, "Described"]


def look_at_library(
    storage: Storage, entries: Iterable[Entry], sources: Sources, workers: int
) -> None:
    """Add photos that carry a position to the index of views; one that cannot be read is none."""
    library = sources.library
    assert library is not None

    def look(entry: Entry) -> Look | None:
        photo = sources.captures.get(entry.key)
        if photo is None or photo.position is None:
            return None
        try:
            with ROOM.file(entry.version.size):
                return entry, photo, library.look(storage.read(entry.key).data)
        except PhotoError:
            return None

    for found in in_order(look, entries, workers, 4 * workers):
        if found:
            entry, photo, seen = found
            library.index.add(entry.key, stamp(entry), seen, photo.position, photo.local)
    library.index.ready()


def with_earlier_look(item: Looked, library: "LibrarySource") -> Looked:
    """A photo whose guess is an earlier run's, compared by how it looked then.

    Where that was not kept, the guess is left out, so that the photo is looked at again.
    """
    key = item.entry.key
    seen = library.index.view(key) if library.index.known(key, stamp(item.entry)) else None
    if seen is None:
        return replace(item, guess=None, fresh=True)
    return _compared(item, library, seen)


def compared(
    items: Sequence[Looked], looks: Iterable["Described"], library: "LibrarySource"
) -> list[Looked]:
    """A batch in which the photos that were decoded have what the library says of them."""
    each, done = iter(looks), []
    for item in items:
        if item.views:
            seen = next(each)
            library.index.add(item.entry.key, stamp(item.entry), seen, None, None)
            item = _compared(item, library, seen)
        done.append(item)
    return done


def _compared(item: Looked, library: "LibrarySource", seen: "Described") -> Looked:
    estimate = library.estimate_of(item.entry.key, seen)
    return replace(item, estimates=(*item.estimates, estimate)) if estimate else item
