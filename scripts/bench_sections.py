"""The sections of the benchmark, each figure against its rival in the same run."""

import io
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from bench_rivals import ExifTool, camera_photo, dataloader, naive
from PIL import Image

from tagger import metadata
from tagger.evidence.decide import MIN_CONF
from tagger.imaging import decode
from tagger.ledger.ledger import Ledger, new_run_id
from tagger.model import DEFAULT_MODEL, artifact
from tagger.model.classifier import Classifier
from tagger.model.devices import fast_dtype
from tagger.places.landmarks import load_landmarks
from tagger.records import Coords, Provenance, Tag
from tagger.run.ordered import in_order
from tagger.run.pipeline import run
from tagger.run.stages import Settings
from tagger.storage.local import LocalStorage
from tagger.writing.write_tag import WriteOptions, write_tag

SAMPLES = Path(__file__).resolve().parent.parent / "sample_photos"
MP_12, MP_24, MP_2, MP_300 = (4032, 3024), (6000, 4000), (1600, 1200), (24_500, 12_250)
MB_4 = (4320, 3240)  # 14 megapixels: the sample written makes 3.5 MB at 12
CORES = os.cpu_count() or 1
ROUNDS = 7
PATIENCE = 240.0  # seconds after which no new round starts; one is always measured
SMALL_PARENT = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
Figures = Iterator[tuple[str, float]]


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_ms(work: Callable[[Path], object], paths: list[Path]) -> float:
    return 1e3 * statistics.median(seconds(lambda path=path: work(path)) for path in paths)  # type: ignore[misc]


