"""HEIC and AVIF from phones and encoders: ExifTool, exiv2 and libheif find no damage."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import exiv2_reader
import heif_photos
import numpy as np
import pytest
from awkward_photos import EIFFEL, TAG, exif
from heif_photos import LAYOUTS
from over_gps import tagged_over
from PIL import Image
from test_metadata_corpus import REPOSITORY, needs_exiftool, needs_exiv2

from tagger import metadata
from tagger.blob import Spliced
from tagger.errors import RefusedError
from tagger.ledger import undo_patch

sys.path.insert(0, str(REPOSITORY / "scripts"))

import check_metadata

pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")

# LANDMARK_TAG_HEIF names a folder of further photos to try.
PHONES = REPOSITORY.parent / "shared" / "data" / "heif"
PLACE = (EIFFEL.latitude, EIFFEL.longitude)
SUFFIXES = (".heic", ".heif", ".hif", ".avif")
XMP = heif_photos.item_xmp()
METADATA: dict[str, dict[str, Any]] = {
    "neither": {},
    "EXIF": {"exif": b"Exif\0\0" + exif(note=b"Canon\0" * 9)},
    "XMP": {"xmp": XMP},
    "both": {"exif": b"Exif\0\0" + exif(note=b"Canon\0" * 9), "xmp": XMP},
}
GAIN_MAP = "Xmp.HDRGainMap"  # of another picture's XMP; exiv2 reads whichever packet is the last


def phones() -> list[Path]:
    return sorted(p for p in PHONES.glob("*") if p.suffix.lower() in SUFFIXES)


def encoded() -> Iterator[tuple[str, bytes]]:
    """By Pillow and pillow-heif: with alpha, thumbnails, several pictures, in every layout."""
    for kind in ("HEIF", "AVIF"):
        for name, options in METADATA.items():
            for mode in ("RGB", "RGBA", "L"):
                yield (
                    f"{kind} {mode} {name}.{kind.lower()}",
                    heif_photos.saved(kind, mode, **options),
                )
        photo = heif_photos.saved(kind, **METADATA["both"])
        for name, made in LAYOUTS.items():
            how = made.layout
            if not (how.in_idat or how.in_item or (kind == "AVIF" and how.version == 2)):
                yield f"{kind} {name}.{kind.lower()}", heif_photos.relaid(photo, how)
    heif = pillow_heif.from_pillow(heif_photos.coloured())
    for mode in ("RGB", "RGBA"):
        heif.add_from_pillow(heif_photos.coloured(mode, (128, 80)))
    buffer = io.BytesIO()
    heif.save(buffer, save_all=True, thumbnails=[32], **METADATA["EXIF"])
    yield "several pictures and thumbnails.heic", buffer.getvalue()
    deep = np.random.default_rng(3).integers(0, 65535, (64, 96, 3), np.uint16)
    for bits in (10, 12):
        buffer = io.BytesIO()
        wide = pillow_heif.from_bytes("RGB;16", (96, 64), deep.tobytes())
        pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
        wide.save(buffer, **METADATA["XMP"])
        yield f"{bits} bit.heic", buffer.getvalue()
    pillow_heif.options.SAVE_HDR_TO_12_BIT = False


def by_tools(folder: Path) -> Iterator[tuple[str, bytes]]:
    """By heif-enc, avifenc and ImageMagick, where they are installed: grids, rotation, 10 bit."""
    picture, deep, jpeg = (folder / name for name in ("in.png", "deep.png", "in.jpg"))
    packet, block = folder / "packet.xmp", folder / "block.exif"
    heif_photos.coloured(size=(256, 256)).save(picture)
    heif_photos.coloured(size=(256, 256)).save(jpeg, exif=exif(note=b"Canon\0" * 9), xmp=XMP)
    Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256)).save(deep)
    packet.write_bytes(XMP)
    block.write_bytes(exif())
    fast = ("-s", "9", "-j", "1")
    for command, *arguments in (
        ("heif-enc", str(picture), "-o"),
        ("heif-enc", str(jpeg), "-t", "64", "-o"),
        ("heif-enc", str(deep), "-b", "10", "-o"),
        ("heif-enc", str(jpeg), str(picture), "-o"),
        ("heif-enc", "--enable-metadata-compression", str(jpeg), "-o"),
        ("avifenc", *fast, str(picture)),
        ("avifenc", *fast, str(jpeg)),
        ("avifenc", *fast, "-d", "10", str(jpeg)),
        ("avifenc", *fast, "-g", "2x2", str(picture)),
        ("avifenc", *fast, "--irot", "1", "--exif", str(block), str(picture)),
        ("avifenc", *fast, "--imir", "0", "--xmp", str(packet), str(picture)),
        ("convert", str(jpeg), "-rotate", "90"),
    ):
        if shutil.which(command) is None:
            continue
        for suffix in (".avif",) if command == "avifenc" else (".heic", ".avif"):
            made = folder / f"made{suffix}"
            done = subprocess.run(
                [command, *arguments, str(made)], capture_output=True, check=False
            )
            if done.returncode == 0:
                name = " ".join((command, *(Path(a).name for a in arguments))) + suffix
                yield name.replace("/", ":"), made.read_bytes()


def pictures(data: bytes) -> list[str]:
    """A digest of each picture that libheif finds: main ones, thumbnails, depth, auxiliary."""
    digests = []
    try:
        file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
        _ = file.data
    except RuntimeError as error:  # AV1, which Pillow decodes
        return [str(error)]
    for picture in file:
        info = picture.info
        parts = [picture, *info.get("depth_images", [])]
        parts += [picture.get_aux_image(n) for ids in info.get("aux", {}).values() for n in ids]
        for part in parts:
            digest = hashlib.sha256(bytes(part.data)).hexdigest()
            digests.append(f"{part.size} {part.mode} {part.stride} {digest}")
        digests.append(f"{info.get('thumbnails')} {info.get('bit_depth')} {info.get('primary')}")
    return digests


def write_all(tmp_path: Path, photos: Iterator[tuple[str, bytes]]) -> tuple[Path, Path, list[str]]:
    """Folders before and after, and the names of refused photos; tries undo and removal too."""
    before, after, refused = tmp_path / "before", tmp_path / "after", list[str]()
    before.mkdir()
    after.mkdir()
    for name, photo in photos:
        try:
            tagged = tagged_over(photo, TAG)
        except RefusedError as error:
            refused.append(f"{name}: {error}")
            continue
        assert metadata.stripped(tagged) == photo, name
        assert undo_patch.restore(tagged, undo_patch.make(photo, Spliced(tagged))) == photo, name
        (before / name).write_bytes(photo)
        (after / name).write_bytes(tagged)
    return before, after, refused


def damage(before: Path, after: Path) -> list[str]:
    """Every difference that any reader finds."""
    pillow_heif.register_heif_opener()
    names = check_metadata.paired(before, after)
    assert names
    problems = [f"{p.name}: {p.what}" for p in check_metadata.compare(before, after, names, PLACE)]
    for name in names:
        problems += [
            f"{name}: {what}"
            for what in exiv2_reader.damage(before / name, after / name)
            if not what.startswith(GAIN_MAP)
        ]
        if pillow_heif.is_supported(before / name):
            old, new = (pictures((place / name).read_bytes()) for place in (before, after))
            if old != new:
                problems.append(f"{name}: libheif sees other pictures")
    return problems


@needs_exiftool
@needs_exiv2
@pytest.mark.skipif(not phones(), reason=f"there are no photos of phones at {PHONES}")
def test_no_photo_of_a_phone_is_damaged(tmp_path: Path) -> None:
    before, after, refused = write_all(tmp_path, ((p.name, p.read_bytes()) for p in phones()))
    assert damage(before, after) == []
    assert len(refused) <= 0.1 * len(phones()), refused


@needs_exiftool
@needs_exiv2
def test_no_encoders_photo_is_damaged(tmp_path: Path) -> None:
    before, after, refused = write_all(tmp_path, encoded())
    assert refused == []
    assert damage(before, after) == []


@needs_exiftool
@needs_exiv2
def test_no_photo_of_a_tool_is_damaged(tmp_path: Path) -> None:
    made = list(by_tools(tmp_path))
    if not made:
        pytest.skip("none of heif-enc, avifenc and ImageMagick is installed")
    before, after, refused = write_all(tmp_path, iter(made))
    assert damage(before, after) == []
    assert refused == []


@needs_exiftool
@needs_exiv2
@pytest.mark.skipif("LANDMARK_TAG_HEIF" not in os.environ, reason="LANDMARK_TAG_HEIF names none")
def test_no_photo_of_a_folder_is_damaged(tmp_path: Path) -> None:
    folder = Path(os.environ["LANDMARK_TAG_HEIF"])
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    names = (("_".join(p.relative_to(folder).parts), p.read_bytes()) for p in paths)
    before, after, _ = write_all(tmp_path, names)
    assert damage(before, after) == []
