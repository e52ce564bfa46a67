"""The model card's tables come from an evaluation."""

from pathlib import Path

import pytest

from tagger.errors import RunError
from train.measure.card import fill
from train.measure.evaluate import Report
from train.measure.groups import Pair, PhotoGroup

REPORT = Report(
    {"top1": 0.9, "ece": 0.02, "precision@0.6": 0.97, "recall@0.6": 0.8, "1 in 20@0.6": 0.5},
    {"top1": (0.85, 0.95), "ece": (0.01, 0.03), "1 in 20@0.6": (0.4, 0.6)}
    | {"precision@0.6": (0.9, 1.0), "recall@0.6": (0.7, 0.9)},
    {"Taj_Mahal": {"photos": 10.0, "top1": 0.9, "tagged_right": 0.8, "wrong_tags": 1.0}}
    | {"Eiffel_Tower": {"photos": 1.0, "top1": 0.0, "tagged_right": 0.0, "wrong_tags": 1.0}},
    {"landmark": 10},
    {"continent": [PhotoGroup("Asia", 10, 0.9, 0.8, 0.1, (0.7, 0.9))]},
    [Pair("Taj_Mahal", "Eiffel_Tower", 2, 1, 0.75)],
)
BLOCKS = "figures thresholds library classes continents sources confused rejection".split()


def test_blocks_are_filled_and_the_rest_stays(tmp_path: Path) -> None:
    card, comparison = tmp_path / "card.md", tmp_path / "rejection.csv"
    blocks = "".join(f"<!-- lite2 {name} -->\nstale\n<!-- end -->\nprose\n" for name in BLOCKS)
    card.write_text(blocks + "<!-- scratch figures -->\nother\n<!-- end -->\n", encoding="utf-8")
    comparison.write_text("score,auroc_near,ece\nenergy,0.99123,nan\n", encoding="utf-8")
    fill(card, "lite2", REPORT, comparison)
    text = card.read_text(encoding="utf-8")
    assert "stale" not in text and text.count("prose") == 8 and "other" in text
    assert "| top-1 accuracy | 90.00 % (85.00 to 95.00) |" in text
    assert "| 0.6 | 97.0 % (90.0 to 100.0) | 80.0 % (70.0 to 90.0) |  |  |" in text
    assert "| Taj Mahal | 10 | 90 % | 80 % | 1 |" in text
    assert "Eiffel Tower | 1 |" not in text  # no share is given for a single photo
    assert "| 0.6 | 50.0 % (40.0 to 60.0) |" in text
    assert "| Asia | 10 | 90.0 % | 80.0 % (70.0 to 90.0) | 10.0 % |" in text
    assert "| Taj Mahal | Eiffel Tower | 2 | 1 | 0.75 |" in text
    assert "| energy | 0.991 |  |" in text
    fill(card, "lite2", REPORT, comparison)
    assert card.read_text(encoding="utf-8") == text


def test_a_card_without_the_block_says_so(tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text("nothing", encoding="utf-8")
    with pytest.raises(RunError, match="lite2 figures"):
        fill(card, "lite2", REPORT)
