"""The network trained from scratch: its size, its shapes, and that it can be written and read."""

import pytest
import torch
from torch import nn

from train.scratch import ScratchNet


def test_it_has_at_least_five_convolutions_and_fits_the_repository() -> None:
    network = ScratchNet(51)
    assert sum(isinstance(module, nn.Conv2d) for module in network.modules()) >= 5
    assert sum(value.numel() * 4 for value in network.state_dict().values()) < 15e6


@pytest.mark.parametrize("size", [64, 72, 100, 128])
def test_any_size_gives_logits_and_an_embedding(size: int) -> None:
    network = ScratchNet(7).eval()
    logits, embedding = network(torch.rand(2, 3, size, size))
    assert logits.shape == (2, 7)
    assert embedding.shape == (2, network.head.in_features)
    assert embedding.dtype == torch.float32


def test_every_weight_learns() -> None:
    network = ScratchNet(4)
    with torch.no_grad():  # the last norm of a block starts at zero and hides what is before it
        for parameter in network.parameters():
            parameter.add_(0.01)
    network(torch.rand(4, 3, 64, 64))[0].square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
