"""Columns of a finished head fitted on further photos, on frozen features."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Chosen on photos of other repositories (MODEL_CARD.md): pull towards where a column began, per
# photo's mean loss; how much a further photo counts beside one that the network learned.
DECAY, SHARE = 0.005, 3.0
FEW = 4  # further photos of a landmark from which on each counts less
SMOOTH, STEPS = 0.02, 100
CAUTION = 0.5  # logits taken off new landmarks: photos of few sources look surer than they are
# Share of photos of anything else on which a new landmark may come before all others. One did on
# a third of them: each was then compared with its references, in vain.
LOUD = 0.01
ASKED = 0.15  # mean probability from which a hidden column is that of a new landmark


@dataclass(frozen=True, slots=True)
class LastLayer:
    """A linear head: weight float32 [D, K], bias float32 [K].

    The first ``classes`` columns are landmarks that ship, the last is the background; those between
    are classes that the network learned and that do not ship.
    """

    weight: Tensor
    bias: Tensor
    classes: int

    def __call__(self, embeddings: Tensor) -> Tensor:
        return embeddings @ self.weight + self.bias


def hidden(head: LastLayer, photos: Mapping[int, Tensor]) -> dict[int, int]:
    """Which new landmarks the network learned already, and as which column.

    Args:
        head: the head.
        photos: embeddings [N, D] of each new landmark, by its label.
    """
    asked = []
    for label, embeddings in photos.items():
        shown = head(embeddings).softmax(1)[:, head.classes : -1].mean(0)
        if len(shown):
            asked.append((float(shown.max()) * len(embeddings), label, shown))
    columns: dict[int, int] = {}
    for _, label, shown in sorted(asked, key=lambda one: -one[0]):
        column = head.classes + int(shown.argmax())
        if float(shown.max()) >= ASKED and column not in columns.values():
            columns[label] = column
    return columns


def refitted(
    head: LastLayer,
    plain: Mapping[int, Tensor],
    views: Mapping[int, Tensor],
    learned: tuple[Tensor, Tensor],
    others: Tensor,
) -> LastLayer:
    """The head with columns fitted on further photos of some landmarks, new ones among them.

    Multinomial logistic regression; the columns of all other landmarks stay as they are. A new
    landmark comes behind those that ship. If the network has learned it as a class that does not,
    it starts from that column, which goes; if not, from the mean of such columns.

    Args:
        head: that of the finished network, of C landmarks.
        plain: embeddings [N, D] of the further photos of a landmark, by its label: up to C - 1 that
            of a known one, from C on, without a gap, that of a new one.
        views: [N * V, D], of V views of each of these, by label.
        learned: embeddings [M, D] of photos that the network learned, and their labels int64 [M].
        others: embeddings [O, D] of photos of anything else.
    """
    first, moving = head.classes, sorted(plain)
    new = [label for label in moving if label >= first]
    taken = hidden(head, {label: plain[label] for label in new})
    beside = range(first, len(head.bias))
    kept = [column for column in beside if column not in taken.values()]
    began = [[taken[label]] if label in taken else list(beside) for label in new]
    start = torch.stack([head.weight[:, own].mean(1) for own in began], 1) if new else None
    weight, bias = head.weight[:, :first], head.bias[:first]
    if start is not None:
        weight = torch.cat([weight, start], 1)
        bias = torch.cat([bias, torch.stack([head.bias[own].mean() for own in began])])

    shown = torch.cat([*(views[label] for label in moving), learned[0], others])
    labels, weights = _targets(plain, views, learned[1], len(others), first + len(new))
    before = shown @ weight + bias
    nothing = (shown @ head.weight[:, kept] + head.bias[kept]).logsumexp(1, keepdim=True)
    rest = torch.cat([learned[0], others])
    mean, std = rest.mean(0), rest.std(0).clamp(min=1e-3)
    scaled, which = (shown - mean) / std, torch.tensor(moving)
    slopes = torch.zeros(shown.shape[1], len(moving), requires_grad=True)
    level = torch.zeros(len(moving), requires_grad=True)
    optimiser = torch.optim.LBFGS([slopes, level], max_iter=STEPS, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimiser.zero_grad()
        columns = before.index_add(1, which, scaled @ slopes + level)
        logits = torch.cat([columns, nothing], 1)
        losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=SMOOTH)
        total: Tensor = (losses * weights).sum() / weights.sum() + DECAY / 2 * slopes.square().sum()
        total.backward()
        return total

    optimiser.step(step)
    with torch.no_grad():
        moved = slopes / std[:, None]
        weight = weight.index_add(1, which, moved)
        bias = bias.index_add(0, which, level - mean @ moved)
        bias[first:] -= CAUTION
        bias[first:] -= _too_loud(others @ weight + bias, first)
        return LastLayer(
            torch.cat([weight, head.weight[:, kept]], 1),
            torch.cat([bias, head.bias[kept]]),
            first + len(new),
        )


def _too_loud(logits: Tensor, first: int) -> Tensor:
    """What to take off new landmarks, from ``first`` on, so that no more than LOUD come first.

    ``logits`` [O, C] are those of photos of anything else.
    """
    new = range(first, logits.shape[1])
    if not len(logits) or not len(new):
        return torch.zeros(len(new))
    best, second = logits.topk(2, dim=1).values.unbind(1)
    leads = []
    for landmark in new:
        own = logits[:, landmark]
        leads.append((own - torch.where(own == best, second, best)).quantile(1 - LOUD))
    return torch.stack(leads).clamp(min=0)


def _targets(
    plain: Mapping[int, Tensor],
    views: Mapping[int, Tensor],
    learned: Tensor,
    others: int,
    nothing: int,
) -> tuple[Tensor, Tensor]:
    """Labels and weights of all rows that columns are fitted on."""
    labels, weights = [], []
    for label in sorted(plain):
        photos, rows = len(plain[label]), len(views[label])
        labels.append(torch.full((rows,), label))
        each = SHARE * photos / rows / max(1, photos / FEW) ** 0.5
        weights.append(torch.full((rows,), each))
    labels += [learned, torch.full((others,), nothing)]
    weights.append(torch.ones(len(learned) + others))
    return torch.cat(labels), torch.cat(weights)
