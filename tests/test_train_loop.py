"""The training loop: it learns, resumes exactly, stops early, and runs in several processes."""

import csv
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tagger.errors import RunError
from train.fit.loop import fit, predict
from train.fit.optimise import epoch_order, parameter_groups
from train.photos.arrays import Photos, one_hot
from train.recipe import Recipe

RECIPE = Recipe(
    epochs=4,
    lr=0.01,
    sizes=((0.5, 8), (1.0, 12)),
    eval_size=12,
    batch=16,
    mix=0.5,
    ema_decay=0.8,
    operations=0,
    magnitude=0.0,
    degrade=0.0,
)


def colours(count: int = 96, seed: int = 0) -> Photos:
    """Photos of one colour each in three classes, of which the last shows no landmark."""
    chance = torch.Generator().manual_seed(seed)
    labels = torch.randint(-1, 2, (count,), generator=chance)
    pixels = torch.randint(0, 90, (count, 3, 16, 16), generator=chance, dtype=torch.uint8)
    pixels[torch.arange(count), labels % 3] += 120
    return Photos(pixels, one_hot(labels, 3))


def network() -> nn.Module:
    torch.manual_seed(1)
    layers = (nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.1), nn.Linear(8, 3))


def test_it_learns_and_ends_with_its_best_weights(tmp_path: Path) -> None:
    model, check = network(), colours(48, 5)
    log = fit(model, colours(), check, replace(RECIPE, epochs=8), tmp_path)
    assert [line.size for line in log] == [8] * 4 + [12] * 4
    assert log[-1].validation_loss < 0.7 < log[0].validation_loss
    assert not model.training
    best = min(line.validation_loss for line in log)
    logits = predict(model, check.pixels, 12)
    assert float(nn.functional.cross_entropy(logits, check.targets)) == pytest.approx(best)
    kept = torch.load(tmp_path / "best.pt", weights_only=True)
    assert all(torch.equal(kept[name], value) for name, value in model.state_dict().items())
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["validation_loss"]) for row in rows] == [x.validation_loss for x in log]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_resumed_run_equals_an_unbroken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    recipe = replace(RECIPE, optimizer=optimizer)
    whole, broken, resumed = network(), network(), network()
    expected = fit(whole, colours(), colours(48, 5), recipe, tmp_path / "whole")
    # The cut comes after the second epoch's checkpoint, as a power failure would.
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Recipe, "size_at", cut_at(2))
        fit(broken, colours(), colours(48, 5), recipe, tmp_path / "cut")
    log = fit(resumed, colours(), colours(48, 5), recipe, tmp_path / "cut", resume=True)
    assert len(log) == 4
    assert [line.train_loss for line in log] == [line.train_loss for line in expected]
    assert [line.validation_loss for line in log] == [line.validation_loss for line in expected]
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def cut_at(stop: int) -> Callable[[Recipe, int], int]:
    def size_at(recipe: Recipe, epoch: int) -> int:
        if epoch == stop:
            raise KeyboardInterrupt
        return 8 if epoch < 2 else 12

    return size_at


def test_resuming_with_another_recipe_is_refused(tmp_path: Path) -> None:
    fit(network(), colours(), colours(48, 5), replace(RECIPE, epochs=1), tmp_path)
    with pytest.raises(RunError, match="another recipe"):
        fit(network(), colours(), colours(48, 5), RECIPE, tmp_path, resume=True)


@pytest.mark.parametrize(
    ("labels", "train", "check"),
    [
        (("Louvre", "Petra"), colours(), colours(48, 5)),
        (("Louvre", "Atomium"), colours(96, 1), colours(48, 5)),
        (("Louvre", "Atomium"), colours(), colours(48, 6)),
    ],
)
def test_resuming_on_other_classes_or_photos_is_refused(
    tmp_path: Path, labels: tuple[str, ...], train: Photos, check: Photos
) -> None:
    recipe, names = replace(RECIPE, epochs=1), ("Louvre", "Atomium")
    fit(network(), colours(), colours(48, 5), recipe, tmp_path, labels=names)
    with pytest.raises(RunError, match="of other classes or photos; leave --resume out"):
        fit(network(), train, check, recipe, tmp_path, labels=labels, resume=True)
    fit(network(), colours(), colours(48, 5), recipe, tmp_path, labels=names, resume=True)


