"""The first look: a small network that says of a thumbnail that nothing known is shown."""

import hashlib
import math
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from tagger.errors import RunError
from tagger.imaging.decode import Picture, Resize
from tagger.places.in_model import LARGEST_MODEL
from tagger.storage.named_files import read_regular

# The file is calibrated on validation photos so that less means: surely nothing known. Of 1,504
# photos that are tagged, of the test set and of other repositories, 1,502 have more than 0.65, of
# ordinary ones 21 %, of those of personal galleries 33 %. All these limits were chosen with these
# photos in view.
PASSES = 0.65
# As PASSES, of photos without a thumbnail, once decoded: 1,120 of 1,122 have more than 0.42, of
# ordinary ones 13 %, of galleries 22 %.
PASSES_DECODED = 0.42
# Logit from which the classifier is not asked.
SURE = 4.0
# Of the logits of both looks, added; less means: surely nothing known.
POSSIBLE = -0.2
# As POSSIBLE, after a last look in the classifier's own size. Of those tagged photos 1,497 pass in
# the end, of ordinary ones 3.0 %, of galleries 10.8 %, of other monuments 58 %.
POSSIBLE_CLOSELY = 0.1
# Thumbnails in one pass: one alone takes the network 2.8 ms, four 1.7 each, twelve 1.4.
TOGETHER = 12
Logits = Callable[[Sequence[Picture], bool], list[float]]


class ThumbnailNet:
    """Looks at thumbnails; what it does not settle is decoded and classified as ever.

    It only ever says that a photo shows nothing known: no tag is written on its word.

    Attributes:
        sha256: of the file, in hex; an outcome that rests on it is good for this file only.
    """

    def __init__(self, path: Path) -> None:
        try:
            data = read_regular(path, LARGEST_MODEL)
        except OSError as error:
            raise RunError(
                f"{path}: cannot be read ({error.strerror}); install landmark-tag again, or add "
                "--thorough"
            ) from error
        self.sha256: str = hashlib.sha256(data).hexdigest()
        self._logits: Logits | None = None
        self._path = path
        self._lock, self._threads = threading.Lock(), threading.local()
        self._kept = list[tuple[Any, int, Resize]]()  # what is loaded with the first photo

    def asking(self, logits: Logits) -> "ThumbnailNet":
        """The same, which also asks the classifier of thumbnails that the network lets pass.

        That takes four times as long, and settles most of them. Both err on different photos: their
        logits added tell more than either.

        Args:
            logits: of each of several thumbnails, that something is known in it; closely or not.
        """
        also = object.__new__(ThumbnailNet)
        also.__dict__.update(self.__dict__)  # the loaded network is shared
        also._logits = logits
        return also

    def settles(self, pictures: Sequence[Picture], thrifty: bool = False) -> list[bool]:
        """Of upright RGB thumbnails, each: whether surely nothing known is in it.

        Args:
            pictures: the thumbnails.
            thrifty: look closely at all of them before a photo is read, as that costs in a bucket.
        """
        known = self.known(pictures)
        passed = {number for number, it in enumerate(known) if it >= PASSES}
        if self._logits is not None:
            sure = {number for number in passed if logit(known[number]) >= SURE}
            passed = self._passed_by_both(pictures, known, passed - sure)
            closely = passed | sure if thrifty else passed
            seen = self._passed_by_both(pictures, known, closely, closely=True)
            passed = seen | (sure - closely)
        return [number not in passed for number in range(len(pictures))]

    def _passed_by_both(
        self,
        pictures: Sequence[Picture],
        known: Sequence[float],
        asked: Collection[int],
        closely: bool = False,
    ) -> set[int]:
        """Those of ``asked`` that may show something known by the classifier too."""
        if not asked or self._logits is None:
            return set()
        least = POSSIBLE_CLOSELY if closely else POSSIBLE
        looks = self._logits([pictures[number] for number in asked], closely)
        ratios = zip(asked, looks, strict=True)
        return {number for number, ratio in ratios if ratio + logit(known[number]) >= least}

    def settles_decoded(self, photo: Picture) -> bool:
        """Whether surely nothing known is in a decoded photo, upright and RGB.

        Only the network is asked: the classifier would take hardly less for it than for the photo.
        """
        return self.known([photo])[0] < PASSES_DECODED

    def known(self, pictures: Sequence[Picture]) -> list[float]:
        """How likely each shows something known; below PASSES, surely not."""
        passes = range(0, len(pictures), TOGETHER)
        return [it for start in passes for it in self._pass(pictures[start : start + TOGETHER])]

    def _pass(self, pictures: Sequence[Picture]) -> list[float]:
        import torch

        from tagger.model.squares import squares

        module, size, resize = self._loaded()
        if not getattr(self._threads, "set", False):  # one pass a thread, as the classifier does
            torch.set_num_threads(1)
            self._threads.set = True
        with torch.inference_mode():
            output, _ = module(squares(pictures, size, resize))
            answers: list[float] = output[:, 0].tolist()
        return answers

    def _loaded(self) -> tuple[Any, int, Resize]:
        with self._lock:
            if not self._kept:
                import torch

                from tagger.model import artifact
                from tagger.model.devices import fast_dtype

                cpu = torch.device("cpu")
                loaded = artifact.load(self._path)
                module = artifact.prepare(loaded.module, cpu, fast_dtype(cpu))
                self._kept.append((module, loaded.manifest.image_size, loaded.manifest.resize))
            return self._kept[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return _shared, (self._path,)


def logit(probability: float) -> float:
    """The logarithm of the odds; finite for 0 and 1 too."""
    kept = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(kept / (1 - kept))


def beside(model: Path) -> ThumbnailNet | None:
    """The network that belongs to a model file: ``default.thumbnail.pt`` to ``default.pt``.

    A model without one, such as one of your own, has all photos decoded.
    """
    path = model.with_suffix(".thumbnail.pt")
    return ThumbnailNet(path) if path.is_file() else None


_MADE: dict[Path, ThumbnailNet] = {}
_MAKING = threading.Lock()


def _shared(path: Path) -> ThumbnailNet:
    """One for all tasks of a process: workers of a cluster get it with each."""
    with _MAKING:
        if path not in _MADE:
            _MADE[path] = ThumbnailNet(path)
        return _MADE[path]
