"""Which files of a folder belong to a photo by name: sidecars, and photos with its stem."""

import os
from collections import defaultdict
from collections.abc import Iterable

from tagger.storage.suffixes import is_raw
from tagger.storage.takeout_names import name_for

SIDECAR = ".xmp"


def is_beside(sidecar: str, photo: str) -> bool:
    """Whether a sidecar has a photo's name: photo.jpg.xmp or photo.xmp.

    The case of suffixes is ignored: IMG.JPG often comes with IMG.jpg.xmp.
    """
    stem, suffix = os.path.splitext(photo)
    rest = sidecar[len(stem) :].lower()
    return sidecar.startswith(stem) and rest in (suffix.lower() + SIDECAR, SIDECAR)


def ordered(sidecars: Iterable[str], photo: str) -> list[str]:
    """A photo's sidecars, the one for a new tag first: photo.jpg.xmp before photo.xmp.

    Of several spellings, the photo's own comes first.
    """
    own = len(photo)
    return sorted(
        sidecars, key=lambda name: (-len(name), name[:own] != photo, name[-4:] != SIDECAR, name)
    )


def is_shared(photo: str, photos: Iterable[str]) -> bool:
    """Whether photo.xmp may be another photo's: one of the same stem, or named as the stem.

    If there is a raw file and a JPEG it is the raw file's: Adobe's programs embed into JPEGs.
    """
    others = (other for other in photos if other != photo)
    return any(is_raw(other) or not is_raw(photo) for other in others)


class Siblings:
    """The photos of one folder and the files beside them, looked up by name."""

    def __init__(
        self,
        photos: Iterable[str],
        sidecars: Iterable[str],
        takeout: Iterable[str] = (),
        movies: Iterable[str] = (),
    ) -> None:
        self._photos, self._takeout = set(photos), frozenset(takeout)
        self._endings = defaultdict[str, list[str]](list)
        for name in self._photos:
            stem, ending = os.path.splitext(name)
            self._endings[stem].append(ending)
        self._sidecars = defaultdict[str, list[str]](list)
        for name in sidecars:
            self._sidecars[name.lower()].append(name)
        self._movies = {os.path.splitext(name)[0]: name for name in sorted(movies)}

    def sidecars(self, photo: str) -> list[str]:
        """Names of the photo's sidecars."""
        if not self._sidecars:
            return []
        stem, _ = os.path.splitext(photo)
        names = (
            name
            for key in {f"{photo}{SIDECAR}".lower(), f"{stem}{SIDECAR}".lower()}
            for name in self._sidecars.get(key, ())
        )
        return ordered((name for name in names if is_beside(name, photo)), photo)

    def takeout(self, photo: str) -> str:
        """Name of the photo's Google Takeout file; empty if there is none."""
        return (name_for(photo, self._takeout) or "") if self._takeout else ""

    def movie(self, photo: str) -> str:
        """Name of the movie with the photo's stem; empty if there is none."""
        return self._movies.get(os.path.splitext(photo)[0], "") if self._movies else ""

    def share_stem(self, photo: str) -> bool:
        """Whether photo.xmp may be another photo's; see :func:`is_shared`."""
        stem, _ = os.path.splitext(photo)
        beside = (f"{stem}{end}" for end in self._endings[stem])
        return is_shared(photo, (*beside, *({stem} & self._photos)))
