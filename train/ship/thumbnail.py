"""Trains the thumbnail network, sets its threshold and writes its file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tagger.imaging.decode import Resize
from tagger.model import artifact
from tagger.model.artifact import Manifest
from train.networks.fold import fold, half_turned
from train.networks.thumbnail import (
    SIZE,
    WIDTH,
    ThumbnailNetwork,
    logits_of,
    train_thumbnails,
)
from train.photos.folders import Sample, read_negatives
from train.photos.pixel_cache import CACHE, Pixels, load_pixels
from train.photos.split import grouped_split

STORED = 208  # edge of the photos that thumbnails are made of
VALIDATION = 0.1
# The share of the landmark photos held out that passes; the classifier tags few of the others.
KEPT = 0.995
LANDMARK, ORDINARY, NEAR = range(3)


class DeployedThumbnailNet(nn.Module):
    """uint8 [N, 3, S, S] to (probability [N, 1], embedding [N, D]); from 0.5 on a photo passes."""

    kind: Tensor

    def __init__(self, trunk: nn.Module, head: nn.Linear, line: float, turned: bool) -> None:
        super().__init__()
        self.trunk, self.head, self.line, self.turned = trunk, head, line, turned
        self.register_buffer("kind", torch.zeros(1))  # follows the type it is cast to

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        if self.turned:
            pictures = pictures.flip(2, 3)
        embedding = self.trunk((pictures.float() / 127.5 - 1).to(self.kind.dtype))
        return torch.sigmoid(self.head(embedding).float() - self.line), embedding.float()


def make(
    data: Sequence[Path],
    negatives: Sequence[Path],
    out: Path,
    minutes: float,
    seed: int = 0,
    cache: Path = CACHE,
) -> Manifest:
    """Train on photos of landmarks and of ordinary things, and write the file.

    Args:
        data: folders of photos of landmarks, any nesting; ``DIR/train`` where there is one.
        negatives: folders of photos without; those of the kind ``near`` are other buildings.
        out: the file; it belongs beside a model file, as ``default.thumbnail.pt``.
        minutes: how long to train, after the photos are decoded.
    """
    train, valid = gathered(data, negatives, seed, cache)
    network = train_thumbnails(
        ThumbnailNetwork(), train.images.copy(), kinds_of(train.samples), minutes, seed
    )
    logits, kinds = logits_of(network, valid.images.copy(), seed + 1), kinds_of(valid.samples)
    line = float(np.quantile(logits[kinds == LANDMARK], 1 - KEPT, method="lower"))
    passed = [float((logits[kinds == kind] >= line).mean()) for kind in (LANDMARK, ORDINARY, NEAR)]
    trunk = fold(network.trunk)
    turned = half_turned(trunk)
    whole = DeployedThumbnailNet(turned or trunk, network.head, line, turned is not None)
    module = whole.eval().half()
    manifest = Manifest(
        ("known",), SIZE, Resize.SQUASH, 2 * WIDTH, "thumbnails",
        metrics=dict(zip(("landmarks_pass", "ordinary_pass", "near_pass"), passed, strict=True)),
        provenance={"photos": f"{len(train.samples)} train, {len(valid.samples)} validation"},
    )  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    artifact.save(module, manifest, out)
    return manifest


def gathered(
    data: Sequence[Path], negatives: Sequence[Path], seed: int, cache: Path = CACHE
) -> tuple[Pixels, Pixels]:
    """Photos to train on and to set the line by; look-alikes are on one side."""
    folders: dict[tuple[Path, str], int] = {}
    marked = []
    for folder, of_landmarks in [*((f, True) for f in data), *((f, False) for f in negatives)]:
        for sample in read_negatives(folder, "train"):
            kind = "landmark" if of_landmarks else sample.kind
            label = folders.setdefault((sample.path.parent, kind), len(folders))
            marked.append(Sample(sample.path, label, f"{kind}/"))
    split = grouped_split(marked, VALIDATION, seed, cache)
    train, valid = (
        load_pixels(part, STORED, Resize.SQUASH, cache) for part in (split.train, split.valid)
    )
    return train, valid


def kinds_of(samples: Sequence[Sample]) -> NDArray[np.int64]:
    """LANDMARK, ORDINARY or NEAR for each."""
    named = {"landmark": LANDMARK, "near": NEAR}
    return np.array([named.get(s.source.split("/")[0], ORDINARY) for s in samples], np.int64)
