"""Which files of a folder go by a photo's name: its sidecars, and other photos of its stem."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable

from tagger.storage.takeout_names import name_for

SIDECAR = ".xmp"


def is_beside(sidecar: str, photo: str) -> bool:
    """Whether a sidecar has a photo's name: photo.jpg.xmp or photo.xmp.

    Suffixes count in any case: IMG.JPG is often copied to IMG.jpg.xmp's side.
    """
    stem, suffix = os.path.splitext(photo)
    rest = sidecar[len(stem) :].lower()
    return sidecar.startswith(stem) and rest in (suffix.lower() + SIDECAR, SIDECAR)


def ordered(sidecars: Iterable[str], photo: str) -> list[str]:
    """A photo's sidecars, the one that a new tag goes into first: photo.jpg.xmp before photo.xmp.

    Of several spellings, the photo's own comes first.
    """
    own = len(photo)
    return sorted(
        sidecars, key=lambda name: (-len(name), name[:own] != photo, name[-4:] != SIDECAR, name)
    )


class Siblings:
    """The photos, sidecars and Takeout files of one folder, looked up by name."""

    def __init__(
        self, photos: Iterable[str], sidecars: Iterable[str], takeout: Iterable[str] = ()
    ) -> None:
        self._photos, self._takeout = set(photos), frozenset(takeout)
        self._stems = Counter(os.path.splitext(name)[0] for name in self._photos)
        self._sidecars = defaultdict[str, list[str]](list)
        for name in sidecars:
            self._sidecars[name.lower()].append(name)

    def sidecars(self, photo: str) -> list[str]:
        """Names of the sidecars that go by the photo's name."""
        if not self._sidecars:
            return []
        stem, _ = os.path.splitext(photo)
        found = (
            name
            for key in {f"{photo}{SIDECAR}".lower(), f"{stem}{SIDECAR}".lower()}
            for name in self._sidecars.get(key, ())
        )
        return ordered((name for name in found if is_beside(name, photo)), photo)

    def takeout(self, photo: str) -> str:
        """Name of the photo's Google Takeout file; empty where there is none."""
        return (name_for(photo, self._takeout) or "") if self._takeout else ""

    def share_stem(self, photo: str) -> bool:
        """Whether photo.xmp may be another photo's: one of the same stem, or named as the stem."""
        stem, _ = os.path.splitext(photo)
        return self._stems[stem] > 1 or stem in self._photos
