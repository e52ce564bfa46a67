"""What the benchmark measures on a GPU, and the alternatives that were considered."""

import statistics
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from bench_rivals import naive
from bench_sections import (
    CORES,
    MP_2,
    MP_12,
    ROUNDS,
    Figures,
    cameras,
    fill,
    middle_ratio,
    ours,
    seconds,
)
from torchvision.io import decode_jpeg

from tagger.evidence.decide import MIN_CONF
from tagger.imaging.decode import to_views
from tagger.ledger.ledger import new_run_id
from tagger.model import DEFAULT_MODEL, artifact
from tagger.model.classifier import Classifier
from tagger.model.devices import fast_dtype
from tagger.places.landmarks import load_landmarks
from tagger.run.ordered import in_order

BATCHES = 16, 64, 256
TIMES = 4  # over: the photos of a run, which is short with many cores


def gpu(scratch: Path, photos: int) -> Figures:
    """Photos a second with the classifier on a GPU; nothing if there is none."""
    if not torch.cuda.is_available():
        return
    for name, size in (("gpu", MP_12), ("gpu_2mp", MP_2)):
        data = cameras(photos, size)
        yield from end_to_end(scratch, data, name)
        yield from decoding(data, name)
    yield from passes()


def end_to_end(scratch: Path, data: list[bytes], name: str) -> Figures:
    """A whole run on the GPU by batch size, against the CPU and a naive loop."""
    folder, places, plain = scratch / "photos", load_landmarks(), artifact.load(DEFAULT_MODEL)
    on_cpu, on_gpu = Classifier(device="cpu"), Classifier(device="cuda")

    def tagged(classifier: Classifier, batch: int) -> Callable[[], object]:
        return lambda: ours(folder, scratch / f"{new_run_id()}.db", classifier, batch)

    contestants = {
        "naive": lambda: naive(sorted(folder.iterdir()), plain, places, MIN_CONF),
        "cpu": tagged(on_cpu, 16),
        **{f"batch_{size}": tagged(on_gpu, size) for size in BATCHES},
    }
    rounds: dict[str, list[float]] = {each: [] for each in contestants}
    for number in range(ROUNDS + 1):
        for each, work in contestants.items():
            some = data[: len(data) // TIMES] if each == "naive" else data * TIMES
            torch.set_num_threads(CORES if each == "naive" else 1)
            fill(folder, some)
            taken = seconds(work) / len(some)
            if number:  # TorchScript optimises during its first passes
                rounds[each].append(taken)
    for each, times in rounds.items():
        yield f"{name}_{each}_photos_per_s", 1 / statistics.median(times)
    for rival in ("naive", "cpu"):
        yield f"{name}_vs_{rival}", middle_ratio(rounds[rival], rounds["batch_64"])


def decoding(data: list[bytes], name: str) -> Figures:
    """Decoding alone: as the pipeline does on all cores, and in full by nvJPEG."""
    files = [torch.from_numpy(np.frombuffer(photo, np.uint8).copy()) for photo in data]

    manifest = artifact.load(DEFAULT_MODEL).manifest

    def on_cores() -> None:
        look = partial(to_views, size=manifest.image_size, resize=manifest.resize)
        deque(in_order(look, data, CORES, 2 * CORES), maxlen=0)

    def on_gpu() -> None:
        for first in range(0, len(files), 16):
            decode_jpeg(files[first : first + 16], device="cuda")
        torch.cuda.synchronize()

    for each, work in (("decode", on_cores), ("nvjpeg", on_gpu)):
        work()
        taken = statistics.median(seconds(work) for _ in range(ROUNDS))
        yield f"{name}_{each}_photos_per_s", len(data) / taken


def passes() -> Figures:
    """The network alone, and replayed as a CUDA graph."""
    cuda = torch.device("cuda")
    loaded = artifact.load(DEFAULT_MODEL)
    edge = loaded.manifest.image_size
    module = artifact.prepare(loaded.module, cuda, fast_dtype(cuda))
    for size in BATCHES:
        pictures = torch.randint(0, 256, (size, 3, edge, edge), dtype=torch.uint8, device=cuda)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode():
            for _ in range(5):
                module(pictures)
            with torch.cuda.graph(graph):
                module(pictures)
            for each, work in (("pass", partial(module, pictures)), ("graph", graph.replay)):
                taken = [seconds(partial(finished, work)) for _ in range(50)]
                yield f"gpu_{each}_{size}_photos_per_s", size / statistics.median(taken)


def finished(work: Callable[[], object]) -> None:
    work()
    torch.cuda.synchronize()
