"""An embedding learned for telling places apart: ArcFace beside the softmax, margins by count."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Chosen on validation photos (MODEL_CARD.md): width of the embedding that photos are compared in,
# scale of the cosines, the margin of a class of FEW photos (in radians, less the more there are:
# Google Landmarks 2020, arXiv:2010.05350), and the cosine that other photos should not exceed.
WIDTH, SCALE, MARGIN, FEW, APART = 256, 24.0, 0.3, 4, 0.35


class Margin(nn.Module):
    """Pooled embeddings [N, D] to cosines [N, M] with a prototype of each of M classes.

    ``neck`` is what ships: the projection in which photos are compared with references.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.neck = nn.Linear(features, WIDTH, bias=False)
        self.prototypes = nn.Parameter(torch.randn(classes, WIDTH))

    def forward(self, embedding: Tensor) -> Tensor:
        return F.normalize(self.neck(embedding), dim=1) @ F.normalize(self.prototypes, dim=1).T

    @torch.no_grad()
    def begin(self, embeddings: Tensor, targets: Tensor) -> None:
        """Start from principal components, whitened, and the classes' means."""
        unit = F.normalize(embeddings, dim=1)
        _, values, directions = torch.linalg.svd(unit, full_matrices=False)
        some = min(WIDTH, len(values))
        scale = (values[:some, None] / values[0]).clamp(min=0.02)
        self.neck.weight[:some] = directions[:some] / scale
        placed = F.normalize(self.neck(embeddings), dim=1)
        means = targets[:, : len(self.prototypes)].T @ placed
        noise = 0.02 * torch.randn_like(means)
        self.prototypes.copy_(F.normalize(means + 1e-4, dim=1) + noise)


class Joint:
    """Loss of logits [N, K] and cosines [N, M] side by side: cross-entropy and ArcFace
    (arXiv:1801.07698), both for mixed targets [N, K]; the columns from M on are no class.

    A photo of a class has to be nearer to its prototype by that class's margin; a photo of none
    has to stay away from all.
    """

    def __init__(self, counts: Tensor) -> None:
        """``counts`` float32 [M]: photos of each class."""
        self.margins = MARGIN * (counts.clamp(min=1) / FEW) ** -0.25

    def __call__(self, output: Tensor, targets: Tensor) -> Tensor:
        columns, classes = targets.shape[1], len(self.margins)
        plain = F.cross_entropy(output[:, :columns], targets)
        if output.shape[1] == columns:  # in evaluation there are no cosines
            return plain
        cosines, shown = output[:, columns:].clamp(-0.999, 0.999), targets[:, :classes]
        moved = torch.cos(torch.acos(cosines) + self.margins.to(output.device) * shown)
        arc = -(shown * (SCALE * moved).log_softmax(1)).sum(1)
        apart = F.softplus(SCALE * (cosines.amax(1) - APART)) * targets[:, -1]
        total: Tensor = plain + (arc + apart).mean()
        return total
