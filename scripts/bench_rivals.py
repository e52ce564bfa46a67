"""The rivals of landmark-tag: a naive loop, a DataLoader pipeline, ExifTool."""

import io
import subprocess
from pathlib import Path

import numpy as np
import piexif
import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset

from tagger.model.artifact import Artifact
from tagger.records import Landmark


def naive(paths: list[Path], artifact: Artifact, places: dict[str, Landmark], conf: float) -> None:
    """One by one: decode in full, resize, TorchScript in float32, piexif."""
    for path in paths:
        pixels = _square(path, artifact.manifest.image_size)
        with torch.inference_mode():
            probabilities, _ = artifact.module(torch.from_numpy(pixels)[None])
        _tag(path, probabilities[0], artifact, places, conf)


def dataloader(
    paths: list[Path], artifact: Artifact, places: dict[str, Landmark], conf: float, workers: int
) -> None:
    """What a good engineer writes in an afternoon: worker processes that decode, batches of 16.

    The artefact must be frozen, channels last, and in bfloat16 if the processor supports it.
    """
    size = artifact.manifest.image_size
    loader = DataLoader(_Photos(paths, size), batch_size=16, num_workers=workers)
    done = 0
    for batch in loader:
        with torch.inference_mode():
            probabilities, _ = artifact.module(batch.contiguous(memory_format=torch.channels_last))
        for row in probabilities:
            _tag(paths[done], row, artifact, places, conf)
            done += 1


class _Photos(Dataset[torch.Tensor]):
    def __init__(self, paths: list[Path], size: int) -> None:
        self._paths, self._size = paths, size

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(_square(self._paths[index], self._size))


def _square(path: Path, size: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    return np.asarray(upright.resize((size, size))).transpose(2, 0, 1).copy()


def _tag(
    path: Path, row: torch.Tensor, artifact: Artifact, places: dict[str, Landmark], conf: float
) -> None:
    best = int(row.argmax())
    if float(row[best]) < conf:
        return
    place = places[artifact.manifest.labels[best]]
    degrees = [(round(abs(value) * 1e6), 1_000_000) for value in (place.latitude, place.longitude)]
    exif = piexif.load(str(path))
    exif["GPS"] = {
        piexif.GPSIFD.GPSLatitude: (degrees[0], (0, 1), (0, 1)),
        piexif.GPSIFD.GPSLatitudeRef: "N" if place.latitude >= 0 else "S",
        piexif.GPSIFD.GPSLongitude: (degrees[1], (0, 1), (0, 1)),
        piexif.GPSIFD.GPSLongitudeRef: "E" if place.longitude >= 0 else "W",
    }
    piexif.insert(piexif.dump(exif), str(path))


class ExifTool:
    """One ExifTool process that reads file names from its standard input (-stay_open)."""

    def __init__(self, place: Landmark) -> None:
        self._place = place
        self._process = subprocess.Popen(
            ["exiftool", "-stay_open", "True", "-@", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def tag(self, path: Path) -> None:
        lines = [
            f"-GPSLatitude={self._place.latitude}", "-GPSLatitudeRef=N",
            f"-GPSLongitude={self._place.longitude}", "-GPSLongitudeRef=E",
            f"-XMP-iptcExt:LocationShownLocationName={self._place.name}",
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


def camera_photo(source: Path, size: tuple[int, int], seed: int = 0) -> bytes:
    """A photo of camera size: upscaled, with sensor-like noise, quality 92, 3.5 MB at 12 MP."""
    with Image.open(source) as picture:
        large = np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BICUBIC))
    noise = np.random.default_rng(seed).normal(0, 5, (size[1], size[0], 1))
    noisy = (large + noise).clip(0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Benchmark", "Camera"  # Make, Model
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=92, exif=exif)
    return buffer.getvalue()
