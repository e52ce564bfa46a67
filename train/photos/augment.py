"""Random views of training photos, in batches of torch tensors cheap enough for one CPU core."""

import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as v2

from train.recipe import Recipe

GREY = (0.299, 0.587, 0.114)  # luma of ITU-R BT.601
# The plane of colours of equal luma, spanned by I and Q of YIQ; hue turns within it.
YIQ = torch.tensor([GREY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])


def augment(pixels: Tensor, size: int, recipe: Recipe, chance: torch.Generator) -> Tensor:
    """One random view of each photo: uint8 [N, 3, H, W] to float32 [N, 3, size, size] in 0..1.

    All randomness is drawn from ``chance``, a generator on the CPU, so a seed fixes the batch.
    """
    crops = torch.stack([_crop(photo, size, recipe.crop, chance) for photo in pixels])
    _degrade(crops, recipe.degrade, chance)
    batch = crops.float().div_(255).contiguous(memory_format=torch.channels_last)
    batch = _colour(batch, 0.6 * recipe.magnitude, chance)
    for _ in range(recipe.operations):
        _operate(batch, recipe.magnitude, chance)
    _erase(batch, recipe.erase, chance)
    return batch.clamp_(0, 1)


def mix(batch: Tensor, targets: Tensor, recipe: Recipe, chance: torch.Generator) -> Tensor:
    """Mixup or cutmix with the batch in another order, in place; returns the mixed targets.

    ``batch`` float32 [N, 3, S, S], ``targets`` float32 [N, K]; which of the two, and whether any,
    is drawn once per batch. Targets are weighted by the visible share of each photo.
    """
    if _one(chance) >= recipe.mix or len(batch) < 2:
        return targets
    order = torch.randperm(len(batch), generator=chance).to(batch.device)
    if _one(chance) < 0.5:
        kept = _beta(recipe.mixup, chance)
        batch.lerp_(batch[order], 1 - kept)
    else:
        height, width = batch.shape[-2:]
        edge = math.sqrt(1 - _beta(recipe.cutmix, chance))
        top, bottom = _span(height, edge, chance)
        left, right = _span(width, edge, chance)
        batch[:, :, top:bottom, left:right] = batch[order, :, top:bottom, left:right]
        kept = 1 - (bottom - top) * (right - left) / (height * width)
    return kept * targets + (1 - kept) * targets[order]


def resized(pixels: Tensor, size: int) -> Tensor:
    """Whole photos, uint8 [N, 3, H, W] to float32 [N, 3, size, size] in 0..1, antialiased."""
    batch = pixels.float().div_(255).contiguous(memory_format=torch.channels_last)
    if batch.shape[-2:] == (size, size):
        return batch
    smaller: Tensor = v2.resize(batch, [size, size], v2.InterpolationMode.BICUBIC)
    return smaller.clamp_(0, 1)


def _crop(photo: Tensor, size: int, smallest: float, chance: torch.Generator) -> Tensor:
    """A random crop, uint8 [3, size, size], mirrored half of the time (arXiv:1409.4842)."""
    height, width = photo.shape[-2:]
    area, shape, x, y, mirror = torch.rand(5, generator=chance).tolist()
    edge = math.sqrt(smallest + (1 - smallest) * area)
    ratio = math.exp((shape - 0.5) * 0.57)  # 3/4 to 4/3, as a side's ratio
    tall = min(height, max(1, round(edge / math.sqrt(ratio) * height)))
    wide = min(width, max(1, round(edge * math.sqrt(ratio) * width)))
    top, left = int(y * (height - tall + 1)), int(x * (width - wide + 1))
    part: Tensor = photo[None, :, top : top + tall, left : left + wide]
    part = v2.resize(part.contiguous(memory_format=torch.channels_last), [size, size])
    first: Tensor = part[0]
    return first.flip(-1) if mirror < 0.5 else first


def _degrade(crops: Tensor, share: float, chance: torch.Generator) -> None:
    """Scale some photos down and up, recompress others, so that quality is no cue; in place."""
    for index in _some(len(crops), share, chance):
        size = crops.shape[-1]
        kind, strength = torch.rand(2, generator=chance).tolist()
        photo = crops[index]
        if kind < 0.5:
            small = max(8, round(size * (1 - 0.6 * strength)))
            down = F.interpolate(photo[None].float(), small, mode="bilinear", antialias=True)
            up = F.interpolate(down, size, mode="bilinear")[0]
            crops[index] = up.round_().clamp_(0, 255).byte()
        else:
            crops[index] = _recompressed(photo.cpu(), round(90 - 60 * strength))


def _recompressed(photo: Tensor, quality: int) -> Tensor:
    """Uint8 [3, S, S] through JPEG of this quality, 1 to 95."""
    coded = io.BytesIO()
    Image.fromarray(photo.permute(1, 2, 0).contiguous().numpy()).save(
        coded, "JPEG", quality=quality
    )
    return torch.from_numpy(np.array(Image.open(coded, formats=["JPEG"]))).permute(2, 0, 1)


