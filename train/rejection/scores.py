"""Whether a photo shows a known landmark at all: scores, their combination, calibration."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Exact(nn.Module):
    """A float32 tensor that ``module.to(dtype)`` leaves alone: 24-bit integers and exponents.

    With ``short`` integers of 15 bits, half the bytes: numbers right to one part in 65,536.
    """

    mantissa: Tensor
    exponent: Tensor

    def __init__(self, values: Tensor, short: bool = False) -> None:
        super().__init__()
        mantissa, exponent = torch.frexp(values.detach().float())
        if short:
            whole = (mantissa * 2**15).round().clamp(1 - 2**15, 2**15 - 1).to(torch.int16)
            power = (exponent - 15).clamp(min=-126).to(torch.int8)
        else:
            whole, power = (mantissa * 2**24).to(torch.int32), (exponent - 24).to(torch.int16)
        self.register_buffer("mantissa", whole)
        self.register_buffer("exponent", power)

    def forward(self) -> Tensor:
        return torch.ldexp(self.mantissa.float(), self.exponent.float())


class Shipped(nn.Module):
    """A head as it ships: logits [N, C] of the landmarks, and one of everything else.

    Other classes that the head has learned (landmarks of too few photos), and the background, are
    one: the sum of their probabilities.
    """

    def __init__(self, head: nn.Linear, classes: int) -> None:
        super().__init__()
        self.head = head
        self.classes = classes

    def forward(self, embedding: Tensor) -> Tensor:
        columns: Tensor = self.head(embedding)
        nothing = columns[:, self.classes :].logsumexp(1, keepdim=True)
        return torch.cat([columns[:, : self.classes], nothing], 1)


@dataclass(frozen=True, slots=True)
class Shape:
    """Where the classes lie among embeddings of training photos.

    Attributes:
        centre: float32 [D], mean over all photos.
        whiten: float32 [D, R], principal directions of the spread within classes, scaled to 1.
        means: float32 [C, R], class means, centred and whitened, of length 1.
    """

    centre: Tensor
    whiten: Tensor
    means: Tensor


def fit_shape(embeddings: Tensor, labels: Tensor, classes: int, rank: int = 128) -> Shape:
    """Class means and shared spread of landmarks' embeddings [N, D], labels int64 [N] in 0..C-1.

    Negatives (label NO_LANDMARK) shape the spread as a class of their own.
    """
    centre = embeddings.mean(0)
    groups = labels % (classes + 1)
    means = torch.stack([embeddings[groups == c].mean(0) for c in groups.unique()])
    where = torch.searchsorted(groups.unique(), groups)
    spread = embeddings - means[where]
    _, values, directions = torch.pca_lowrank(
        spread, q=min(rank, *spread.shape), center=False, niter=4
    )
    scale = (values / len(spread) ** 0.5 + 1e-4).reciprocal()
    whiten = directions * scale
    landmarks = (means[:classes] - centre) @ whiten
    return Shape(centre, whiten, F.normalize(landmarks, dim=1))


class Evidence(nn.Module):
    """Logits and embedding to the scores that tell landmarks from other photos, [N, 5].

    In order: log-odds of the best landmark against all else, background included (a softmax with a
    background class); its logit less the background's; log-sum-exp of the landmarks' logits
    (energy, arXiv:2010.03759); best less second-best landmark; cosine to the best landmark's mean
    after whitening (a bounded relative of the Mahalanobis distance, arXiv:1807.03888).
    """

    NAMES = ("odds", "background", "energy", "margin", "cosine")

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.centre = Exact(shape.centre)
        self.whiten = Exact(shape.whiten)
        self.means = Exact(shape.means)

    def forward(self, logits: Tensor, embedding: Tensor) -> Tensor:
        best, where = logits[:, :-1].topk(2, dim=1)
        top, background = best[:, 0], logits[:, -1]
        others = logits.scatter(1, where[:, :1], -1e4).logsumexp(1)
        white = (embedding - self.centre()) @ self.whiten()
        length = white.square().sum(1).sqrt().clamp(min=1e-6)
        cosine = (white * self.means()[where[:, 0]]).sum(1) / length
        energy = logits[:, :-1].logsumexp(1)
        return torch.stack([top - others, top - background, energy, top - best[:, 1], cosine], 1)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Temperature of the classes, and a logistic rule on :class:`Evidence`.

    Attributes:
        temperature: divides the landmarks' logits.
        weights, bias: of the evidence; the sigmoid is the probability of a known landmark.
        doubt: float32 [C], taken off the rule for each class that is the best one.
    """

    temperature: float
    weights: Tensor
    bias: float
    doubt: Tensor


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature with the least loss on landmark photos: logits [N, C], labels int64 [N]."""
    grid = torch.logspace(-1.2, 1.2, 241)
    losses = torch.stack([F.cross_entropy(logits / t, labels) for t in grid])
    return float(grid[losses.argmin()])


def fit_rule(
    evidence: Tensor, shown: Tensor, importance: Tensor, decay: float = 1e-2
) -> tuple[Tensor, float]:
    """Weighted logistic regression on standardised evidence; weights [E] and bias.

    Args:
        evidence: float32 [N, E].
        shown: float32 [N], 1 where the photo shows a known landmark.
        importance: float32 [N], so that the mix is the one confidence is promised for.
        decay: pull of the weights towards 0.
    """
    mean, std = evidence.mean(0), evidence.std(0).clamp(min=1e-6)
    scaled = (evidence - mean) / std
    weights = torch.zeros(evidence.shape[1], requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=200, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimiser.zero_grad()
        losses = F.binary_cross_entropy_with_logits(
            scaled @ weights + bias, shown, reduction="none"
        )
        total: Tensor = (losses * importance).sum() / importance.sum()
        total = total + decay / 2 * weights.square().sum()
        total.backward()
        return total

    optimiser.step(step)
    plain = (weights / std).detach()
    return plain, float(bias.detach() - plain @ mean)
