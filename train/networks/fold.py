"""Layers folded together for inference."""

import copy
from itertools import pairwise
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def half_turned(trunk: nn.Module) -> nn.Module | None:
    """The trunk for photos turned by 180 degrees, which saves the passes that only pad.

    At a stride of 2 TensorFlow pads an even edge more on the right and below, which takes PyTorch
    a pass of its own; more on the left and above it pads within the convolution. So the kernels are
    turned, and the photo with them. Odd edges are padded alike by both.

    Returns:
        None if there is nothing to save, or the result would differ.
    """
    turned = copy.deepcopy(trunk)
    if not any(isinstance(module, Conv2dSame) for module in turned.modules()):
        return None
    for module in turned.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.flip(2, 3).contiguous()
        if isinstance(module, Conv2dSame):
            plain: Any = nn.Conv2d
            module.__class__ = plain
            module.padding = tuple((edge - 1) // 2 for edge in module.kernel_size)
    probe = torch.rand(1, 3, 96, 96)
    with torch.inference_mode():
        same = torch.allclose(trunk(probe), turned(probe.flip(2, 3)), atol=1e-3)
    return turned if same else None


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
