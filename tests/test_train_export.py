"""Rejection, calibration, export: float32 where it matters, folded norms, a valid model file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tagger.errors import RunError
from tagger.imaging.decode import Resize
from tagger.model import artifact
from train.networks.depthwise import DepthwiseConv, restore, speed_up
from train.networks.fold import fold, half_turned
from train.networks.head import embed, fit_head
from train.networks.pretrained import Transfer, transfer
from train.photos.arrays import Photos, one_hot
from train.photos.folders import Sample
from train.rejection.calibrate import EmbeddedPhotos, calibrate, doubts, see
from train.rejection.scores import (
    Evidence,
    Exact,
    Shipped,
    fit_rule,
    fit_shape,
    fit_temperature,
)
from train.ship.export import deployed
from train.ship.ship import calibration_of, only_shipped

timm = pytest.importorskip("timm")
Conv2dSame = timm.layers.Conv2dSame


def tiny() -> Transfer:
    """A random network with every kind of layer that the shipped one has."""
    torch.manual_seed(0)
    trunk = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return Transfer(trunk, 4, (0.5,) * 3, (0.5,) * 3).eval()


def blobs(count: int = 200) -> EmbeddedPhotos:
    """Embeddings of three well-separated classes and of a background."""
    torch.manual_seed(1)
    labels = torch.arange(count) % 4
    embeddings = torch.randn(count, 16) + 6 * nn.functional.one_hot(labels, 16)
    kinds = tuple("near" if label == 3 else "landmark" for label in labels.tolist())
    return EmbeddedPhotos(embeddings, torch.where(labels == 3, -1, labels), kinds)


def test_exact_survives_any_cast() -> None:
    values = torch.randn(1000) * torch.logspace(-20, 20, 1000)
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        assert (Exact(values).to(dtype)() == values).all()


def test_folding_keeps_the_result() -> None:
    trunk = tiny().trunk
    folded, probe = fold(trunk), torch.rand(2, 3, 64, 64)
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    assert torch.allclose(trunk(probe), folded(probe), atol=1e-4)


def test_folding_leaves_strange_orders_alone() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
            assert self.norm.running_mean is not None
            self.norm.running_mean.fill_(5.0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.convolution(self.norm(x))
            return result

    network = Backwards().eval()
    probe = torch.rand(1, 3, 8, 8)
    assert torch.allclose(network(probe), fold(network)(probe), atol=1e-5)


@pytest.mark.parametrize("edge", [64, 72, 80])  # even and odd before a stride
def test_turned_with_the_photo_it_needs_no_padding(edge: int) -> None:
    trunk, probe = fold(tiny().trunk), torch.rand(2, 3, edge, edge)
    turned = half_turned(trunk)
    assert turned is not None
    assert torch.allclose(turned(probe.flip(2, 3)), trunk(probe), atol=1e-4)
    assert not [m for m in turned.modules() if isinstance(m, Conv2dSame)]


def test_another_padding_is_left_alone() -> None:
    assert half_turned(nn.Conv2d(3, 4, 3, 2)) is None
    wide = Conv2dSame(3, 4, 3, 4)  # at a stride of 4 no padding within gives the same
    assert half_turned(nn.Sequential(wide)) is None


def test_depthwise_equals_the_ordinary_layer() -> None:
    network = tiny().trunk.train(False)
    x = torch.rand(2, 3, 64, 64)
    network(x).sum().backward()
    wanted = {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    speed_up(network)
    assert any(isinstance(module, DepthwiseConv) for module in network.modules())
    network(x).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, wanted[name], atol=1e-2, rtol=1e-3), name
    restore(network)
    assert not any(isinstance(module, DepthwiseConv) for module in network.modules())


def test_the_head_learns_what_features_tell() -> None:
    seen, head = blobs(), nn.Linear(16, 4)
    targets = one_hot(seen.labels, 4)
    loss = fit_head(head, seen.embeddings, targets, 1e-3)
    assert loss < 0.1
    assert (head(seen.embeddings).argmax(1) == targets.argmax(1)).float().mean() > 0.98


def test_temperature_undoes_overconfidence() -> None:
    torch.manual_seed(0)
    logits = torch.randn(4000, 3)
    labels = torch.distributions.Categorical(logits=logits).sample()
    assert fit_temperature(logits * 4, labels) == pytest.approx(4, rel=0.15)


def test_the_rule_is_calibrated() -> None:
    torch.manual_seed(0)
    evidence = torch.randn(4000, 2) * torch.tensor([3.0, 1.0])
    shown = (torch.rand(4000) < torch.sigmoid(evidence[:, 0] - 1)).float()
    weights, bias = fit_rule(evidence, shown, torch.ones(4000), 1e-4)
    assert weights.tolist() == pytest.approx([1, 0], abs=0.15)
    assert bias == pytest.approx(-1, abs=0.15)


def test_unknown_photos_are_refused_and_known_ones_are_not() -> None:
    seen, head = blobs(), nn.Linear(16, 4)
    fit_head(head, seen.embeddings, one_hot(seen.labels, 4), 1e-3)
    shape, calibration = calibrate(Shipped(head, 3), seen, seen, torch.zeros(3))
    logits = head(seen.embeddings)
    score = Evidence(shape)(logits, seen.embeddings) @ calibration.weights + calibration.bias
    known = seen.labels >= 0
    assert (score[known] > 0).float().mean() > 0.95
    assert (score[~known] < 0).float().mean() > 0.95


def test_evidence_is_finite_for_a_blank_embedding() -> None:
    seen = blobs()
    evidence = Evidence(fit_shape(seen.embeddings, seen.labels, 3))
    assert evidence(torch.zeros(1, 4), torch.zeros(1, 16)).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_model_file_says_what_the_network_says(tmp_path: Path, dtype: torch.dtype) -> None:
    network = tiny()
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (24, 3, 64, 64), dtype=torch.uint8)
    labels = torch.arange(24) % 4
    photos = Photos(pixels, one_hot(labels, 4))
    fit_head(network.head, embed(network, pixels), photos.targets)
    kinds = tuple("near" if label == 3 else "landmark" for label in labels.tolist())
    seen = see(network, photos, kinds)
    shape, calibration = calibrate(Shipped(network.head, 3), seen, seen, torch.zeros(3))
    module = deployed(network.trunk, network.mean, network.std, network.head, shape, calibration)
    assert module.turned
    labels3 = ("Taj_Mahal", "Eiffel_Tower", "Qutub_Minar")
    manifest = artifact.Manifest(labels3, 64, Resize.SQUASH, network.head.in_features, "tiny")
    artifact.save(module, manifest, tmp_path / "tiny.pt")
    loaded = artifact.load(tmp_path / "tiny.pt").module
    ready = artifact.prepare(loaded, torch.device("cpu"), dtype)
    with torch.inference_mode():
        probabilities, embedding = ready(pixels)
        logits = network.head(seen.embeddings)
        score = Evidence(shape)(logits, seen.embeddings) @ calibration.weights + calibration.bias
    assert probabilities.dtype == embedding.dtype == torch.float32
    assert (probabilities.sum(1) <= 1.0001).all()
    assert np.allclose(probabilities.sum(1), torch.sigmoid(score), atol=0.1)


def test_classes_that_do_not_ship_are_one_with_the_background(tmp_path: Path) -> None:
    head, embeddings = nn.Linear(16, 7), torch.randn(5, 16)
    logits = Shipped(head, 3)(embeddings)
    whole = head(embeddings).softmax(1)
    assert torch.allclose(logits.softmax(1)[:, :3], whole[:, :3], atol=1e-6)
    assert torch.allclose(logits.softmax(1)[:, 3], whole[:, 3:].sum(1), atol=1e-6)
    # And so they are in the module that ships.
    network = tiny()
    network.head = nn.Linear(network.head.in_features, 7)
    seen = blobs()
    few = EmbeddedPhotos(
        torch.randn(len(seen.labels), network.head.in_features), seen.labels, seen.kinds
    )
    shape, calibration = calibrate(Shipped(network.head, 3), few, few, torch.zeros(3))
    module = deployed(network.trunk, network.mean, network.std, network.head, shape, calibration)
    labels = ("Taj_Mahal", "Eiffel_Tower", "Qutub_Minar")
    manifest = artifact.Manifest(labels, 64, Resize.SQUASH, network.head.in_features, "tiny")
    artifact.save(module, manifest, tmp_path / "tiny.pt")
    kept = calibration_of(tmp_path / "tiny.pt")
    assert kept.temperature == pytest.approx(calibration.temperature)
    assert kept.bias == pytest.approx(calibration.bias)
    assert torch.equal(kept.weights, calibration.weights)


def test_photos_of_classes_that_do_not_ship_show_no_landmark() -> None:
    seen = EmbeddedPhotos(
        torch.zeros(4, 2), torch.tensor([0, 2, 3, -1]), ("landmark",) * 3 + ("far",)
    )
    shipped = only_shipped(seen, 2)
    assert shipped.labels.tolist() == [0, -1, -1, -1]
    assert shipped.kinds == ("landmark", "stranger", "stranger", "far")


def test_large_sites_get_doubt() -> None:

    doubt = doubts(("point", "area"))
    assert doubt[0] == 0 < doubt[1]


def test_kinds_of_samples() -> None:
    assert Sample(Path("a"), 3, "Taj_Mahal").kind == "landmark"
    assert Sample(Path("a"), -1, "near/someone").kind == "near"


def test_backbones_that_cannot_be_had_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="timm knows no such model"):
        transfer("lite99", 3)
    with pytest.raises(RunError, match="--weights FILE"):
        transfer("resnet18", 3)
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    with pytest.raises(RunError, match="cannot be read"):
        transfer("resnet18", 3, tmp_path / "bad.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(RunError, match="weights of another model"):
        transfer("resnet18", 3, tmp_path / "other.pth")


def test_the_weights_of_an_earlier_run(tmp_path: Path) -> None:
    original = timm.create_model("resnet18", num_classes=7)
    torch.save(original.state_dict(), tmp_path / "weights.pth")
    earlier = transfer("resnet18", 5, tmp_path / "weights.pth")
    torch.nn.init.ones_(earlier.get_parameter("trunk.conv1.weight"))
    torch.save(earlier.state_dict(), tmp_path / "best.pt")
    network = transfer("resnet18", 3, tmp_path / "best.pt")  # of other classes
    assert (network.get_parameter("trunk.conv1.weight") == 1).all()
    last = "trunk.layer4.1.conv2.weight"
    assert (network.get_parameter(last) == earlier.get_parameter(last)).all()


def test_any_timm_name_with_its_weights(tmp_path: Path) -> None:
    original = timm.create_model("resnet18", num_classes=7)
    torch.save(original.state_dict(), tmp_path / "weights.pth")
    network = transfer("resnet18", 3, tmp_path / "weights.pth")
    assert (network.get_parameter("trunk.conv1.weight") == original.conv1.weight).all()
    logits, embedding = network.eval()(torch.rand(1, 3, 64, 64))
    assert logits.shape == (1, 3) and embedding.shape == (1, 512)
    logits, _ = network.train()(torch.rand(2, 3, 64, 64))
    assert logits.shape == (2, 3 + 2)  # and cosines to the two classes' prototypes
