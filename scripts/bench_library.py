"""Measures a real library: mostly ordinary photos, with the thumbnails that cameras make."""

import functools
import io
import itertools
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import piexif
import torch
from bench_rivals import dataloader, naive
from numpy.typing import NDArray
from PIL import Image, ImageFilter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import s3  # noqa: E402 - the server that the tests use

from tagger import metadata  # noqa: E402
from tagger.cli.options import BUCKET_WORKERS  # noqa: E402
from tagger.evidence.decide import MIN_CONF  # noqa: E402
from tagger.evidence.limits import Limits  # noqa: E402
from tagger.evidence.sources import Sources  # noqa: E402
from tagger.ledger.ledger import Ledger, new_run_id  # noqa: E402
from tagger.model import DEFAULT_MODEL, artifact  # noqa: E402
from tagger.model.classifier import Classifier  # noqa: E402
from tagger.model.devices import fast_dtype  # noqa: E402
from tagger.model.thumbnail_net import ThumbnailNet, beside  # noqa: E402
from tagger.places.landmarks import load_landmarks  # noqa: E402
from tagger.records import Coords, Provenance, Tag  # noqa: E402
from tagger.run.pipeline import run  # noqa: E402
from tagger.run.stages import Settings  # noqa: E402
from tagger.storage.opening import open_storage  # noqa: E402
from tagger.storage.urls import is_url  # noqa: E402

SAMPLES = ROOT / "sample_photos"
SIZE, MB_3 = (4032, 3024), (3730, 2798)
CORES = os.cpu_count() or 1
PHOTOS, ROUNDS = 2000, 3
# Of a hundred photos: with GPS, ordinary, of landmarks; and one in so many without a thumbnail.
MIX, BARE = (40, 56, 4), 10
SOURCES = 100  # pictures of ordinary things: of so many, about as many pass as of all
SUBSET = 100  # photos for the rivals, in the same mix: all would take them half an hour
LANDMARKS = ("eiffel_tower.jpg", "taj_mahal.jpg")
Figures = Iterator[tuple[str, float]]


