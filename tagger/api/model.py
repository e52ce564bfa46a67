"""A loaded model, and what it recognises: :func:`load_model`."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tagger.api.paths import Paths, files_of, place_of
from tagger.errors import PhotoError
from tagger.imaging.decode import Picture, Views, to_views, views_of
from tagger.model import DEFAULT_MODEL
from tagger.model.lazy import LazyClassifier
from tagger.places.known import KnownPlaces
from tagger.places.own import opened
from tagger.records import (
    Guess,
    Landmark,
)
from tagger.run.ordered import batches, in_order
from tagger.storage.opening import storage_at
from tagger.storage.raw_file import read_picture

Picturable = str | os.PathLike[str] | bytes | Picture


class Model:
    """A classifier, loaded and checked.

    Attributes:
        places: every landmark it can name, by slug, and the places of its packs.
        sha256: of the model file, in hex.
    """

    def __init__(self, classifier: LazyClassifier) -> None:
        self._classifier = classifier.load()
        self.places: Mapping[str, Landmark] = KnownPlaces(
            classifier.learned, self._classifier.landmarks
        )
        self.sha256: str = self._classifier.sha256

    def predict(self, *photos: Picturable, batch_size: int = 16) -> Iterator[Guess]:
        """A guess for each photo, in their order.

        Args:
            photos: paths or bucket URLs, the bytes of image files, or PIL images.
            batch_size: photos in one pass of the network.

        Raises:
            PhotoError: one cannot be read or decoded; the message names it.
        """
        workers = os.cpu_count() or 1
        decoded = in_order(self._decoded, photos, workers, batch_size + workers)
        for batch in batches(decoded, lambda _: True, batch_size, batch_size):
            yield from self._classifier.classify(batch)

    def _decoded(self, photo: Picturable) -> Views:
        size, resize = self._classifier.image_size, self._classifier.resize
        if isinstance(photo, Picture):
            return views_of(photo, size, resize)
        if isinstance(photo, bytes):
            return to_views(photo, size, resize)
        place = place_of(photo)
        try:
            return to_views(read_picture(storage_at(place), place).data, size, resize)
        except PhotoError as error:
            raise type(error)(f"{place}: {error}") from error


def load_model(
    path: str | os.PathLike[str] | None = None, device: str = "auto", packs: Paths = ()
) -> Model:
    """Load a classifier.

    Args:
        path: a model file made by ``python -m train``; None for the one that ships.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        packs: files of places that were learned with this model, see :func:`learn`.

    Raises:
        RunError: a file fails a check, or there is no such device.
    """
    learned = opened(files_of(packs), own=False)
    return Model(LazyClassifier(Path(path) if path else DEFAULT_MODEL, device, learned=learned))
