"""The network trained from scratch: its size, its shapes, writing and reading it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click import BadParameter
from PIL import Image
from torch import nn

from tagger.errors import RunError
from tagger.model.artifact import Manifest, load
from train.__main__ import main
from train.networks.scratch import RESIZE, ScratchNet, recipe, train_scratch
from train.photos.folders import NO_LANDMARK
from train.photos.split import gather
from train.rejection.scores import Calibration, Shape
from train.ship.export import deployed, write


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
    torch.manual_seed(0)
    network = ScratchNet(4)
    with torch.no_grad():  # the last norm of a block starts at zero and hides what is before it
        for parameter in network.parameters():
            parameter.add_(0.01)
    network(torch.rand(4, 3, 64, 64))[0].square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_it_is_written_in_the_format_and_answers_the_same(tmp_path: Path) -> None:
    network = ScratchNet(4).eval()
    width = network.head.in_features
    shape = Shape(torch.zeros(width), torch.eye(width)[:, :8], torch.eye(3, 8))
    calibration = Calibration(1.0, torch.tensor([1.0, 0, 0, 0, 0]), 0.0, torch.zeros(3))
    module = deployed(network.trunk, network.mean, network.std, network.head, shape, calibration)
    labels = ("a", "b", "c")
    manifest = Manifest(labels, 64, RESIZE, width, "scratch")
    assert write(module, manifest, tmp_path / "scratch.pt") < 15e6
    pictures = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        probabilities, embedding = load(tmp_path / "scratch.pt").module.float()(pictures)
        logits, expected = network(pictures / 255)
    assert torch.allclose(embedding, expected, atol=0.02)
    among = torch.softmax(logits[:, :3], 1)
    assert torch.allclose(probabilities / probabilities.sum(1, keepdim=True), among, atol=0.02)


def test_a_run_from_folders(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    for folder in ("data/train/0.Eiffel_Tower", "data/train/1.Taj_Mahal", "negatives/train/far"):
        (tmp_path / folder).mkdir(parents=True)
        for index in range(12):
            pixels = chance.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            picture = Image.fromarray(pixels).resize((64, 64))
            picture.save(tmp_path / folder / f"{index}.jpg")
    material = gather(tmp_path / "data", [tmp_path / "negatives"], cache=tmp_path / "cache")
    assert len(material.labels) == 2
    assert {sample.label for sample in material.train} == {NO_LANDMARK, 0, 1}
    short = replace(recipe(epochs=2), sizes=((0.5, 32), (1.0, 64)), eval_size=64, batch=16)
    out = tmp_path / "run"
    network = train_scratch(material, short, out, cache=tmp_path / "cache")
    assert not network.training
    assert len((out / "metrics.csv").read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.parametrize("command", ["scratch", "transfer"])
@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("model", r"model: not the name of a model file; end it in \.pt"),
        ("model.v1", r"end it in \.pt"),
        ("folder.pt", r"end it in \.pt"),
        ("file/model.pt", "file cannot be written to"),
    ],
)
def test_a_bad_out_is_refused_before_anything_is_read(
    tmp_path: Path, command: str, out: str, message: str
) -> None:
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    options = ["--data=none", "--negatives=none", f"--out={tmp_path / out}"]
    with pytest.raises(RunError, match=message):
        main([command, *options], standalone_mode=False)


@pytest.mark.parametrize(
    "command",
    ["unseen --data=none --negatives=none", "evaluate model.pt --data=none", "show-data {data}"],
)
def test_an_out_folder_below_a_file_is_refused(tmp_path: Path, command: str) -> None:
    for name in ("Taj_Mahal", "Atomium"):
        (tmp_path / "train" / name).mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(tmp_path / "train" / name / "0.jpg")
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    with pytest.raises(RunError, match="cannot be written to"):
        arguments = command.format(data=tmp_path).split()
        main([*arguments, f"--out={tmp_path / 'file' / 'out'}"], standalone_mode=False)


@pytest.mark.parametrize("device", ["foo", "cuda:0,cuda:1", ""])
def test_a_device_that_is_none_is_refused(device: str) -> None:
    with pytest.raises(BadParameter, match="one of auto, cpu, cuda"):
        main(["evaluate", "model.pt", "--data=none", "--device", device], standalone_mode=False)
