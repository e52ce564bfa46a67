"""Connecting to a bucket through obstore, and its errors in words."""

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
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

from tagger.errors import ChangedError, PhotoError, RunError, UnsupportedError, VanishedError
from tagger.storage import credentials
from tagger.storage.base import APPEARED, CHANGED, Traits
from tagger.storage.bucket_listing import Index, Listed
from tagger.storage.urls import Location

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
        self._explained = functools.partial(explained, scheme=scheme)

    def list(self, prefix: str, recursive: bool) -> Iterator[Listed]:
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
                        yield Listed(item["path"], item["size"], tag, item["last_modified"])

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


@contextmanager
def explained(verb: str, scheme: str) -> Iterator[None]:
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
