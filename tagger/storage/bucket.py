"""Buckets: s3://, gs:// and az:// through obstore, each write conditional on the ETag read."""

import functools
import mimetypes
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store

from tagger.blob import Blob, Content
from tagger.errors import ChangedError, PhotoError, RunError, UnsupportedError, VanishedError
from tagger.records import Entry, Version
from tagger.storage import credentials, endpoint
from tagger.storage.base import APPEARED, CHANGED, NO_PHOTOS, Traits, nothing
from tagger.storage.bucket_listing import (
    Found,
    Index,
    Paired,
    looked_into,
    paired,
    problem_of,
    wanted,
)
from tagger.storage.exclude import excluded, globs
from tagger.storage.siblings import is_shared, ordered
from tagger.storage.skipping import Skipping
from tagger.storage.suffixes import LISTED_SUFFIXES, is_sidecar, suffix
from tagger.storage.urls import Location, bucket_of

Store = S3Store | GCSStore | AzureStore | MemoryStore
# A throttled request is retried for about a minute before its photo fails.
ATTEMPTS = 8
BACKOFF: Any = {
    "init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=15), "base": 2,
}  # fmt: skip
_CREDENTIALS = {
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}


class Generic:
    """The Index of stores that only obstore serves."""

    def __init__(self, store: Store, scheme: str = "gs") -> None:
        self._store = store
        self._explained = functools.partial(_explained, scheme=scheme)

    def list(self, prefix: str, recursive: bool) -> Iterator[Found]:
        folder = prefix.rpartition("/")[0] or None
        with self._explained("listed"):
            if recursive:
                chunks: Any = obstore.list(self._store, folder, chunk_size=1000)
            else:
                chunks = [obstore.list_with_delimiter(self._store, folder)["objects"]]
            for chunk in chunks:
                for item in chunk:
                    if item["path"].startswith(prefix):
                        tag = item["e_tag"] or ""
                        yield Found(item["path"], item["size"], tag, item["last_modified"])

    def traits(self, path: str) -> Traits:
        with self._explained("read"):
            now = obstore.get(self._store, path, options={"head": True})
        return Traits(now.attributes, {}, now.meta["e_tag"] or "", now.meta["version"] or "")

    def put(self, path: str, data: bytes, traits: Traits, create: bool) -> str:
        mode: Any = "create"
        if not create:
            mode = {"e_tag": traits.etag} | ({"version": traits.version} if traits.version else {})
        with self._explained("written"):
            done = obstore.put(
                self._store, path, data, mode=mode, use_multipart=False,
                attributes=dict(traits.attributes), tags=dict(traits.tags),
            )  # fmt: skip
        return done["e_tag"] or ""

    def delete(self, path: str, etag: str) -> None:
        """Check, then delete: obstore has no conditional delete."""
        if self.traits(path).etag.strip('"') != etag.strip('"'):
            raise ChangedError(CHANGED)
        with self._explained("removed"):
            obstore.delete(self._store, path)


