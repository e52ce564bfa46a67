"""The transfer model: a head on frozen features, then the late blocks with it."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tagger.imaging import Resize
from train.data import Sample, read_folder, read_negatives
from train.depthwise import speed_up
from train.head import embed, fit_head
from train.loop import Photos, fit, one_hot
from train.models import Transfer
from train.pixels import CACHE, load_pixels
from train.recipe import Recipe
from train.split import grouped_split

# Chosen on validation photos: squeezing keeps all of a tall minaret or a wide bridge in view.
# Linear head on frozen features at 288 px, top-1: squash 94.9 %, centre crop 94.3 %.
RESIZE = Resize.SQUASH
SIZE = 288
VALIDATION = 0.10
NEGATIVE_VALIDATION = 0.20


@dataclass(frozen=True, slots=True)
class Material:
    """All photos of a training run; ``labels`` are slugs, negatives have label NO_LANDMARK."""

    labels: tuple[str, ...]
    train: tuple[Sample, ...]
    valid: tuple[Sample, ...]


def gather(data: Path, negatives: Path, seed: int = 0, cache: Path = CACHE) -> Material:
    """Read both folders and carve validation off; look-alikes stay on one side."""
    folder = read_folder(data / "train")
    landmarks = grouped_split(folder.samples, VALIDATION, seed, cache)
    others = grouped_split(read_negatives(negatives, "train"), NEGATIVE_VALIDATION, seed, cache)
    return Material(folder.labels, landmarks.train + others.train, landmarks.valid + others.valid)


def photos(samples: tuple[Sample, ...], columns: int, cache: Path = CACHE) -> Photos:
    """Decode to uint8 [N, 3, SIZE, SIZE] and one-hot targets [N, columns], background last."""
    pixels = load_pixels(samples, SIZE, RESIZE, cache)
    labels = torch.from_numpy(pixels.labels)
    return Photos(torch.from_numpy(pixels.images[:]), one_hot(labels, columns))


def repeat_near(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """Show negatives of other buildings twice: they are the few that teach the difference."""
    return samples + tuple(s for s in samples if s.source.startswith("near/"))


def recipe(network: Transfer, epochs: int = 6, seed: int = 0) -> Recipe:
    """Fine-tune from block 3 on; stem, early blocks and depthwise kernels stay as they are.

    Depthwise kernels are 2 % of an EfficientNet's weights and a third of its backward pass.
    """
    early = ("trunk.conv_stem", "trunk.bn1", *(f"trunk.blocks.{n}." for n in range(3)))
    kernels = tuple(
        name
        for name, parameter in network.trunk.named_parameters(prefix="trunk")
        if parameter.ndim == 4 and parameter.shape[1] == 1
    )
    return Recipe(
        epochs=epochs,
        lr=1.5e-4,
        lr_scales=tuple((prefix, 0.0) for prefix in early + kernels),
        sizes=((0.4, 224), (1.0, 256)),
        eval_size=SIZE,
        batch=32,
        weight_decay=0.02,
        warmup=0.05,
        label_smoothing=0.03,
        ema_decay=0.99,
        mix=0.3,
        mix_off=0.2,
        crop=0.4,
        magnitude=0.3,
        degrade=0.4,
        seed=seed,
    )


def finetune(
    network: Transfer, train: Photos, valid: Photos, chosen: Recipe, out: Path, resume: bool = False
) -> Tensor:
    """Fit the head on frozen features, then the late blocks; returns the validation losses."""
    fit_head(network.head, embed(network, train.pixels), train.targets)
    speed_up(network)
    log = fit(network, train, valid, chosen, out, resume=resume)
    return torch.tensor([line.validation_loss for line in log])