def test_a_checkpoint_that_does_not_know_its_photos_is_refused(tmp_path: Path) -> None:
    fit(network(), colours(), colours(48, 5), RECIPE, tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del state["data"]
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(RunError, match="of other classes or photos"):
        fit(network(), colours(), colours(48, 5), RECIPE, tmp_path, resume=True)


def test_a_run_that_stops_in_its_first_epoch_leaves_no_older_one_to_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(network(), colours(), colours(48, 5), RECIPE, tmp_path)
    monkeypatch.setattr(Recipe, "size_at", cut_at(0))
    with pytest.raises(KeyboardInterrupt):
        fit(network(), colours(), colours(48, 5), RECIPE, tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_early_stop_keeps_the_best_epoch(tmp_path: Path) -> None:
    # Targets on the wrong photos: validation can only get worse while training goes on.
    check = colours(48, 5)
    wrong = Photos(check.pixels, check.targets.roll(1, 1))
    model = network()
    log = fit(model, colours(), wrong, replace(RECIPE, epochs=20, patience=2), tmp_path)
    losses = [line.validation_loss for line in log]
    assert len(log) < 20
    assert losses.index(min(losses)) == len(log) - 3


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="lower the learning rate"):
        fit(
            network(),
            colours(),
            colours(48, 5),
            RECIPE,
            tmp_path,
            loss=lambda logits, targets: logits.sum() * math.nan,
        )


def test_groups_scale_freeze_and_spare_biases_from_decay() -> None:
    model = network()
    assert isinstance(model, nn.Sequential)
    assert isinstance(model[0], nn.Conv2d | nn.Linear)
    assert isinstance(model[1].bias, torch.Tensor)
    model[1].bias.requires_grad_(False)
    groups = parameter_groups(model, replace(RECIPE, lr_scales=(("0.", 0.0), ("1.", 0.5))))
    assert not model[0].weight.requires_grad
    assert not model[1].bias.requires_grad
    counts = {(group["scale"], group["weight_decay"]): len(group["params"]) for group in groups}
    assert counts == {(0.5, 0.0): 1, (1.0, 0.05): 1, (1.0, 0.0): 1}


def test_a_recipe_that_names_parameters_the_model_lacks_is_refused() -> None:
    recipe = replace(RECIPE, lr_scales=(("0.", 0.0), ("trunk.blocks.", 0.0)))
    with pytest.raises(RunError, match=r"recipe: lr_scales name trunk\.blocks\."):
        parameter_groups(network(), recipe)


def test_order_shows_each_photo_once_or_balances_classes() -> None:
    targets = one_hot(torch.tensor([0] * 900 + [1] * 100), 2)
    chance = torch.Generator().manual_seed(0)
    assert epoch_order(targets, 0.0, chance).sort().values.tolist() == list(range(1000))
    drawn = targets[epoch_order(targets, 1.0, chance)].mean(0)
    assert drawn.tolist() == pytest.approx([0.5, 0.5], abs=0.06)


PROCESS = """
import sys, torch
from pathlib import Path
sys.path[:0] = [{tests!r}, {root!r}]
from test_train_loop import RECIPE, colours, network
from train.fit.loop import fit
import torch.distributed as dist
torch.set_num_threads(1)
model = network()
fit(model, colours(), colours(48, 5), RECIPE, Path({out!r}))
torch.save(model.state_dict(), {out!r} + f"/rank{{dist.get_rank()}}.pt")
dist.destroy_process_group()
"""


def test_two_processes_end_with_equal_weights(tmp_path: Path) -> None:
    here = Path(__file__).resolve().parent
    script = tmp_path / "process.py"
    script.write_text(
        PROCESS.format(tests=str(here), root=str(here.parent), out=str(tmp_path)), encoding="utf-8"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    ended = subprocess.run(
        [*command, "--nproc-per-node=2", str(script)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert all(value.isfinite().all() for value in first.values())
    assert all(torch.equal(first[name], second[name]) for name in first)
