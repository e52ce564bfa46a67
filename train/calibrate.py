"""Calibration on held-out photos, through the network as it will ship."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.data import NO_LANDMARK
from train.export import fold
from train.loop import Photos
from train.rejection import Calibration, Evidence, Shape, fit_rule, fit_shape, fit_temperature

# The evidence that the rule uses; the rest are for comparison (see MODEL_CARD.md).
RULE = ("background", "energy", "margin")


@dataclass(frozen=True, slots=True)
class Seen:
    """Photos as the network that ships sees them: embeddings [N, D], labels int64 [N], kinds."""

    embeddings: Tensor
    labels: Tensor
    kinds: tuple[str, ...]


def see(network: nn.Module, photos: Photos, kinds: tuple[str, ...]) -> Seen:
    """Embed photos with batch norms folded, in bfloat16 as on a CPU or GPU in use.

    Args:
        network: a network with ``trunk``, ``mean`` and ``std``.
        photos: targets' last column is the background.
        kinds: ``landmark``, ``near``, ``far`` or another name of a kind of negatives, per photo.
    """
    trunk = fold(network.trunk).bfloat16().to(memory_format=torch.channels_last)
    parts = []
    with torch.inference_mode():
        for chunk in photos.pixels.split(32):
            scaled = (chunk.float() / 255 - network.mean) / network.std
            scaled = scaled.contiguous(memory_format=torch.channels_last)
            parts.append(trunk(scaled.bfloat16()).float())
    labels = photos.targets.argmax(1)
    labels = torch.where(labels == photos.targets.shape[1] - 1, NO_LANDMARK, labels)
    return Seen(torch.cat(parts), labels, kinds)


def mix_weights(seen: Seen) -> Tensor:
    """Weights float32 [N] of a mix that is half landmarks, half others, each kind alike."""
    others = sorted({kind for kind in seen.kinds if kind != "landmark"})
    share = {kind: 0.5 / len(others) for kind in others} | {"landmark": 0.5}
    return torch.tensor([share[kind] / seen.kinds.count(kind) for kind in seen.kinds])


def calibrate(
    head: nn.Linear, train: Seen, valid: Seen, doubt: Tensor
) -> tuple[Shape, Calibration]:
    """Fit class means on training photos, and temperature and rule on validation photos.

    Args:
        head: D -> C + 1, background last.
        train, valid: photos that the network learned from, and others.
        doubt: float32 [C], logits to take off each class's rule.
    """
    classes = head.out_features - 1
    shape = fit_shape(train.embeddings, train.labels, classes)
    with torch.no_grad():
        logits = head(valid.embeddings)
    shown = valid.labels != NO_LANDMARK
    temperature = fit_temperature(logits[shown][:, :-1], valid.labels[shown])
    evidence = Evidence(shape)(logits, valid.embeddings)
    columns = [Evidence.NAMES.index(name) for name in RULE]
    few, bias = fit_rule(evidence[:, columns], shown.float(), mix_weights(valid))
    weights = torch.zeros(len(Evidence.NAMES))
    weights[columns] = few
    return shape, Calibration(temperature, weights, bias, doubt)
