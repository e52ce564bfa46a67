"""What local features would add to the classifier: is there a photo of the landmark that matches?

    pip install opencv-python-headless
    scripts/compare_local_features.py --data DIR --negatives DIR [--strangers DIR]

For each landmark some photos to learn from are kept as references: of each, the SIFT points (Lowe
2004; RootSIFT, Arandjelovic and Zisserman 2012) that another photo of the landmark also has, as an
affine map that both agree on shows (RANSAC). A validation photo is then compared with the
references of the landmark that the classifier takes it for. Its support is the number of points
that one map explains, of the best reference. Nothing is written; no test photo is read.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy: each process has one core

import sys
import time
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tagger import imaging  # noqa: E402
from tagger.model.classifier import Classifier  # noqa: E402
from train.data import NO_LANDMARK, Sample  # noqa: E402
from train.metrics import area  # noqa: E402
from train.split import gather  # noqa: E402

CORES = os.cpu_count() or 1
SAMPLES = ROOT / "sample_photos"
# All photos alike: the references are no larger than 288 pixels, and the points of a photo with
# more would lie elsewhere. SIFT then finds more points in an enlarged picture.
SHORT, ENLARGED = 288, 400
POINTS = 600  # of a photo, the strongest
RATIO = 0.72  # of the squared distances to the two nearest points
FEWEST, NEEDED, APART = 6, 8, 8.0  # matches to try a map; that it must explain; pixels off
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Features:
    """``points`` float32 [N, 2], in pixels; ``descriptors`` float32 [N, 128] of length 1."""

    points: Floats
    descriptors: Floats

    def only(self, chosen: NDArray[np.int64]) -> "Features":
        return Features(self.points[chosen], self.descriptors[chosen])


def features(path: Path) -> Features | None:
    """SIFT of a photo; None where there is next to nothing to find."""
    cv2.setNumThreads(1)
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        return None
    if min(grey.shape) > SHORT:
        scale = SHORT / min(grey.shape)
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    scale = ENLARGED / min(grey.shape)
    grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    found, raw = cv2.SIFT_create(POINTS).detectAndCompute(grey, None)
    if raw is None or len(found) < NEEDED:
        return None
    root = np.sqrt(raw / (raw.sum(1, keepdims=True) + 1e-7)).astype(np.float32)
    return Features(np.array([point.pt for point in found], np.float32), root)


def matches(one: Features, other: Features) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which points of ``one`` match which of ``other`` under one affine map; none where few do."""
    none = np.zeros(0, np.int64)
    alike = one.descriptors @ other.descriptors.T
    nearest = np.argpartition(-alike, 1, axis=1)[:, :2]
    values = np.take_along_axis(alike, nearest, 1)
    nearest = np.take_along_axis(nearest, values.argmax(1)[:, None], 1)[:, 0]
    best, second = values.max(1), values.min(1)
    clear = (1 - best < RATIO * (1 - second)) & (
        alike.argmax(0)[nearest] == np.arange(len(alike))  # each is the other's nearest
    )
    left = np.flatnonzero(clear)
    if len(left) < FEWEST:
        return none, none
    right = nearest[left]
    method = {"method": cv2.RANSAC, "ransacReprojThreshold": APART}
    found, inside = cv2.estimateAffine2D(one.points[left], other.points[right], **method)
    if found is None or not 0.05 < abs(np.linalg.det(found[:, :2])) < 20:
        return none, none
    kept = inside.ravel().astype(bool)
    return left[kept], right[kept]


def references(photos: int, points: int, paths: list[Path]) -> list[Features]:
    """The photos of a landmark with the most points that its others have, and those points."""
    known = [found for found in map(features, paths) if found]
    shared = [np.zeros(len(found.points), np.int64) for found in known]
    for i in range(len(known)):
        for j in range(i):
            left, right = matches(known[i], known[j])
            if len(left) >= NEEDED:
                shared[i][left] += 1
                shared[j][right] += 1
    kept = []
    for found, counts in zip(known, shared, strict=True):
        best = np.argsort(-counts, kind="stable")[:points]
        best = best[counts[best] > 0]
        if len(best) >= NEEDED:
            kept.append((int(counts[best].clip(max=5).sum()), found.only(best)))
    kept.sort(key=lambda item: -item[0])
    return [found for _, found in kept[:photos]]


def support(query: tuple[Path, list[Features]]) -> int:
    """The most points of a photo that one map to a reference explains."""
    path, known = query
    found = features(path)
    return max((len(matches(one, found)[0]) for one in known), default=0) if found else 0


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--negatives", type=click.Path(exists=True, path_type=Path), multiple=True)
@click.option("--strangers", type=click.Path(exists=True, path_type=Path), help="Of no landmark.")
@click.option("--photos", default=24, show_default=True, help="References of a landmark.")
@click.option("--points", default=120, show_default=True, help="Points of a reference.")
def main(
    data: Path, negatives: tuple[Path, ...], strangers: Path | None, photos: int, points: int
) -> None:
    """Print how many validation photos are supported, and what that adds to the confidence."""
    material, classifier = gather(data, negatives), Classifier(device="cpu")
    known = [[s.path for s in material.train if s.label == n] for n in range(len(material.labels))]
    with Pool(CORES) as pool:
        kept = pool.map(partial(references, photos, points), known, chunksize=1)
        size = sum(len(one.points) * (128 + 4) for part in kept for one in part) / 1e6
        click.echo(f"references: {sum(map(len, kept))} photos, {size:.1f} MB as bytes")
        asked = list(material.valid)
        for folder, kind in ((strangers, "stranger"), (SAMPLES, "sample")):
            paths = sorted(folder.rglob("*.jpg")) if folder else []
            asked += [Sample(path, NO_LANDMARK, kind) for path in paths]
        guesses, queries = [], []
        for photo in asked:
            encoded = photo.path.read_bytes()
            pixels = imaging.to_pixels(encoded, classifier.image_size, classifier.resize)
            guesses.append(classifier.classify(pixels[None])[0].best)
            queries.append((photo.path, kept[material.labels.index(guesses[-1].slug)]))
        start = time.perf_counter()
        supports = np.array(pool.map(support, queries, chunksize=16))
        taken = 1e3 * CORES * (time.perf_counter() - start) / len(queries)
    click.echo(f"{taken:.0f} ms of a core a photo")
    kinds = np.array([photo.kind for photo in asked])
    guessed = [material.labels.index(guess.slug) for guess in guesses]
    right = np.array(guessed) == [photo.label for photo in asked]
    sure = np.clip([guess.confidence for guess in guesses], 1e-6, 1 - 1e-6)
    odds = np.log(sure) - np.log1p(-sure)
    both = odds + np.log1p(supports)
    shown = (kinds == "landmark") & right
    for kind in dict.fromkeys(kinds.tolist()):
        chosen = shown if kind == "landmark" else kinds == kind
        supported = np.mean(supports[chosen] >= NEEDED)
        line = f"{kind:10} {chosen.sum():4} photos, {supported:6.1%} supported"
        if kind not in ("landmark", "sample"):
            alone, helped = (area(score[shown], score[chosen]) for score in (odds, both))
            line += f"; AUROC {alone:.4f} by confidence, {helped:.4f} with ln(1 + support) added"
        click.echo(line)
    for photo, guess, found in zip(asked, guesses, supports, strict=True):
        if photo.kind == "sample":
            told = f"{photo.path.name:32} {guess.slug:24} {guess.confidence:.2f}"
            click.echo(f"{told} {found:3} points")


if __name__ == "__main__":
    main()
