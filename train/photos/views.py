"""Strong random views that make sources look alike, whole batches at once, on CPU or GPU."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from train.photos.augment import GREY
from train.recipe import Recipe

# Photos of one landmark come from few places, each with its own camera, scaler and codec: what a
# network could tell them by is drawn at random: crop, slant, colours, blur, detail, recompression.
# Shares of photos that are slanted, turned grey, blurred, scaled down and up, and recompressed.
SLANTED, GREYED, BLURRED, SCALED, RECOMPRESSED = 0.5, 0.06, 0.25, 0.25, 0.4
# Annex K of JPEG (ITU-T T.81): luminance; chrominance as K.2, its fine steps apart all 99.
LUMA = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99.0],
    ]
)
CHROMA = torch.full((8, 8), 99.0)
CHROMA[:4, :4] = torch.tensor(
    [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99.0]]
)
_WAVE = torch.arange(8.0)
DCT = torch.cos((2 * _WAVE[None] + 1) * _WAVE[:, None] * math.pi / 16) / 2
DCT[0] /= math.sqrt(2)


def views(pixels: Tensor, size: int, recipe: Recipe, chance: torch.Generator) -> Tensor:
    """One random view of each photo: uint8 [N, 3, H, W] to float32 [N, 3, size, size] in 0..1.

    ``size`` is a multiple of 16. All randomness is drawn from ``chance``, on the CPU.
    """
    draw = Draw(chance, pixels.device)
    batch = _cropped(pixels.float().div_(255), size, recipe.crop, draw)
    batch = _coloured(batch, 2 * recipe.magnitude, draw).clamp_(0, 1)
    _some(batch, BLURRED, _blurred, draw)
    _some(batch, SCALED, _scaled, draw)
    _some(batch.clamp_(0, 1), RECOMPRESSED, _recompressed, draw)
    return _erased(batch, recipe.erase, draw)


class Draw:
    """Uniform numbers [N] from a generator on the CPU, handed to a device."""

    def __init__(self, chance: torch.Generator, device: torch.device) -> None:
        self.chance, self.device = chance, device

    def __call__(self, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        drawn = torch.rand(count, generator=self.chance) * (high - low) + low
        return drawn.to(self.device)

    def one(self, low: float = 0.0, high: float = 1.0) -> float:
        return float(torch.rand((), generator=self.chance)) * (high - low) + low


def _some(
    batch: Tensor, share: float, change: Callable[[Tensor, Draw], Tensor], draw: Draw
) -> None:
    rows = (draw(len(batch)) < share).nonzero()[:, 0]
    if len(rows):
        batch[rows] = change(batch[rows], draw)


def _cropped(batch: Tensor, size: int, least: float, draw: Draw) -> Tensor:
    """A random part, mirrored half of the time; half of them turned, slanted, seen from aside."""
    count = len(batch)
    edge, shape = draw(count, least).sqrt(), torch.exp(draw(count, -0.29, 0.29))
    wide, high = (edge * shape).clamp(max=1), (edge / shape).clamp(max=1)
    x, y = (1 - wide) * draw(count, -1), (1 - high) * draw(count, -1)
    mirror = torch.where(draw(count) < 0.5, -1.0, 1.0)
    slanted = (draw(count) < SLANTED).float()
    turn, slant_x, slant_y = slanted * torch.stack(
        [draw(count, -0.21, 0.21), draw(count, -0.12, 0.12), draw(count, -0.12, 0.12)]
    )
    upper = torch.stack([turn.cos() * wide * mirror, (slant_x - turn.sin()) * wide, x], 1)
    lower = torch.stack([(turn.sin() + slant_y) * high * mirror, turn.cos() * high, y], 1)
    grid = F.affine_grid(torch.stack([upper, lower], 1), [count, 3, size, size], False)
    aside, above = (slanted * draw(count, -0.12, 0.12) for _ in range(2))
    depth = 1 + aside[:, None, None] * grid[..., 0] + above[:, None, None] * grid[..., 1]
    return F.grid_sample(batch, grid / depth[..., None], "bilinear", "reflection", False)


def _coloured(batch: Tensor, strength: float, draw: Draw) -> Tensor:
    """Brightness, contrast, saturation, the balance of colours, and gamma; a few in grey."""
    count, grey = len(batch), _grey(batch)

    def by(most: float) -> Tensor:
        return 1 + strength * draw(count, -most, most)[:, None, None, None]

    batch = batch * by(0.5)
    mean = _luma(batch, grey).mean((2, 3), keepdim=True)
    batch = mean + (batch - mean) * by(0.5)
    luma = _luma(batch, grey)
    batch = luma + (batch - luma) * by(0.7)
    batch = batch * (1 + strength * draw(3 * count, -0.2, 0.2).view(count, 3, 1, 1))
    batch = batch.clamp(1e-3, 1) ** torch.exp(by(0.5) - 1)
    plain = (draw(count) < GREYED)[:, None, None, None]
    return torch.where(plain, _luma(batch, grey).expand_as(batch), batch)


def _grey(batch: Tensor) -> Tensor:
    return torch.tensor(GREY, device=batch.device).view(1, 3, 1, 1)


def _luma(batch: Tensor, grey: Tensor) -> Tensor:
    return (batch * grey).sum(1, keepdim=True)


def _blurred(batch: Tensor, draw: Draw) -> Tensor:
    """A Gaussian blur of up to 1.8 pixels, drawn for each photo."""
    places = torch.arange(-4, 5, device=batch.device).float()
    weights = torch.exp(-(places[None] ** 2) / (2 * draw(len(batch), 0.3, 1.8)[:, None] ** 2))
    weights = (weights / weights.sum(1, keepdim=True))[:, :, None, None, None]
    height, width = batch.shape[2:]
    wide = F.pad(batch, (4, 4, 0, 0), mode="reflect")
    batch = torch.stack([weights[:, n] * wide[..., n : n + width] for n in range(9)]).sum(0)
    tall = F.pad(batch, (0, 0, 4, 4), mode="reflect")
    return torch.stack([weights[:, n] * tall[..., n : n + height, :] for n in range(9)]).sum(0)


def _scaled(batch: Tensor, draw: Draw) -> Tensor:
    size = batch.shape[-1]
    small = F.interpolate(batch, int(size * draw.one(0.3, 0.9)), mode="bilinear", antialias=True)
    return F.interpolate(small, size, mode="bilinear" if draw.one() < 0.5 else "bicubic")


def _recompressed(batch: Tensor, draw: Draw) -> Tensor:
    """Simulated JPEG of quality 18 to 92: quantised DCT coefficients, chroma subsampled."""
    quality = draw(len(batch), 18, 92)
    step = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    luma = 255 * _luma(batch, _grey(batch))[:, 0]
    blue, red = (255 * batch[:, 2] - luma) * 0.564, (255 * batch[:, 0] - luma) * 0.713
    luma = _in_steps(luma - 128, LUMA, step) + 128
    halves = (F.avg_pool2d(part[:, None], 2)[:, 0] for part in (blue, red))
    blue, red = (
        F.interpolate(_in_steps(part, CHROMA, step)[:, None], scale_factor=2, mode="bilinear")[:, 0]
        for part in halves
    )
    colours = (luma + 1.402 * red, luma - 0.344 * blue - 0.714 * red, luma + 1.772 * blue)
    return torch.stack(colours, 1).div_(255).clamp_(0, 1)


def _in_steps(plane: Tensor, table: Tensor, step: Tensor) -> Tensor:
    count, height, width = plane.shape
    wave = DCT.to(plane.device)
    blocks = plane.reshape(count, height // 8, 8, width // 8, 8).transpose(2, 3)
    steps = (table.to(plane.device) * step[:, None, None]).clamp(1, 255)[:, None, None]
    cosines = ((wave @ blocks @ wave.T) / steps).round() * steps
    return (wave.T @ cosines @ wave).transpose(2, 3).reshape(count, height, width)


def _erased(batch: Tensor, share: float, draw: Draw) -> Tensor:
    """Fill a square of some photos with one colour, 2 to 22 % of the area."""
    count, size = len(batch), batch.shape[-1]
    half = draw(count, 0.02, 0.22).sqrt()[:, None] / 2
    places = torch.linspace(0, 1, size, device=batch.device)
    across, down = ((places - draw(count)[:, None]).abs() < half for _ in range(2))
    gone = across[:, None, :] & down[:, :, None] & (draw(count) < share)[:, None, None]
    colour = draw(3 * count).view(count, 3, 1, 1)
    return torch.where(gone[:, None], colour, batch)
