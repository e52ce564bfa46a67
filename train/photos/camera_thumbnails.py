"""Training photos reduced to thumbnails like those that cameras embed."""

import io

import torch
from PIL import Image, ImageFilter
from torch import Tensor

# Of 174 photos of 29 makers: 160 x 120 in 9 of 10, the picture itself 4:3, 3:2 or 16:9 inside it.
LONG_EDGE = 160
SHORT_EDGES = (120, 120, 107, 90)


def thumbnails(photos: Tensor, size: int, chance: torch.Generator, crop: float = 0.35) -> Tensor:
    """A random view of each photo, as a camera's thumbnail shows it.

    Args:
        photos: uint8 [N, 3, H, W], squeezed to squares.
        size: edge of the result.
        chance: all randomness is drawn from it.
        crop: smallest share of a photo's area that a view shows; 1 shows all of it, unmirrored.

    Returns:
        uint8 [N, 3, size, size].
    """
    return torch.stack([_one(photo, size, chance, crop) for photo in photos])


def _one(photo: Tensor, size: int, chance: torch.Generator, crop: float) -> Tensor:
    area, shape, x, y, mirror, kind, upright, sharp, quality = torch.rand(
        9, generator=chance
    ).tolist()
    picture = Image.fromarray(photo.permute(1, 2, 0).contiguous().numpy())
    if crop < 1:
        edge = (crop + (1 - crop) * area) ** 0.5
        ratio = 2 ** ((shape - 0.5) * 0.8)
        wide = min(1.0, edge * ratio**0.5) * picture.width
        tall = min(1.0, edge / ratio**0.5) * picture.height
        left, top = x * (picture.width - wide), y * (picture.height - tall)
        box = (left, top, left + wide, top + tall)
        if mirror < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    else:
        box = (0.0, 0.0, float(picture.width), float(picture.height))
    edges = (LONG_EDGE, SHORT_EDGES[int(kind * len(SHORT_EDGES))])
    small = picture.resize(
        edges if upright < 0.7 else edges[::-1], Image.Resampling.BICUBIC, box=box
    )
    if sharp > 0.3:
        small = small.filter(ImageFilter.UnsharpMask(0.8, round(120 * sharp), 0))
    coded = io.BytesIO()
    small.save(coded, "JPEG", quality=round(55 + 30 * quality), subsampling=1)
    decoded = Image.open(coded, formats=["JPEG"]).resize((size, size), Image.Resampling.BICUBIC)
    return (
        torch.frombuffer(bytearray(decoded.tobytes()), dtype=torch.uint8)
        .view(size, size, 3)
        .permute(2, 0, 1)
    )
