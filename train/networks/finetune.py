"""The transfer model: a head on frozen features, then the late blocks with it."""

from pathlib import Path

import torch

from tagger.imaging.decode import Resize
from train.fit.loop import fit, join
from train.networks.depthwise import restore, speed_up
from train.networks.head import embed, fit_head
from train.networks.pretrained import Transfer
from train.photos.arrays import load_photos
from train.photos.folders import Sample
from train.photos.pixel_cache import CACHE
from train.photos.split import Material
from train.recipe import Recipe

# Chosen on validation photos: squeezing keeps all of a tall minaret or a wide bridge in view.
# Linear head on frozen features at 288 px, top-1: squash 94.9 %, centre crop 94.3 %. The fine-tuned
# network is as good at 256 as at 288 (MODEL_CARD.md), and a pass is a sixth shorter.
RESIZE = Resize.SQUASH
SIZE = 256
STORED = 288  # edge of the photos that training crops are cut from
EPOCHS = 12
DROPOUT = 0.2


def repeat_near(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """Show negatives of other buildings twice: they are the few that teach the difference."""
    return samples + tuple(s for s in samples if s.source.startswith("near/"))


def recipe(network: Transfer, epochs: int = EPOCHS, seed: int = 0) -> Recipe:
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
        sizes=((0.5, 224), (1.0, 256)),
        eval_size=SIZE,
        batch=32,
        weight_decay=0.02,
        warmup=0.05,
        label_smoothing=0.03,
        ema_decay=0.995,
        mix=0.3,
        mix_off=0.15,
        crop=0.35,
        magnitude=0.4,
        erase=0.1,
        degrade=0.4,
        seed=seed,
    )


def train_transfer(
    network: Transfer,
    material: Material,
    chosen: Recipe,
    out: Path,
    *,
    resume: bool = False,
    cache: Path = CACHE,
) -> None:
    """Fit the head on frozen features, then train the late blocks with it; see ``loop.fit``."""
    torch.manual_seed(chosen.seed)
    columns = len(material.labels) + 1
    train, _ = load_photos(repeat_near(material.train), columns, STORED, RESIZE, cache)
    valid, _ = load_photos(material.valid, columns, STORED, RESIZE, cache)
    if not (resume and (out / "checkpoint.pt").exists()):
        _, _, device = join()
        features = embed(network.to(device), train.pixels)
        fit_head(network.cpu().head, features, train.targets)
    speed_up(network)
    fit(network, train, valid, chosen, out, labels=material.labels, resume=resume)
    restore(network)
