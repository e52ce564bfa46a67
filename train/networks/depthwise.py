"""A depthwise convolution whose backward pass is not slow in bfloat16 on a CPU."""

from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import pad_same
from torch import Tensor, nn
from torch.nn import functional as F


class _Depthwise(torch.autograd.Function):
    """Forward as usual; backward in float32, as oneDNN has no fast kernel in bfloat16.

    Measured on one AVX-512 core, 16 x 720 x 17 x 17 and a 5 x 5 kernel: gradient of the weight
    114 ms in bfloat16, 28 ms in float32; of the input at stride 2 233 ms and 5 ms. At stride 1
    the latter is a forward pass with the kernel turned, which is fast: 1.5 ms, not 8 in float32.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = ([stride, stride], [padding, padding])
        return F.conv2d(x, weight.to(x.dtype), None, stride, padding, 1, x.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        stride, padding = ctx.geometry
        by_turning = stride == [1, 1] and ctx.needs_input_grad[0]
        needs = (ctx.needs_input_grad[0] and not by_turning, ctx.needs_input_grad[1], False)
        given, of_weight = None, None
        if any(needs):
            given, of_weight, _ = torch.ops.aten.convolution_backward(
                gradient.float(),
                x.float(),
                weight.float(),
                None,
                stride,
                padding,
                [1, 1],
                False,
                [0, 0],
                x.shape[1],
                needs,
            )
        if by_turning:
            edge = weight.shape[-1] - 1 - padding[0]
            turned = weight.flip(2, 3).to(gradient.dtype)
            given = F.conv2d(gradient, turned, None, 1, edge, 1, x.shape[1])
        return (given.to(x.dtype) if given is not None else None, of_weight, None, None)


class DepthwiseConv(nn.Conv2d):
    """A replacement for a depthwise Conv2d with the same parameters and results."""

    same = False

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_autocast_enabled("cpu") and x.device.type == "cpu":
            x = x.to(torch.get_autocast_dtype("cpu"))
        if self.same:
            x = pad_same(x, list(self.kernel_size), list(self.stride))
        padding = 0 if self.same else int(self.padding[0])
        result: Tensor = _Depthwise.apply(x, self.weight, self.stride[0], padding)
        return result


def speed_up(network: nn.Module) -> None:
    """Replace the square depthwise convolutions below ``network``, weights kept, in place."""
    for module in network.modules():
        if type(module) not in (nn.Conv2d, Conv2dSame) or module.bias is not None:
            continue
        depthwise = module.groups == module.in_channels == module.out_channels > 1
        if depthwise and module.dilation == (1, 1) and not isinstance(module.padding, str):
            same = isinstance(module, Conv2dSame)
            module.__class__ = DepthwiseConv
            module.same = same


def restore(network: nn.Module) -> None:
    """Undo :func:`speed_up`, in place: TorchScript knows the ordinary layers only."""
    for module in network.modules():
        if isinstance(module, DepthwiseConv):
            ordinary: Any = Conv2dSame if module.same else nn.Conv2d
            module.__class__ = ordinary
