"""What a training run must keep to go on after an interruption, and how it is kept."""

import csv
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from tagger.errors import RunError
from train.recipe import Recipe


@dataclass(frozen=True, slots=True)
class EpochLog:
    """One line of metrics.csv; losses in nats, accuracies 0 to 1, ``size`` in pixels."""

    epoch: int
    size: int
    lr: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


@dataclass(slots=True)
class Run:
    """What changes while training; all of it goes into the checkpoint."""

    model: nn.Module
    ema: nn.Module
    optimiser: torch.optim.Optimizer
    log: list[EpochLog] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_loss: float = math.inf
    since_best: int = 0


def write(run: Run, recipe: Recipe, out: Path) -> None:
    """Checkpoint, best weights and metrics.csv, each replaced whole."""
    state = {
        "recipe": asdict(recipe),
        "model": run.model.state_dict(),
        "ema": run.ema.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "log": [asdict(line) for line in run.log],
        "best": (run.best, run.best_loss, run.since_best),
    }
    for name, content in (("checkpoint.pt", state), ("best.pt", run.best)):
        torch.save(content, out / (name + ".part"))
        (out / (name + ".part")).replace(out / name)
    with (out / "metrics.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*EpochLog.__slots__])
        writer.writeheader()
        writer.writerows(state["log"])


def restore(run: Run, recipe: Recipe, checkpoint: Path) -> None:
    """Put a checkpoint back into ``run``.

    Raises:
        RunError: it belongs to another recipe.
    """
    device = next(run.model.parameters()).device
    state = torch.load(checkpoint, map_location=device, weights_only=True)
    if state["recipe"] != asdict(recipe):
        raise RunError(f"{checkpoint} is of another recipe; leave --resume out or remove it")
    run.model.load_state_dict(state["model"])
    run.ema.load_state_dict(state["ema"])
    run.optimiser.load_state_dict(state["optimiser"])
    run.log = [EpochLog(**line) for line in state["log"]]
    run.best, run.best_loss, run.since_best = state["best"]
