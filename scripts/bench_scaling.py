"""Measure the cost of a thousand photos of each kind in a bucket, locally and on Ray."""

import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

import s3  # noqa: E402 - the server that the tests use
from bench_rivals import camera_photo  # noqa: E402
from places import tag  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

from tagger import metadata  # noqa: E402
from tagger.cli.engine import THREADS  # noqa: E402
from tagger.cli.options import BUCKET_WORKERS  # noqa: E402
from tagger.imaging.decode import Views  # noqa: E402
from tagger.ledger.ledger import Ledger, new_run_id  # noqa: E402
from tagger.ledger.undo_patch import Intent  # noqa: E402
from tagger.model import DEFAULT_MODEL  # noqa: E402
from tagger.model.lazy import LazyClassifier  # noqa: E402
from tagger.records import Version  # noqa: E402
from tagger.run import pipeline, ray_engine  # noqa: E402
from tagger.run.ray_connection import Cluster as Share  # noqa: E402
from tagger.run.ray_tasks import BLOCK  # noqa: E402
from tagger.run.stages import Settings  # noqa: E402
from tagger.storage.opening import open_storage  # noqa: E402

Engine = Callable[..., Iterator[object]]


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@contextmanager
def engines(cores: int) -> Iterator[dict[str, tuple[Engine, int]]]:
    """Each engine by name, and its number of threads."""
    small = {"object_store_memory": 300_000_000, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": cores} | small)
    try:
        there = Share(nodes.address)

        def on_ray(storage: object, classifier: object, recorder: object, settings: object):  # type: ignore[no-untyped-def]
            return ray_engine.run(storage, classifier, recorder, settings, there)  # type: ignore[arg-type]

        yield {
            "local": (pipeline.run, BUCKET_WORKERS),
            "ray": (on_ray, THREADS),
        }
    finally:
        nodes.shutdown()


def notes_per_second(folder: Path, number: int = 500) -> float:
    """How many writes a second the ledger records, one by one, each safe on disk."""
    with Ledger.open(folder / "notes.db") as book, book.begin("notes", [], {}) as recorder:
        started = time.perf_counter()
        for count in range(number):
            recorder.note(Intent(f"{count}.jpg", b"x" * 32, b"y" * 32, Version(1, 1), b"z" * 900))
        return number / (time.perf_counter() - started)


@click.command()
@click.option("--photos", default=200, show_default=True, help="How many of each kind.")
@click.option("--pixels", default="2000x1500", show_default=True, help="Size of each photo.")
def main(photos: int, pixels: str) -> None:
    """Print photos/s, and per thousand photos: requests, MB read, processor seconds.

    Seconds are of this process: all of the local engine, only the command's own part of Ray.
    """
    width, height = map(int, pixels.split("x"))
    os.environ |= s3.ENVIRONMENT
    cores = os.cpu_count() or 1
    classifier = LazyClassifier(DEFAULT_MODEL, "cpu")
    side = classifier.image_size
    black = Views(np.zeros((3, side, side), np.uint8), np.zeros((side, side), np.uint8))
    for _ in range(3):  # the first passes compile
        classifier.classify([black] * 16)
    taj, tea = (
        camera_photo(REPOSITORY / "sample_photos" / f"{name}.jpg", (width, height))
        for name in ("taj_mahal", "cup_of_tea")
    )
    kinds = {
        "has GPS": metadata.tagged(taj, tag()),
        "unchanged": b"",
        "decoded": tea,
        "tagged": taj,
    }
    click.echo(f"{photos} photos of {len(taj) / 1e3:.0f} kB for each row, {cores} cores")
    with tempfile.TemporaryDirectory() as name:
        click.echo(f"the ledger notes {notes_per_second(Path(name)):.0f} writes a second")
    click.echo("engine  kind        photos/s  first after   requests  MB read  CPU s  found")
    with s3.running() as server, engines(cores) as known, tempfile.TemporaryDirectory() as name:
        os.environ["AWS_ENDPOINT_URL"] = server.url
        bucket = s3.Bucket(server.client(), "bench")
        bucket.client.create_bucket(Bucket=bucket.name)
        for engine, (run, workers) in known.items():
            with Ledger.open(Path(name, f"{engine}.db")) as book:
                for kind, data in kinds.items():
                    place = "has GPS" if kind == "unchanged" else kind
                    for number in range(photos if data else 0):
                        bucket.put(f"{place}/{number:05}.jpg", data)
                    target = f"{bucket.url}/{place}"
                    chosen = Settings(new_run_id(), workers=workers, writers=BUCKET_WORKERS)
                    server.asked()
                    counts, times, before = Counter[str](), list[float](), processor_seconds()
                    started = time.perf_counter()
                    with book.begin(chosen.run_id, [target], {}, classifier.sha256) as recorder:
                        for outcome in run(open_storage([target]), classifier, recorder, chosen):
                            recorder.seen(outcome)  # type: ignore[arg-type]
                            counts[outcome.status.value] += 1  # type: ignore[attr-defined]
                            times.append(time.perf_counter() - started)
                    asked, spent = server.asked(), processor_seconds() - before
                    # Rows come in blocks: start-up time is reported separately.
                    rate = (photos - BLOCK) / max(times[-1] - times[BLOCK - 1], 1e-6)
                    size = sum(note["bytes"] for note in asked if note["method"] == "GET")
                    click.echo(
                        f"{engine:7} {kind:10} {rate:9.1f} {times[BLOCK - 1]:10.1f} s"
                        f" {len(asked) * 1000 / photos:10.0f} {size / photos / 1e3:8.0f}"
                        f" {spent * 1000 / photos:6.1f}  {dict(counts)}"
                    )


if __name__ == "__main__":
    main()
