"""Figures of answers that can be counted by hand."""

import numpy as np
import pytest

from train.measure.metrics import (
    Answers,
    area,
    auroc,
    calibration_error,
    figures,
    interval,
    intervals,
    precision,
    tagged,
    tagged_right,
    top,
)

# Four landmark photos (three right, one of them unsure), two near, two far.
ANSWERS = Answers(
    np.array(
        [
            [0.9, 0.0, 0.0],
            [0.1, 0.8, 0.0],
            [0.0, 0.1, 0.4],
            [0.7, 0.2, 0.0],
            [0.65, 0.0, 0.0],
            [0.2, 0.1, 0.1],
            [0.0, 0.0, 0.1],
            [0.0, 0.0, 0.0],
        ]
    ),
    np.array([0, 1, 2, 1, -1, -1, -1, -1]),
    np.array(["landmark"] * 4 + ["near"] * 2 + ["far"] * 2),
)


def test_accuracy_is_of_landmarks_only() -> None:
    assert top(1)(ANSWERS) == 0.75
    assert top(2)(ANSWERS) == 1.0


def test_recall_and_rejection_at_a_threshold() -> None:
    assert tagged_right(0.6)(ANSWERS) == 0.5
    assert tagged("near", 0.6)(ANSWERS) == 0.5
    assert tagged("far", 0.6)(ANSWERS) == 0.0


def test_precision_is_on_half_and_half() -> None:
    # Accepted: 3 of 4 landmarks (weight 1/8 each, 2 right) and 1 of 2 near (weight 1/8).
    assert precision(0.6)(ANSWERS) == pytest.approx(2 / 4)
    assert precision(0.95)(ANSWERS) == 1.0


def test_precision_in_a_library_of_few_landmarks() -> None:
    # Of landmarks half are tagged right and a quarter wrong, of near half, of far none.
    assert precision(0.6, 1 / 20)(ANSWERS) == pytest.approx(0.5 / (0.75 + 19 * 0.25))
    assert precision(0.6, 1 / 20, ["far"])(ANSWERS) == pytest.approx(0.5 / 0.75)


def test_landmarks_that_nobody_taught_are_not_in_the_mix() -> None:
    more = Answers(
        np.vstack([ANSWERS.probabilities, [[0.9, 0.0, 0.0]]]),
        np.append(ANSWERS.labels, -1),
        np.append(ANSWERS.kinds, "stranger"),
    )
    assert precision(0.6)(more) == precision(0.6)(ANSWERS)
    assert calibration_error(more) == calibration_error(ANSWERS)
    assert tagged("stranger", 0.6)(more) == 1.0


def test_area_counts_ties_half() -> None:
    assert area(np.array([2.0, 3.0]), np.array([1.0, 0.0])) == 1.0
    assert area(np.array([1.0]), np.array([1.0])) == 0.5
    assert auroc("near")(ANSWERS) == pytest.approx((2 + 2 + 1 + 2) / 8)


def test_calibration_error_of_an_honest_model_is_small() -> None:
    chance = np.random.default_rng(0)
    confidence = chance.uniform(0.05, 0.95, 20000)
    right = chance.uniform(size=20000) < confidence
    honest = Answers(
        np.stack([confidence, np.zeros(20000)], 1),
        np.where(right, 0, 1),
        np.array(["landmark"] * 20000),
    )
    assert calibration_error(honest) < 0.02
    bold = Answers(np.minimum(honest.probabilities * 1.5, 1), honest.labels, honest.kinds)
    assert calibration_error(bold) > 0.1


def test_intervals_hold_the_figure_and_are_repeatable() -> None:
    low, high = interval(top(1), ANSWERS, 200)
    assert low <= 0.75 <= high
    assert (low, high) == interval(top(1), ANSWERS, 200)


def test_intervals_of_several_figures_are_those_of_each() -> None:
    both = intervals({"top": top(1), "near": tagged("near", 0.6)}, ANSWERS, 200)
    assert both["top"] == interval(top(1), ANSWERS, 200)
    assert both["near"] == interval(tagged("near", 0.6), ANSWERS, 200)


def test_figures_without_negatives_say_nothing_of_rejection() -> None:
    assert "precision@0.6" not in figures([])
    names = figures(["near"]).keys()
    assert {"near tagged@0.6", "auroc near", "ece", "1 in 20@0.6", "wrong@0.6"} <= names
    assert "1 in 20, others far@0.6" not in names
    assert "1 in 20, others far@0.6" in figures(["far"])
