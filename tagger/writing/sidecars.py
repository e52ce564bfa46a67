"""Which XMP sidecars beside a photo are its own, and which one a tag goes into."""

import os
from typing import NamedTuple

from tagger import metadata
from tagger.blob import Blob
from tagger.records import Entry, SidecarName
from tagger.storage.base import Storage
from tagger.storage.suffixes import sidecar_names


class Sidecar(NamedTuple):
    """A sidecar as it was read."""

    key: str
    blob: Blob


def own(storage: Storage, entry: Entry) -> list[Sidecar]:
    """The photo's sidecars; photo.xmp that says it is of another suffix (a raw file's) is not.

    Raises:
        PhotoError: one cannot be read.
    """
    read = (Sidecar(key, storage.read(key)) for key in entry.sidecars)
    return [sidecar for sidecar in read if _is_own(sidecar, entry.key)]


def _is_own(sidecar: Sidecar, photo: str) -> bool:
    if not _has_stem_name(sidecar.key, photo):
        return True
    return _stated(sidecar) in ("", _extension(photo).lower())


def _stated(sidecar: Sidecar) -> str:
    return metadata.sidecar_extension(sidecar.blob.data).lower()


def _has_stem_name(sidecar: str, photo: str) -> bool:
    """Whether it is photo.xmp rather than photo.jpg.xmp."""
    return len(sidecar) - len(".xmp") == len(os.path.splitext(photo)[0])


def _extension(photo: str) -> str:
    return os.path.splitext(photo)[1].removeprefix(".")


class Target(NamedTuple):
    """Where a tag goes: a sidecar that is there, or one to be made.

    ``extension`` is what a new photo.xmp says it is for; empty where its name says that.
    """

    key: str
    before: Blob | None
    extension: str = ""


def target(entry: Entry, sidecars: list[Sidecar], naming: SidecarName) -> Target:
    """The sidecar for a photo's tag, never one that may be another photo's.

    photo.xmp is not used where it may be another photo's of the same stem, unless it says that it
    is this one's: then the tag goes into photo.jpg.xmp, whatever name was asked for. Of a raw file
    and a JPEG it is the raw file's.

    Args:
        entry: the photo.
        sidecars: those of :func:`own`.
        naming: what a new sidecar is to be called.
    """
    folder, slash, name = entry.key.rpartition("/")
    full, stem = (f"{folder}{slash}{new}" for new in sidecar_names(name))
    for sidecar in sidecars:
        stated = _stated(sidecar) == _extension(name).lower() != ""
        if not entry.shares_stem or sidecar.key[:-4] == entry.key or stated:
            return Target(sidecar.key, sidecar.blob)
    others = any(_has_stem_name(key, entry.key) for key in entry.sidecars)
    if naming is SidecarName.STEM and not entry.shares_stem and not others:
        return Target(stem, None, _extension(name))
    return Target(full, None)
