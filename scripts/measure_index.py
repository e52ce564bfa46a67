"""Measure the indexes beside the ledger: positions by time, and photos of the same view."""

import random
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from bench_places import resident

from tagger.evidence.sources import Sources
from tagger.evidence.views import ViewsIndex
from tagger.metadata.capture import Capture

NUMBERS = 256  # of an embedding
WITH_POSITION = 0.6  # of the photos of the made-up library


def photos(count: int) -> Iterator[Capture]:
    """A made-up library: two phones with GPS in most photos, and a camera without."""
    chance, utc, latitude, longitude = random.Random(1), 1.3e9, 48.0, 2.0
    for number in range(count):
        utc += chance.expovariate(1 / (300 if chance.random() < 0.9 else 20_000))
        latitude += chance.gauss(0, 1e-4)
        longitude += chance.gauss(0, 1e-4)
        kind = chance.choices(("Phone", "Other phone", "bare", "Camera"), (4, 2, 2, 2))[0]
        seen = kind in ("Phone", "Other phone")
        yield Capture(
            f"/photos/{number // 1000:04}/IMG_{number:07}.jpg",
            utc + 7200,
            None if kind == "Camera" else 7200.0,
            camera="Phone" if kind == "bare" else kind,
            position=(latitude, longitude) if seen else None,
        )


def views(folder: Path, count: int, asked: int) -> None:
    """Print the time of a search among ``count`` made-up photos with a position, and its memory."""
    chance = np.random.default_rng(0)
    index = ViewsIndex(folder / "ledger.db.views", "made up")
    database = sqlite3.connect(folder / "ledger.db.views")
    for begin in range(0, count, 10_000):
        some = chance.integers(-128, 128, (min(10_000, count - begin), NUMBERS), np.int8)
        rows = [(begin + number, row.tobytes()) for number, row in enumerate(some, 1)]
        database.executemany("INSERT INTO placed VALUES (?, ?)", rows)
    database.commit()
    database.close()
    before = resident()
    photos = chance.normal(size=(asked, NUMBERS)).astype(np.float32)
    index.likest(photos[0], 8, 0.0, "")  # reads the signs
    begun = time.process_time()
    for photo in photos / np.linalg.norm(photos, axis=1, keepdims=True):
        index.likest(photo, 8, 0.0, "")
    took = 1000 * (time.process_time() - begun) / asked
    click.echo(
        f"views: {took:.3f} ms of a core a photo, {resident() - before:.0f} MB more resident"
    )
    index.close()


@click.command()
@click.option("--photos", "count", default=1_000_000, show_default=True)
@click.option("--asked", default=5000, show_default=True, help="Photos asked for, of each kind.")
def main(count: int, asked: int) -> None:
    """Print milliseconds a photo (wall clock, processor) and the peak of memory."""
    with tempfile.TemporaryDirectory() as folder:
        views(Path(folder), round(count * WITH_POSITION), asked // 10)
        sources = Sources(Path(folder) / "ledger.db.captures")

        def show(name: str, number: int, since: tuple[float, float]) -> None:
            wall, busy = time.perf_counter() - since[0], time.process_time() - since[1]
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
            each = f"{1000 * wall / number:.3f} ms ({1000 * busy / number:.3f} ms of a core)"
            click.echo(f"{name}: {each} a photo, peak memory {peak:.0f} MB")

        begun = time.perf_counter(), time.process_time()
        for photo in photos(count):
            sources.note(photo, "1 2 3")
        sources.captures.flush()
        show("noted", count, begun)
        keys = [photo.key for photo in photos(count) if photo.position is None]
        start = random.Random(2).randrange(max(1, len(keys) - asked))
        for name, some in (
            ("asked in a row", keys[start : start + asked]),
            ("asked at random", random.Random(3).sample(keys, min(asked, len(keys)))),
        ):
            begun = time.perf_counter(), time.process_time()
            for key in some:
                sources.estimates(key)
            show(name, len(some), begun)
        sources.close()


if __name__ == "__main__":
    main()
