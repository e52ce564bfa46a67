"""Leaving classes out: nothing of them is learned, and the best correction of a rule is found."""

from pathlib import Path

import torch

from train.photos.folders import NO_LANDMARK, Sample
from train.photos.split import Material
from train.rejection.calibrate import EmbeddedPhotos
from train.rejection.unseen import judge, leave_out

LABELS = tuple(f"place_{number}" for number in range(6))


def material() -> Material:
    def photos(part: str) -> tuple[Sample, ...]:
        known = [Sample(Path(f"{part}/{n}/{i}.jpg"), n) for n in range(6) for i in range(5)]
        return (*known, Sample(Path(f"{part}/far.jpg"), NO_LANDMARK, "far/"))

    return Material(LABELS, photos("train"), photos("valid"))


def test_classes_left_out_are_not_in_what_is_learned() -> None:
    part, unseen = leave_out(material(), 2, seed=3)
    gone = {sample.path.parent.name for sample in unseen}
    assert len(part.labels) == 4 and len(gone) == 2
    assert not gone & {sample.path.parent.name for sample in part.train + part.valid}
    assert len(unseen) == 2 * 2 * 5 and {sample.kind for sample in unseen} == {"unseen"}
    for sample in part.train + part.valid:  # labels are renumbered, names are not
        if sample.label != NO_LANDMARK:
            assert part.labels[sample.label] == LABELS[int(sample.path.parent.name)]
    assert sum(sample.label == NO_LANDMARK for sample in part.train) == 1


def test_a_rule_too_lenient_and_too_flat_is_told_so() -> None:
    torch.manual_seed(0)
    true = torch.cat([torch.randn(4000) * 2 + 1, torch.randn(4000) * 2 - 1])
    shown = torch.rand(8000) < true.sigmoid()
    others = iter(("unseen", "near") * 4000)
    kinds = tuple("landmark" if known else next(others) for known in shown.tolist())
    labels = torch.where(shown, 0, NO_LANDMARK)
    best = torch.tensor([[1.0, 0.0]]).expand(8000, 2)
    test = EmbeddedPhotos(torch.zeros(8000, 1), labels, kinds)
    row = judge("odds", (true + 0.5) / 1.5, best, test)
    assert abs(row.steeper - 1.5) < 0.25 and abs(row.stricter - 0.5) < 0.25
    assert row.mended < row.loss
    assert 0.5 < row.auroc_unseen < 1
