"""Decoding: the same picture from any kind of file, or a reason why there is none."""

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS, photo
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tagger.errors import DamagedError, PhotoError, UnsupportedError
from tagger.imaging import decode, footprint, undecoded
from tagger.imaging.decode import Resize
from tagger.imaging.room import LARGE, Room


def quarters(size: tuple[int, int]) -> Image.Image:
    """Red, green / blue, white: any wrong turn shows."""
    width, height = size
    picture = Image.new("RGB", size, "white")
    picture.paste((220, 30, 30), (0, 0, width // 2, height // 2))
    picture.paste((30, 220, 30), (width // 2, 0, width, height // 2))
    picture.paste((30, 30, 220), (0, height // 2, width // 2, height))
    return picture


# What to do to an upright picture so that showing it by this orientation gives it back
# (EXIF 2.32 section 4.6.4).
STORED = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_orientation_is_shown_upright(orientation: int, kind: str) -> None:
    upright = quarters((640, 480))
    how = STORED[orientation]
    stored = upright if how is None else upright.transpose(how)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    stored.save(buffer, kind, exif=exif)
    seen = decode.to_pixels(buffer.getvalue(), 64, Resize.SQUASH).astype(int)
    wanted = decode.fit(upright, 64, Resize.SQUASH)
    assert np.abs(seen - np.asarray(wanted).transpose(2, 0, 1)).mean() < 6


@pytest.mark.parametrize("resize", list(Resize))
@pytest.mark.parametrize("size", [(3000, 1000), (40, 400), (7, 5), (1, 1)])
def test_any_shape_becomes_the_square(resize: Resize, size: tuple[int, int]) -> None:
    pixels = decode.to_pixels(photo(COLOURS["Taj_Mahal"], size), 48, resize)
    assert pixels.shape == (3, 48, 48) and pixels.dtype == np.uint8
    assert pixels.transpose(1, 2, 0).flags.c_contiguous  # channels last in memory


def test_scaled_decoding_gives_the_picture_that_full_decoding_gives() -> None:
    data = io.BytesIO()
    gradient = np.linspace(0, 255, 2400, dtype=np.uint8)
    Image.fromarray(np.stack([np.tile(gradient, (1600, 1))] * 3, 2)).save(data, "JPEG", quality=95)
    scaled = decode.to_square(data.getvalue(), 96, Resize.CROP)
    whole = decode.fit(Image.open(data).convert("RGB"), 96, Resize.CROP)
    assert np.abs(np.asarray(scaled).astype(int) - np.asarray(whole)).mean() < 1.0


def test_sixteen_bits_keep_their_tones() -> None:
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "PNG")
    row = decode.to_pixels(buffer.getvalue(), 64, Resize.CROP)[0, 32].astype(int)
    assert abs(row - np.linspace(0, 255, 64)).max() < 3


def test_a_float_that_is_no_number_does_not_blacken_the_picture() -> None:
    ramp = np.tile(np.linspace(0, 200, 64, dtype=np.float32), (64, 1))
    ramp[0, 0] = np.nan
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "TIFF")
    assert decode.to_pixels(buffer.getvalue(), 32)[0, 16].max() > 200


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16"])
def test_memory_in_proportion_to_what_a_pixel_takes(mode: str) -> None:
    script = (
        "import io, resource, sys; from PIL import Image; from tagger.imaging import decode;"
        f"buffer = io.BytesIO(); Image.new({mode!r}, (4000, 4000)).save(buffer, 'PNG');"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "decode.to_pixels(buffer.getvalue(), 64);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    grown = int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                               check=True).stdout)  # fmt: skip
    assert grown * 1024 / 16e6 < 6, f"{grown * 1024 / 16e6:.1f} bytes a pixel"


def test_transparency_shows_white_not_black() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(buffer, "PNG")
    assert decode.to_pixels(buffer.getvalue(), 32).min() == 255


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F", "I;16"]
)
def test_every_mode_becomes_rgb(mode: str) -> None:
    picture = Image.new(mode, (40, 30))
    assert np.asarray(decode._rgb(picture, 64)).shape == (30, 40, 3)


@pytest.mark.parametrize("cut", [0.02, 0.3, 0.7, 0.95])
def test_a_truncated_photo_is_damaged_not_guessed_from(cut: float) -> None:
    data = photo(COLOURS["Taj_Mahal"], (640, 480))
    with pytest.raises(PhotoError, match=r"restore it from a backup|check the file"):
        decode.to_pixels(data[: int(len(data) * cut)], 64)


def test_an_empty_file_and_a_text_say_so() -> None:
    with pytest.raises(PhotoError, match="empty"):
        decode.to_pixels(b"", 64)
    with pytest.raises(UnsupportedError, match="not a photo"):
        decode.to_pixels(b"hello" * 100, 64)


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=60), st.integers(0, 2000), st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF"])
)
def test_damage_anywhere_gives_pixels_or_a_reason(noise: bytes, at: int, kind: str) -> None:
    data = bytearray(photo(COLOURS["Qutub_Minar"], format=kind))
    at %= len(data)
    data[at : at + len(noise)] = noise
    try:
        assert decode.to_pixels(bytes(data), 16).shape == (3, 16, 16)
    except PhotoError as error:
        assert str(error)


def test_a_progressive_jpeg_too_large_to_hold_is_refused_before_it_is_decoded() -> None:
    file = io.BytesIO()
    quarters((64, 48)).save(file, "JPEG", progressive=True)
    small = file.getvalue()
    assert decode.to_pixels(small, 32).shape == (3, 32, 32)
    frame = small.index(b"\xff\xc2") + 5  # SOF2: length, precision, then height and width
    large = small[:frame] + struct.pack(">HH", 9000, 20000) + small[frame + 4 :]
    with pytest.raises(UnsupportedError, match=r"100 megapixels for a progressive JPEG; scale it"):
        decode.to_pixels(large, 32)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n%%EOF\n"


def test_postscript_named_jpg_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    gs = tmp_path / "gs"
    gs.write_text(f"#!/bin/sh\ntouch {started}\n")
    gs.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(UnsupportedError, match="PostScript"):
        decode.to_pixels(EPS, 32)
    assert not started.exists()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize(
    "beside",
    [
        chunk(b"zTXt", b"much\0\0" + zlib.compress(b"x" * 3_000_000)),
        chunk(b"iCCP", b"much\0\0" + zlib.compress(b"x" * 3_000_000)),
        chunk(b"tEXt", b"Raw profile type exif\0\nexif\n      9\nnot hexadecimal\n"),
        chunk(b"tEXt", b"a\0b")[:-1] + b"?",
    ],
    ids=["text", "profile", "exif", "checksum"],
)
def test_a_picture_is_whole_whatever_is_wrong_beside_it(beside: bytes) -> None:
    plain = photo(COLOURS["Taj_Mahal"], format="PNG")
    end = 8 + 12 + 13
    pixels = decode.to_pixels(plain[:end] + beside + plain[end:], 32)
    assert np.array_equal(pixels, decode.to_pixels(plain, 32))


def test_what_cannot_be_decoded_in_the_memory_there_is_says_so() -> None:
    buffer = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[24:26] = bytes((8, 6))  # RGBA
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(UnsupportedError, match=r"576 MB of memory.*400 MB; scale it down"):
        decode.to_pixels(bytes(data), 32)


def test_an_uncompressed_tiff_is_decoded_in_bands_to_the_same_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    buffer = io.BytesIO()
    quarters((640, 481)).save(buffer, "TIFF")
    whole = decode.to_pixels(buffer.getvalue(), 32)
    monkeypatch.setattr(footprint, "STRIPS", 0)
    monkeypatch.setattr(footprint, "BAND", 10_000)
    with Image.open(buffer) as picture:
        assert footprint.of_tiff(picture, buffer.getvalue()) is not None
    assert np.abs(decode.to_pixels(buffer.getvalue(), 32).astype(int) - whole).max() <= 1


@pytest.mark.parametrize(
    ("data", "error", "reason"),
    [
        (b"\0\0\0\x14ftypqt  " + bytes(40), UnsupportedError, "QuickTime"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
         UnsupportedError, "^JPEG 2000 is not decoded here; export it as JPEG or PNG"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(40),
         UnsupportedError, "Canon camera raw"),
        (b"\xff\xd8\xff\xc1\0\x0b\x0c\0\x10\0\x10\1\1\x11\0" + bytes(9),
         UnsupportedError, "12 bits"),
        (b"\xff\xd8\xff\xc3\0\x0b\x08\0\x10\0\x10\1\1\x11\0" + bytes(9),
         UnsupportedError, "lossless"),
        (b"II*\0\xff\xff\0\0" + bytes(40), DamagedError, "TIFF is damaged or cut short"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), DamagedError, "restore it from a backup"),
    ],
)  # fmt: skip
def test_the_reason_is_true(data: bytes, error: type[PhotoError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        decode.to_pixels(data, 32)


def test_large_photos_wait_for_each_other_and_never_for_ever() -> None:
    room, order = Room(100_000_000), []
    inside, go = threading.Event(), threading.Event()

    def file() -> None:
        with room.file(LARGE):
            inside.set()
            go.wait(10)
            with room.hold(0):
                order.append("file")

    def large() -> None:
        with room.hold(90_000_000):
            order.append("large")

    threads = [threading.Thread(target=file, daemon=True)]
    threads[0].start()
    assert inside.wait(10)
    threads.append(threading.Thread(target=large, daemon=True))
    threads[1].start()
    while not room._queue:
        pass
    go.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert order == ["file", "large"]


def test_libtiff_writes_nothing_to_the_terminal() -> None:
    script = (
        "import io; from PIL import Image; from tagger.imaging import decode;"
        "from tagger.errors import *;"
        "b = io.BytesIO(); Image.effect_noise((64, 64), 9).save(b, 'TIFF', compression='tiff_lzw');"
        "d = bytearray(b.getvalue()); d[2000:2100] = bytes(100); "
        "d = bytes(d).replace(b'\\x03\\x01\\x03\\0\\1\\0\\0\\0\\5\\0',"
        " b'\\x03\\x01\\x03\\0\\1\\0\\0\\0\\x51\\xc3')\n"
        "try: decode.to_pixels(d, 32)\nexcept PhotoError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True,
                           text=True, check=True)  # fmt: skip
    assert "TIFF compression WebP" in done.stdout, done.stdout
    assert done.stderr == ""


def test_a_decoders_message_becomes_one_line() -> None:
    """libheif ends its messages with a line feed; a reason is printed as it is."""
    reason = str(
        undecoded.explained(b"\0\0\0\x18ftypheic", ValueError("Unexpected end\n of file\n"))
    )
    assert "(Unexpected end of file)" in reason
    assert reason.isprintable()
