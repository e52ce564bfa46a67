"""The CNN trained from scratch: a small residual network suited to a CPU core."""

from pathlib import Path

import torch
from torch import Tensor, nn

from tagger.imaging.decode import Resize
from train.fit.loop import fit
from train.photos.arrays import load_photos
from train.photos.pixel_cache import CACHE
from train.photos.split import Material
from train.recipe import Recipe

RESIZE = Resize.SQUASH
STORED = 192  # edge at which photos are kept: crops of half of it still have 96 pixels
SIZE = 128


class Excite(nn.Module):
    """Squeeze-and-excitation: scale channels by global context (arXiv:1709.01507)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, width // 8)
        self.excite = nn.Linear(width // 8, width)

    def forward(self, x: Tensor) -> Tensor:
        gates = self.excite(torch.relu(self.squeeze(x.mean((2, 3)))))
        return x * torch.sigmoid(gates)[:, :, None, None]


class ResidualBlock(nn.Module):
    """Two dense 3 x 3 convolutions beside a shortcut; [N, before, H, W] to [N, width, H/s, W/s].

    Depthwise convolutions cost fewer operations but wait for memory when trained on a CPU. The
    shortcut averages before it subsamples (ResNet-D, arXiv:1812.01187); the last norm starts at
    zero so that a block starts as its shortcut (arXiv:1706.02677).
    """

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        last = nn.BatchNorm2d(width)
        self.body = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            last,
            Excite(width),
        )
        nn.init.zeros_(last.weight)
        self.shortcut: nn.Module = nn.Identity()
        if before != width:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True),
                nn.Conv2d(before, width, 1, bias=False),
                nn.BatchNorm2d(width),
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class Pool(nn.Module):
    """Mean of each channel, in float32: [N, D, H, W] to [N, D]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.float().mean((2, 3))


class ScratchNet(nn.Module):
    """Photos in 0..1, float [N, 3, S, S], to (logits [N, columns], embedding [N, widths[-1]]).

    Widths are multiples of 32, which a CPU's bfloat16 kernels are made for, and small while maps
    are large: of variants with equal time an epoch, this one sees the most photos a second.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        columns: int,
        widths: tuple[int, ...] = (32, 64, 160, 384),
        depths: tuple[int, ...] = (1, 2, 3, 1),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        before = widths[0]
        stem = nn.Sequential(
            nn.Conv2d(3, before // 2, 3, 2, 1, bias=False),
            nn.BatchNorm2d(before // 2),
            nn.ReLU(inplace=True),
            nn.Conv2d(before // 2, before, 3, 2, 1, bias=False),
            nn.BatchNorm2d(before),
            nn.ReLU(inplace=True),
        )
        blocks = []
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for place in range(depth):
                blocks.append(ResidualBlock(before, width, 2 if stage and not place else 1))
                before = width
        self.trunk = nn.Sequential(stem, nn.Sequential(*blocks), Pool())
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(before, columns)
        # Means and spread of natural photos, the three channels alike.
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.45))
        self.register_buffer("std", torch.full((1, 3, 1, 1), 1 / 4.4))

    def forward(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        embedding = self.trunk((photos - self.mean) / self.std)
        return self.head(self.dropout(embedding)), embedding


def recipe(epochs: int = 140, seed: int = 0) -> Recipe:
    """An hour on one CPU core with bfloat16: small photos first, 128 pixels at the end."""
    return Recipe(
        epochs=epochs,
        lr=2e-3,
        sizes=((0.45, 64), (0.9, 96), (1.0, 128)),
        eval_size=SIZE,
        batch=64,
        weight_decay=0.05,
        warmup=0.05,
        label_smoothing=0.1,
        ema_decay=0.998,
        mix=0.5,
        mixup=0.2,
        cutmix=1.0,
        mix_off=0.08,
        crop=0.25,
        operations=1,
        magnitude=0.5,
        erase=0.2,
        degrade=0.2,
        validate_every=2,
        seed=seed,
    )


def train_scratch(
    material: Material, chosen: Recipe, out: Path, *, resume: bool = False, cache: Path = CACHE
) -> ScratchNet:
    """A network trained from random weights, with its best averaged weights; see ``loop.fit``."""
    columns = len(material.labels) + 1
    torch.manual_seed(chosen.seed)
    network = ScratchNet(columns)
    train, _ = load_photos(material.train, columns, STORED, RESIZE, cache)
    valid, _ = load_photos(material.valid, columns, STORED, RESIZE, cache)
    fit(network, train, valid, chosen, out, labels=material.labels, resume=resume)
    return network
