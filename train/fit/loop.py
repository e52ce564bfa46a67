"""The one training loop, of both models: on a CPU, one GPU, or several through torchrun."""

import copy
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from tagger.errors import RunError
from train.fit.checkpoint import EpochLog, TrainingRun, fingerprint, restore, write
from train.fit.optimise import autocast, average, epoch_order, make_optimiser, set_lr, smooth
from train.photos.arrays import Photos
from train.photos.augment import augment, mix, resized
from train.recipe import Recipe

Views = Callable[[Tensor, int, Recipe, torch.Generator], Tensor]  # see train.photos.augment
Loss = Callable[[Tensor, Tensor], Tensor]  # (logits [N, K], soft targets [N, K]) -> scalar


def fit(
    model: nn.Module,
    train: Photos,
    validation: Photos,
    recipe: Recipe,
    out: Path,
    *,
    labels: Sequence[str] = (),
    loss: Loss = F.cross_entropy,
    views: Views = augment,
    resume: bool = False,
) -> list[EpochLog]:
    """Train ``model`` in place; it ends with its best averaged weights, in evaluation mode.

    The model maps float32 [N, 3, S, S] in 0..1 to logits [N, K], or to a tuple that starts so.
    All randomness derives from (seed, epoch, process), so a resumed run equals an unbroken one.
    ``out`` receives metrics.csv, checkpoint.pt (for ``resume``) and best.pt (a state dict).
    ``labels`` are the classes' names: a run resumes only with those and the photos it began with.

    Raises:
        RunError: the checkpoint is of another recipe or of other photos, or the loss is no longer
            a number.
    """
    rank, world, device = join()
    out.mkdir(parents=True, exist_ok=True)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    ema = copy.deepcopy(model).eval().requires_grad_(False)
    run = TrainingRun(model, ema, make_optimiser(model, recipe))
    pictures = (train.pixels, train.targets, validation.pixels, validation.targets)
    data = fingerprint(labels, *pictures)
    if resume and (out / "checkpoint.pt").exists():
        restore(run, recipe, data, out / "checkpoint.pt")
    elif rank == 0:  # else a run that stops in its first epoch would resume an older run
        (out / "checkpoint.pt").unlink(missing_ok=True)
    # After make_optimiser, which freezes: DistributedDataParallel waits for every gradient.
    parallel = nn.parallel.DistributedDataParallel(model) if world > 1 else model
    for epoch in range(len(run.log), recipe.epochs):
        if recipe.patience and run.since_best >= recipe.patience:
            break
        start = time.monotonic()
        trained = _epoch(parallel, run, train, recipe, loss, views, epoch)
        checked = _validate(run, validation, recipe, epoch)
        lr = recipe.lr * recipe.lr_factor((epoch + 1) / recipe.epochs)
        seconds = time.monotonic() - start
        run.log.append(EpochLog(epoch, recipe.size_at(epoch), lr, *trained, *checked, seconds))
        if rank == 0:
            write(run, recipe, data, out)
    model.load_state_dict(run.best)
    model.eval()
    return run.log


@torch.no_grad()
def predict(model: nn.Module, pixels: Tensor, size: int, batch: int = 64) -> Tensor:
    """Logits float32 [N, K] on the CPU, of whole photos uint8 [N, 3, H, W] at ``size`` pixels."""
    device = next(model.parameters()).device
    parts = []
    for chunk in pixels.split(batch):
        with autocast(device):
            parts.append(_logits(model(resized(chunk.to(device), size))).cpu())
    return torch.cat(parts)


def _epoch(
    parallel: nn.Module,
    run: TrainingRun,
    train: Photos,
    recipe: Recipe,
    loss: Loss,
    views: Views,
    epoch: int,
) -> tuple[float, float]:
    """One pass over this process's share of the photos; its mean loss and accuracy."""
    rank, world, device = join()
    seed = (recipe.seed << 32) + (epoch << 8)
    drawn = torch.Generator().manual_seed(seed + 255)
    order = epoch_order(train.targets, recipe.balance, drawn, recipe.others)
    chance = torch.Generator().manual_seed(seed + rank)
    torch.manual_seed(seed + rank)  # dropout and the like
    # Every process gets the same number of full batches: otherwise one would wait for ever.
    batch = min(recipe.batch, len(order) // world)
    steps = len(order) // (batch * world)
    parallel.train()
    totals = torch.zeros(2, device=device)
    shown = tqdm(range(steps), f"epoch {epoch + 1}/{recipe.epochs}", leave=False, disable=None)
    for step in shown:
        done = (epoch + (step + 1) / steps) / recipe.epochs
        set_lr(run.optimiser, recipe.lr * recipe.lr_factor(done))
        rows = order[(step * world + rank) * batch :][:batch]
        pixels = views(train.pixels[rows].to(device), recipe.size_at(epoch), recipe, chance)
        targets = train.targets[rows].to(device)
        if done <= 1 - recipe.mix_off:
            targets = mix(pixels, targets, recipe, chance)
        with autocast(device):
            logits = _logits(parallel(pixels))
        value = loss(logits, smooth(targets, recipe.label_smoothing))
        run.optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(run.model.parameters(), recipe.clip)
        run.optimiser.step()
        average(run.ema, run.model, recipe.ema_decay, epoch * steps + step)
        hits = (logits[:, : targets.shape[1]].argmax(1) == targets.argmax(1)).float().mean()
        totals += torch.stack([value.detach(), hits]) / steps
    if world > 1:
        dist.all_reduce(totals)
    mean_loss, accuracy = (totals / world).tolist()
    if not math.isfinite(mean_loss):
        raise RunError(f"the loss is {mean_loss} in epoch {epoch + 1}; lower the learning rate")
    return mean_loss, accuracy


def _validate(run: TrainingRun, photos: Photos, recipe: Recipe, epoch: int) -> tuple[float, float]:
    """Loss and accuracy of the averaged weights on whole photos; keeps them if they are best."""
    if (epoch + 1) % recipe.validate_every and epoch + 1 < recipe.epochs:
        return math.nan, math.nan
    if dist.is_initialized():  # batch norm statistics differ by process; the first one's are used
        for buffer in run.ema.buffers():
            dist.broadcast(buffer, 0)
    logits = predict(run.ema, photos.pixels, recipe.eval_size, recipe.batch)
    value = float(F.cross_entropy(logits, photos.targets))
    hits = (logits.argmax(1) == photos.targets.argmax(1)).float().mean()
    run.since_best += 1
    if value < run.best_loss or not run.best:
        run.best_loss, run.since_best = value, 0
        run.best = {name: tensor.clone() for name, tensor in run.ema.state_dict().items()}
    return value, float(hits)


def _logits(output: Any) -> Tensor:
    first: Tensor = output[0] if isinstance(output, tuple) else output
    return first.float()


def join() -> tuple[int, int, torch.device]:
    """This process's rank, how many there are (torchrun sets WORLD_SIZE), and its device."""
    cuda = torch.cuda.is_available()
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if cuda else "gloo")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else "cpu"
    return int(os.environ.get("RANK", "0")), world, torch.device(device)