@functools.cache
def connect(root: str, server: str) -> tuple[Store, Index]:
    """The store of a ``scheme://bucket``, and the Index for what obstore cannot do.

    Args:
        root: the bucket.
        server: of S3, where it is not AWS.

    Raises:
        RunError: it cannot be reached.
    """
    scheme = Location(root).scheme
    bucket = root.removeprefix(f"{scheme}://")
    options: Any = {
        "client_options": {
            "connect_timeout": "10s", "read_timeout": "60s", "timeout": "5min",
            "allow_http": server.startswith("http:"),
        },
        "retry_config": {
            "max_retries": ATTEMPTS, "backoff": BACKOFF, "retry_timeout": timedelta(minutes=2),
        },
    }  # fmt: skip
    if scheme == "s3":
        from obstore.auth.boto3 import Boto3CredentialProvider

        from tagger.storage.s3 import S3

        s3 = S3(bucket, ATTEMPTS, server)
        options["client_options"]["allow_http"] |= s3.endpoint.startswith("http:")
        where = {"endpoint": s3.endpoint} if s3.endpoint else {}
        provider = Boto3CredentialProvider(s3.session)
        options |= {"region": s3.region, "credential_provider": provider} | where
        return S3Store(bucket, **options), s3
    try:
        store = (GCSStore if scheme == "gs" else AzureStore)(bucket, **options)
        next(iter(obstore.list(store, chunk_size=1)), None)
    except BaseError as error:
        raise RunError(
            f"{root}: {_short(error)}; check the name and the credentials ({_CREDENTIALS[scheme]})"
        ) from error
    return store, Generic(store, scheme)


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
        self._explained = functools.partial(_explained, scheme=Location(self._root).scheme)
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
        for found in self._link()[1].list(start[len(self._root) + 1 :], False):
            yield f"{self._root}/{found.path}"

    def _covers(self, folder: str, path: str) -> bool:
        below = path.removeprefix(folder)
        return path.startswith(folder) and (self._recursive or "/" not in below)

    def _folder(self, folder: str) -> Iterator[Entry]:
        try:
            listing = self._link()[1].list(folder, self._recursive)
            for photo in paired(looked_into(listing, folder, self._skipping)):
                found = photo.found
                old = self._since and found.modified < self._since
                key, below = f"{self._root}/{found.path}", found.path.removeprefix(folder)
                if not old and wanted(key, below, self._exclude):
                    yield self._entry(photo)
        except PhotoError as error:
            yield Entry(f"{self._root}/{folder}", Version(0, 0), f"folder {error}")

    def _photo(self, path: str) -> Iterator[Entry]:
        beside = os.path.splitext(path)[0] + "."
        for photo in paired(self._link()[1].list(beside, False)):
            if photo.found.path == path:
                yield self._entry(photo)
                return
        raise RunError(f"{self._root}/{path}: no such photo; check the URL")

    def _entry(self, photo: Paired) -> Entry:
        found = photo.found
        keys = tuple(f"{self._root}/{path}" for path in ordered(photo.sidecars, found.path))
        version = _version(found.size, found.etag)
        key, shares = f"{self._root}/{found.path}", is_shared(found.path, photo.sharing)
        movie = f"{self._root}/{max(photo.movies)}" if photo.movies else ""
        takeout = f"{self._root}/{photo.takeout}" if photo.takeout else ""
        problem = problem_of(found.path)
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


@contextmanager
def _explained(verb: str, scheme: str) -> Iterator[None]:
    """Turn obstore's errors into the photo's or the run's, with the remedy."""
    try:
        yield
    except FileNotFoundError as error:
        raise VanishedError("it vanished during the run; run again") from error
    except AlreadyExistsError as error:
        raise ChangedError(APPEARED) from error
    except PreconditionError as error:
        raise ChangedError(CHANGED) from error
    except UnauthenticatedError as error:
        raise credentials.refused("the credentials are not accepted (401)", scheme) from error
    except PermissionDeniedError as error:
        credentials.check_text(str(error), scheme)
        if "InvalidObjectState" in str(error):  # S3's word for it, with a 403
            raise UnsupportedError("is archived (Glacier); restore it first") from error
        raise PhotoError(
            f"cannot be {verb} (no permission); check the credentials and the bucket's policy"
        ) from error
    except BaseError as error:
        credentials.check_text(str(error), scheme)
        if "Server Side Encryption" in str(error):  # S3's words for an object under SSE-C
            raise UnsupportedError(
                "is encrypted with a key of your own (SSE-C), which landmark-tag does not have; "
                "exclude it, or tag a copy without"
            ) from error
        raise PhotoError(f"cannot be {verb} ({_short(error)}); run again later") from error


def _short(error: BaseError) -> str:
    """The useful part of obstore's message: the server's status, or the network's error."""
    line = str(error).partition("\n")[0]
    status = re.search(r"status code: (\d{3} [\w ]+)", line)
    return status[1] if status else line.rpartition(" - ")[2]
