"""The scheme table: from a target to the storage that it lives in."""

import functools
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tagger.errors import (
    RunError,
)
from tagger.records import HardLinks
from tagger.storage.base import Storage
from tagger.storage.local import LocalStorage
from tagger.storage.skipping import Skipping
from tagger.storage.urls import bucket_of


def open_storage(
    targets: Sequence[str],
    *,
    recursive: bool = True,
    exclude: Sequence[str] = (),
    since: datetime | None = None,
    hard_links: HardLinks = HardLinks.SKIP,
    skipping: Skipping | None = None,
    allow_empty: bool = True,
) -> Storage:
    """The storage that the targets live in; ``since`` leaves older objects of a bucket out.

    Raises:
        RunError: a target is empty, does not exist or cannot be reached, or its scheme is not
            known; or, unless ``allow_empty``, there is no photo in it.
        SkippedError: a target is, or lies in, a folder that is left alone.
    """
    if "" in targets:  # which would be the folder we are in
        raise RunError("PATH is empty; is a variable unset?")
    roots = {bucket_of(target) for target in targets}
    if len(roots) > 1:
        raise RunError(f"{', '.join(targets)}: give photos of one bucket, or of this machine")
    if roots == {""} or not roots:
        if since:
            raise RunError("--since: works for buckets only; leave it out for folders")
        local = LocalStorage(
            [Path(target) for target in targets], recursive, exclude, hard_links, skipping
        )
        if not allow_empty:
            local.require_photos()
        return local
    try:
        from tagger.storage.bucket import BucketStorage
    except ModuleNotFoundError as error:
        raise RunError(
            f"{targets[0]}: buckets need {error.name}; pip install 'landmark-tag[bucket]'"
        ) from error
    remote = BucketStorage(targets, recursive, exclude, since, skipping)
    if not allow_empty:
        remote.require_photos()
    return remote


def storage_at(key: str, hard_links: HardLinks = HardLinks.SKIP) -> Storage:
    """The storage that a key, out of a report or the ledger, lives in."""
    return _storage_of(bucket_of(key), hard_links)


@functools.cache
def _storage_of(bucket: str, hard_links: HardLinks) -> Storage:
    return open_storage([bucket] if bucket else [], hard_links=hard_links)
