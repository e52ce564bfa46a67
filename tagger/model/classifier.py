"""Artefact, landmarks and a device: pixels in, calibrated guesses out."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tagger.errors import RunError
from tagger.imaging import Resize
from tagger.model import artifact
from tagger.model.landmarks import load_landmarks
from tagger.model.lazy import DEFAULT_MODEL
from tagger.records import Candidate, Guess, Landmark

KEPT = 5  # candidates kept of each guess: what the report and the app show


class Classifier:
    """A model ready to run.

    Attributes:
        image_size: edge of the input square, in pixels.
        resize: how a photo becomes that square.
        landmarks: the landmarks it can name, by slug.
        sha256: of the model file, in hex.
    """

    def __init__(self, path: Path = DEFAULT_MODEL, device: str = "auto") -> None:
        """Load and check a model file.

        Raises:
            RunError: the file fails a check, names a landmark unknown here, or there is no such
                device.
        """
        loaded = artifact.load(path)
        known = load_landmarks()
        unknown = [label for label in loaded.manifest.labels if label not in known]
        if unknown:
            raise RunError(
                f"--model {path}: names {', '.join(unknown[:3])}, which landmarks.csv does not "
                "know; add the place there or use another model"
            )
        self.image_size: int = loaded.manifest.image_size
        self.resize: Resize = loaded.manifest.resize
        self.landmarks: dict[str, Landmark] = {
            label: known[label] for label in loaded.manifest.labels
        }
        self.sha256: str = loaded.sha256
        self._labels = loaded.manifest.labels
        self._device = pick_device(device)
        self._module = artifact.prepare(loaded.module, self._device, fast_dtype(self._device))

    def classify(self, batch: NDArray[np.uint8]) -> list[Guess]:
        """Guess for uint8 pictures [N, 3, S, S]; N guesses in the same order."""
        if not len(batch):
            return []
        pictures = torch.from_numpy(batch).to(self._device, non_blocking=True)
        with torch.inference_mode():
            probabilities, _ = self._module(pictures.contiguous(memory_format=torch.channels_last))
        values, places = probabilities.float().cpu().topk(min(KEPT, len(self._labels)))
        nothing = (1 - probabilities.float().sum(1)).clamp(0, 1).cpu()
        return [
            Guess(
                tuple(
                    Candidate(self._labels[place], value)
                    for place, value in zip(row_places, row_values, strict=True)
                ),
                none,
            )
            for row_values, row_places, none in zip(
                values.tolist(), places.tolist(), nothing.tolist(), strict=True
            )
        ]


def pick_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one; ``cpu``, ``cuda`` or ``cuda:1`` are taken as said."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise RunError(f"--device {name}: no CUDA GPU can be used here; leave --device out")
    return torch.device(name)


def fast_dtype(device: torch.device) -> torch.dtype:
    """Half precision on a GPU, bfloat16 on a CPU that computes it, else float32.

    A CPU without the instructions emulates bfloat16, slower than float32.
    """
    if device.type == "cuda":
        return torch.float16
    capabilities = torch.backends.cpu.get_cpu_capability()
    native = capabilities == "AVX512" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32
