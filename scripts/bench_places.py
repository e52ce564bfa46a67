"""Measure the search in packs of 1,000 to 1,000,000 references, synthetic ones around real ones."""

import json
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from tagger.model import DEFAULT_MODEL, artifact
from tagger.places.embeddings import unit
from tagger.places.pack import Pack, begins, joined, open_pack, save, signs
from tagger.places.search import PackSearch

OF_ONE = 5  # references per place
ASKED, NEAREST = 200, 24
Floats = NDArray[np.float32]


def synthetic(count: int, some: np.random.Generator) -> tuple[NDArray[np.int8], Floats]:
    """``count`` references, OF_ONE per place, and ASKED photos of some of the places.

    Places lie between three real references; their photos differ as photos of a landmark do.
    """
    known = artifact.load(DEFAULT_MODEL).references
    assert known
    real, owners = unit(known.embeddings), known.owners
    filled = np.flatnonzero(np.diff(known.landmarks))
    means = np.zeros((owners.max() + 1, real.shape[1]), np.float32)
    means[filled] = np.stack([real[owners == one].mean(0) for one in filled])
    spread, length = real - means[owners], np.linalg.norm(means[owners], axis=1).mean()
    found = np.empty((count, real.shape[1]), np.int8)
    asked = []
    for start in range(0, count, OF_ONE * 2000):
        places = min(2000, (count - start) // OF_ONE)
        one, two, three = some.integers(0, len(real), (3, places))
        shares = some.uniform(0.2, 1, (2, places, 1)).astype(np.float32)
        middle = length * unit(real[one] + shares[0] * real[two] + shares[1] * real[three])
        photos = middle[:, None] + spread[some.integers(0, len(real), (places, OF_ONE + 1))]
        rows = unit(photos.reshape(-1, real.shape[1])).reshape(photos.shape)
        own = rows[:, :OF_ONE].reshape(-1, real.shape[1])
        found[start : start + len(own)] = np.round(own * 317).clip(-127, 127)
        asked.append(rows[:: max(1, count // OF_ONE // ASKED), OF_ONE])
    return found, np.concatenate(asked)[:ASKED]


def written(path: Path, embeddings: NDArray[np.int8]) -> Pack:
    """Write a pack of these references, without local features."""
    count = len(embeddings)
    places = [
        json.dumps({"slug": f"{n:07d}", "name": f"Place {n}", "latitude": 1.0, "longitude": 2.0,
                    "radius_m": 50}).encode()
        for n in range(count // OF_ONE)
    ]  # fmt: skip
    photos = [b"{}"] * count
    save(path, "measured", False, {
        "owners": np.repeat(np.arange(count // OF_ONE, dtype=np.int32), OF_ONE),
        "embeddings": embeddings, "bits": signs(embeddings),
        "points": np.zeros(count + 1, np.int64), "codes": np.zeros((0, 16), np.uint8),
        "spots": np.zeros((0, 3), np.uint8),
        "places": joined(places), "places_begin": begins([len(row) for row in places]),
        "photos": joined(photos), "photos_begin": begins([2] * count),
    })  # fmt: skip
    start = time.perf_counter()
    pack = open_pack(path)
    click.echo(f"    opened in {1000 * (time.perf_counter() - start):.0f} ms")
    return pack


def resident() -> float:
    """Megabytes of memory in use, including touched pages of mapped files."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


@click.command()
@click.option("--counts", default="1000,100000,1000000", show_default=True)
def main(counts: str) -> None:
    """Print time on one core and memory that a search takes, and its recall of the exact search."""
    for count in map(int, counts.split(",")):
        embeddings, asked = synthetic(count, np.random.default_rng(0))
        click.echo(f"{count:,} references, {count // OF_ONE:,} places")
        blocks = range(0, count, 50_000)
        exact = np.concatenate(
            [asked @ unit(embeddings[at : at + 50_000]).T for at in blocks], axis=1
        )
        best = np.argsort(-exact, axis=1)[:, :NEAREST]
        del exact
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "measured.places"
            pack = written(path, embeddings)
            del embeddings
            before = resident()
            search = PackSearch(pack)
            start = time.process_time()
            found = [search.nearest(one, NEAREST)[0] for one in asked]
            took = 1000 * (time.process_time() - start) / len(asked)
            shared = [len(set(a) & set(b)) / len(b) for a, b in zip(found, best, strict=True)]
            click.echo(
                f"    {took:.2f} ms a photo, {resident() - before:.0f} MB more resident, recall of "
                f"the {NEAREST} nearest {np.mean(shared):.3f}, of the nearest "
                f"{np.mean([a[0] == b[0] for a, b in zip(found, best, strict=True)]):.3f}"
            )


if __name__ == "__main__":
    main()
