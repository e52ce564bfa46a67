"""Compare what a run tags by thumbnails first with what it tags with --thorough.

    scripts/measure_thumbnails.py --made ../shared/data/landmarks50/test \\
        --made ../shared/data/world/test --made ../shared/data/negatives/test \\
        --as-is ../shared/data/exif_corpus

Photos of ``--made`` folders get thumbnails as cameras make them (160 x 120, the picture itself
inside bars, sharpened or not, quality 70); those of ``--as-is`` folders keep what they have. Prints
how many photos each way tags, how many the same, and what share of each folder is decoded.
"""

import io
import shutil
import tempfile
import zlib
from collections import Counter
from pathlib import Path

import click
import numpy as np
import piexif
from PIL import Image, ImageFilter

from tagger.evidence.decide import THUMBNAIL
from tagger.evidence.limits import Limits
from tagger.evidence.sources import Sources
from tagger.ledger.ledger import new_run_id
from tagger.model import DEFAULT_MODEL
from tagger.model.classifier import Classifier
from tagger.model.thumbnail_net import beside
from tagger.records import Outcome, Status
from tagger.run.pipeline import run
from tagger.run.stages import Settings
from tagger.storage.opening import open_storage
from tagger.storage.suffixes import PHOTO_SUFFIXES

BOX = (160, 120)


def from_camera(source: Path) -> bytes:
    """The photo as JPEG, with the thumbnail that a camera would give it."""
    with Image.open(source) as opened:
        photo = opened.convert("RGB")
    chance = np.random.default_rng(zlib.crc32(source.name.encode()))
    lying = photo.width >= photo.height or chance.random() < 0.3
    box = BOX if lying else BOX[::-1]
    scale = min(box[0] / photo.width, box[1] / photo.height)
    inner = photo.resize(
        (round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BICUBIC
    )
    small, coded, whole = Image.new("RGB", box), io.BytesIO(), io.BytesIO()
    small.paste(inner, ((box[0] - inner.width) // 2, (box[1] - inner.height) // 2))
    if chance.random() < 0.7:
        small = small.filter(ImageFilter.UnsharpMask(0.8, int(chance.integers(40, 120)), 0))
    small.save(coded, "JPEG", quality=70)
    sizes = {
        piexif.ExifIFD.PixelXDimension: photo.width,
        piexif.ExifIFD.PixelYDimension: photo.height,
    }
    exif = {
        "0th": {piexif.ImageIFD.Make: b"Maker"}, "Exif": sizes,
        "1st": {piexif.ImageIFD.Compression: 6}, "thumbnail": coded.getvalue(),
    }  # fmt: skip
    photo.save(whole, "JPEG", quality=90, exif=piexif.dump(exif))
    return whole.getvalue()


def copied(folder: Path, into: Path, make: bool, most: int) -> None:
    """Every so many photos of a folder; with thumbnails where these are to be made."""
    photos = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in PHOTO_SUFFIXES]
    for number, path in enumerate(photos[:: max(1, len(photos) // most)]):
        place = into / f"{number:05}_{path.name}"
        if make:
            place.with_suffix(".jpg").write_bytes(from_camera(path))
        else:
            shutil.copyfile(path, place)


def outcomes(
    folder: Path, classifier: Classifier, min_conf: float, thorough: bool
) -> list[Outcome]:
    """What a run that writes nothing says of each photo, in the order of their names."""
    settings = Settings(new_run_id(), min_conf, thorough=thorough)
    sources, storage = Sources.beside(None, Limits(), []), open_storage([str(folder)])
    net = beside(DEFAULT_MODEL)
    in_order = list(run(storage, classifier, None, settings, sources=sources, thumbnails=net))
    sources.close()
    return sorted(in_order, key=lambda outcome: outcome.entry.key)


def compared(folder: Path, classifier: Classifier, min_conf: float) -> Counter[str]:
    """How many photos of a folder each way tags, and how many are settled by their thumbnails."""
    ways = (outcomes(folder, classifier, min_conf, thorough) for thorough in (True, False))
    counts = Counter[str]()
    for whole, first in zip(*ways, strict=True):
        tags = [it.status is Status.WOULD_TAG for it in (whole, first)]
        counts["photos"] += 1
        counts["thorough"] += tags[0]
        counts["same"] += all(tags) and whole.place == first.place
        counts["only ours"] += tags[1] and whole.place != first.place
        counts["by thumbnail"] += first.reason == THUMBNAIL
        if tags[0] and not tags[1]:
            click.echo(f"  not tagged: {Path(first.entry.key).name} ({first.reason})")
    return counts


FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.option("--made", multiple=True, type=FOLDER, help="Photos that get thumbnails.")
@click.option("--as-is", multiple=True, type=FOLDER, help="Photos with what they have.")
@click.option("--min-conf", default=0.6, show_default=True)
@click.option("--most", default=100_000, show_default=True, help="Photos of a folder, at most.")
def main(made: tuple[Path, ...], as_is: tuple[Path, ...], min_conf: float, most: int) -> None:
    """Compare thumbnails first with --thorough, on copies of the photos of these folders."""
    classifier, total = Classifier(device="cpu"), Counter[str]()
    for folder, make in [*((path, True) for path in made), *((path, False) for path in as_is)]:
        with tempfile.TemporaryDirectory() as scratch:
            copied(folder, Path(scratch), make, most)
            counts = compared(Path(scratch), classifier, min_conf)
        click.echo(f"{folder}: {dict(counts)}")
        total += counts
    share = total["same"] / max(1, total["thorough"])
    click.echo(
        f"of {total['thorough']:,} photos that --thorough tags {total['same']:,} are tagged the "
        f"same, {share:.2%}; {total['only ours']} are tagged that it does not tag so"
    )


if __name__ == "__main__":
    main()
