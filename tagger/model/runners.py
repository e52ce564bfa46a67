"""How a network is run: one picture a thread on a processor, full passes on a GPU."""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch.nn.functional import pad

from tagger.model import artifact
from tagger.model.devices import fast_dtype

ON_GPU = 32  # photos a pass on a GPU, always: cuDNN and TorchScript plan each other number anew


class OnCpu:
    """One picture a pass on one thread, as many passes at once as there are threads.

    Against batches of 16 on all threads: faster, as a picture's layers stay in the processor's
    cache and no thread waits for another at each layer; and what a photo is taken for does not
    depend, to the last bit, on the photos beside it.
    """

    def __init__(self, loaded: artifact.Artifact, threads: ThreadPoolExecutor) -> None:
        cpu = torch.device("cpu")
        self._module = artifact.prepare(loaded.module, cpu, fast_dtype(cpu))
        self._threads = threads

    def infer(self, pictures: torch.Tensor, together: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
        """For uint8 [N, 3, S, S], probabilities float32 [N, C] and embeddings [N, D].

        Small pictures are inferred several ``together``: one alone, of 192 x 192, takes 1.7 times
        as long as in a pass of eight. The answers differ by no more than 1e-6.
        """
        passes = self._threads.map(self._pass, torch.split(pictures, together))
        probabilities, embeddings = zip(*passes, strict=True)
        return torch.cat(probabilities), torch.cat(embeddings)

    def _pass(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.inference_mode():
            channels_last = picture.contiguous(memory_format=torch.channels_last)
            probabilities, embedding = self._module(channels_last)
            return probabilities.float(), embedding.float()


class OnGpu:
    """ON_GPU pictures a pass in half precision, copied from pinned memory while the GPU works.

    All passes are of one thread: cuDNN keeps the plans of its convolutions by thread, and to make
    them takes seconds.
    """

    def __init__(self, loaded: artifact.Artifact, device: torch.device) -> None:
        self._device = device
        self._module = artifact.prepare(loaded.module, device, fast_dtype(device))
        self._thread = ThreadPoolExecutor(1, f"classify-{device}")
        edge = loaded.manifest.image_size
        # It plans while the first photos are decoded.
        self._thread.submit(self._passes, torch.zeros(3 * ON_GPU, 3, edge, edge, dtype=torch.uint8))

    def infer(
        self, pictures: torch.Tensor, together: int = ON_GPU
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As ``OnCpu.infer``; the result is on the CPU."""
        return self._thread.submit(self._passes, pictures).result()

    def _passes(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.inference_mode():
            passes = [self._pass(some) for some in torch.split(pictures, ON_GPU)]
            probabilities, embeddings = zip(*passes, strict=True)
            return torch.cat(probabilities).float().cpu(), torch.cat(embeddings).float().cpu()

    def _pass(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        count = len(pictures)
        full = pad(pictures, (0, 0, 0, 0, 0, 0, 0, ON_GPU - count)).pin_memory()
        there = full.to(self._device, non_blocking=True)
        channels_last = there.contiguous(memory_format=torch.channels_last)
        probabilities, embeddings = self._module(channels_last)
        return probabilities[:count], embeddings[:count]
