"""The network for thumbnails, which says whether one may show a landmark."""

import copy
import math
import time
from collections.abc import Sequence
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from train.fit.optimise import autocast
from train.networks.depthwise import restore, speed_up
from train.networks.pretrained import Transfer, transfer
from train.photos.augment import GREY
from train.photos.camera_thumbnails import thumbnails

SIZE = 128  # edge that a thumbnail is squeezed to
STAGES = 5  # of EfficientNet-Lite0's seven: 6 and 7 take 1.5 and 1.9 times as long
WIDTH = 320
# Landmarks, ordinary things, other buildings and scenery: photos of each in a batch, and what they
# count as. The last may be what a later model or a user's own places know, so rather known.
DRAWN, AIMS = (30, 26, 8), (0.99, 0.01, 0.7)
# Rounds: share of the time, and learning rate. From the second on, photos that the network gets
# wrong are drawn up to six times as often as those that it is sure of: of ordinary photos of
# validation 20 % passed at one limit after one round, 14 % after two.
ROUNDS = ((0.45, 1.2e-3), (0.35, 9e-4), (0.2, 8e-4))
OF_STAGES, DECAY, AVERAGED = 0.4, 0.03, 0.998
WARMUP = 0.05  # of a round
MIXED = 0.3  # share of batches

Pictures = NDArray[np.uint8]


class Trunk(nn.Module):
    """The first stages of a timm EfficientNet and a wider layer: its means and its peaks."""

    def __init__(self, pretrained: Transfer) -> None:
        super().__init__()
        parts = dict(pretrained.trunk.named_children())
        self.stem, self.norm = parts["conv_stem"], parts["bn1"]
        self.blocks = nn.Sequential(*list(parts["blocks"].children())[:STAGES])
        last = [part for part in self.blocks.modules() if isinstance(part, nn.BatchNorm2d)][-1]
        self.wider = nn.Conv2d(last.num_features, WIDTH, 1)

    def forward(self, photos: Tensor) -> Tensor:
        features = F.relu6(self.wider(self.blocks(self.norm(self.stem(photos)))))
        return torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)


class ThumbnailNetwork(nn.Module):
    """Float32 [N, 3, S, S] in -1..1 to logits [N]; the stem and three stages stay as they are."""

    def __init__(self, pretrained: Transfer | None = None) -> None:
        super().__init__()
        self.trunk = Trunk(pretrained or transfer("lite0", 1))
        self.head = nn.Linear(2 * WIDTH, 1)
        self.dropout = nn.Dropout(0.2)
        for module in (self.trunk.stem, self.trunk.norm, *self.trunk.blocks[:3]):
            module.requires_grad_(False)
        for parameter in self.trunk.blocks.parameters():  # depthwise: a third of the work
            if parameter.ndim == 4 and parameter.shape[1] == 1:
                parameter.requires_grad_(False)

    def forward(self, photos: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(self.trunk(photos)))
        return logits.float()[:, 0]

    def train(self, mode: bool = True) -> "ThumbnailNetwork":
        """Batch normalisation keeps its pretrained statistics."""
        super().train(mode)
        for module in self.trunk.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self


def train_thumbnails(
    network: ThumbnailNetwork,
    pictures: Pictures,
    kinds: NDArray[np.int64],
    minutes: float,
    seed: int = 0,
) -> ThumbnailNetwork:
    """Train for a given time; return the averaged network.

    Args:
        network: trained in place.
        pictures: uint8 [N, 3, H, W].
        kinds: of each, as DRAWN has them.
    """
    torch.manual_seed(seed)
    chance, averaged = torch.Generator().manual_seed(seed), network
    groups = [torch.from_numpy(np.flatnonzero(kinds == kind)) for kind in range(len(DRAWN))]
    drawn = [torch.ones(len(group)) for group in groups]
    with tqdm(total=round(minutes, 1), unit="min", disable=None) as shown:
        for share, rate in ROUNDS:
            if averaged is not network:  # not the first round
                network.load_state_dict(averaged.state_dict())
                drawn = _hard(averaged, pictures, groups, seed)
            averaged = _round(
                network, torch.from_numpy(pictures), groups, drawn, chance, rate,
                60 * minutes * share, shown,
            )  # fmt: skip
    return averaged


