"""Turns a trained network and its calibration into one scriptable module and a model file."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from tagger.model import artifact
from tagger.model.artifact import Manifest
from tagger.records import Landmark
from train.networks.fold import fold, half_turned
from train.rejection.scores import Calibration, Evidence, Exact, Shape


class Deployed(nn.Module):
    """uint8 [N, 3, S, S] to float32 (probabilities [N, C], embedding [N, D]), calibrated.

    Columns of the head beyond the C landmarks of ``shape`` are classes that do not ship and the
    background; together they are one: see ``train.rejection.scores.Shipped``.

    The trunk runs in the type that the module is cast to; all that decides is float32.
    """

    def __init__(
        self,
        trunk: nn.Module,
        mean: Tensor,
        std: Tensor,
        head: nn.Linear,
        shape: Shape,
        calibration: Calibration,
        turned: bool = False,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.turned = turned  # the trunk takes photos upside down, see half_turned
        self.scale = Exact(1 / (255 * std))
        self.shift = Exact(-mean / std)
        self.classes = len(shape.means)
        self.weight = Exact(head.weight.T, short=True)
        self.bias = Exact(head.bias)
        self.evidence = Evidence(shape)
        self.rule = Exact(calibration.weights)
        self.threshold = float(calibration.bias)
        self.doubt = Exact(calibration.doubt)
        self.temperature = float(calibration.temperature)
        self.register_buffer("kind", torch.zeros(1))  # follows the type that the trunk is cast to

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        if self.turned:
            pictures = pictures.flip(2, 3)
        photos = pictures.float() * self.scale() + self.shift()
        embedding = self.trunk(photos.to(self.kind.dtype)).float()
        columns = embedding @ self.weight() + self.bias()
        nothing = columns[:, self.classes :].logsumexp(1, keepdim=True)
        logits = torch.cat([columns[:, : self.classes], nothing], 1)
        known = logits[:, :-1] / self.temperature
        evidence = self.evidence(logits, embedding) @ self.rule() + self.threshold
        shown = torch.sigmoid(evidence - self.doubt()[known.argmax(1)])
        return torch.softmax(known, 1) * shown[:, None], embedding


def deployed(
    trunk: nn.Module,
    mean: Tensor,
    std: Tensor,
    head: nn.Linear,
    shape: Shape,
    calibration: Calibration,
) -> Deployed:
    """The module that ships: norms and paddings within convolutions, float16 (half the file)."""
    slim = fold(trunk)
    turned = half_turned(slim)
    module = Deployed(turned or slim, mean, std, head, shape, calibration, turned is not None)
    return module.eval().half()


def write(
    module: nn.Module, manifest: Manifest, path: Path, places: Sequence[Landmark] = ()
) -> int:
    """Write the model file with the places it brings; its size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    artifact.save(module, manifest, path, places)
    return path.stat().st_size
