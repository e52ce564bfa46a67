"""Artefact, landmarks and devices: pixels in, calibrated guesses out."""

import functools
import queue
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from tagger.errors import RunError
from tagger.imaging.decode import Picture, Resize, Views
from tagger.imaging.room import give_back
from tagger.model import DEFAULT_MODEL, artifact
from tagger.model.devices import count_lanes, pick_devices
from tagger.model.learned import LearnedGuess, LearnedPlaces, merged
from tagger.model.learning import encoded
from tagger.model.local_features.matching import Bytes, describe
from tagger.model.local_features.quantisation import Codebook
from tagger.model.local_features.references import References
from tagger.model.local_features.same_view import Described, PhotoView, small
from tagger.model.local_features.sift import Floats
from tagger.model.local_features.weigh import Weigher, areas
from tagger.model.runners import OnCpu, OnGpu
from tagger.model.squares import squares
from tagger.model.thumbnail_net import TOGETHER, logit
from tagger.places.embeddings import in_bytes
from tagger.places.own import own_path
from tagger.places.pack import Pack, PlaceReference, foreign, refusal
from tagger.records import Candidate, Guess, Landmark
from tagger.terminal import tell

KEPT = 5  # candidates kept of each guess: what the report and the app show
THREADS = torch.get_num_threads()  # the processors, or what OMP_NUM_THREADS says
# Edge of the square that a thumbnail is scaled to, unless the network takes one size only. Of
# thumbnails of 160 x 120, eight a pass, 256 tells hardly more, for 1.6 times the work.
SMALL = 192