def _round(
    network: ThumbnailNetwork,
    pixels: Tensor,
    groups: Sequence[Tensor],
    drawn: Sequence[Tensor],
    chance: torch.Generator,
    top: float,
    seconds: float,
    shown: "tqdm[NoReturn]",
) -> ThumbnailNetwork:
    """Train for a while on photos drawn by their weights; return the averaged network."""
    speed_up(network)
    averaged = copy.deepcopy(network).eval().requires_grad_(False)
    stages = [each for each in network.trunk.blocks.parameters() if each.requires_grad]
    fresh = [*network.trunk.wider.parameters(), *network.head.parameters()]
    optimiser = torch.optim.AdamW([{"params": stages}, {"params": fresh}], weight_decay=DECAY)
    start, step, done, before = time.monotonic(), 0, 0.0, shown.n
    network.train()
    while done < 1:
        rate = top * min(1, done / WARMUP) * (0.5 + 0.5 * math.cos(math.pi * done))
        for group, scale in zip(optimiser.param_groups, (OF_STAGES, 1.0), strict=True):
            group["lr"] = rate * scale
        photos, aims = _batch(pixels, groups, drawn, chance)
        with autocast(torch.device("cpu")):
            logits = network(photos)
        loss = F.binary_cross_entropy_with_logits(logits, aims)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        _average(averaged, network, min(AVERAGED, (1 + step) / (10 + step)))
        step, done = step + 1, (time.monotonic() - start) / seconds
        shown.set_postfix_str(f"step {step}, loss {float(loss.detach()):.3f}")
        shown.update(before + min(1.0, done) * seconds / 60 - shown.n)
    restore(network)
    restore(averaged)
    return averaged


def _hard(
    network: ThumbnailNetwork, pictures: Pictures, groups: Sequence[Tensor], seed: int
) -> list[Tensor]:
    """How often each photo of each group is drawn: the more, the less the network is sure of it."""
    logits = torch.from_numpy(logits_of(network, pictures, seed))
    landmark, ordinary, _ = groups
    return [
        0.35 + torch.sigmoid(2 - logits[landmark]),
        0.25 + torch.sigmoid(logits[ordinary] + 1.5),
        torch.ones(len(groups[2])),
    ]


@torch.no_grad()
def logits_of(network: ThumbnailNetwork, pictures: Pictures, seed: int) -> NDArray[np.float32]:
    """Of all of each picture, as a camera's thumbnail shows it; float32 [N]."""
    chance, parts = torch.Generator().manual_seed(seed), []
    for part in torch.from_numpy(pictures).split(64):
        small = thumbnails(part, SIZE, chance, crop=1)
        parts.append(network(small.float() / 127.5 - 1))
    logits: NDArray[np.float32] = torch.cat(parts).numpy()
    return logits


def _batch(
    pixels: Tensor, groups: Sequence[Tensor], weights: Sequence[Tensor], chance: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Thumbnails float32 [N, 3, S, S] in -1..1, and what each counts as."""
    drawn = [
        group[torch.multinomial(weight, count, replacement=True, generator=chance)]
        for group, weight, count in zip(groups, weights, DRAWN, strict=True)
    ]
    aims = torch.cat([torch.full((n,), aim) for n, aim in zip(DRAWN, AIMS, strict=True)])
    photos = _coloured(thumbnails(pixels[torch.cat(drawn)], SIZE, chance).float(), chance)
    mixed, share = torch.rand(2, generator=chance).tolist()
    if mixed < MIXED:
        order = torch.randperm(len(aims), generator=chance)
        photos, aims = photos.lerp(photos[order], share / 2), aims.lerp(aims[order], share / 2)
    return photos.contiguous(memory_format=torch.channels_last), aims


def _coloured(batch: Tensor, chance: torch.Generator) -> Tensor:
    """Values 0..255 to -1..1; saturation, contrast and brightness moved a little."""
    saturation, contrast, brightness = torch.rand(3, len(batch), 1, 1, 1, generator=chance)
    grey = (batch * torch.tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)
    batch = grey + (batch - grey) * (0.5 + saturation)
    mean = grey.mean((2, 3), keepdim=True)
    batch = (mean + (batch - mean) * (0.7 + 0.6 * contrast)) * (0.7 + 0.6 * brightness)
    return (batch / 127.5 - 1).clamp_(-1, 1)


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, kept: float) -> None:
    now = network.state_dict()
    for name, mean in averaged.state_dict().items():
        if mean.is_floating_point():
            mean.lerp_(now[name], 1 - kept)
