"""The average of several runs' weights (model soup, arXiv:2203.05482), calibrated anew."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tagger.errors import RunError
from tagger.model import artifact
from tagger.model.artifact import Artifact, Manifest
from train.export import fold
from train.models import Transfer, untrained


def average(paths: Sequence[Path]) -> tuple[Transfer, Manifest, str]:
    """A network with the mean weights of model files that ``python -m train transfer`` made.

    They must start from the same pretrained weights: only then does their average lie in the
    valley that all of them are in. Batch norms are folded in model files, and stay so.

    Returns:
        the network, the first file's manifest, and what was averaged.

    Raises:
        RunError: a file cannot be read, or is of another network than the first.
    """
    files = [artifact.load(path) for path in paths]
    first, states = files[0].manifest, [_state(file) for file in files]
    network = untrained(first.name, len(first.labels) + 1)
    network.trunk = fold(network.trunk)
    wanted = {name: value.shape for name, value in network.state_dict().items() if "." in name}
    for path, file, state in zip(paths, files, states, strict=True):
        shapes = {name: value.shape for name, value in state.items()}
        if file.manifest.labels != first.labels or shapes != wanted:
            raise RunError(f"{path}: another network than {paths[0]}; average runs of one kind")
    mean = {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
    network.load_state_dict(mean, strict=False)
    parts = [f"{file.sha256}: {file.manifest.provenance.get('recipe', '')}" for file in files]
    return network.eval(), first, "mean of " + "; ".join(parts)


def _state(file: Artifact) -> dict[str, Tensor]:
    """Trunk and head of a model file, in float32, by the names that :class:`Transfer` has."""
    module = file.module
    trunk = {f"trunk.{name}": value.float() for name, value in module.trunk.state_dict().items()}
    return trunk | {"head.weight": module.weight().T, "head.bias": module.bias()}