class Classifier:
    """A model ready to run; several threads may classify at once.

    Attributes:
        image_size: edge of the input square, in pixels.
        resize: how a photo becomes that square.
        landmarks: the landmarks it can name, by slug.
        sha256: of the model file, in hex.
        lanes: how many batches it works on at once, see :func:`tagger.model.devices.count_lanes`.
    """

    def __init__(
        self,
        path: Path = DEFAULT_MODEL,
        device: str = "auto",
        without: Collection[str] = (),
        packs: Sequence[Pack] = (),
    ) -> None:
        """Load and check a model file.

        Args:
            path: the model file.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, or several: ``cuda:0,cuda:1``.
            without: files of references beside the model file to leave alone: ``castles``.
            packs: places besides, learned without training.

        Raises:
            RunError: the file fails a check, the place of a label is not known, there is no such
                device, or a pack was made by another model.
        """
        loaded = artifact.load(path, without)
        self.image_size: int = loaded.manifest.image_size
        self.resize: Resize = loaded.manifest.resize
        self.landmarks: dict[str, Landmark] = loaded.known
        self.sha256: str = loaded.sha256
        self._labels = loaded.manifest.labels
        self._weigher: Weigher | None = None
        if loaded.references:
            extents = [self.landmarks[label].extent for label in self._labels]
            self._weigher = Weigher(loaded.references, areas(extents))
        self._references = loaded.references
        self._learned: LearnedPlaces | None = None
        self.encoder = loaded.encoder
        if packs:
            self._learned = self._learned_from(packs)
        self._threads = ThreadPoolExecutor(THREADS, "classify", torch.set_num_threads, (1,))
        cv2.setNumThreads(1)  # several photos are described at once
        runners: list[OnCpu | OnGpu] = []
        for number, where in enumerate(pick_devices(device)):
            # A module of its own: moving it must not move another device's.
            own = artifact.load(path) if number else loaded
            on_cpu = where.type == "cpu"
            runners.append(OnCpu(own, self._threads) if on_cpu else OnGpu(own, where))
        give_back()  # loading takes twice what stays
        self.lanes: int = count_lanes(device)
        self._idle: queue.SimpleQueue[OnCpu | OnGpu] = queue.SimpleQueue()
        for number in range(self.lanes):
            self._idle.put(runners[number % len(runners)])

    def classify(self, photos: Sequence[Views]) -> list[Guess]:
        """A guess for each of N photos, in the same order."""
        return self._guesses(photos, *self._infer(photos)) if photos else []

    def classify_and_describe(self, photos: Sequence[Views]) -> tuple[list[Guess], list[Described]]:
        """As :meth:`classify` and :meth:`describe`, with one pass of the network for both."""
        probabilities, embeddings = self._infer(photos)
        return self._guesses(photos, probabilities, embeddings), self._described(photos, embeddings)

    def _guesses(
        self, photos: Sequence[Views], by_network: torch.Tensor, embeddings: torch.Tensor
    ) -> list[Guess]:
        probabilities, learned = self._weighed_all(photos, by_network, embeddings)
        values, places = probabilities.topk(min(KEPT, len(self._labels)))
        nothing = (1 - probabilities.sum(1)).clamp(0, 1)
        guesses = [
            Guess(
                tuple(
                    Candidate(self._labels[place], value)
                    for place, value in zip(row_places, row_values, strict=True)
                ),
                none,
            )
            for row_values, row_places, none in zip(
                values.tolist(), places.tolist(), nothing.tolist(), strict=True
            )
        ]
        return [
            merged(guess, judged, self.landmarks) if judged else guess
            for guess, judged in zip(guesses, learned, strict=True)
        ]

    @property
    def codebook(self) -> Codebook | None:
        """What the points of :meth:`describe` can be kept by; None without reference photos."""
        return self._references.quantiser if self._references else None

    def describe(self, photos: Sequence[Views]) -> list[Described]:
        """What each of N photos is compared with others by; only where there is a codebook."""
        return self._described(photos, self._infer(photos)[1])

    def _described(self, photos: Sequence[Views], embeddings: torch.Tensor) -> list[Described]:
        assert self._weigher is not None
        places = self._weigher.placed(embeddings.numpy())
        views = self._threads.map(_view, (photo.grey for photo in photos))
        return [Described(place, view) for place, view in zip(places, views, strict=True)]

    def possible(self, pictures: Sequence[Picture], closely: bool = False) -> list[float]:
        """Logits that each of N thumbnails shows a landmark, by the network and by references.

        They are scaled to SMALL, or ``closely`` to what photos are scaled to.
        """
        edge = self.image_size if closely else self._edge
        probabilities, embeddings = self._passed(squares(pictures, edge, self.resize), TOGETHER)
        if self._weigher is None:
            return [logit(float(best)) for best in probabilities.amax(1)]
        return self._weigher.at_first(probabilities.numpy(), embeddings.numpy())

    @functools.cached_property
    def _edge(self) -> int:
        """Of the squares that thumbnails become."""
        edge = min(SMALL, self.image_size)
        try:
            self._passed(torch.zeros(1, 3, edge, edge, dtype=torch.uint8))
        except artifact.REFUSING:  # it takes no other size
            return self.image_size
        return edge

    def probabilities(self, photos: Sequence[Views]) -> torch.Tensor:
        """Of each landmark for each of N photos, float32 [N, C]; the rest is that of none."""
        return self._weighed_all(photos, *self._infer(photos))[0]

    def references(self, photos: Sequence[Views]) -> list[PlaceReference]:
        """Each photo as a reference that a pack keeps.

        Raises:
            RunError: the model has no references that others could be like.
        """
        return self._as_references(photos, self._infer(photos)[1]) if photos else []

    def references_and_guesses(self, photos: Sequence[Views]) -> list[tuple[PlaceReference, Guess]]:
        """As :meth:`references` and :meth:`classify`, with one pass of the network for both."""
        if not photos:
            return []
        probabilities, embeddings = self._infer(photos)
        references = self._as_references(photos, embeddings)
        guesses = self._guesses(photos, probabilities, embeddings)
        return list(zip(references, guesses, strict=True))

    def _as_references(
        self, photos: Sequence[Views], embeddings: torch.Tensor
    ) -> list[PlaceReference]:
        known = self._comparable()
        assert self._weigher
        places = self._weigher.placed(embeddings.numpy())
        return [
            PlaceReference(in_bytes(place), *encoded(known, photo.grey))
            for place, photo in zip(places, photos, strict=True)
        ]

    def made_by(self) -> tuple[str, int, int]:
        """The encoder, and the sizes E and M of its references; see :class:`Pack`."""
        known = self._comparable()
        return self.encoder, known.components.shape[1], len(known.codebook)

    def _comparable(self) -> References:
        if self._references is None:
            raise RunError(
                "--model: has no references, so that no places can be learned with it; leave "
                "--model out, or make it by python -m train transfer"
            )
        return self._references

    def _learned_from(self, packs: Sequence[Pack]) -> LearnedPlaces | None:
        known, (encoder, size, parts) = self._comparable(), self.made_by()
        usable = []
        for pack in packs:
            if pack.encoder != encoder:
                if pack.path != own_path():  # nobody named it: the run goes on without
                    raise foreign(pack)
                tell(f"places left out: {foreign(pack)}", err=True)
                continue
            usable.append(pack)
            if pack.embeddings.shape[1] != size or pack.codes.shape[1] != parts:
                raise refusal(pack.path, "its arrays are not of the size that its encoder makes")
        shipped = [self.landmarks[label] for label in self._labels]
        return LearnedPlaces(usable, known, shipped) if usable else None

    def _infer(self, photos: Sequence[Views]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the network says: probabilities [N, C] and embeddings [N, D]."""
        # Unlike numpy.stack, this leaves the channels last in memory.
        return self._passed(torch.cat([torch.from_numpy(photo.square)[None] for photo in photos]))

    def _passed(
        self, pictures: torch.Tensor, together: int = 1
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As :meth:`_infer`, of uint8 [N, 3, S, S]; on a CPU ``together`` in one pass."""
        runner = self._idle.get()
        try:
            return runner.infer(pictures, together)
        finally:
            self._idle.put(runner)

    def _weighed_all(
        self, photos: Sequence[Views], probabilities: torch.Tensor, embeddings: torch.Tensor
    ) -> tuple[torch.Tensor, list[LearnedGuess | None]]:
        """The network's probabilities by what references say, and the likest learned places."""
        if self._weigher is None:
            return probabilities, [None] * len(photos)
        greys = [photo.grey for photo in photos]
        weighed = self._threads.map(self._weighed, probabilities.numpy(), embeddings.numpy(), greys)
        rows, learned = zip(*weighed, strict=True)
        return torch.from_numpy(np.stack(rows)), list(learned)

    def _weighed(
        self, probabilities: Floats, embedding: Floats, grey: Bytes
    ) -> tuple[Floats, LearnedGuess | None]:
        """Probabilities by the model's own references, and the learned place that is likest."""
        assert self._weigher
        if self._learned is None:
            return self._weigher.weighed(probabilities, embedding, grey), None
        findings = self._weigher.first_findings(probabilities, embedding)
        row, verified = self._weigher.judged(probabilities, embedding, grey, findings)
        place = self._weigher.placed(embedding[None])[0]
        learned = self._learned.judged(place, findings[0], lambda: describe(grey))
        # Likeness does not speak against what was found again spot by spot.
        return row, replace(learned, against=0.0) if learned and verified else learned


def _view(grey: Bytes) -> PhotoView:
    height, width = grey.shape
    return PhotoView(describe(grey), width, height, small(grey))
