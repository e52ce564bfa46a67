"""The classifier: the same answer whatever the batch and the device."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import COLOURS, REPOSITORY, SAMPLES

from tagger.errors import RunError
from tagger.imaging import decode
from tagger.model import artifact, fused
from tagger.model.classifier import Classifier
from tagger.model.devices import fast_dtype, pick_device
from tagger.records import Guess
from tagger.report.columns import row
from tagger.run.pipeline import run
from tagger.run.stages import Settings
from tagger.storage.local import LocalStorage


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    return Classifier(device="cpu")


@pytest.fixture(scope="module")
def pictures(shipped: Classifier) -> list[decode.Views]:
    """Sample photos, two of them of landmarks, as the classifier expects them."""
    names = ("eiffel_tower", "taj_mahal", "colosseum", "cup_of_tea")
    photos = [(SAMPLES / f"{name}.jpg").read_bytes() for name in names]
    size, resize = shipped.image_size, shipped.resize
    return [decode.to_views(photo, size, resize) for photo in photos]


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
def test_a_guess_does_not_depend_on_the_photos_beside_it(
    device: str, pictures: list[decode.Views]
) -> None:
    classifier = Classifier(device=device)
    together = classifier.classify(pictures)
    alone = [classifier.classify([picture])[0] for picture in pictures]
    turned = classifier.classify(pictures[::-1])[::-1]
    many = classifier.classify(pictures * 20)  # more than are classified at once
    assert together == alone == turned == many[:4] == many[-4:]  # to the last bit


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (5, 3)])
def test_the_report_is_the_same_for_any_batch_size_and_workers(
    shipped: Classifier, batch_size: int, workers: int
) -> None:
    def rows(**settings: Any) -> list[list[str]]:
        outcomes = run(LocalStorage([SAMPLES]), shipped, None, Settings("r", **settings))
        return [row(outcome, {}, "model", "r") for outcome in outcomes]

    assert rows(batch_size=batch_size, workers=workers) == rows()


def test_batches_on_several_devices_come_back_in_order(colour_model: Path, library: Path) -> None:
    two, one = Classifier(colour_model, "cpu,cpu"), Classifier(colour_model, "cpu")
    assert two.lanes == one.lanes + 1

    def guesses(classifier: Classifier) -> list[tuple[str, Guess | None]]:
        settings = Settings("r", batch_size=1)
        outcomes = run(LocalStorage([library]), classifier, None, settings)
        return [(outcome.entry.key, outcome.guess) for outcome in outcomes]

    assert guesses(two) == guesses(one)


def test_many_threads_may_classify_at_once(colour_model: Path) -> None:
    classifier = Classifier(colour_model, "cpu,cpu")
    colours = list(COLOURS.values()) * 8
    squares = [np.full((32, 32, 3), colour, np.uint8).transpose(2, 0, 1) for colour in colours]
    batches = [[decode.Views(square, square[0])] * 2 for square in squares]
    with ThreadPoolExecutor(8) as pool:
        slugs = [guesses[0].best.slug for guesses in pool.map(classifier.classify, batches)]
    assert slugs == list(COLOURS) * 8


def test_a_processor_without_bfloat16_computes_in_float32() -> None:
    line = (
        "import torch; from tagger.model.devices import fast_dtype;"
        "print(fast_dtype(torch.device('cpu')))"
    )
    environment = os.environ | {"ATEN_CPU_CAPABILITY": "avx2"}
    done = subprocess.run(
        [sys.executable, "-c", line], env=environment, cwd=REPOSITORY, capture_output=True
    )
    assert done.stdout.split() == [b"torch.float32"], done.stderr


def test_a_torch_that_cannot_tell_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert fast_dtype(torch.device("cpu")) is torch.bfloat16
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert fast_dtype(torch.device("cpu")) is torch.float32


def test_bfloat16_decides_as_float32_does(
    shipped: Classifier, pictures: list[decode.Views]
) -> None:
    """Emulated where the processor lacks it: slow, but the same arithmetic."""
    cpu = torch.device("cpu")
    answers = []
    squares = torch.from_numpy(np.stack([picture.square for picture in pictures[:2]]))
    for dtype in (torch.float32, torch.bfloat16):
        loaded = artifact.load(REPOSITORY / "tagger" / "model" / "default.pt")
        module = artifact.prepare(loaded.module, cpu, dtype)
        with torch.inference_mode():
            answers.append(module(squares)[0].float())
    exact, short = answers
    sure = exact.max(1).values > 0.5
    assert sure.any()
    assert torch.equal(exact.argmax(1)[sure], short.argmax(1)[sure])
    assert (exact - short).abs().max() < 0.05


def prepared(monkeypatch: pytest.MonkeyPatch, schema: str) -> torch.jit.ScriptModule:
    """The small network in bfloat16, where torch has a fused convolution of that schema only."""
    monkeypatch.setattr(fused, "SCHEMA", schema)
    loaded = artifact.alone(REPOSITORY / "tagger" / "model" / "default.thumbnail.pt")
    return artifact.prepare(loaded.module, torch.device("cpu"), torch.bfloat16)


def test_a_fused_network_says_the_same_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    if not fused.available():
        pytest.skip("this torch or this processor has no fused convolution in bfloat16")
    joined, plain = (prepared(monkeypatch, schema) for schema in (fused.SCHEMA, "another"))
    kinds = [[node.kind() for node in module.graph.nodes()] for module in (joined, plain)]
    assert kinds[0].count(fused.FUSED) == kinds[1].count("aten::hardtanh_") + 1  # and one relu6
    assert fused.FUSED not in kinds[1]
    chance = torch.Generator().manual_seed(0)
    for count in (1, 3, 8):
        pictures = torch.randint(0, 256, (count, 3, 128, 128), dtype=torch.uint8, generator=chance)
        with torch.inference_mode():
            for ours, theirs in zip(joined(pictures), plain(pictures), strict=True):
                assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", ["cuda:99", "cuda"])
def test_a_gpu_that_is_not_there_is_named(name: str) -> None:
    if name == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(RunError, match=rf"--device {name}: .*leave --device out"):
        pick_device(name)


@needs_gpu
def test_a_gpu_decides_as_the_cpu_does(shipped: Classifier, pictures: list[decode.Views]) -> None:
    for ours, theirs in zip(
        shipped.classify(pictures), Classifier(device="cuda").classify(pictures), strict=True
    ):
        assert ours.best.confidence == pytest.approx(theirs.best.confidence, abs=0.01)
        assert ours.best.slug == theirs.best.slug or ours.best.confidence < 0.1
