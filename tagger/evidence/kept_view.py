"""A photo of the library as its index keeps it: in few bytes, and made comparable again."""

from dataclasses import dataclass

import numpy as np

from tagger.model.local_features.matching import Features
from tagger.model.local_features.quantisation import Codebook
from tagger.model.local_features.references import packed, unpacked
from tagger.model.local_features.same_view import SMALL, Described, PhotoView
from tagger.model.local_features.sift import Floats

POINTS = 200  # of a photo, the strongest
SCALE = 127  # of an embedding's numbers: a byte each


@dataclass(frozen=True, slots=True)
class KeptView:
    """What a photo looks like, and where and when it was taken; about 5 kB.

    Attributes:
        key, stamp: the photo and its version.
        position: degrees, where it was taken; None where that is not known.
        taken: seconds since 1970, by whatever clock.
        embedding: int8 [E], of length SCALE; empty where the photo is damaged and shows nothing.
        width, height: of the picture that the points lie in, pixels.
        places, codes: uint8 [N, 3] and [N, M], the points.
        small: uint8 [SMALL, SMALL], the whole photo, grey.
    """

    key: str
    stamp: str
    position: tuple[float, float] | None
    taken: float | None
    embedding: bytes
    width: int
    height: int
    places: bytes
    codes: bytes
    small: bytes

    def numbers(self) -> Floats:
        """The embedding: float32 [E], of length 1."""
        return np.frombuffer(self.embedding, np.int8).astype(np.float32) / np.float32(SCALE)

    def view(self, codebook: Codebook) -> PhotoView:
        """Its points and its small picture."""
        points = np.frombuffer(self.places, np.uint8).reshape(-1, 3)
        parts = len(codebook.centres)
        descriptors = codebook.descriptors(np.frombuffer(self.codes, np.uint8).reshape(-1, parts))
        return PhotoView(
            Features(unpacked(points), descriptors),
            self.width,
            self.height,
            np.frombuffer(self.small, np.uint8).reshape(SMALL, SMALL),
        )


def kept_view(
    key: str,
    stamp: str,
    described: Described,
    codebook: Codebook,
    position: tuple[float, float] | None = None,
    taken: float | None = None,
) -> KeptView:
    """A photo as it is kept."""
    return KeptView(
        key, stamp, position, taken,
        np.round(described.embedding * SCALE).astype(np.int8).tobytes(),
        described.view.width, described.view.height,
        packed(described.view.features.places[:POINTS]).tobytes(),
        codebook.codes(described.view.features.descriptors[:POINTS]).tobytes(),
        described.view.small.tobytes(),
    )  # fmt: skip


def damaged_view(key: str, stamp: str) -> KeptView:
    """A photo that cannot be decoded: kept, so that it is not tried again while it is unchanged."""
    return KeptView(key, stamp, None, None, b"", 0, 0, b"", b"", b"")
