"""The listing of a bucket: photos and their sidecars from a stream of sorted names."""

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
from tagger.storage.takeout_names import last_name_for, name_for

# A photo waits for its Takeout file until so many other photos are waiting.
MOST_WAITING = 10_000


class Listed(NamedTuple):
    """One object of a listing; ``path`` is its name in the bucket, ``modified`` has a zone."""

    path: str
    size: int
    etag: str
    modified: datetime


class Index(Protocol):
    """Requests to a bucket other than reading and writing; paths are names in the bucket."""

    def list(self, prefix: str, recursive: bool) -> Iterator[Listed]:
        """All objects under a prefix, sorted by name."""
        ...

    def traits(self, path: str) -> Traits:
        """The traits of an object, and the ETag they belong to."""
        ...

    def put(self, path: str, data: bytes, traits: Traits, create: bool) -> str:
        """Create an object if there is none, or replace one that still has the traits' ETag.

        Returns:
            its new ETag.
        """
        ...

    def delete(self, path: str, etag: str) -> None:
        """Delete an object if it still has this ETag (with its quotes)."""
        ...


class Paired(NamedTuple):
    """A listed photo, its sidecars, the photos with its stem, and its movies, by name.

    ``last`` is the last name that may belong to it, ``takeout`` its Takeout file, or empty.
    """

    listed: Listed
    sidecars: list[str]
    sharing: list[str]
    movies: list[str]
    last: str
    takeout: str = ""


def paired(listing: Iterable[Listed]) -> Iterator[Paired]:
    """The photos of a listing, in order, each with its sidecars.

    A sidecar's names sort close behind its photo's, so a photo waits for a few names at most; but
    a.XMP sorts before a.jpg, and waits for it as long as names go on with "a."; so does a Takeout
    file whose name was cut. Memory does not grow with the bucket.

    Raises:
        RunError: the names do not come in order, as in a directory bucket.
    """
    waiting: deque[Paired] = deque()
    early: list[str] = []
    exported: set[str] = set()  # Takeout files
    previous = ""
    for listed in listing:
        if listed.path < previous:
            raise RunError(
                "this store does not list its objects in order, so that a photo's sidecar could "
                "be missed; copy the photos into an ordinary bucket"
            )
        previous = listed.path
        while waiting and (waiting[0].last < listed.path or len(waiting) > MOST_WAITING):
            yield _with_takeout(waiting.popleft(), exported)
        if not waiting and exported:
            exported = {path for path in exported if listed.path.startswith(_stem(path))}
        early = [path for path in early if listed.path.startswith(_before_suffixes(path))]
        if is_sidecar(listed.path):
            early.append(listed.path)
            for photo in waiting:
                if is_beside(listed.path, photo.listed.path):
                    photo.sidecars.append(listed.path)
        elif suffix(listed.path) == ".json":
            exported.add(listed.path)
        elif is_movie(listed.path):
            early.append(listed.path)
            for photo in waiting:
                if _stem(listed.path) == _stem(photo.listed.path):
                    photo.movies.append(listed.path)
        elif suffix(listed.path) in LISTED_SUFFIXES:
            sidecars = [path for path in early if is_beside(path, listed.path)]
            same = [path for path in early if _stem(path) == _stem(listed.path)]
            movies = [path for path in same if is_movie(path)]
            sharing = _sharing(listed.path, waiting)
            waiting.append(Paired(listed, sidecars, sharing, movies, _last_beside(listed.path)))
    for photo in waiting:
        yield _with_takeout(photo, exported)


def _last_beside(path: str) -> str:
    """The last name in sort order that may belong to a photo."""
    folder, slash, name = path.rpartition("/")
    return max(*sidecar_names(path), folder + slash + last_name_for(name))


def _with_takeout(photo: Paired, exported: set[str]) -> Paired:
    if not exported:
        return photo
    folder, slash, name = photo.listed.path.rpartition("/")
    start = folder + slash
    beside = {path.removeprefix(start) for path in exported if path.startswith(start)}
    takeout = name_for(name, beside)
    return photo._replace(takeout=start + takeout) if takeout else photo


def without_skipped(listing: Iterable[Listed], folder: str, skipping: Skipping) -> Iterator[Listed]:
    """A listing of ``folder`` (empty, or ending with a slash) without skipped folders.

    A mark is heeded for what comes after it, as what begins with letters and digits does.
    """
    out, kept = "", ""  # a skipped folder, and one that is not
    for listed in listing:
        if out and listed.path.startswith(out):
            continue
        place, _, name = listed.path.rpartition("/")
        if place != kept:
            kept = place
            out = _first_left_out(place, folder, skipping)
        if not out and skipping.leaves_out_marked((name,)):
            out = listed.path.removesuffix(name)
        if not out or not listed.path.startswith(out):
            yield listed


def _first_left_out(place: str, folder: str, skipping: Skipping) -> str:
    """The outermost skipped folder of a path below ``folder``, with its slash."""
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
    """The photos that photo.xmp may belong to, including ``path``, which joins its stem's list."""
    stem, sharing = _stem(path), list[str]()
    for photo in waiting:
        if _stem(photo.listed.path) == stem:
            sharing = photo.sharing
        elif photo.listed.path == stem:
            sharing.append(stem)
    sharing.append(path)
    return sharing


def _before_suffixes(sidecar: str) -> str:
    """The start, up to the dot, of the name of every photo that a sidecar may belong to."""
    photo = _stem(sidecar)
    return f"{_stem(photo) if suffix(photo) in LISTED_SUFFIXES else photo}."


def wanted(key: str, relative: str, exclude: Sequence[str]) -> bool:
    """Whether a photo at this path below its target is processed: hidden ones are not."""
    path = ""
    for name in relative.split("/"):
        path = f"{path}/{name}" if path else name
        if name.startswith(".") or excluded(key, path, exclude):
            return False
    return True


def problem_of(path: str) -> str:
    """Why obstore refuses to request an object of this name; empty if it does not."""
    if not {"", ".", ".."}.isdisjoint(path.split("/")):
        return "has an empty, . or .. folder in its name, which cannot be asked for; rename it"
    if any(unicodedata.category(letter) == "Cc" for letter in path):
        return "has a control character in its name, which cannot be asked for; rename it"
    try:
        path.encode()
    except UnicodeEncodeError:  # a file's name, to be copied
        return "its name is not UTF-8, which names in a bucket are; rename it"
    return ""
