"""A trained network and its calibration to one scriptable module, and to a model file."""

import copy
from itertools import pairwise
from pathlib import Path

import torch
from timm.layers import Conv2dSame
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tagger.model import artifact
from tagger.model.artifact import Manifest
from train.rejection.scores import Calibration, Evidence, Exact, Shape


class Deployed(nn.Module):
    """uint8 [N, 3, S, S] to float32 (probabilities [N, C], embedding [N, D]), calibrated.

    The trunk runs in the type that the module is cast to; all that decides is float32.
    """

    def __init__(
        self,
        trunk: nn.Module,
        mean: Tensor,
        std: Tensor,
        head: nn.Linear,
        shape: Shape,
        calibration: Calibration,
        turned: bool = False,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.turned = turned  # the trunk takes photos upside down, see half_turned
        self.scale = Exact(1 / (255 * std))
        self.shift = Exact(-mean / std)
        self.weight = Exact(head.weight.T)
        self.bias = Exact(head.bias)
        self.evidence = Evidence(shape)
        self.rule = Exact(calibration.weights)
        self.threshold = float(calibration.bias)
        self.doubt = Exact(calibration.doubt)
        self.temperature = float(calibration.temperature)
        self.register_buffer("kind", torch.zeros(1))  # follows the type that the trunk is cast to

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        if self.turned:
            pictures = pictures.flip(2, 3)
        photos = pictures.float() * self.scale() + self.shift()
        embedding = self.trunk(photos.to(self.kind.dtype)).float()
        logits = embedding @ self.weight() + self.bias()
        known = logits[:, :-1] / self.temperature
        evidence = self.evidence(logits, embedding) @ self.rule() + self.threshold
        shown = torch.sigmoid(evidence - self.doubt()[known.argmax(1)])
        return torch.softmax(known, 1) * shown[:, None], embedding


def deployed(
    trunk: nn.Module,
    mean: Tensor,
    std: Tensor,
    head: nn.Linear,
    shape: Shape,
    calibration: Calibration,
) -> Deployed:
    """The module that ships: norms and paddings within convolutions, float16 (half the file)."""
    slim = fold(trunk)
    turned = half_turned(slim)
    module = Deployed(turned or slim, mean, std, head, shape, calibration, turned is not None)
    return module.eval().half()


def half_turned(trunk: nn.Module) -> nn.Module | None:
    """The trunk for photos turned by 180 degrees, which spares the passes that only pad.

    At a stride of 2 TensorFlow pads an even edge more on the right and below, which takes PyTorch
    a pass of its own; more on the left and above it pads within the convolution. So the kernels are
    turned, and the photo with them. Odd edges are padded alike by both.

    Returns:
        None where there is nothing to spare, or the result would be another.
    """
    turned = copy.deepcopy(trunk)
    if not any(isinstance(module, Conv2dSame) for module in turned.modules()):
        return None
    for module in turned.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.flip(2, 3).contiguous()
        if isinstance(module, Conv2dSame):
            module.__class__ = nn.Conv2d
            module.padding = tuple((edge - 1) // 2 for edge in module.kernel_size)
    probe = torch.rand(1, 3, 96, 96)
    with torch.inference_mode():
        same = torch.allclose(trunk(probe), turned(probe.flip(2, 3)), atol=1e-3)
    return turned if same else None


def write(module: nn.Module, manifest: Manifest, path: Path) -> int:
    """Write the model file; its size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    artifact.save(module, manifest, path)
    return path.stat().st_size


def fold(trunk: nn.Module) -> nn.Module:
    """A copy with each batch norm folded into the convolution before it, in float32.

    Folding later, in bfloat16, would round the product once more. Where folding changes the
    result (a trunk that orders its layers otherwise), the copy is left unfolded.
    """
    plain = copy.deepcopy(trunk).float().cpu().eval()
    folded = copy.deepcopy(plain)
    for module in list(folded.modules()):
        children = list(module.named_children())
        for (before, convolution), (name, norm) in pairwise(children):
            if not isinstance(convolution, nn.Conv2d):
                continue
            if not isinstance(norm, nn.BatchNorm2d):
                continue
            setattr(module, before, fuse_conv_bn_eval(convolution, norm))
            setattr(module, name, getattr(norm, "act", nn.Identity()))
    probe = torch.rand(2, 3, 96, 96)
    with torch.inference_mode():
        same = torch.allclose(plain(probe), folded(probe), atol=1e-3)
    return folded if same else plain
