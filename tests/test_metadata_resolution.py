"""A new EXIF block repeats the resolution that the photo states elsewhere, or states none."""

import io
import struct

import piexif
import pytest
from awkward_photos import TAG, app1_xmp, jpeg, packet, picture, segment
from PIL import Image
from test_metadata_formats import PHOTOS, RGB, png_info, saved

from tagger import metadata

TIFF = 'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
NAMES = (0x011A, 0x011B, 0x0128)


def photoshop(x: float, y: float) -> bytes:
    """APP13 with a resource before the resolution's, whose name has an odd length."""
    before = b"8BIM\x04\x04\x04name\0\0\0\0\x03abc\0"
    body = struct.pack(">IHHIHH", round(x * 65536), 2, 1, round(y * 65536), 1, 1)
    return segment(0xED, b"Photoshop 3.0\0" + before + b"8BIM\x03\xed\0\0\0\0\0\x10" + body)


def xmp(attributes: str) -> bytes:
    return app1_xmp(packet(attributes=f"{TIFF} {attributes}"))


def jfif(unit: int, x: int, y: int) -> bytes:
    return segment(0xE0, b"JFIF\0\1\1" + struct.pack(">BHHBB", unit, x, y, 0, 0))


IN_XMP = 'tiff:XResolution="2400000/10000" tiff:YResolution="120/1"'
STATED = {
    "JFIF per inch": (picture(dpi=(300, 200)), ((300, 1), (200, 1), 2)),
    "JFIF per centimetre": (jpeg(jfif(2, 118, 119), jfif=False), ((118, 1), (119, 1), 3)),
    "Photoshop": (jpeg(photoshop(300, 150.5), jfif=False), ((300, 1), (301, 2), 2)),
    "Photoshop beside JFIF's ratio": (jpeg(photoshop(200, 200)), ((200, 1), (200, 1), 2)),
    "JFIF before Photoshop": (
        jpeg(jfif(1, 96, 96), photoshop(300, 300), jfif=False),
        ((96, 1), (96, 1), 2),
    ),
    "XMP": (jpeg(xmp(IN_XMP)), ((240, 1), (120, 1), 2)),
    "XMP per centimetre": (
        jpeg(xmp(f'{IN_XMP} tiff:ResolutionUnit="3"')),
        ((240, 1), (120, 1), 3),
    ),
    "PNG": (saved(RGB, "PNG", dpi=(150, 150)), ((150, 1), (150, 1), 2)),
    "XMP in WebP": (
        saved(RGB, "WEBP", xmp=packet(attributes=f"{TIFF} {IN_XMP}")),
        ((240, 1), (120, 1), 2),
    ),
}
NOT_STATED = {
    "no JFIF": jpeg(jfif=False),
    "a ratio": jpeg(),
    "JFIF of 0": jpeg(jfif(1, 0, 0), jfif=False),
    "Photoshop of 0": jpeg(photoshop(0, 0), jfif=False),
    "Photoshop cut short": jpeg(segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\0\x10\1")),
    "XMP by half": jpeg(xmp('tiff:XResolution="72/1"')),
    "XMP without a unit": jpeg(xmp(f'{IN_XMP} tiff:ResolutionUnit="1"')),
    "XMP divided by 0": jpeg(xmp('tiff:XResolution="72/0" tiff:YResolution="x"')),
    "XMP too large": jpeg(xmp('tiff:XResolution="9999999999" tiff:YResolution="1"')),
    "PNG": saved(RGB, "PNG", pnginfo=png_info()),
    "WebP": PHOTOS["webp RGB"],
}


def block(data: bytes) -> dict[int, object]:
    with Image.open(io.BytesIO(data)) as image:
        fields: dict[int, object] = piexif.load(image.info["exif"])["0th"]
    return fields


@pytest.mark.parametrize("name", STATED)
def test_a_first_exif_block_takes_over_a_resolution(name: str) -> None:
    photo, expected = STATED[name]
    tagged = metadata.tagged(photo, TAG)
    assert tuple(block(tagged)[tag] for tag in NAMES) == expected
    assert metadata.stripped(tagged) == photo


@pytest.mark.parametrize("name", NOT_STATED)
def test_no_resolution_is_made_up(name: str) -> None:
    photo = NOT_STATED[name]
    tagged = metadata.tagged(photo, TAG)
    assert not set(NAMES) & block(tagged).keys()
    assert metadata.stripped(tagged) == photo
    if photo[:2] != b"\xff\xd8":  # of a JPEG with EXIF that states none, Pillow itself says 72
        with Image.open(io.BytesIO(photo)) as before, Image.open(io.BytesIO(tagged)) as after:
            assert before.info.get("dpi") is after.info.get("dpi") is None


def test_a_block_with_72_dpi_of_older_versions_comes_out_whole() -> None:
    photo, older = jpeg(), jpeg(jfif(1, 72, 72), jfif=False)
    exif = metadata.tagged(older, TAG)[20:]
    tagged = photo[:20] + exif
    assert set(NAMES) <= block(tagged).keys()
    assert metadata.stripped(tagged) == photo
