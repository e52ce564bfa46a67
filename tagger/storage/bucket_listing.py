"""What a bucket lists: photos and their sidecars out of a stream of names in order."""

import os
import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from tagger.errors import RunError
from tagger.storage.base import Traits
from tagger.storage.exclude import excluded
from tagger.storage.siblings import is_beside
from tagger.storage.skipping import Skipping
from tagger.storage.suffixes import (
    LISTED_SUFFIXES,
    is_movie,
    is_sidecar,
    sidecar_names,
    suffix,
)


class Found(NamedTuple):
    """One object of a listing; ``path`` is its name in the bucket, ``modified`` has a zone."""

    path: str
    size: int
    etag: str
    modified: datetime


class Index(Protocol):
    """What a bucket is asked beside reading and writing; paths are names in the bucket."""

    def list(self, prefix: str, recursive: bool) -> Iterator[Found]:
        """What lies under a prefix, in order."""
        ...

    def traits(self, path: str) -> Traits:
        """What goes with an object, and the ETag it goes with."""
        ...

    def put(self, path: str, data: bytes, traits: Traits, create: bool) -> str:
        """Make an object if there is none, or replace one that still has the traits' ETag.

        Returns:
            its new ETag.
        """
        ...

    def delete(self, path: str, etag: str) -> None:
        """Delete an object if it still has this ETag (with its quotes)."""
        ...


class Paired(NamedTuple):
    """A listed photo, the sidecars beside it, the photos of its stem, and its movies, by name."""

    found: Found
    sidecars: list[str]
    sharing: list[str]
    movies: list[str]


def paired(listing: Iterable[Found]) -> Iterator[Paired]:
    """The photos of a listing, in its order, each with its sidecars.

    A sidecar's names sort close behind its photo's, so a photo waits for a few names at most; but
    a.XMP sorts before a.jpg, and waits for it as long as names go on with "a.". Memory does not
    grow with the bucket.

    Raises:
        RunError: the names do not come in order, as in a directory bucket.
    """
    waiting: deque[Paired] = deque()
    early: list[str] = []
    previous = ""
    for found in listing:
        if found.path < previous:
            raise RunError(
                "this store does not list its objects in order, so that a photo's sidecar could "
                "be missed; copy the photos into an ordinary bucket"
            )
        previous = found.path
        while waiting and max(sidecar_names(waiting[0].found.path)) < found.path:
            yield waiting.popleft()
        early = [path for path in early if found.path.startswith(_before_suffixes(path))]
        if is_sidecar(found.path):
            early.append(found.path)
            for photo in waiting:
                if is_beside(found.path, photo.found.path):
                    photo.sidecars.append(found.path)
        elif is_movie(found.path):
            early.append(found.path)
            for photo in waiting:
                if _stem(found.path) == _stem(photo.found.path):
                    photo.movies.append(found.path)
        elif suffix(found.path) in LISTED_SUFFIXES:
            sidecars = [path for path in early if is_beside(path, found.path)]
            same = [path for path in early if _stem(path) == _stem(found.path)]
            movies = [path for path in same if is_movie(path)]
            waiting.append(Paired(found, sidecars, _sharing(found.path, waiting), movies))
    yield from waiting


def looked_into(listing: Iterable[Found], folder: str, skipping: Skipping) -> Iterator[Found]:
    """A listing of ``folder`` (empty, or with a slash at its end) without what is left alone.

    A mark is heeded for what comes after it, as what begins with letters and digits does.
    """
    out, known = "", ""  # a folder that is left out, and one that is not
    for found in listing:
        if out and found.path.startswith(out):
            continue
        place, _, name = found.path.rpartition("/")
        if place != known:
            known = place
            out = _first_left_out(place, folder, skipping)
        if not out and skipping.leaves_out_marked((name,)):
            out = found.path.removesuffix(name)
        if not out or not found.path.startswith(out):
            yield found


def _first_left_out(place: str, folder: str, skipping: Skipping) -> str:
    """The outermost folder of a place below ``folder`` that is left alone, with its slash."""
    parent, path = folder.rstrip("/").rpartition("/")[2], folder
    for name in filter(None, f"{place}/".removeprefix(folder).split("/")):
        path = f"{path}{name}/"
        if skipping.leaves_out(name, parent):
            return path
        parent = name
    return ""


def _stem(path: str) -> str:
    return os.path.splitext(path)[0]


def _sharing(path: str, waiting: Iterable[Paired]) -> list[str]:
    """The photos that photo.xmp may belong to, ``path`` among them; it joins its stem's list."""
    stem, sharing = _stem(path), list[str]()
    for photo in waiting:
        if _stem(photo.found.path) == stem:
            sharing = photo.sharing
        elif photo.found.path == stem:
            sharing.append(stem)
    sharing.append(path)
    return sharing


def _before_suffixes(sidecar: str) -> str:
    """What every photo that a sidecar may belong to starts with, up to the dot."""
    photo = _stem(sidecar)
    return f"{_stem(photo) if suffix(photo) in LISTED_SUFFIXES else photo}."


def wanted(key: str, relative: str, exclude: Sequence[str]) -> bool:
    """Whether a photo of this path below its target is looked at: hidden ones are not."""
    path = ""
    for name in relative.split("/"):
        path = f"{path}/{name}" if path else name
        if name.startswith(".") or excluded(key, path, exclude):
            return False
    return True


def problem_of(path: str) -> str:
    """Why obstore would not ask for the object of this name, if it would not."""
    if not {"", ".", ".."}.isdisjoint(path.split("/")):
        return "has an empty, . or .. folder in its name, which cannot be asked for; rename it"
    if any(unicodedata.category(letter) == "Cc" for letter in path):
        return "has a control character in its name, which cannot be asked for; rename it"
    try:
        path.encode()
    except UnicodeEncodeError:  # a file's name, to be copied
        return "its name is not UTF-8, which names in a bucket are; rename it"
    return ""
