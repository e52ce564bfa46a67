"""A classifier that is loaded when the first photo needs it: a run that needs none starts fast."""

import os
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.imaging.decode import Picture, Resize, Views
from tagger.model import DEFAULT_MODEL, packs
from tagger.model.devices import count_lanes
from tagger.model.thumbnail_net import ThumbnailNet, beside
from tagger.places.in_model import model_bytes, places_in
from tagger.places.known import KnownPlaces, with_packs
from tagger.places.landmarks import load_landmarks
from tagger.places.pack import Pack
from tagger.records import Guess, Landmark

if TYPE_CHECKING:
    from tagger.model.classifier import Classifier
    from tagger.model.local_features.quantisation import Codebook
    from tagger.model.local_features.same_view import Described


class LazyClassifier:
    """As :class:`tagger.model.classifier.Classifier`, without torch until it is asked to work.

    Attributes:
        sha256: of the model file, in hex.
        name: the file's name and the start of its SHA-256, for the report.
        landmarks: all places known here, by slug.
        lanes: how many batches it works on at once, see :func:`count_lanes`.
        path: the model file.
        packs: the files of references beside it that are taken in, by name.
        learned: packs of places besides.
        thumbnails: the small network that is asked first, where one lies beside the model file.
    """

    def __init__(
        self,
        path: Path = DEFAULT_MODEL,
        device: str = "auto",
        without: Collection[str] = (),
        learned: Sequence[Pack] = (),
    ) -> None:
        self.packs = packs.read(path, without)
        data = model_bytes(path)
        self.sha256: str = with_packs(packs.identity(data, self.packs), learned)
        self.name: str = f"{path.stem}@{self.sha256}"
        self.learned = tuple(learned)
        self.landmarks: Mapping[str, Landmark] = KnownPlaces(
            learned, {**load_landmarks(), **places_in(data, str(path))}
        )
        self.lanes: int = count_lanes(device)
        # It knows the model's landmarks, and would pass over photos of learned places.
        self.thumbnails: ThumbnailNet | None = None if learned else beside(path)
        self.path, self._device, self._without = path, device, tuple(without)
        self._lock = threading.Lock()
        self._loaded: Classifier | None = None

    def load(self) -> "Classifier":
        """Load it now, if it is not; from any thread.

        Raises:
            RunError: the file fails a check, or there is no such device.
        """
        with self._lock:
            if self._loaded is None:
                # Before torch starts OpenMP: threads that spin while they wait take the processor
                # from those they wait for. Beside two busy programs on two cores, 24 photos took
                # more than 40 s with OpenMP's own setting, 4 s with this one.
                if "OMP_WAIT_POLICY" not in os.environ:
                    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
                from tagger.model.classifier import Classifier

                self._loaded = Classifier(self.path, self._device, self._without, self.learned)
            return self._loaded

    @property
    def image_size(self) -> int:
        return self.load().image_size

    @property
    def resize(self) -> Resize:
        return self.load().resize

    def possible(self, pictures: Sequence[Picture], closely: bool = False) -> list[float]:
        return self.load().possible(pictures, closely)

    def classify(self, photos: Sequence[Views]) -> list[Guess]:
        return self.load().classify(photos)

    @property
    def encoder(self) -> str:
        return self.load().encoder

    @property
    def codebook(self) -> "Codebook | None":
        return self.load().codebook

    def describe(self, photos: Sequence[Views]) -> "list[Described]":
        return self.load().describe(photos)

    def classify_and_describe(
        self, photos: Sequence[Views]
    ) -> "tuple[list[Guess], list[Described]]":
        return self.load().classify_and_describe(photos)
