"""Fine-tuning freezes what its recipe declares, for any timm backbone."""

import pytest
import timm
import torch

from train.fit.optimise import make_optimiser
from train.networks import finetune
from train.networks.pretrained import LITE, Transfer

# Of each backbone the first stages, the blocks that are trained, and what follows these.
BACKBONES = {
    LITE["lite0"]: (
        ("conv_stem.", "bn1.", "blocks.0.", "blocks.1."),
        [f"blocks.{n}." for n in range(2, 7)],
        ("conv_head.", "bn2."),
    ),
    "resnet50": (("conv1.", "bn1.", "layer1."), [f"layer{n}." for n in (2, 3, 4)], ()),
    "vit_tiny_patch16_224": (
        ("cls_token", "pos_embed", "patch_embed.", *(f"blocks.{n}." for n in range(4))),
        [f"blocks.{n}." for n in range(4, 12)],
        ("norm.",),
    ),
}


def transfer(backbone: str) -> Transfer:
    trunk = timm.create_model(backbone, num_classes=0)
    return Transfer(trunk, 5, (0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_what_is_frozen_is_what_the_recipe_says(backbone: str) -> None:
    early, _, _ = BACKBONES[backbone]
    network = transfer(backbone)
    make_optimiser(network, finetune.recipe(network))
    for name, parameter in network.named_parameters():
        depthwise = parameter.ndim == 4 and parameter.shape[1] == 1
        first = name.removeprefix("trunk.").startswith(early)
        assert parameter.requires_grad == (not first and not depthwise), name


@pytest.mark.parametrize("backbone", BACKBONES)
def test_later_blocks_learn_faster(backbone: str) -> None:
    _, blocks, after = BACKBONES[backbone]
    network = transfer(backbone)
    rates = {
        parameter: group["scale"]
        for group in make_optimiser(network, finetune.recipe(network)).param_groups
        for parameter in group["params"]
    }
    for name, parameter in network.named_parameters():
        if parameter not in rates:
            continue
        own = name.removeprefix("trunk.")
        block = next((n for n, prefix in enumerate(blocks) if own.startswith(prefix)), None)
        if block is not None:
            expected = finetune.TRUNK * finetune.DECAY ** (len(blocks) - block)
        else:
            assert own == name or own.startswith(after)
            expected = 1.0 if own == name else finetune.TRUNK
        assert rates[parameter] == pytest.approx(expected), name


def test_a_step_changes_no_frozen_weight() -> None:
    network = transfer("resnet50").train()
    optimiser = make_optimiser(network, finetune.recipe(network))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    logits, _ = network(torch.rand(2, 3, 64, 64))
    logits.square().sum().backward()
    optimiser.step()
    after = network.state_dict()
    changed = {
        name for name, _ in network.named_parameters() if not after[name].equal(before[name])
    }
    trained = {name for name, value in network.named_parameters() if value.requires_grad}
    assert changed and changed <= trained
    assert {name.split(".")[1] for name in changed if name.startswith("trunk.")} == {
        "layer2", "layer3", "layer4",
    }  # fmt: skip
