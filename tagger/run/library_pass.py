"""The source ``library`` in a run: photos with a position are described, the others compared."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tagger.errors import DamagedError, PhotoError, VanishedError
from tagger.evidence.sources import Sources
from tagger.imaging import decoders
from tagger.imaging.decode import Resize, Views, see_decoder, to_views
from tagger.imaging.room import ROOM
from tagger.metadata.capture import Capture
from tagger.metadata.formats.detect import Head
from tagger.records import Entry
from tagger.run.ordered import in_order
from tagger.run.stages import WorkItem, stamp
from tagger.storage.base import Storage
from tagger.storage.local import LocalStorage
from tagger.storage.raw_file import RawFile
from tagger.storage.suffixes import HEIF_SUFFIXES, is_raw, suffix

if TYPE_CHECKING:  # they load torch
    from tagger.evidence.kept_view import KeptView
    from tagger.evidence.library import LibrarySource
    from tagger.evidence.listing import Listing
    from tagger.model.local_features.same_view import Described

# Describes photos: each that can be read, as it is kept.
Describe = Callable[[Iterable[Entry]], "Iterable[KeptView]"]
# Photos that a run asks for because it did not list them; of a bucket, each is a request.
MOST_ASKED, MOST_REQUESTS = 100_000, 1000
OF_FORMAT = 1024  # bytes that tell a photo's format, its brands included


def describe_library(entries: Iterable[Entry], sources: Sources, describe: Describe) -> None:
    """Add photos that carry a position to the index of views."""
    views, captures = sources.views, sources.captures
    assert views is not None

    def photo_of(key: str) -> Capture:
        return captures.get(key) or Capture(key)

    for kept in describe(entry for entry in entries if photo_of(entry.key).position):
        photo = photo_of(kept.key)
        if kept.embedding:
            kept = replace(kept, position=photo.position, taken=photo.local)
        views.add(kept)
    views.ready()


def describer(storage: Storage, library: "LibrarySource", workers: int) -> Describe:
    """Describes photos on this machine."""

    def describe_one(entry: Entry) -> "KeptView | None":
        views = decoded(storage, entry, *library.sizes)
        return described([entry], [views], library)[0] if views else None

    def describe(entries: Iterable[Entry]) -> "Iterator[KeptView]":
        return (kept for kept in in_order(describe_one, entries, workers, 4 * workers) if kept)

    return describe


def described(
    entries: Iterable[Entry], views: "Sequence[Views | KeptView]", library: "LibrarySource"
) -> "list[KeptView]":
    """Decoded photos as they are kept, and damaged ones as they are."""
    whole = [view for view in views if isinstance(view, Views)]
    descriptions = iter(library.describe(whole) if whole else ())
    return [
        library.kept(entry.key, stamp(entry), next(descriptions))
        if isinstance(view, Views)
        else view
        for entry, view in zip(entries, views, strict=True)
    ]


def decoded(storage: Storage, entry: Entry, size: int, resize: Resize) -> "Views | KeptView | None":
    """A photo of the library, decoded for the model; as it is kept if it is damaged.

    None where it cannot be read, or not by this installation.
    """
    try:
        with ROOM.file(entry.version.size):
            raw = is_raw(entry.key)
            if suffix(entry.key) in HEIF_SUFFIXES and decoders.heif_opener() is None:
                see_decoder(Head(storage.read_head(entry.key, OF_FORMAT)))
            data = RawFile(storage, entry.key).picture() if raw else storage.read(entry.key).data
            return to_views(data, size, resize)
    except DamagedError:
        from tagger.evidence.kept_view import damaged_view

        return damaged_view(entry.key, stamp(entry))
    except PhotoError:
        return None


def drop_gone(storage: Storage, sources: Sources, listing: "Listing") -> None:
    """Forget photos below the folders of this run that it did not list, because they are gone.

    Photos that the run left out (--exclude, --max-photos) exist and stay. Each run checks a random
    sample of a limited size.
    """
    assert sources.views is not None
    most = MOST_ASKED if isinstance(storage, LocalStorage) else MOST_REQUESTS
    for root in storage.roots:
        sources.views.drop(key for key in listing.others(root, most) if gone(storage, key))


def gone(storage: Storage, key: str) -> bool:
    """Whether there is no such photo any more."""
    try:
        storage.read_head(key, 1)
    except VanishedError:
        return True
    except PhotoError:
        pass
    return False


def with_earlier_view(item: WorkItem, sources: Sources) -> WorkItem:
    """A photo whose guess is an earlier run's, compared by the description kept then.

    Where none was kept, the guess is left out, so that the photo is decoded again.
    """
    library, views, key = sources.library, sources.views, item.entry.key
    assert library is not None and views is not None
    if not views.known(key, stamp(item.entry)):
        return replace(item, guess=None, fresh=True)
    kept = None if views.unlike(key, library.least_alike) else views.view(key)
    return _compared(item, library, kept) if kept else item


def compared(
    items: Sequence[WorkItem], descriptions: Iterable["Described"], library: "LibrarySource"
) -> list[WorkItem]:
    """A batch in which the photos that were decoded have what the library says of them."""
    each, done = iter(descriptions), []
    for item in items:
        if item.views:
            description = next(each)
            kept = library.kept(item.entry.key, stamp(item.entry), description)
            library.index.add(kept)
            item = _compared(item, library, kept, description)
        done.append(item)
    return done


def _compared(
    item: WorkItem,
    library: "LibrarySource",
    kept: "KeptView",
    description: "Described | None" = None,
) -> WorkItem:
    estimate, alike = library.compared(kept, description)
    if not alike:
        library.index.note_unlike(kept.key)
    return replace(item, estimates=(*item.estimates, estimate)) if estimate else item
