"""Buckets: s3://, gs:// and az:// through obstore, each write conditional on the ETag read."""

import functools
import mimetypes
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import obstore
from obstore.exceptions import (
    BaseError,
)

from tagger.blob import Blob, Content
from tagger.errors import ChangedError, PhotoError, RunError
from tagger.records import Entry, Version
from tagger.storage import endpoint
from tagger.storage.base import CHANGED, NO_PHOTOS, Traits, nothing
from tagger.storage.bucket_listing import (
    Index,
    Paired,
    paired,
    problem_of,
    wanted,
    without_skipped,
)
from tagger.storage.bucket_store import Store, connect, explained
from tagger.storage.exclude import excluded, globs
from tagger.storage.siblings import is_shared, ordered
from tagger.storage.skipping import Skipping
from tagger.storage.suffixes import LISTED_SUFFIXES, is_sidecar, suffix
from tagger.storage.urls import Location, bucket_of


class BucketStorage:
    """Photos of one bucket; keys are URLs. Each target is a folder or a photo in it.

    A version is the size and the ETag: times in buckets cannot be set, so they prove nothing.

    Raises:
        RunError: the bucket cannot be reached.
    """

    def __init__(
        self,
        targets: Sequence[str],
        recursive: bool = True,
        exclude: Sequence[str] = (),
        since: datetime | None = None,
        skipping: Skipping | None = None,
        endpoint_url: str = "",
    ) -> None:
        self._root = bucket_of(targets[0])
        self._targets = sorted({target[len(self._root) :].strip("/") for target in targets})
        self._recursive, self._exclude, self._since = recursive, globs(exclude), since
        self._explained = functools.partial(explained, scheme=Location(self._root).scheme)
        self._skipping = skipping or Skipping()
        for target in self._targets:
            self._skipping.check(f"{self._root}/{target}", target.split("/"))
        self._endpoint = endpoint.server(endpoint_url)
        self._link()

    def _link(self) -> tuple[Store, Index]:
        return connect(self._root, self._endpoint)

    @property
    def roots(self) -> tuple[str, ...]:
        return tuple(f"{self._root}/{target}".rstrip("/") for target in self._targets)

    def list(self) -> Iterator[Entry]:
        listed: set[str] = set()
        for target in self._targets:
            folder = f"{target}/" if target else ""
            if suffix(target) in LISTED_SUFFIXES:
                key, name = f"{self._root}/{target}", os.path.basename(target)
                left_out = excluded(key, name, self._exclude)
                if not left_out and not any(self._covers(folder, target) for folder in listed):
                    yield from self._photo(target)
            elif not (self._recursive and any(target.startswith(other) for other in listed)):
                listed.add(folder)
                yield from self._folder(folder)

    def require_photos(self) -> None:
        """Make sure that there is something under each prefix, as for folders of a disk.

        Raises:
            RunError: there is not.
        """
        for target in self._targets:
            skipping, place = Skipping(self._skipping.on), f"{self._root}/{target}"
            everything = BucketStorage(
                [place], self._recursive, skipping=skipping, endpoint_url=self._endpoint
            ).list()
            if next(everything, None) is None and not skipping.folders:
                raise RunError(NO_PHOTOS.format(place))

    def named(self, start: str) -> Iterator[str]:
        """The keys of one folder that begin with this text."""
        for listed in self._link()[1].list(start[len(self._root) + 1 :], False):
            yield f"{self._root}/{listed.path}"

    def _covers(self, folder: str, path: str) -> bool:
        below = path.removeprefix(folder)
        return path.startswith(folder) and (self._recursive or "/" not in below)

    def _folder(self, folder: str) -> Iterator[Entry]:
        try:
            listing = self._link()[1].list(folder, self._recursive)
            for photo in paired(without_skipped(listing, folder, self._skipping)):
                listed = photo.listed
                old = self._since and listed.modified < self._since
                key, below = f"{self._root}/{listed.path}", listed.path.removeprefix(folder)
                if not old and wanted(key, below, self._exclude):
                    yield self._entry(photo)
        except PhotoError as error:
            yield Entry(f"{self._root}/{folder}", Version(0, 0), f"folder {error}")

    def _photo(self, path: str) -> Iterator[Entry]:
        beside = os.path.splitext(path)[0] + "."
        for photo in paired(self._link()[1].list(beside, False)):
            if photo.listed.path == path:
                yield self._entry(photo)
                return
        raise RunError(f"{self._root}/{path}: no such photo; check the URL")

    def _entry(self, photo: Paired) -> Entry:
        listed = photo.listed
        keys = tuple(f"{self._root}/{path}" for path in ordered(photo.sidecars, listed.path))
        version = _version(listed.size, listed.etag)
        key, shares = f"{self._root}/{listed.path}", is_shared(listed.path, photo.sharing)
        movie = f"{self._root}/{max(photo.movies)}" if photo.movies else ""
        takeout = f"{self._root}/{photo.takeout}" if photo.takeout else ""
        problem = problem_of(listed.path)
        return Entry(key, version, problem, keys, shares_stem=shares, takeout=takeout, movie=movie)

    def read_head(self, key: str, size: int) -> bytes:
        with self._explained("read"):
            try:
                options: Any = {"range": (0, size)}
                return bytes(obstore.get(self._link()[0], self._path(key), options=options).bytes())
            except BaseError as error:
                if "416 Range" in str(error):  # an empty object has no first byte
                    return b""
                raise

    def read_part(self, key: str, start: int, size: int) -> Blob:
        with self._explained("read"):
            options: Any = {"range": (start, start + size)}
            try:
                result = obstore.get(self._link()[0], self._path(key), options=options)
            except BaseError as error:
                # An empty object has no first byte: S3 and obstore both report that as an error.
                if start == 0 and ("416 Range" in str(error) or "Invalid range" in str(error)):
                    return self.read(key)
                raise
            data = bytes(result.bytes())
            return Blob(data, _version(result.meta["size"], result.meta["e_tag"]))

    def read(self, key: str) -> Blob:
        with self._explained("read"):
            result = obstore.get(self._link()[0], self._path(key))
            data = bytes(result.bytes())
            return Blob(data, _version(len(data), result.meta["e_tag"]))

    def traits(self, key: str) -> Traits:
        return self._link()[1].traits(self._path(key))

    def write(
        self,
        key: str,
        data: Content,
        expected: Version | None,
        traits: Traits | None = None,
        ready: Callable[[], None] = nothing,
        mtime_ns: int | None = None,
    ) -> Version:
        data, path = bytes(data), self._path(key)
        if expected is not None:
            traits = self.traits(key)
            if traits.etag.strip('"') != expected.etag:
                raise ChangedError(CHANGED)
        ready()
        kept = traits or Traits({"Content-Type": _content_type(key)}, {})
        try:
            etag = self._link()[1].put(path, data, kept, create=expected is None)
        except ChangedError:
            # If the answer to the first try was lost, the second finds what the first one wrote.
            now = self.read(key)
            if now.data != data:
                raise
            return now.version
        return _version(len(data), etag)

    def delete(self, key: str, expected: Version) -> None:
        self._link()[1].delete(self._path(key), f'"{expected.etag}"')

    def set_mtime(self, key: str, mtime_ns: int, expected: Version) -> None:
        """Do nothing: the times of objects cannot be set."""

    def _path(self, key: str) -> str:
        path = key[len(self._root) + 1 :]
        if problem := problem_of(path):
            raise PhotoError(problem)
        return path


def _content_type(key: str) -> str:
    if is_sidecar(key):
        return "application/rdf+xml"
    return mimetypes.guess_type(key)[0] or "application/octet-stream"


def _version(size: int, etag: str | None) -> Version:
    return Version(size, 0, (etag or "").strip('"'))
