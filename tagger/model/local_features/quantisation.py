"""Product quantisation (Jegou et al. 2011): a descriptor in a byte for each of its parts."""

from dataclasses import dataclass

import numpy as np

from tagger.model.local_features.matching import Bytes
from tagger.model.local_features.sift import Floats


@dataclass(frozen=True, slots=True)
class Codebook:
    """What the bytes stand for.

    Attributes:
        centres: float32 [M, 256, 128 / M], of each part of a descriptor.
    """

    centres: Floats

    def codes(self, descriptors: Floats) -> Bytes:
        """The nearest centre of each part of descriptors [N, 128]: uint8 [N, M]."""
        parts = np.split(descriptors, len(self.centres), axis=1)
        codes = [
            # Squared distances less what is the same for all centres.
            ((words**2).sum(1) - 2 * part @ words.T).argmin(1)
            for part, words in zip(parts, self.centres, strict=True)
        ]
        return np.stack(codes, 1).astype(np.uint8)

    def descriptors(self, codes: Bytes) -> Floats:
        """Descriptors [N, 128], as near as their codes [N, M] tell."""
        parts, centres, wide = self.centres.shape
        rows = codes + centres * np.arange(parts)
        words: Floats = self.centres.reshape(-1, wide).take(rows, axis=0)
        return words.reshape(-1, parts * wide)
