"""The scheme table: from a target to its storage."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tagger.errors import RunError
from tagger.records import HardLinks
from tagger.storage import endpoint
from tagger.storage.base import Storage
from tagger.storage.local import LocalStorage
from tagger.storage.skipping import Skipping
from tagger.storage.urls import Location, bucket_of


@dataclass(frozen=True, slots=True)
class Selection:
    """Which photos of the targets to list, and whether there must be any."""

    recursive: bool = True
    exclude: Sequence[str] = ()
    since: datetime | None = None
    hard_links: HardLinks = HardLinks.SKIP
    skipping: Skipping = field(default_factory=Skipping)
    allow_empty: bool = True
    endpoint_url: str = ""


Opener = Callable[[Sequence[str], Selection], Storage]


def _folders(targets: Sequence[str], selection: Selection) -> Storage:
    if selection.since:
        raise RunError("--since: works for buckets only; leave it out for folders")
    local = LocalStorage(
        [Path(target) for target in targets],
        selection.recursive, selection.exclude, selection.hard_links, selection.skipping,
    )  # fmt: skip
    if not selection.allow_empty:
        local.require_photos()
    return local


def _bucket(targets: Sequence[str], selection: Selection) -> Storage:
    try:
        from tagger.storage.bucket import BucketStorage
    except ModuleNotFoundError as error:
        raise RunError(
            f"{targets[0]}: buckets need {error.name}; pip install 'landmark-tag[bucket]'"
        ) from error
    remote = BucketStorage(
        targets, selection.recursive, selection.exclude, selection.since, selection.skipping,
        selection.endpoint_url,
    )  # fmt: skip
    if not selection.allow_empty:
        remote.require_photos()
    return remote


# To add a kind of storage, add a line here; a path has no scheme.
OPENERS: dict[str, Opener] = {"": _folders, "s3": _bucket, "gs": _bucket, "az": _bucket}


def open_storage(
    targets: Sequence[str],
    *,
    recursive: bool = True,
    exclude: Sequence[str] = (),
    since: datetime | None = None,
    hard_links: HardLinks = HardLinks.SKIP,
    skipping: Skipping | None = None,
    allow_empty: bool = True,
    endpoint_url: str = "",
) -> Storage:
    """The storage of the targets.

    Args:
        since: skips older objects of a bucket.
        endpoint_url: the server of ``s3://``; empty for AWS's own setting.

    Raises:
        RunError: a target is empty, does not exist or cannot be reached, or its scheme is not
            known; or, unless ``allow_empty``, there is no photo in it.
        SkippedError: a target is, or lies in, a skipped folder.
    """
    if "" in targets:  # which would mean the current folder
        raise RunError("PATH is empty (is a variable unset?); give a folder, a photo or a bucket")
    for target in targets:
        check_scheme(target)
    if len({bucket_of(target) for target in targets}) > 1:
        raise RunError(f"{', '.join(targets)}: give photos of one bucket, or of this machine")
    opener = OPENERS[Location(targets[0]).scheme if targets else ""]
    return opener(
        targets,
        Selection(
            recursive, exclude, since, hard_links, skipping or Skipping(), allow_empty, endpoint_url
        ),
    )


def check_scheme(place: str) -> None:
    """Check that a place is a path, or a URL with a known scheme.

    Raises:
        RunError: it is neither.
    """
    scheme = Location(place).scheme
    if scheme not in OPENERS:
        raise RunError(
            f"{place}: {scheme}:// is not supported; give a folder, a file, or a bucket as "
            f"{', '.join(filter(None, OPENERS))}"
        )


def storage_at(key: str, hard_links: HardLinks = HardLinks.SKIP, endpoint_url: str = "") -> Storage:
    """The storage of a key from a report or the ledger."""
    check_scheme(key)
    return _storage_of(bucket_of(key), hard_links, endpoint.server(endpoint_url))


@functools.cache
def _storage_of(bucket: str, hard_links: HardLinks, endpoint_url: str) -> Storage:
    return open_storage(
        [bucket] if bucket else [], hard_links=hard_links, endpoint_url=endpoint_url
    )
