"""The benchmark's section on search in packs: synthetic references around real ones."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagger.places.embeddings import signs, unit
from tagger.places.opening import open_pack
from tagger.places.pack_writing import begins, joined, save
from tagger.places.search import PackSearch

COUNTS = (1_000, 100_000, 1_000_000)
OF_ONE = 5  # references of a place
ASKED, NEAREST = 200, 24
CORES, ROUNDS = 2, 3
Floats = NDArray[np.float32]


def synthetic(count: int, some: np.random.Generator) -> tuple[NDArray[np.int8], Floats]:
    """``count`` references, OF_ONE per place, and ASKED photos of some of the places.

    Places lie between three real references; their photos differ as photos of a landmark do.
    """
    # Not at the top: the process that is measured needs no torch.
    from tagger.model import DEFAULT_MODEL, artifact

    known = artifact.load(DEFAULT_MODEL).references
    assert known
    real, owners = unit(known.embeddings), known.owners
    filled = np.flatnonzero(np.diff(known.landmarks))
    means = np.zeros((owners.max() + 1, real.shape[1]), np.float32)
    means[filled] = np.stack([real[owners == one].mean(0) for one in filled])
    spread, length = real - means[owners], np.linalg.norm(means[owners], axis=1).mean()
    references = np.empty((count, real.shape[1]), np.int8)
    queries = []
    for start in range(0, count, OF_ONE * 2000):
        places = min(2000, (count - start) // OF_ONE)
        one, two, three = some.integers(0, len(real), (3, places))
        shares = some.uniform(0.2, 1, (2, places, 1)).astype(np.float32)
        middle = length * unit(real[one] + shares[0] * real[two] + shares[1] * real[three])
        photos = middle[:, None] + spread[some.integers(0, len(real), (places, OF_ONE + 1))]
        rows = unit(photos.reshape(-1, real.shape[1])).reshape(photos.shape)
        own = rows[:, :OF_ONE].reshape(-1, real.shape[1])
        references[start : start + len(own)] = np.round(own * 317).clip(-127, 127)
        queries.append(rows[:: max(1, count // OF_ONE // ASKED), OF_ONE])
    return references, np.concatenate(queries)[:ASKED]


def written(path: Path, embeddings: NDArray[np.int8]) -> None:
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


def resident() -> float:
    """Megabytes of memory in use, including touched pages of mapped files."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def exact(embeddings: NDArray[np.int8], queries: Floats) -> NDArray[np.int64]:
    """The NEAREST of all references for each photo, by comparing each one."""
    best, nearest = np.zeros((len(queries), 0), np.float32), np.zeros((len(queries), 0), np.int64)
    for at in range(0, len(embeddings), 50_000):
        cosines = queries @ unit(embeddings[at : at + 50_000]).T
        rows = np.broadcast_to(np.arange(at, at + cosines.shape[1]), cosines.shape)
        best, nearest = np.hstack([best, cosines]), np.hstack([nearest, rows])
        order = np.argsort(-best, axis=1, kind="stable")[:, :NEAREST]
        best, nearest = np.take_along_axis(best, order, 1), np.take_along_axis(nearest, order, 1)
    return nearest


def searched(path: Path, queries: Floats) -> dict[str, object]:
    """What opening a pack and asking it takes, in this process alone."""
    before, start = resident(), time.perf_counter()
    pack = open_pack(path)
    opened = time.perf_counter() - start
    search = PackSearch(pack)
    search.nearest(queries[0], NEAREST)
    took, together, nearest = [], [], []
    with ThreadPoolExecutor(CORES) as pool:
        for _ in range(ROUNDS):
            start = time.process_time()
            nearest = [search.nearest(one, NEAREST)[0].tolist() for one in queries]
            took.append(time.process_time() - start)
            start = time.perf_counter()
            list(pool.map(lambda one: search.nearest(one, NEAREST), queries))
            together.append(time.perf_counter() - start)
    return {
        "core_ms": 1e3 * min(took) / len(queries), "ms": 1e3 * min(together) / len(queries),
        "mb": resident() - before, "open_ms": 1e3 * opened, "found": nearest,
    }  # fmt: skip


def places(scratch: Path, photos: int) -> Iterator[tuple[str, float]]:
    """Packs of 1,000 to 1,000,000 references: time and memory that a photo's search adds, recall.

    ``places_1000_core_ms`` is time of one core; ``places_1000_ms`` passes for a photo on 2 cores.
    """
    for count in COUNTS:
        embeddings, queries = synthetic(count, np.random.default_rng(0))
        best, path = exact(embeddings, queries), scratch / "measured.places"
        written(path, embeddings)
        del embeddings
        np.save(scratch / "asked.npy", queries)
        line = [sys.executable, __file__, str(path), str(scratch / "asked.npy")]
        figures = json.loads(subprocess.run(line, check=True, capture_output=True).stdout)
        nearest = np.array(figures.pop("found"))
        shared = [len(set(a) & set(b)) / NEAREST for a, b in zip(nearest, best, strict=True)]
        for name, value in figures.items():
            yield f"places_{count}_{name}", value
        yield f"places_{count}_recall", float(np.mean(shared))
        yield f"places_{count}_first", float((nearest[:, 0] == best[:, 0]).mean())
        yield f"places_{count}_disk_mb", path.stat().st_size / 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="The figures of search in one pack, as JSON; scripts/benchmark.py runs it."
    )
    parser.add_argument("pack", type=Path, help="the pack that is searched")
    parser.add_argument("asked", type=Path, help="the embeddings that are searched for, as .npy")
    given = parser.parse_args()
    print(json.dumps(searched(given.pack, np.load(given.asked))))
