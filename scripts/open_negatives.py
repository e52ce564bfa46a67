"""Fetch openly licensed photos of other monuments and of scenery, to train or measure a model with.

    scripts/open_negatives.py DIR

makes DIR/monuments (36 photos of GCompris, one of Marble) and DIR/scenery (273, of Endless Sky)
from Debian packages, in the resolution and quality of the other training photos: short side at
most 288 pixels, JPEG quality 78. None is one of sample_photos/.
``python -m train transfer --negatives DIR`` takes them beside others.

Licences: CC BY, CC BY-SA, LGPL and public domain; author and licence of each photo are in the
packages' copyright files, which are put beside the photos.
"""

import hashlib
import io
import lzma
import re
import struct
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import click
from PIL import Image

POOL = "https://deb.debian.org/debian/pool/main"
GCOMPRIS = (
    f"{POOL}/g/gcompris-qt/gcompris-qt-data_3.1-2_all.deb",
    "e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f",
)
ENDLESS_SKY = (
    f"{POOL}/e/endless-sky/endless-sky-data_0.9.8-1.2_all.deb",
    "e45835e05a11e84bb1a890a0ded390246a53b8318f21a25925aa70fa54f80c13",
)
MARBLE = (
    f"{POOL}/m/marble/marble-qt-data_22.12.3-1_all.deb",
    "137e6ddc52a3a245be27f44d2ffad063ddf21c0ba5f6d48edc295b3864c9db48",
)
# Pictures that show none of the landmarks, by the first half of their SHA-256: of GCompris'
# "Explore monuments" less what is in sample_photos/ (so is some of its other activities); Marble's.
CHOSEN = Path(__file__).with_suffix(".txt")
SHORT_SIDE, QUALITY = 288, 78


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def main(directory: Path) -> None:
    """Fetch the photos into DIRECTORY."""
    photos: dict[str, bytes] = {}
    for package in (GCOMPRIS, MARBLE):
        for name, data in members(*package):
            if name.endswith(".rcc"):
                photos |= {hashlib.sha256(p).hexdigest()[:32]: p for p in pictures(data)}
            elif name.endswith(".jpg"):
                photos[hashlib.sha256(data).hexdigest()[:32]] = data
            elif name.endswith("/copyright"):
                keep(directory / "monuments" / f"{Path(name).parent.name}.copyright.txt", data)
    for number, key in enumerate(CHOSEN.read_text(encoding="ascii").split()):
        keep(directory / "monuments" / f"monument_{number:02}.jpg", shrunk(photos[key]))
    for name, data in members(*ENDLESS_SKY):
        if "/images/land/" in name and name.endswith(".jpg"):
            keep(directory / "scenery" / f"endless_sky_{Path(name).name}", shrunk(data))
        elif name.endswith("/copyright"):
            keep(directory / "scenery" / "copyright.txt", data)
    for folder in sorted(directory.iterdir()):
        click.echo(f"{len(list(folder.glob('*.jpg')))} photos in {folder}")


def members(url: str, sha256: str) -> Iterator[tuple[str, bytes]]:
    """The files of a Debian package: an ar archive (deb(5)) with data.tar.xz in it."""
    try:
        with urllib.request.urlopen(url) as answer:
            package = answer.read()
    except OSError as error:
        raise click.ClickException(f"{url}: {error}; find it at snapshot.debian.org") from error
    if hashlib.sha256(package).hexdigest() != sha256:
        raise click.ClickException(f"{url}: not the package that was chosen from")
    at = 8
    while not package.startswith(b"data.tar.xz", at):
        at += 60 + -(-int(package[at + 48 : at + 58]) // 2) * 2
    size = int(package[at + 48 : at + 58])
    with tarfile.open(
        fileobj=io.BytesIO(lzma.decompress(package[at + 60 : at + 60 + size]))
    ) as files:
        for member in files:
            if member.isfile() and (file := files.extractfile(member)):
                yield member.name, file.read()


def pictures(resources: bytes) -> Iterator[bytes]:
    """The WebP pictures in a Qt resource file, which keeps them as they are."""
    for match in re.finditer(b"RIFF....WEBP", resources, re.DOTALL):
        (size,) = struct.unpack_from("<I", resources, match.start() + 4)
        yield resources[match.start() : match.start() + 8 + size]


def shrunk(data: bytes) -> bytes:
    """A picture in the size and quality of the other training photos."""
    with Image.open(io.BytesIO(data)) as picture:
        small = picture.convert("RGB")
    scale = SHORT_SIDE / min(small.size)
    if scale < 1:
        wide, high = small.size
        small = small.resize((round(wide * scale), round(high * scale)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def keep(path: Path, data: bytes) -> None:
    """Write a file, and create its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


if __name__ == "__main__":
    main()
