"""A linear head on frozen features: where fine-tuning starts (LP-FT, arXiv:2202.10054)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.fit.optimise import autocast
from train.networks.pretrained import Transfer


@torch.no_grad()
def embed(network: Transfer, pixels: Tensor, batch: int = 32) -> Tensor:
    """Pooled features float32 [N, D], on the CPU, of uint8 [N, 3, S, S]."""
    network.eval()
    device = next(network.parameters()).device
    parts = []
    for chunk in pixels.split(batch):
        photos = chunk.to(device).float().div_(255).contiguous(memory_format=torch.channels_last)
        with autocast(device):
            parts.append(network(photos)[1].float().cpu())
    return torch.cat(parts)


def fit_head(head: nn.Linear, features: Tensor, targets: Tensor, decay: float = 0.02) -> float:
    """Logistic regression on standardised features, folded into ``head``; its final loss.

    Args:
        features: float32 [N, D]; standardised here, so ``decay`` means the same for every trunk.
        targets: float32 [N, K], rows sum to 1.
        decay: weight of the squared norm, per photo's mean loss.
    """
    mean, std = features.mean(0), features.std(0).clamp(min=1e-3)
    scaled = (features - mean) / std
    weight = torch.zeros(targets.shape[1], features.shape[1], requires_grad=True)
    bias = torch.zeros(targets.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(scaled @ weight.T + bias, targets)
        total: Tensor = loss + decay / 2 * weight.square().sum()
        total.backward()
        return total

    optimiser.step(step)
    with torch.no_grad():
        head.weight.copy_(weight / std)
        head.bias.copy_(bias - (weight / std) @ mean)
    return float(F.cross_entropy(head(features), targets).detach())
