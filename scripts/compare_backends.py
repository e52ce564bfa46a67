"""Compare other runtimes with TorchScript: rates end to end, and agreement.

Needs: pip install onnx onnxruntime openvino (each runtime is left out where it is missing).
"""

import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from bench_sections import CORES, MP_12, cameras, fill, ours, seconds
from numpy.typing import NDArray

from tagger.imaging import decode
from tagger.model import DEFAULT_MODEL, artifact
from tagger.model.classifier import Classifier
from tagger.records import Guess
from tagger.storage.local import LocalStorage

# From a picture [1, 3, S, S] to probabilities [1, C] and embedding [1, D].
Infer = Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]
SIZES = {"12 MP": MP_12, "1.5 MP": (1440, 1080)}


def torchscript(onnx: Path) -> Infer:
    """The model as landmark-tag runs it, in float32 like the others."""
    module = artifact.prepare(
        artifact.load(DEFAULT_MODEL).module, torch.device("cpu"), torch.float32
    )

    def run(picture: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        torch.set_num_threads(1)
        pixels = torch.from_numpy(picture).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            return [part.numpy() for part in module(pixels)]

    return run


def onnxruntime(onnx: Path) -> Infer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])

    def run(picture: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        outputs: list[NDArray[np.float32]] = session.run(None, {"pictures": picture})
        return outputs

    return run


def openvino(onnx: Path) -> Infer:
    import threading

    import openvino

    settings = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": CORES,
                "INFERENCE_NUM_THREADS": CORES}  # fmt: skip
    compiled = openvino.Core().compile_model(onnx, "CPU", settings)
    own = threading.local()

    def run(picture: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        outputs = own.request.infer([picture])
        return [outputs[output].copy() for output in compiled.outputs]

    return run


BACKENDS = {"torchscript": torchscript, "onnxruntime": onnxruntime, "openvino": openvino}


class Runtime:
    """Another runtime, in place of torch."""

    def __init__(self, run: Infer) -> None:
        self._run, self._pool = run, ThreadPoolExecutor(CORES)

    def infer(self, pictures: torch.Tensor, together: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
        """One picture a pass, whatever ``together`` is."""
        passes = self._pool.map(self._run, [p.contiguous().numpy() for p in pictures.split(1)])
        probabilities, embeddings = zip(*passes, strict=True)
        return torch.from_numpy(np.concatenate(probabilities)), torch.from_numpy(
            np.concatenate(embeddings)
        )


def classifier_on(run: Infer) -> Classifier:
    """The classifier on another runtime."""
    classifier = Classifier(device="cpu")
    while not classifier._idle.empty():
        classifier._idle.get()
    classifier._idle.put(Runtime(run))  # type: ignore[arg-type]
    return classifier


def exported(path: Path) -> None:
    """The model as ONNX: uint8 "pictures" [N, 3, S, S] to probabilities [N, C] and embeddings."""
    loaded = artifact.load(DEFAULT_MODEL)
    size = loaded.manifest.image_size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # artifact.prepare would insert oneDNN's own operations.
        frozen = torch.jit.freeze(loaded.module)
        torch.onnx.export(
            frozen, (torch.zeros(1, 3, size, size, dtype=torch.uint8),), path, dynamo=False,
            input_names=["pictures"], dynamic_axes={"pictures": {0: "n"}}, opset_version=17,
        )  # fmt: skip


def agreement(one: list[Guess], other: list[Guess]) -> tuple[float, float]:
    """Share of photos with the same best landmark, and the largest difference of its confidence."""
    same = [a.best.slug == b.best.slug for a, b in zip(one, other, strict=True)]
    apart = [abs(a.best.confidence - b.best.confidence) for a, b in zip(one, other, strict=True)]
    return sum(same) / len(same), max(apart)


def guesses(classifier: Classifier, folder: Path, most: int) -> list[Guess]:
    """Guesses for the photos below a folder, evenly spread, up to a number."""
    listed = [Path(entry.key) for entry in LocalStorage([folder]).list()]
    chosen = listed[:: max(1, len(listed) // most)]
    answers: list[Guess] = []
    for path in chosen:
        views = decode.to_views(path.read_bytes(), classifier.image_size, classifier.resize)
        answers += classifier.classify([views])
    return answers


@click.command()
@click.option("--photos", default=16, show_default=True, help="Photos per measurement.")
@click.option("--rounds", default=3, show_default=True, help="The best of so many counts.")
@click.option("--test", type=click.Path(path_type=Path), help="Folder of photos to agree on.")
@click.option("--most", default=2000, show_default=True, help="So many of them at most.")
def main(photos: int, rounds: int, test: Path | None, most: int) -> None:
    """Compare TorchScript, ONNX Runtime and OpenVINO on this machine, float32."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        scratch = Path(name)
        exported(scratch / "model.onnx")
        rivals: dict[str, Any] = {}
        for backend, make in BACKENDS.items():
            try:
                rivals[backend] = classifier_on(make(scratch / "model.onnx"))
            except (ImportError, RuntimeError) as error:
                lines = str(error).strip().splitlines()
                click.echo(f"{backend} is left out: {lines[0]} ... {lines[-1]}")
        size = rivals["torchscript"].image_size
        noise = np.random.default_rng(0).integers(0, 255, (3, size, size), dtype=np.uint8)
        views = [decode.Views(noise, noise[0])] * 16
        for kind, shape in SIZES.items():
            data = cameras(photos, shape)
            best = dict.fromkeys(rivals, float("inf"))
            for turn in range(rounds + 1):  # the first warms up
                for backend, classifier in rivals.items():
                    fill(scratch / "photos", data)
                    ledger = scratch / f"{backend}{kind}{turn}.db"
                    taken = seconds(lambda c=classifier, b=ledger: ours(scratch / "photos", b, c))  # type: ignore[misc]
                    best[backend] = min(best[backend], taken) if turn else best[backend]
            for backend, taken in best.items():
                gain = best["torchscript"] / taken
                click.echo(
                    f"{kind:>7} end to end  {backend:12} {photos / taken:7.1f}/s x{gain:.2f}"
                )
            shutil.rmtree(scratch / "photos")
        for backend, classifier in rivals.items():
            start = time.process_time()
            for _ in range(2):
                classifier.classify(views)
            each = 1e3 * (time.process_time() - start) / 32
            click.echo(f"inference alone     {backend:12} {each:7.1f} ms of one core a picture")
        if test:
            reference = guesses(rivals["torchscript"], test, most)
            for backend, classifier in list(rivals.items())[1:]:
                same, apart = agreement(reference, guesses(classifier, test, most))
                click.echo(
                    f"agreement           {backend:12} {same:.2%} of {len(reference)} photos, "
                    f"confidence within {apart:.5f}"
                )


if __name__ == "__main__":
    main()
