"""Which folder a report may name photos in, and the one way a photo's bytes are read for it."""

import os
import stat
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from tagger.errors import PhotoError, RunError
from tagger.storage.opening import check_scheme, storage_at
from tagger.storage.raw_file import read_picture
from tagger.storage.suffixes import LISTED_SUFFIXES, is_raw, suffix
from tagger.storage.urls import absolute, is_url

# A report can be forged, or come from another machine. A row may therefore name a photo below one
# folder that the user or the ledger vouches for, and nothing else.


class BucketRoot(str):
    """The URL of a bucket, or of a folder in one, and the server that ``s3://`` means there."""

    __slots__ = ("endpoint_url",)
    endpoint_url: str

    def __new__(cls, url: str, endpoint_url: str = "") -> "BucketRoot":
        root = super().__new__(cls, url)
        root.endpoint_url = endpoint_url
        return root


Root = Path | BucketRoot
# What is read to show a photo: larger files of the report are named, and not fetched or decoded.
MOST_BYTES = 256 << 20


def inside(path: str, root: Root) -> bool:
    """Whether ``path`` lies below ``root`` as text; links are followed when it is opened."""
    if "\0" in path:
        return False
    if isinstance(root, BucketRoot):
        return path.startswith(root.rstrip("/") + "/")
    return os.path.isabs(path) and os.path.normpath(path).startswith(
        str(root).rstrip(os.sep) + os.sep
    )


def really_inside(path: str, root: Root) -> bool:
    """Whether ``path`` lies below ``root`` also when links are followed; a bucket has none."""
    if not inside(path, root) or isinstance(root, BucketRoot):
        return inside(path, root)
    return inside(os.path.realpath(path), Path(os.path.realpath(root)))


def relative(path: str, root: Root) -> str:
    """``path`` as seen from ``root``."""
    if isinstance(root, BucketRoot):
        return path.removeprefix(root.rstrip("/") + "/")
    return os.path.relpath(path, root)


def read_photo(path: str, root: Root) -> bytes:
    """The bytes of a photo below ``root``, from a disk or a bucket; a raw file's preview.

    Raises:
        PhotoError: it lies elsewhere (also through a link), is no photo file, is unreadable, or
            larger than :data:`MOST_BYTES`.
    """
    if suffix(path) not in LISTED_SUFFIXES:
        raise PhotoError("not a photo file, so the report may be forged; see where it comes from")
    if not really_inside(path, root):
        raise PhotoError(f"lies outside {root} and is not shown; --root names another folder")
    if is_raw(path):
        return _preview(path if isinstance(root, BucketRoot) else os.path.realpath(path), root)
    if isinstance(root, BucketRoot):
        data = _from_bucket(path, root)
    else:
        data = _from_disk(os.path.realpath(path))
    if len(data) > MOST_BYTES:
        raise PhotoError(f"larger than {MOST_BYTES >> 20} MB and not shown; open it elsewhere")
    return data


def _preview(place: str, root: Root) -> bytes:
    server = root.endpoint_url if isinstance(root, BucketRoot) else ""
    try:
        return read_picture(storage_at(place, endpoint_url=server), place).data
    except RunError as error:
        raise PhotoError(str(error)) from error


def _from_bucket(url: str, root: BucketRoot) -> bytes:
    try:
        return storage_at(url, endpoint_url=root.endpoint_url).read_head(url, MOST_BYTES + 1)
    except RunError as error:
        raise PhotoError(str(error)) from error


def _from_disk(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PhotoError(
                    "not a regular file, so the report may be forged; see where it comes from"
                )
            return file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise PhotoError(
            "no longer there (moved or deleted since); run again to find it"
        ) from error
    except OSError as error:
        raise PhotoError(f"cannot be read ({error.strerror}); check its permissions") from error


def choose_root(
    root: Path | str | None, recorded: Iterable[str], report: Path, endpoint_url: str = ""
) -> Root:
    """The folder to trust: the one given, else the run's by the ledger, else the report's.

    Args:
        root: from --root.
        recorded: what the run named in the report was asked to tag, as the ledger has it.
        report: the report.
        endpoint_url: the server of ``s3://``; empty for AWS's own setting.

    Raises:
        RunError: the folder given does not exist, or the URL given names no bucket.
    """
    if isinstance(root, str):
        if is_url(root):
            check_scheme(root)
            return BucketRoot(absolute(root), endpoint_url)
        root = Path(root)
    if root is not None:
        if not root.is_dir():
            raise RunError(f"--root {root}: no such folder; give the one the photos are in")
        return root.resolve()
    places = list(recorded)
    if places and all(map(is_url, places)):
        url = _common_url([place.rstrip("/") for place in places])
        return BucketRoot(url, endpoint_url) if url else report.resolve().parent
    folders = [place if os.path.isdir(place) else os.path.dirname(place) for place in places]
    if folders and all(os.path.isabs(folder) for folder in folders):
        return Path(os.path.commonpath(folders))
    return report.resolve().parent


def common_folder(paths: Iterable[str]) -> Path | str | None:
    """The deepest folder that holds all paths, to propose as --root; None where there is none.

    Of a bucket's photos it is a URL; of photos on a disk and in buckets, the disk's folder.
    """
    photos = list(paths)
    folders = {os.path.dirname(os.path.normpath(path)) for path in photos if os.path.isabs(path)}
    if folders:
        return Path(os.path.commonpath(folders))
    return _common_url([os.path.dirname(path) for path in photos if is_url(path)])


def _common_url(folders: list[str]) -> str | None:
    """The longest URL that all folders begin with, at least a bucket."""
    if not folders:
        return None
    split = [folder.split("/") for folder in folders]  # scheme:, "", bucket, folder ...
    same = list(takewhile(lambda parts: len(set(parts)) == 1, zip(*split, strict=False)))
    return "/".join(parts[0] for parts in same) if len(same) > 2 else None
