"""Pixel arrays of samples, decoded once through tagger.imaging.decode and cached."""

import hashlib
import logging
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagger.errors import PhotoError, RunError
from tagger.imaging.decode import Resize, to_pixels
from train.photos.folders import Sample

log = logging.getLogger(__name__)

CACHE = Path(tempfile.gettempdir()) / "landmark-tag-cache"
# A larger share of unreadable photos means a broken copy of the data.
MAX_UNREADABLE = 0.05


@dataclass(frozen=True, slots=True)
class Pixels:
    """Decoded photos: ``images`` uint8 [N, 3, S, S], ``labels`` int64 [N], ``samples`` N long."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    samples: tuple[Sample, ...]


def load_pixels(
    samples: Sequence[Sample], size: int, resize: Resize, cache: Path = CACHE
) -> Pixels:
    """Decode photos through tagger.imaging, once: later calls map the array kept in ``cache``.

    The cache is keyed by the photos' bytes, the size and the rule. Unreadable photos are named in
    the log and left out.

    Raises:
        RunError: more than MAX_UNREADABLE of the photos cannot be read.
    """
    if not samples:
        raise RunError("no photos to load; check the folders given")
    key = hashlib.sha256(f"2 {size} {resize}".encode())
    with ThreadPoolExecutor(4) as pool:
        for digest in pool.map(_digest, samples):
            key.update(digest)
    folder = cache / key.hexdigest()[:32]
    if not folder.exists():
        _fill(samples, size, resize, folder)
    kept = np.load(folder / "kept.npy")
    chosen = tuple(samples[i] for i in kept)
    labels = np.array([sample.label for sample in chosen], dtype=np.int64)
    return Pixels(np.load(folder / "images.npy", mmap_mode="r"), labels, chosen)


def _fill(samples: Sequence[Sample], size: int, resize: Resize, folder: Path) -> None:
    """Decode into a temporary folder and rename it: another process may do the same."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        made = Path(place) / "made"
        made.mkdir()
        _decode(samples, size, resize, made)
        try:
            made.rename(folder)
        except OSError:
            if not folder.exists():  # otherwise the other process was first
                raise


def _decode(samples: Sequence[Sample], size: int, resize: Resize, folder: Path) -> None:
    shape = (len(samples), 3, size, size)
    images = np.lib.format.open_memmap(folder / "decoding.npy", "w+", np.uint8, shape)
    kept: list[int] = []
    for index, sample in enumerate(samples):
        try:
            images[len(kept)] = to_pixels(sample.path.read_bytes(), size, resize)
        except (PhotoError, OSError) as error:
            log.warning("%s: left out: %s", sample.path, error)
            continue
        kept.append(index)
    bad = len(samples) - len(kept)
    if bad > MAX_UNREADABLE * len(samples):
        named = ", ".join(str(s.path) for i, s in enumerate(samples) if i not in set(kept))
        raise RunError(f"{bad} of {len(samples)} photos cannot be read, copy them again: {named}")
    images.flush()
    if bad:
        np.save(folder / "images.npy", images[: len(kept)])
        (folder / "decoding.npy").unlink()
    else:
        (folder / "decoding.npy").rename(folder / "images.npy")
    np.save(folder / "kept.npy", np.array(kept, dtype=np.int64))


def _digest(sample: Sample) -> bytes:
    try:
        return hashlib.sha256(sample.path.read_bytes()).digest()
    except OSError:
        return b"unreadable"
