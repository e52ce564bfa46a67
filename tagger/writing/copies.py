"""Where tagged copies go when the photos themselves are to stay as they are."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from tagger.errors import RunError
from tagger.ledger.locks import overlap
from tagger.storage.base import Storage
from tagger.storage.opening import storage_at
from tagger.storage.suffixes import LISTED_SUFFIXES, suffix
from tagger.storage.urls import Location, absolute, is_url


@dataclass(frozen=True, slots=True)
class Output:
    """A folder, here or in a bucket, that mirrors the folders of the photos.

    ``root`` and ``base`` end without a separator; a photo of ``base``/x goes to ``root``/x.
    """

    storage: Storage
    root: str
    base: str

    def key(self, key: str) -> str:
        """Where the copy of a photo or sidecar lies."""
        parts = key.removeprefix(self.base).split(Location(key).separator)
        return Location(self.root).separator.join([self.root, *filter(None, parts)])


def output_at(place: str, targets: Sequence[str], endpoint_url: str = "") -> Output:
    """The output at a path or URL, for the photos of these targets.

    Raises:
        RunError: it lies within the targets or around them, or cannot be reached.
    """
    root, sources = absolute(place), [absolute(target) for target in targets]
    for source in sources:
        if overlap(root, source):
            raise RunError(
                f"--output {place}: overlaps {source}, so that copies would be read as "
                "photos; choose another place"
            )
    folders = [_folder(source) for source in sources]
    separator = Location(sources[0]).separator
    names = [folder.split(separator) for folder in folders]
    common = os.path.commonprefix(names)  # noqa: RUF071 - of lists it compares names
    return Output(storage_at(root, endpoint_url=endpoint_url), root, separator.join(common))


def _folder(target: str) -> str:
    url = is_url(target)
    is_folder = suffix(target) not in LISTED_SUFFIXES if url else os.path.isdir(target)
    return target if is_folder else Location(target).folder
