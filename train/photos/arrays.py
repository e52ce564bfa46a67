"""Photos as tensors, with their targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from tagger.imaging.decode import Resize
from train.photos.folders import Sample
from train.photos.pixel_cache import CACHE, load_pixels


@dataclass(frozen=True, slots=True)
class Photos:
    """Photos in memory: ``pixels`` uint8 [N, 3, H, W]; ``targets`` float32 [N, K], rows sum to 1.

    A photo without a landmark is a class of its own (the last column) or spread over all classes.
    """

    pixels: Tensor
    targets: Tensor


def one_hot(labels: Tensor, columns: int) -> Tensor:
    """Int64 [N] to float32 [N, columns]; -1 (no landmark) means the last column."""
    return F.one_hot(labels % columns, columns).float()


def load_photos(
    samples: Sequence[Sample], columns: int, size: int, resize: Resize, cache: Path = CACHE
) -> tuple[Photos, tuple[str, ...]]:
    """Decode to uint8 [N, 3, size, size] and one-hot targets [N, columns], background last.

    Returns:
        the photos that can be read, and the kind of each.
    """
    pixels = load_pixels(samples, size, resize, cache)
    targets = one_hot(torch.from_numpy(pixels.labels), columns)
    photos = Photos(torch.from_numpy(pixels.images.copy()), targets)
    return photos, tuple(sample.kind for sample in pixels.samples)