def ordinary_sources(count: int) -> list[Path]:
    """Test photos of ordinary things if they are available, else the two among the samples."""
    for root in ROOT.parents:
        far = root / "shared" / "data" / "negatives" / "test" / "far"
        if photos := sorted(far.glob("*.jpg")):
            return photos[:: max(1, len(photos) // count)][:count]
    return [SAMPLES / "cup_of_tea.jpg", SAMPLES / "mandarin_fish.jpg"]


@functools.cache
def noise_of(size: tuple[int, int]) -> NDArray[np.int16]:
    """A sensor's, for one picture of that size."""
    noise = np.random.default_rng(0).normal(0, 5, (size[1], size[0], 1))
    return noise.round().astype(np.int16)


def library_photo(
    source: Path, seed: int, size: tuple[int, int] = SIZE, thumbnail: bool = True
) -> bytes:
    """A photo like a camera's: noise, 3.5 MB at 12 megapixels, maker note, sharpened thumbnail."""
    with Image.open(source) as picture:
        upright = picture.convert("RGB")
    large = np.asarray(upright.resize(size, Image.Resampling.BICUBIC))
    noise = np.roll(noise_of(size), seed * 7919)
    noisy = Image.fromarray((large + noise).clip(0, 255).astype(np.uint8))
    exif: dict[str, object] = {
        "0th": {piexif.ImageIFD.Make: b"Benchmark", piexif.ImageIFD.Model: b"Camera"},
        "Exif": {
            piexif.ExifIFD.PixelXDimension: size[0],
            piexif.ExifIFD.PixelYDimension: size[1],
            piexif.ExifIFD.DateTimeOriginal: b"2024:06:01 12:%02d:00" % (seed % 60),
            piexif.ExifIFD.MakerNote: np.random.default_rng(seed).bytes(4000),
        },
    }
    if thumbnail:
        small, coded = noisy.resize((160, 120), Image.Resampling.BICUBIC), io.BytesIO()
        small.filter(ImageFilter.UnsharpMask(0.8, 80, 0)).save(coded, "JPEG", quality=70)
        exif |= {"1st": {piexif.ImageIFD.Compression: 6}, "thumbnail": coded.getvalue()}
    buffer = io.BytesIO()
    noisy.save(buffer, "JPEG", quality=92, exif=piexif.dump(exif))
    return buffer.getvalue()


def library(folder: Path, photos: int) -> list[Path]:
    """The library in one folder, of few pictures; all but those to be tagged are hard links.

    Returns:
        the first photos, in the same mix, for the rivals.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    kinds = folder.parent / "kinds"
    sources = ordinary_sources(SOURCES)
    if not kinds.exists():
        kinds.mkdir()
        some = Provenance("landmark-tag", "benchmark", "0" * 64, 0.9, "benchmark")
        tag = Tag(load_landmarks()["Taj_Mahal"], Coords.BOTH, some)
        for number, source in enumerate(sources):
            bare = number % BARE == 0
            (kinds / f"ordinary{number}.jpg").write_bytes(
                library_photo(source, number, SIZE, not bare)
            )
        for number, source in enumerate(sources[:6]):
            data = metadata.tagged(library_photo(source, number), tag)
            (kinds / f"gps{number}.jpg").write_bytes(data)
        for number in range(8):
            name = LANDMARKS[number % len(LANDMARKS)]
            (kinds / f"landmark{number}.jpg").write_bytes(
                library_photo(SAMPLES / name, number, SIZE, number % BARE != 0)
            )
    ordinary = itertools.cycle(range(len(sources)))
    for number in range(photos):
        place = number * 37 % 100  # the kinds are mixed
        path = folder / f"{number:05}.jpg"
        if place < MIX[0]:
            path.hardlink_to(kinds / f"gps{number % 6}.jpg")
        elif place < MIX[0] + MIX[1]:
            path.hardlink_to(kinds / f"ordinary{next(ordinary)}.jpg")
        else:
            shutil.copyfile(kinds / f"landmark{number % 8}.jpg", path)
    return [folder / f"{number:05}.jpg" for number in range(min(photos, SUBSET))]


def ours(
    place: Path | str, ledger: Path, classifier: Classifier, net: ThumbnailNet | None
) -> Counter[str]:
    """Everything the command does between its start and its end; outcomes by count."""
    workers = BUCKET_WORKERS if is_url(str(place)) else CORES
    # The library has few pictures under many names, which a run would recognise by content.
    settings = Settings(new_run_id(), MIN_CONF, workers=workers, rescan=True)
    counts, sources = Counter[str](), Sources.beside(None, Limits(), [])
    with (
        Ledger.open(ledger) as book,
        book.begin(settings.run_id, [str(place)], {}, classifier.sha256) as recorder,
    ):
        storage = open_storage([str(place)])
        for outcome in run(
            storage, classifier, recorder, settings, sources=sources, thumbnails=net
        ):
            recorder.seen(outcome)
            counts[outcome.status.value] += 1
    sources.close()
    return counts


def bucket_library(scratch: Path, photos: int) -> Figures:
    """What is read from a bucket of ordinary 3 MB photos: GETs and MB per 1,000 photos."""
    os.environ |= s3.ENVIRONMENT
    classifier, count = Classifier(device="cpu"), 300 if photos > 50 else 60
    with s3.running() as server:
        os.environ["AWS_ENDPOINT_URL"] = server.url
        bucket = s3.Bucket(server.client(), "library")
        bucket.client.create_bucket(Bucket=bucket.name)
        sources = ordinary_sources(100)
        kinds = [library_photo(source, n, MB_3) for n, source in enumerate(sources)]
        for number in range(count):
            bucket.put(f"photos/{number:05}.jpg", kinds[number % len(kinds)])
        for name, net in (("bucket", beside(DEFAULT_MODEL)), ("bucket_thorough", None)):
            server.asked()
            start = time.perf_counter()
            ours(f"{bucket.url}/photos", scratch / f"{name}.db", classifier, net)
            yield f"{name}_photos_per_s", count / (time.perf_counter() - start)
            requests = [each for each in server.asked() if each["method"] == "GET"]
            listed = sum("list-type" in str(each) for each in requests)
            yield f"{name}_gets_of_1000", 1000 * (len(requests) - listed) / count
            yield f"{name}_mb_of_1000", 1000 * sum(each["bytes"] for each in requests) / 1e6 / count


def processor_s() -> float:
    """Seconds that the processors worked for this process and its children that ended."""
    return sum(os.times()[:4])


def without_gps(paths: list[Path]) -> list[Path]:
    return [path for path in paths if not piexif.load(str(path))["GPS"]]


def real_library(scratch: Path, photos: int) -> Figures:
    """2,000 photos like a camera's: thumbnails first, --thorough, and two rivals."""
    net = beside(DEFAULT_MODEL)
    assert net is not None, f"no thumbnail network beside {DEFAULT_MODEL}"
    count = PHOTOS if photos > 50 else 300
    folder, places, cpu = scratch / "library", load_landmarks(), torch.device("cpu")
    plain, frozen = artifact.load(DEFAULT_MODEL), artifact.load(DEFAULT_MODEL)
    frozen = replace(frozen, module=artifact.prepare(frozen.module, cpu, fast_dtype(cpu)))
    classifier = Classifier(device="cpu")
    subset = library(folder, count)
    naive(without_gps(subset)[:3], plain, places, 2)  # the first passes compile
    ours(folder, scratch / "warm.db", classifier, net)
    contestants: dict[str, tuple[int, Callable[[], object]]] = {
        "library_naive": (SUBSET, lambda: naive(without_gps(subset), plain, places, MIN_CONF)),
        "library_dataloader": (
            SUBSET,
            lambda: dataloader(without_gps(subset), frozen, places, MIN_CONF, CORES),
        ),
        "library_thorough": (
            count, lambda: ours(folder, scratch / f"{new_run_id()}.db", classifier, None)
        ),
        "library_ours": (
            count, lambda: ours(folder, scratch / f"{new_run_id()}.db", classifier, net)
        ),
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in contestants}
    worked: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, (number, work) in contestants.items():
            library(folder, count)
            torch.set_num_threads(CORES if "naive" in name or "loader" in name else 1)
            start, before = time.perf_counter(), processor_s()
            work()
            times[name].append((time.perf_counter() - start) / number)
            worked[name].append((processor_s() - before) / number)
    for name, each in times.items():
        yield f"{name}_photos_per_s", 1 / float(np.median(each))
    for rival in ("naive", "dataloader", "thorough"):
        for key, measured in (("vs", times), ("processor_vs", worked)):
            pairs = zip(measured[f"library_{rival}"], measured["library_ours"], strict=True)
            yield f"library_{key}_{rival}", float(np.median([its / mine for its, mine in pairs]))


def heic_library(scratch: Path, photos: int) -> Figures:
    """HEIC photos of ordinary things, 12 megapixels with thumbnail items, against --thorough."""
    import pillow_heif

    net, classifier, folder = beside(DEFAULT_MODEL), Classifier(device="cpu"), scratch / "heic"
    folder.mkdir()
    for number, source in enumerate(ordinary_sources(4)):
        with Image.open(source) as picture:
            large = picture.convert("RGB").resize(SIZE, Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        pillow_heif.from_pillow(large).save(buffer, quality=70, thumbnails=[320])
        (scratch / f"{number}.heic").write_bytes(buffer.getvalue())
        for copy in range(10):
            (folder / f"{number}-{copy}.heic").hardlink_to(scratch / f"{number}.heic")
    ours(folder, scratch / "warm.db", classifier, net)
    ratios = []
    for number in range(ROUNDS):
        took = []
        for name, chosen in (("thorough", None), ("ours", net)):
            start = time.perf_counter()
            ours(folder, scratch / f"{name}{number}.db", classifier, chosen)
            took.append(time.perf_counter() - start)
        ratios.append(took[0] / took[1])
    yield "heic_photos_per_s", 40 / took[1]
    yield "heic_vs_thorough", float(np.median(ratios))
