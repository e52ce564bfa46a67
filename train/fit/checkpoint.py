"""The checkpoint from which an interrupted training run resumes."""

import csv
import hashlib
import math
from collections.abc import Sequence
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
class TrainingRun:
    """The state of training; all of it goes into the checkpoint."""

    model: nn.Module
    ema: nn.Module
    optimiser: torch.optim.Optimizer
    log: list[EpochLog] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_loss: float = math.inf
    since_best: int = 0


def fingerprint(labels: Sequence[str], *parts: Tensor) -> str:
    """SHA-256 in hex of class names, pixels and targets: where photos lie makes no difference."""
    digest = hashlib.sha256("\n".join(labels).encode())
    for part in parts:
        digest.update(part.contiguous().numpy().data)
    return digest.hexdigest()


def write(run: TrainingRun, recipe: Recipe, data: str, out: Path) -> None:
    """Checkpoint, best weights and metrics.csv, each replaced whole."""
    log = [asdict(line) for line in run.log]
    state = {
        "recipe": asdict(recipe),
        "data": data,
        "model": run.model.state_dict(),
        "ema": run.ema.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "log": log,
        "best": (run.best, run.best_loss, run.since_best),
    }
    for name, content in (("checkpoint.pt", state), ("best.pt", run.best)):
        torch.save(content, out / (name + ".part"))
        (out / (name + ".part")).replace(out / name)
    with (out / "metrics.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*EpochLog.__slots__])
        writer.writeheader()
        writer.writerows(log)


def restore(run: TrainingRun, recipe: Recipe, data: str, checkpoint: Path) -> None:
    """Put a checkpoint back into ``run``; ``data`` is the fingerprint of the photos.

    Raises:
        RunError: it belongs to another recipe or to other photos.
    """
    device = next(run.model.parameters()).device
    state = torch.load(checkpoint, map_location=device, weights_only=True)
    if state["recipe"] != asdict(recipe):
        raise RunError(f"{checkpoint} is of another recipe; leave --resume out or remove it")
    if state.get("data") != data:
        raise RunError(
            f"{checkpoint} is of other classes or photos; "
            "leave --resume out or give the photos it was made of"
        )
    run.model.load_state_dict(state["model"])
    run.ema.load_state_dict(state["ema"])
    run.optimiser.load_state_dict(state["optimiser"])
    run.log = [EpochLog(**line) for line in state["log"]]
    run.best, run.best_loss, run.since_best = state["best"]
