"""Measure what the README claims about speed, each figure against its rival in the same run."""

import io
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
from PIL import Image

from tagger import metadata
from tagger.ledger import Ledger, new_run_id
from tagger.model.landmarks import load_landmarks
from tagger.records import Coords, Provenance, Tag
from tagger.storage import LocalStorage
from tagger.writing import WriteOptions, write_tag

SAMPLES = Path(__file__).resolve().parent.parent / "sample_photos"
MEGAPIXELS_12 = (4032, 3024)


def camera_photo(source: Path, size: tuple[int, int] = MEGAPIXELS_12, seed: int = 0) -> bytes:
    """A photo as large as a camera's: upscaled, sensor-like noise, quality 92, 4 MB at 12 MP."""
    with Image.open(source) as picture:
        large = np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BICUBIC))
    noise = np.random.default_rng(seed).normal(0, 5, (size[1], size[0], 1))
    noisy = (large + noise).clip(0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Benchmark", "Camera"  # Make, Model
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=92, exif=exif)
    return buffer.getvalue()


def some_tag() -> Tag:
    provenance = Provenance("landmark-tag", "benchmark", "0" * 64, 0.9, "benchmark")
    return Tag(load_landmarks()["Taj_Mahal"], Coords.BOTH, provenance)


def fill(folder: Path, data: bytes, count: int) -> list[Path]:
    """``count`` copies of one photo in an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    paths = [folder / f"{number:05}.jpg" for number in range(count)]
    for path in paths:
        path.write_bytes(data)
    return paths


def seconds_each(work: Callable[[Path], object], paths: list[Path]) -> float:
    """Median seconds a photo."""
    taken = []
    for path in paths:
        start = time.perf_counter()
        work(path)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


class ExifTool:
    """One ExifTool process that is told files on its standard input (-stay_open)."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["exiftool", "-stay_open", "True", "-@", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def tag(self, path: Path) -> None:
        place = some_tag().landmark
        lines = [
            f"-GPSLatitude={place.latitude}", "-GPSLatitudeRef=N",
            f"-GPSLongitude={place.longitude}", "-GPSLongitudeRef=E",
            f"-XMP-iptcExt:LocationShownLocationName={place.name}",
            "-overwrite_original", str(path), "-execute",
        ]  # fmt: skip
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\n".join(lines) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("{ready"):
                return

    def close(self) -> None:
        self._process.communicate("-stay_open\nFalse\n")


def writing(scratch: Path, photos: int) -> Iterator[tuple[str, float]]:
    """Milliseconds to write one 4 MB photo, ours with all its checks and ledger, and ExifTool's."""
    data = camera_photo(SAMPLES / "taj_mahal.jpg")
    yield "write_photo_mb", len(data) / 1e6
    storage, tag = LocalStorage(), some_tag()
    yield (
        "write_tagged_ms",
        1e3 * seconds_each(lambda _: metadata.tagged(data, tag), [scratch] * 20),
    )
    with (
        Ledger.open(scratch / "ledger.db") as ledger,
        ledger.begin(new_run_id(), [str(scratch)], {}) as recorder,
    ):
        paths = fill(scratch / "ours", data, photos)
        entries = {Path(entry.key): entry for entry in LocalStorage([scratch / "ours"]).list()}
        yield (
            "write_ours_ms",
            1e3
            * seconds_each(
                lambda path: write_tag(
                    storage, recorder, entries[path.resolve()], tag, WriteOptions()
                ),
                paths,
            ),
        )
    if shutil.which("exiftool"):
        exiftool = ExifTool()
        paths = fill(scratch / "exiftool", data, photos)
        yield "write_exiftool_ms", 1e3 * seconds_each(exiftool.tag, paths)
        exiftool.close()


SECTIONS = {"writing": writing}


@click.command()
@click.argument("sections", nargs=-1, type=click.Choice(list(SECTIONS)))
@click.option("--photos", default=50, show_default=True, help="Photos per measurement.")
@click.option(
    "--scratch",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder for the photos made; a memory file system takes the disk out of it.",
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Also write figures here."
)
def main(
    sections: tuple[str, ...], photos: int, scratch: Path | None, json_file: Path | None
) -> None:
    """Measure SECTIONS, all by default."""
    memory = Path("/dev/shm")
    root = scratch or (memory if memory.is_dir() else Path(tempfile.gettempdir()))
    figures: dict[str, float] = {}
    click.echo(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, in {root}")
    with tempfile.TemporaryDirectory(dir=root) as folder:
        for name in sections or SECTIONS:
            for key, value in SECTIONS[name](Path(folder), photos):
                figures[key] = round(value, 3)
                click.echo(f"{key:<24} {value:10.2f}")
    if json_file:
        json_file.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