def _colour(batch: Tensor, strength: float, chance: torch.Generator) -> Tensor:
    """Jitter brightness, contrast, saturation and hue, folded into one 3 x 3 matrix a photo."""
    count = len(batch)
    draws = 1 + strength * (2 * torch.rand(3, count, generator=chance) - 1)
    brightness, contrast, saturation = draws
    angle = strength * 0.6 * (2 * torch.rand(count, generator=chance) - 1)
    turn = torch.zeros(count, 3, 3)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = saturation * angle.cos()
    turn[:, 1, 2], turn[:, 2, 1] = -saturation * angle.sin(), saturation * angle.sin()
    matrix = torch.linalg.inv(YIQ) @ turn @ YIQ * (brightness * contrast)[:, None, None]
    matrix = matrix.to(batch.device)
    mean = batch.mean((1, 2, 3)) * brightness.to(batch.device)
    shift = mean * (1 - contrast.to(batch.device))
    flat = batch.permute(0, 2, 3, 1).reshape(count, -1, 3)
    flat = torch.baddbmm(shift[:, None, None], flat, matrix.transpose(1, 2))
    return flat.clamp_(0, 1).view(count, *batch.shape[-2:], 3).permute(0, 3, 1, 2)


def _operate(batch: Tensor, magnitude: float, chance: torch.Generator) -> None:
    """One operation of RandAugment on each photo, identity included, in place by groups."""
    operations = (_warp, _sharpness, _tone, _posterize, _equalise, None)
    drawn = torch.randint(len(operations), (len(batch),), generator=chance)
    for number, operation in enumerate(operations):
        rows = (drawn == number).nonzero()[:, 0]
        if operation and len(rows):
            rows = rows.to(batch.device)
            batch[rows] = operation(batch[rows], magnitude, chance)


def _warp(batch: Tensor, magnitude: float, chance: torch.Generator) -> Tensor:
    """Rotate and shear, up to 30 degrees and 0.3 at full magnitude."""
    angle, shear_x, shear_y = magnitude * (2 * torch.rand(3, len(batch), generator=chance) - 1)
    cos, sin = (angle * 0.52).cos(), (angle * 0.52).sin()
    zero = torch.zeros(len(batch))
    rows = torch.stack([cos, 0.3 * shear_x - sin, zero, sin + 0.3 * shear_y, cos, zero], 1)
    theta = rows.view(-1, 2, 3).to(batch.device)
    grid = F.affine_grid(theta, list(batch.shape), align_corners=False)
    return F.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)


def _sharpness(batch: Tensor, magnitude: float, chance: torch.Generator) -> Tensor:
    """Blend with a 3 x 3 blur, or away from it."""
    factor = 1.8 * magnitude * (2 * torch.rand(len(batch), generator=chance) - 1)
    blurred = F.avg_pool2d(batch, 3, 1, 1, count_include_pad=False)
    return torch.lerp(batch, blurred, factor.to(batch.device)[:, None, None, None]).clamp_(0, 1)


def _tone(batch: Tensor, magnitude: float, chance: torch.Generator) -> Tensor:
    """Gamma from 1/3 to 3 at full magnitude."""
    exponent = (1.1 * magnitude * (2 * torch.rand(len(batch), generator=chance) - 1)).exp()
    return batch.clamp(min=1e-4).pow(exponent.to(batch.device)[:, None, None, None])


def _posterize(batch: Tensor, magnitude: float, chance: torch.Generator) -> Tensor:
    """Few levels a channel, down to 4 at full magnitude."""
    draws = torch.rand(len(batch), generator=chance)
    levels = (2 ** (7 - 5 * magnitude * draws)).to(batch.device)[:, None, None, None]
    return (batch * levels).floor_().div_(levels).clamp_(0, 1)


def _equalise(batch: Tensor, magnitude: float, chance: torch.Generator) -> Tensor:
    """Stretch each channel to its full range, wholly or partly."""
    low, high = batch.amin((2, 3), keepdim=True), batch.amax((2, 3), keepdim=True)
    factor = torch.rand(len(batch), generator=chance).to(batch.device)[:, None, None, None]
    return torch.lerp(batch, (batch - low) / (high - low).clamp(min=0.05), factor)


def _erase(batch: Tensor, share: float, chance: torch.Generator) -> None:
    """Fill a rectangle of some photos with one colour, 2 to 25 % of the area, in place."""
    for index in _some(len(batch), share, chance):
        edge = math.sqrt(0.02 + 0.23 * _one(chance))
        top, bottom = _span(batch.shape[-2], edge, chance)
        left, right = _span(batch.shape[-1], edge, chance)
        colour = torch.rand(3, 1, 1, generator=chance).to(batch.device)
        batch[index, :, top:bottom, left:right] = colour


def _some(count: int, share: float, chance: torch.Generator) -> list[int]:
    return (torch.rand(count, generator=chance) < share).nonzero()[:, 0].tolist()


def _span(length: int, share: float, chance: torch.Generator) -> tuple[int, int]:
    """Where ``share`` of a side of ``length`` pixels begins and ends, at a random place."""
    long = round(share * length)
    start = int(_one(chance) * (length - long + 1))
    return start, start + long


def _one(chance: torch.Generator) -> float:
    return float(torch.rand((), generator=chance))


def _beta(parameter: float, chance: torch.Generator) -> float:
    """Beta(a, a) by Joehnk's method, since torch's own sampler takes no generator."""
    while True:
        x, y = (float(u) ** (1 / parameter) for u in torch.rand(2, generator=chance).tolist())
        if 0 < x + y <= 1:
            return float(x / (x + y))
