"""Calibration on held-out photos, with the network as it will ship."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tagger.model.devices import fast_dtype
from train.networks.fold import fold
from train.photos.arrays import Photos
from train.photos.folders import NO_LANDMARK
from train.rejection.scores import (
    Calibration,
    Evidence,
    Shape,
    Shipped,
    fit_rule,
    fit_shape,
    fit_temperature,
)

# The evidence that the rule uses; the rest are for comparison (see MODEL_CARD.md).
RULE = ("odds", "energy")
# A photo whose class is struck out is an easier stranger than a landmark never learned. Measured by
# leaving classes out of training (``python -m train unseen``, MODEL_CARD.md): the rule that is
# right on their photos is this much steeper and asks for this many logits more.
STEEPER, STRICTER = 1.4, 0.7
# A photo of some bay or hillside is like another; of some tower, less so.
DOUBT = {"point": 0.0, "site": 0.0, "area": 1.0}
STRUCK = -1e4  # the logit of a masked class


@dataclass(frozen=True, slots=True)
class EmbeddedPhotos:
    """Photos embedded by the network that ships: embeddings [N, D], labels int64 [N], kinds."""

    embeddings: Tensor
    labels: Tensor
    kinds: tuple[str, ...]


def see(network: nn.Module, photos: Photos, kinds: tuple[str, ...]) -> EmbeddedPhotos:
    """Embed photos with batch norms folded, as on the CPU in use: bfloat16 or float32.

    Args:
        network: a network with ``trunk``, ``mean`` and ``std``.
        photos: targets' last column is the background.
        kinds: ``landmark``, ``near``, ``far`` or another name of a kind of negatives, per photo.
    """
    dtype = fast_dtype(torch.device("cpu"))
    trunk: Any = fold(network.get_submodule("trunk"))
    trunk = trunk.to(dtype, memory_format=torch.channels_last)
    parts = []
    with torch.inference_mode():
        for chunk in photos.pixels.split(32):
            scaled = (chunk.float() / 255 - network.mean) / network.std
            scaled = scaled.contiguous(memory_format=torch.channels_last)
            parts.append(trunk(scaled.to(dtype)).float())
    labels = photos.targets.argmax(1)
    labels = torch.where(labels == photos.targets.shape[1] - 1, NO_LANDMARK, labels)
    return EmbeddedPhotos(torch.cat(parts), labels, kinds)


def mix_weights(photos: EmbeddedPhotos) -> Tensor:
    """Weights float32 [N] of a mix that is half landmarks, half others, each kind alike."""
    others = sorted({kind for kind in photos.kinds if kind != "landmark"})
    share = {kind: 0.5 / len(others) for kind in others} | {"landmark": 0.5}
    return torch.tensor([share[kind] / photos.kinds.count(kind) for kind in photos.kinds])


def with_unknown(logits: Tensor, photos: EmbeddedPhotos) -> tuple[Tensor, EmbeddedPhotos]:
    """Add each landmark photo again as one of an unknown landmark: its own class masked.

    The few negatives that show buildings come from few sources; to a network that never learned
    the Taj Mahal, a photo of it is the hard case that a stranger's library is full of.
    """
    shown = photos.labels != NO_LANDMARK
    struck = logits[shown].scatter(1, photos.labels[shown, None], STRUCK)
    count = int(shown.sum())
    more = EmbeddedPhotos(
        torch.cat([photos.embeddings, photos.embeddings[shown]]),
        torch.cat([photos.labels, torch.full((count,), NO_LANDMARK)]),
        photos.kinds + ("unknown",) * count,
    )
    return torch.cat([logits, struck]), more


def calibrate(
    head: Shipped, train: EmbeddedPhotos, valid: EmbeddedPhotos, doubt: Tensor
) -> tuple[Shape, Calibration]:
    """Fit class means on training photos, and temperature and rule on validation photos.

    Args:
        head: D -> C + 1, everything else last.
        train, valid: photos that the network learned from, and others.
        doubt: float32 [C], logits to take off each class's rule.
    """
    shape = fit_shape(train.embeddings, train.labels, head.classes)
    with torch.no_grad():
        logits, photos = with_unknown(head(valid.embeddings), valid)
    return shape, calibrate_rule(shape, logits, photos, doubt)


def calibrate_rule(
    shape: Shape,
    logits: Tensor,
    photos: EmbeddedPhotos,
    doubt: Tensor,
    rule: Sequence[str] = RULE,
    steeper: float = STEEPER,
    stricter: float = STRICTER,
) -> Calibration:
    """Fit temperature and a rule of the evidence named, on logits [N, C + 1] of photos.

    Then make it ``steeper`` (a factor) and ``stricter`` (logits): see STEEPER.
    """
    shown = photos.labels != NO_LANDMARK
    temperature = fit_temperature(logits[shown][:, :-1], photos.labels[shown])
    evidence = Evidence(shape)(logits, photos.embeddings)
    columns = [Evidence.NAMES.index(name) for name in rule]
    few, bias = fit_rule(evidence[:, columns], shown.float(), mix_weights(photos))
    weights = torch.zeros(len(Evidence.NAMES))
    weights[columns] = steeper * few
    return Calibration(temperature, weights, steeper * bias - stricter, doubt)


def doubts(extents: Sequence[str]) -> Tensor:
    """Logits of doubt float32 [C] by the extent of each landmark: see DOUBT."""
    return torch.tensor([DOUBT.get(extent, 0.0) for extent in extents])
