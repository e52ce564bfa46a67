"""What our JPEG decoder gains: whole runs with and without it in turn, and decoding alone."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import click
import torch
from bench_sections import MP_2, MP_12, cameras, fill, ours

from tagger.imaging import fast_jpeg
from tagger.imaging.decode import to_views
from tagger.ledger.ledger import new_run_id
from tagger.model.classifier import Classifier
from tagger.model.local_features import weigh

PILLOW = patch.object(fast_jpeg, "_fast_jpeg", None)
WAYS = {"compiled": (), "Pillow decodes": (PILLOW,)}


def cpu_seconds(work: Callable[[], object], way: str) -> float:
    """Processor time of all threads, which other programs on the machine affect little."""
    for change in WAYS[way]:
        change.start()
    start = time.process_time()
    work()
    taken = time.process_time() - start
    for change in WAYS[way]:
        change.stop()
    return taken


@click.command()
@click.option("--photos", default=48, show_default=True, help="Photos of each run.")
@click.option("--rounds", default=5, show_default=True, help="Runs of each way, in turn.")
@click.option("--small", is_flag=True, help="Photos of 2 megapixels, not 12.")
@click.option("--all", "everywhere", is_flag=True, help="Compare local features of every photo.")
def main(photos: int, rounds: int, small: bool, everywhere: bool) -> None:
    """Print milliseconds of a core per photo, and the ratio without the C."""
    if everywhere:
        patch.multiple(weigh, POSSIBLE=0.0, LEAST=0.0, SURE=1.1).start()
    data, classifier = cameras(photos, MP_2 if small else MP_12), Classifier(device="cpu")
    torch.set_num_threads(1)
    size, resize = classifier.image_size, classifier.resize
    taken: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)

        def whole() -> int:
            return ours(place / "photos", place / f"{new_run_id()}.db", classifier)

        parts: dict[str, tuple[int, Callable[[], object]]] = {
            "a run": (photos, whole),
            "decoding": (16, lambda: [to_views(photo, size, resize) for photo in data[:16]]),
        }
        for number in range(rounds + 1):
            for part, (count, work) in parts.items():
                for way in WAYS:
                    fill(place / "photos", data)
                    seconds = cpu_seconds(work, way)
                    if number:  # TorchScript optimises during the first
                        taken.setdefault((part, way), []).append(1e3 * seconds / count)
    for (part, way), times in taken.items():
        against = zip(times, taken[part, "compiled"], strict=True)
        ratio = statistics.median(its / mine for its, mine in against)
        click.echo(f"{part:10} {way:17} {statistics.median(times):6.1f} ms, {ratio:.2f} times")


if __name__ == "__main__":
    main()
