"""Measure a run over a bucket on moto's server against the same photos on this disk."""

import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

import s3  # noqa: E402 - the server that the tests use
from bench_rivals import camera_photo  # noqa: E402
from places import tag  # noqa: E402

from tagger import metadata  # noqa: E402
from tagger.cli.options import BUCKET_WORKERS  # noqa: E402
from tagger.imaging.decode import Views  # noqa: E402
from tagger.ledger.ledger import Ledger, new_run_id  # noqa: E402
from tagger.model import DEFAULT_MODEL  # noqa: E402
from tagger.model.classifier import Classifier  # noqa: E402
from tagger.run.pipeline import run  # noqa: E402
from tagger.run.stages import Settings  # noqa: E402
from tagger.storage.opening import open_storage  # noqa: E402


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(target: str, classifier: Classifier, folder: Path, **settings: Any) -> tuple[float, str]:
    """Seconds for one run over a target, and the outcomes of its photos."""
    chosen = Settings(new_run_id(), min_conf=0.3, **settings)
    counts, started = Counter[str](), time.perf_counter()
    with (
        Ledger.open(folder / "ledger.db") as book,
        book.begin(chosen.run_id, [target], {}, classifier.sha256) as recorder,
    ):
        for outcome in run(open_storage([target]), classifier, recorder, chosen):
            recorder.seen(outcome)
            counts[outcome.status.value] += 1
    return time.perf_counter() - started, str(dict(counts))


@click.command()
@click.option("--photos", default=200, show_default=True, help="How many, half with GPS.")
@click.option("--pixels", default="2000x1500", show_default=True, help="Size of each photo.")
@click.option("--model", type=click.Path(path_type=Path), default=DEFAULT_MODEL, help="Model file.")
def main(photos: int, pixels: str, model: Path) -> None:
    """Print seconds, photos/s, requests and bytes of a first and a second run, disk and bucket."""
    width, height = map(int, pixels.split("x"))
    os.environ |= s3.ENVIRONMENT
    classifier, cores = Classifier(model, "cpu"), os.cpu_count() or 1
    side = classifier.image_size
    black = Views(np.zeros((3, side, side), np.uint8), np.zeros((side, side), np.uint8))
    for _ in range(3):  # the first passes compile
        classifier.classify([black] * 16)
    with s3.running() as server, tempfile.TemporaryDirectory() as name:
        os.environ["AWS_ENDPOINT_URL"] = server.url
        bucket, folder = s3.Bucket(server.client(), "bench"), Path(name, "photos")
        bucket.client.create_bucket(Bucket=bucket.name)
        folder.mkdir()
        source = REPOSITORY / "sample_photos" / "taj_mahal.jpg"
        kinds = [camera_photo(source, (width, height), seed) for seed in range(4)]
        for number in range(photos):
            data = kinds[number // 2 % 4]
            data = metadata.tagged(data, tag()) if number % 2 else data
            (folder / f"{number:05}.jpg").write_bytes(data)
            bucket.put(f"photos/{number:05}.jpg", data)
        click.echo(f"{photos} photos of {len(kinds[0]) / 1e3:.0f} kB, {cores} cores")
        disk, many = {"workers": cores}, {"workers": BUCKET_WORKERS, "writers": BUCKET_WORKERS}
        for turn in ("first", "second"):
            took, statuses = timed(str(folder), classifier, Path(name), **disk)
            click.echo(
                f"{turn} run, disk:   {took:6.2f} s {photos / took:7.1f} photos/s {statuses}"
            )
            server.asked()
            before = cpu_seconds(server.process)
            took, statuses = timed(f"{bucket.url}/photos", classifier, Path(name), **many)
            busy = (cpu_seconds(server.process) - before) / took
            requests = server.asked()
            click.echo(
                f"{turn} run, bucket: {took:6.2f} s {photos / took:7.1f} photos/s {statuses}"
            )
            asked_for = ", ".join(
                f"{n} {m}" for m, n in Counter(a["method"] for a in requests).items()
            )
            size = sum(a["bytes"] for a in requests if a["method"] == "GET") / 1e6
            click.echo(
                f"  {asked_for}; {size:.1f} MB read; the server was busy {busy:.0%} of a core"
            )


if __name__ == "__main__":
    main()
