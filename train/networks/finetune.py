"""The transfer model: a head on frozen features, then the late stages with it."""

from pathlib import Path
from typing import Any

import torch
from timm.models import group_parameters
from torch import nn

from tagger.imaging.decode import Resize
from train.fit.loop import fit, join
from train.networks.depthwise import restore, speed_up
from train.networks.head import embed, fit_head
from train.networks.margin import Joint
from train.networks.pretrained import Transfer
from train.photos.arrays import load_photos
from train.photos.folders import Sample
from train.photos.pixel_cache import CACHE
from train.photos.split import Material
from train.photos.views import views
from train.recipe import Recipe

# Chosen on validation photos: squeezing keeps a tall minaret or a wide bridge whole.
# Linear head on frozen features at 288 px, top-1: squash 94.9 %, centre crop 94.3 %. The fine-tuned
# network is as good at 256 as at 288 (MODEL_CARD.md), and a pass is a sixth shorter.
RESIZE = Resize.SQUASH
SIZE = 256
STORED = 256  # edge of the photos that training crops are taken from
EPOCHS = 16
DROPOUT = 0.2
FROZEN = 3 / 8  # of the trunk's stages, from its start: an EfficientNet's stem and first two
TRUNK, DECAY = 0.4, 0.8  # learning rate of the trunk's end; factor from stage to earlier stage


def repeat_near(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """Show negatives of other buildings twice: they are the few that teach the difference."""
    return samples + tuple(s for s in samples if s.source.startswith("near/"))


def stages(trunk: nn.Module) -> list[list[str]]:
    """The stages of a timm network, first to last, each as prefixes of its parameters' names.

    timm itself knows the stages of its networks (``group_matcher``), whatever it calls them. The
    first prefix of the last stage is its blocks; any others are what follows them.
    """
    matcher: Any = trunk.group_matcher
    groups: dict[int, list[str]] = group_parameters(trunk, matcher(coarse=True))
    names = [name for name, _ in trunk.named_parameters()]
    return [_prefixes(groups[number], names) for number in sorted(groups)]


def _prefixes(members: list[str], names: list[str]) -> list[str]:
    """The shortest dotted prefixes that all members have, and no other name."""
    others = tuple(set(names) - set(members))
    prefixes: dict[str, None] = {}
    for name in members:
        parts = name.split(".")
        heads = (".".join(parts[:n]) + "." for n in range(1, len(parts)))
        own = (head for head in heads if not any(other.startswith(head) for other in others))
        prefixes[next(own, name)] = None
    return list(prefixes)


def recipe(network: Transfer, epochs: int = EPOCHS, seed: int = 0) -> Recipe:
    """Fine-tune all but the first stages, later ones faster; depthwise kernels stay as they are.

    Those kernels are 2 % of an EfficientNet's weights and a third of its backward pass. Chosen on
    validation photos, see MODEL_CARD.md.
    """
    order = stages(network.trunk)
    first = round(FROZEN * len(order))
    early = (f"trunk.{prefix}" for stage in order[:first] for prefix in stage)
    kernels = (
        f"trunk.{name}"
        for name, parameter in network.trunk.named_parameters()
        if parameter.ndim == 4 and parameter.shape[1] == 1
    )
    trained = [*order[first:-1], order[-1][:1]]
    slower = (
        (f"trunk.{prefix}", TRUNK * DECAY ** (len(trained) - n))
        for n, stage in enumerate(trained)
        for prefix in stage
    )
    frozen = ((prefix, 0.0) for prefix in (*early, *kernels))
    return Recipe(
        epochs=epochs,
        lr=1.5e-3,
        lr_scales=(*frozen, *slower, ("trunk.", TRUNK)),
        sizes=((0.35, 192), (0.8, 224), (1.0, 240)),
        eval_size=SIZE,
        batch=128,
        weight_decay=0.05,
        warmup=0.06,
        clip=2.0,
        label_smoothing=0.05,
        balance=0.5,
        others=0.18,
        ema_decay=0.998,
        mix=0.5,
        mixup=0.3,
        mix_off=0.15,
        crop=0.3,
        magnitude=0.4,
        erase=0.2,
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
    """Fit the head on frozen features, then train the late stages with it; see ``loop.fit``."""
    torch.manual_seed(chosen.seed)
    columns = material.columns
    train, _ = load_photos(repeat_near(material.train), columns, STORED, RESIZE, cache)
    valid, _ = load_photos(material.valid, columns, STORED, RESIZE, cache)
    if not (resume and (out / "checkpoint.pt").exists()):
        _, _, device = join()
        features = embed(network.to(device), train.pixels)
        fit_head(network.cpu().head, features, train.targets)
        network.margin.begin(features, train.targets)
    speed_up(network)
    loss = Joint(train.targets.sum(0)[:-1])
    labels = material.labels + material.beside
    fit(network, train, valid, chosen, out, labels=labels, loss=loss, views=views, resume=resume)
    restore(network)
