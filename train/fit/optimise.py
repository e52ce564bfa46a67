"""Optimisation: parameter groups, the order of photos, averaged weights."""

from typing import Any

import torch
from torch import Tensor, nn

from tagger.errors import RunError
from tagger.model.devices import fast_dtype
from train.recipe import Recipe


def autocast(device: torch.device) -> torch.autocast:
    """Bfloat16 if the device supports it, else float32.

    A CPU with AVX2 alone emulates it: a training step took 13 times as long as in float32.
    """
    emulated = device.type == "cpu" and fast_dtype(device) is torch.float32
    return torch.autocast(device.type, torch.bfloat16, enabled=not emulated)


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Optimiser groups by learning rate scale; biases and norms carry no weight decay.

    Parameters whose scale in ``recipe.lr_scales`` is 0 are frozen here; frozen ones stay frozen.

    Raises:
        RunError: the recipe names parameters that the model does not have.
    """
    names = [name for name, _ in model.named_parameters()]
    for prefix, _ in recipe.lr_scales:
        if not any(name.startswith(prefix) for name in names):
            raise RunError(f"recipe: lr_scales name {prefix}, but no parameter has such a name")
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        scale = next((s for prefix, s in recipe.lr_scales if name.startswith(prefix)), 1.0)
        parameter.requires_grad_(parameter.requires_grad and scale > 0)
        if parameter.requires_grad:
            groups.setdefault((scale, parameter.ndim > 1), []).append(parameter)
    return [
        {"params": members, "scale": scale, "weight_decay": recipe.weight_decay * decayed}
        for (scale, decayed), members in groups.items()
    ]


def make_optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser, over :func:`parameter_groups`."""
    groups = parameter_groups(model, recipe)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=recipe.lr)


def set_lr(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Give every group its share of ``lr``."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group["scale"]


def epoch_order(
    targets: Tensor, balance: float, chance: torch.Generator, others: float = 0.0
) -> Tensor:
    """Which photos an epoch shows, int64 [N]: each once, or drawn by ``count ** -balance``.

    Photos of the last column, the background, are then the share ``others``, where that is not 0.
    """
    if balance == 0:
        return torch.randperm(len(targets), generator=chance)
    labels = targets.argmax(1)
    weights = labels.bincount(minlength=targets.shape[1])[labels].float() ** -balance
    none = labels == targets.shape[1] - 1
    if others and none.any():
        weights[none] *= others / (1 - others) * weights[~none].sum() / weights[none].sum()
    return torch.multinomial(weights, len(targets), replacement=True, generator=chance)


def smooth(targets: Tensor, amount: float) -> Tensor:
    """Label smoothing of soft targets [N, K] (arXiv:1512.00567)."""
    return targets * (1 - amount) + amount / targets.shape[1]


@torch.no_grad()
def average(ema: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights towards the model's; early steps count more, as they must.

    Decay grows as (1 + t) / (10 + t), after TensorFlow's ExponentialMovingAverage. Buffers of
    batch norm are averaged too; counters are copied.
    """
    weight = 1 - min(decay, (1 + step) / (10 + step))
    for mean, value in zip(ema.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, weight)
        else:
            mean.copy_(value)
