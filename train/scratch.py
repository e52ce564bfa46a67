"""The CNN trained from scratch: a small residual network, wide where a CPU core is efficient."""

import torch
from torch import Tensor, nn


class Excite(nn.Module):
    """Squeeze-and-excitation: scale channels by a look at the whole map (arXiv:1709.01507)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, width // 8)
        self.excite = nn.Linear(width // 8, width)

    def forward(self, x: Tensor) -> Tensor:
        gates = self.excite(torch.relu(self.squeeze(x.mean((2, 3)))))
        return x * torch.sigmoid(gates)[:, :, None, None]


class Block(nn.Module):
    """Two dense 3 x 3 convolutions beside a shortcut; [N, before, H, W] to [N, width, H/s, W/s].

    Depthwise convolutions cost fewer operations but wait for memory when trained on a CPU. The
    shortcut averages before it subsamples (ResNet-D, arXiv:1812.01187); the last norm starts at
    zero so that a block starts as its shortcut (arXiv:1706.02677).
    """

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            Excite(width),
        )
        nn.init.zeros_(self.body[4].weight)
        self.shortcut: nn.Module = nn.Identity()
        if before != width:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True),
                nn.Conv2d(before, width, 1, bias=False),
                nn.BatchNorm2d(width),
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class ScratchNet(nn.Module):
    """Float32 [N, 3, S, S] in 0..1 to (logits [N, columns], embedding [N, widths[-1]])."""

    def __init__(
        self,
        columns: int,
        widths: tuple[int, ...] = (32, 64, 160, 384),
        depths: tuple[int, ...] = (1, 2, 3, 1),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        first = widths[0]
        self.stem = nn.Sequential(
            nn.Conv2d(3, first // 2, 3, 2, 1, bias=False),
            nn.BatchNorm2d(first // 2),
            nn.ReLU(inplace=True),
            nn.Conv2d(first // 2, first, 3, 2, 1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
        )
        blocks, before = [], first
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for place in range(depth):
                blocks.append(Block(before, width, 2 if stage and not place else 1))
                before = width
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(before, columns)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        features = self.blocks(self.stem((pixels - 0.45) * 4.4))
        embedding = features.float().mean((2, 3))
        return self.head(self.dropout(embedding)), embedding