def fill(folder: Path, photos: list[bytes]) -> list[Path]:
    """Write the photos into a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    paths = [folder / f"{number:06}.jpg" for number in range(len(photos))]
    for path, data in zip(paths, photos, strict=True):
        path.write_bytes(data)
    return paths


def cameras(count: int, size: tuple[int, int]) -> list[bytes]:
    """Photos of all samples in turn, a quarter of them of landmarks, no two alike."""
    sources = [path for path in sorted(SAMPLES.glob("*.jpg")) if "with_gps" not in path.name]
    with ThreadPoolExecutor(CORES) as pool:
        return list(
            pool.map(lambda n: camera_photo(sources[n % len(sources)], size, n), range(count))
        )


def command(folder: Path, *words: object) -> tuple[float, float]:
    """Run landmark-tag from the command line; seconds and peak resident MB."""
    line = [sys.executable, "-m", "tagger", *words, "--quiet", "--report", folder / "report.csv"]
    start = time.perf_counter()
    # Through a small process: a child's peak starts at the size of its parent when it forked.
    between = [sys.executable, "-c", SMALL_PARENT, *map(str, line)]
    peak = subprocess.run(between, check=True, stdout=subprocess.PIPE, text=True).stdout
    return time.perf_counter() - start, int(peak) / 1024


def ours(folder: Path, ledger: Path, classifier: Classifier, batch_size: int = 16) -> int:
    """Everything the command does between its start and its end; how many photos."""
    settings = Settings(new_run_id(), MIN_CONF, batch_size=batch_size, workers=CORES)
    with (
        Ledger.open(ledger) as book,
        book.begin(settings.run_id, [str(folder)], {}, classifier.sha256) as recorder,
    ):
        outcomes = run(LocalStorage([folder]), classifier, recorder, settings)
        count = 0
        for outcome in outcomes:
            recorder.seen(outcome)
            count += 1
        return count


def pipeline(scratch: Path, photos: int) -> Figures:
    """End to end on 12-megapixel photos, against two rivals and the ceiling."""
    deadline = time.monotonic() + PATIENCE
    data = cameras(photos, MP_12)
    folder, places, cpu = scratch / "photos", load_landmarks(), torch.device("cpu")
    plain, frozen, classifier = (
        artifact.load(DEFAULT_MODEL), artifact.load(DEFAULT_MODEL), Classifier(device="cpu")
    )  # fmt: skip
    frozen = replace(frozen, module=artifact.prepare(frozen.module, cpu, fast_dtype(cpu)))
    size, resize = classifier.image_size, classifier.resize
    some = [decode.to_views(photo, size, resize) for photo in data[:26]]  # each sample twice
    passes = -(-len(data) // len(some))
    paths = fill(folder, data)
    contestants: dict[str, Callable[[], object]] = {
        "naive": lambda: naive(paths, plain, places, MIN_CONF),
        "dataloader": lambda: dataloader(paths, frozen, places, MIN_CONF, CORES),
        "ours": lambda: ours(folder, scratch / f"{new_run_id()}.db", classifier),
        "decode": lambda: list(
            in_order(lambda d: decode.to_views(d, size, resize), data, CORES, 2 * CORES)
        ),
        "infer": lambda: [classifier.classify(some) for _ in range(passes)],
    }
    naive(paths[:3], plain, places, MIN_CONF)  # TorchScript optimises during its first passes
    # Each path once: a worker must not read a photo while another rewrites it.
    dataloader(paths[:32], frozen, places, MIN_CONF, CORES)
    classifier.classify(some)
    rounds: dict[str, list[float]] = {name: [] for name in contestants}
    for number, (name, work) in enumerate(list(contestants.items()) * ROUNDS):
        if number % len(contestants) == 0 and number and time.monotonic() > deadline:
            break
        # Each thread of the classifier has one, and part of that setting is process-wide.
        torch.set_num_threads(CORES if name in ("naive", "dataloader") else 1)
        fill(folder, data)
        if name == "ours":
            # Once more, untimed: a run after the DataLoader's is slower, since each page that it
            # writes to is first copied, the workers having shared it.
            work()
            fill(folder, data)
        rounds[name].append(seconds(work))
    rounds["infer"] = [taken * len(data) / (passes * len(some)) for taken in rounds["infer"]]
    yield "photo_mb", statistics.mean(map(len, data)) / 1e6
    for name, times in rounds.items():
        yield f"{name}_photos_per_s", len(data) / statistics.median(times)
    for rival in ("naive", "dataloader"):
        yield f"end_to_end_vs_{rival}", middle_ratio(rounds[rival], rounds["ours"])
    apart = list(map(sum, zip(rounds["decode"], rounds["infer"], strict=True)))
    yield "fraction_of_ceiling", middle_ratio(apart, rounds["ours"])


def middle_ratio(times: list[float], ours: list[float]) -> float:
    """The median of ratios within rounds: the machine's speed changes from minute to minute, and
    a ratio of best times would favour the shorter work.
    """
    return statistics.median(its / mine for its, mine in zip(times, ours, strict=True))


def scanning(scratch: Path, photos: int) -> Figures:
    """A library in which every photo carries GPS, and 100,000 unchanged photos at night."""
    tagged = metadata.tagged(camera_photo(SAMPLES / "taj_mahal.jpg", (1600, 1200)), some_tag())
    folder, classifier = scratch / "library", Classifier(device="cpu")
    fill(folder, [tagged] * 2000)
    taken = [seconds(partial(ours, folder, scratch / f"scan{n}.db", classifier)) for n in range(3)]
    yield "gps_scan_photos_per_s", 2000 / min(taken)
    fill(folder, [])
    (scratch / "one.jpg").write_bytes(tagged)
    for number in range(100_000):  # hard links: separate files would fill the disk
        path = folder / f"{number // 1000:03}" / f"{number:06}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.hardlink_to(scratch / "one.jpg")
    ledger = ("--ledger", scratch / "nightly.db")
    yield "first_run_100k_s", command(scratch, folder, *ledger)[0]
    yield "rerun_100k_s", min(command(scratch, folder, *ledger)[0] for _ in range(3))
    shutil.rmtree(folder)


def starting(scratch: Path, photos: int) -> Figures:
    """The wait for --help and for the first tag."""
    line = [sys.executable, "-m", "tagger", "--help"]
    yield (
        "help_s",
        min(seconds(lambda: subprocess.run(line, stdout=subprocess.DEVNULL)) for _ in range(5)),
    )
    one = fill(scratch / "one", [camera_photo(SAMPLES / "taj_mahal.jpg", MP_12)])
    first, _ = command(scratch, scratch / "one", "--ledger", scratch / "first.db")
    yield "first_tag_s", first
    assert metadata.position(one[0].read_bytes()), "the first photo was not tagged"


def memory(scratch: Path, photos: int) -> Figures:
    """Peak resident MB of a run: large photos, one huge one, and ten times as many small ones."""
    fill(scratch / "large", cameras(photos, MP_24))
    yield "peak_rss_mb", command(scratch, scratch / "large", "--ledger", scratch / "large.db")[1]
    shutil.rmtree(scratch / "large")
    fill(scratch / "panorama", [panorama()])
    wide = command(scratch, scratch / "panorama", "--ledger", scratch / "panorama.db")
    yield "peak_rss_panorama_mb", wide[1]
    for count in (photos, 10 * photos):
        fill(scratch / "small", cameras(min(count, 50), MP_2) * -(-count // 50))
        peak = command(scratch, scratch / "small", "--ledger", scratch / f"{count}.db")[1]
        yield f"peak_rss_{'few' if count == photos else 'tenfold'}_mb", peak


def panorama() -> bytes:
    """A baseline JPEG of 300 megapixels, as stitching programs write."""
    buffer = io.BytesIO()
    with Image.open(SAMPLES / "taj_mahal.jpg") as picture:
        picture.resize(MP_300, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def some_tag() -> Tag:
    provenance = Provenance("landmark-tag", "benchmark", "0" * 64, 0.9, "benchmark")
    return Tag(load_landmarks()["Taj_Mahal"], Coords.BOTH, provenance)


def writing(scratch: Path, photos: int) -> Figures:
    """Milliseconds to write one 4 MB photo: ours with all checks and the ledger, the disk's share
    of that, and ExifTool's.
    """
    data = camera_photo(SAMPLES / "taj_mahal.jpg", MB_4)
    yield "write_photo_mb", len(data) / 1e6
    storage, tag = LocalStorage(), some_tag()
    with (
        Ledger.open(scratch / "ledger.db") as ledger,
        ledger.begin(new_run_id(), [str(scratch)], {}) as recorder,
        closing(sqlite3.connect(scratch / "plain.db", isolation_level=None)) as plain,
    ):
        plain.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (n)")
        paths = fill(scratch / "ours", [data] * photos)
        others = fill(scratch / "plain", [data] * photos)
        entries = {Path(entry.key): entry for entry in LocalStorage([scratch / "ours"]).list()}
        ours, disk = [], []
        for path, other in zip(paths, others, strict=True):  # in turn, so that noise hits both
            disk.append(seconds(partial(only_disk, other, plain)))
            entry = entries[path.resolve()]
            ours.append(seconds(partial(write_tag, storage, recorder, entry, tag, WriteOptions())))
    yield "write_ours_ms", 1e3 * statistics.median(ours)
    yield "write_disk_ms", 1e3 * statistics.median(disk)
    both = zip(ours, disk, strict=True)
    yield "write_besides_disk_ms", 1e3 * statistics.median(mine - its for mine, its in both)
    if shutil.which("exiftool"):
        assert tag.landmark
        exiftool = ExifTool(tag.landmark)
        paths = fill(scratch / "exiftool", [data] * photos)
        yield "write_exiftool_ms", median_ms(exiftool.tag, paths)
        exiftool.close()


def only_disk(path: Path, database: sqlite3.Connection) -> None:
    """Read a photo, record that durably, write its bytes to a new file and replace it."""
    data = path.read_bytes()
    database.execute("INSERT INTO t VALUES (1)")
    copy = path.with_suffix(".new")
    with copy.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    copy.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


SECTIONS = {
    "pipeline": pipeline,
    "scanning": scanning,
    "starting": starting,
    "memory": memory,
    "writing": writing,
}
