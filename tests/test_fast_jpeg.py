"""Decoding to an eighth: the same pixels as Pillow, bit for bit, or left to Pillow."""

import importlib.util
import io
import os
import re
from itertools import product
from typing import Any

import numpy as np
import pytest
from conftest import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tagger.errors import PhotoError
from tagger.imaging import decode, fast_jpeg

CORPUS = REPOSITORY.parent / "shared" / "data" / "exif_corpus"
COMPILED = importlib.util.find_spec("tagger.imaging._fast_jpeg") is not None
pytestmark = pytest.mark.skipif(
    not COMPILED and "CI" not in os.environ,
    reason="installed without a C compiler, Pillow decodes all",
)


def jpeg(width: int, height: int, mode: str = "RGB", seed: int = 0, **options: Any) -> bytes:
    """Noise on a gradient: short codes and long ones, all sizes of coefficients."""
    chance = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, width)[None, :, None] * np.array([1, 0.5, 0.1])
    noise = chance.normal(0, 40, (height, width, 3)) * (chance.random((height, width, 1)) > 0.5)
    picture = Image.fromarray((ramp + noise).clip(0, 255).astype(np.uint8)).convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def pillow(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.draft("RGB", (max(1, picture.width // 8), max(1, picture.height // 8)))
    assert picture.decoderconfig[0] == 8
    return picture


def ours(data: bytes) -> NDArray[np.uint8] | None:
    decoded = fast_jpeg.decode(data)
    if decoded is None:
        return None
    values, width, height, count = decoded
    shape = (height, width) if count == 1 else (height, width, count)
    return np.frombuffer(values, np.uint8).reshape(shape)


SIZES = ((8, 8), (64, 48), (65, 47), (17, 130), (641, 481))
KINDS = list(product(("4:4:4", "4:2:2", "4:2:0", "grey"), (35, 92, 100), (0, 1, 5)))


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_those_of_libjpeg(size: tuple[int, int]) -> None:
    for number, (colours, quality, restart) in enumerate(KINDS):
        options: dict[str, Any] = {
            "quality": quality,
            "restart_marker_blocks": restart,
            "optimize": quality < 50,
        }
        kind: dict[str, Any] = {"mode": "L"} if colours == "grey" else {"subsampling": colours}
        data = jpeg(size[0], size[1], seed=number, **kind, **options)
        pixels = ours(data)
        assert pixels is not None, (colours, quality, restart)
        np.testing.assert_array_equal(pixels, np.asarray(pillow(data)), f"{colours} {quality}")


@pytest.mark.parametrize(
    ("colours", "factors", "other"),
    [("4:2:2", 0x21, 0x12), ("4:2:0", 0x22, 0x41), ("4:2:0", 0x22, 0x14)],
    ids=["4:4:0", "4:1:1", "1 x 4"],
)
def test_rarer_sampling(colours: str, factors: int, other: int) -> None:
    """Pillow writes none of these, but as many blocks a unit in another arrangement are as good."""
    data = jpeg(128, 64, subsampling=colours)
    at = data.index(b"\xff\xc0") + 11
    assert data[at] == factors
    data = data[:at] + bytes([other]) + data[at + 1 :]
    pixels = ours(data)
    assert pixels is not None
    np.testing.assert_array_equal(pixels, np.asarray(pillow(data)))


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of camera JPEGs is not here")
def test_cameras_photos_come_out_as_pillow_decodes_them() -> None:
    decoded = 0
    for path in sorted(CORPUS.iterdir()):
        data = path.read_bytes()
        pixels = ours(data) if data[:2] == b"\xff\xd8" else None
        if pixels is not None and min(Image.open(io.BytesIO(data)).size) >= 8:
            decoded += 1
            np.testing.assert_array_equal(pixels, np.asarray(pillow(data)), path.name)
    assert decoded > 140


@pytest.mark.parametrize(
    "data",
    [
        jpeg(64, 64, progressive=True),
        jpeg(64, 64, "CMYK"),
        jpeg(64, 64, keep_rgb=True),
        jpeg(64, 64)[:-2],
        jpeg(64, 64)[:-40],
        re.sub(rb"(?s)(\xff\xdb...).", rb"\1\0", jpeg(64, 64)),
        b"",
        b"\xff\xd8\xff",
        b"no photo",
    ],
    ids=[
        "progressive",
        "CMYK",
        "RGB",
        "no end",
        "cut",
        "zero quantum",
        "empty",
        "a start",
        "a text",
    ],
)
def test_others_are_left_to_pillow(data: bytes) -> None:
    assert fast_jpeg.decode(data) is None


SEEDS = [
    jpeg(60, 40, subsampling=2, quality=90),
    jpeg(60, 40, subsampling=0, quality=100, restart_marker_blocks=2),
    jpeg(60, 40, "L", optimize=True),
]


@given(st.sampled_from(SEEDS), st.data())
def test_damage_gives_pillows_pixels_or_is_left_to_it(seed: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(2, len(seed) - 1))
    noise = draw.draw(st.binary(max_size=4))
    data = seed[:at] + noise + seed[at + draw.draw(st.integers(0, 4)) :]
    pixels = ours(data)
    if pixels is not None:
        try:
            picture = Image.open(io.BytesIO(data))
        except (OSError, SyntaxError):  # then it is never decoded to an eighth
            return
        if picture.width * picture.height <= 1 << 20 and min(picture.size) >= 8:
            np.testing.assert_array_equal(pixels, np.asarray(pillow(data)))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_is_the_same_to_the_classifier_either_way(
    orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(800, 600, exif=exif, quality=90)
    assert fast_jpeg.decode(data) is not None
    fast = decode.to_pixels(data, 48, decode.Resize.SQUASH)
    monkeypatch.setattr(fast_jpeg, "_fast_jpeg", None)
    assert fast_jpeg.decode(data) is None
    np.testing.assert_array_equal(fast, decode.to_pixels(data, 48, decode.Resize.SQUASH))


def test_a_photo_cut_at_its_very_end_is_told_as_damaged() -> None:
    with pytest.raises(PhotoError, match="damaged"):
        decode.to_pixels(jpeg(800, 600)[:-2], 48)
