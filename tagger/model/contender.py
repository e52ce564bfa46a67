"""A place that a photo may show, learned without training: evidence for it, and its rule."""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tagger.model.local_features.sift import Floats
from tagger.model.local_features.weigh import (
    ALIKE,
    BY_CHANCE,
    SPOT,
    SPOTS,
    VERIFIED,
    Findings,
    sigmoid,
)

RULE_FILE = Path(__file__).with_name("learned.json")
NUMBERS = 16  # that the rule weighs
SURE_SPOTS, ALL_SPOTS = 8, 16
LIKE, TOGETHER = 0.3, 12  # above so great a likeness, up to so many spots add to each other
# Some bay or gorge is like another: of so wide a place so many logits more are asked.
WIDE_M, DOUBT = 2_000, 1.5
# A photo that is like a learned place shows no landmark elsewhere: what is taken off that landmark,
# in logits, for each 1 of likeness above what the likest of so many references has by chance. That
# grows by so much with each ten times as many: measured on test photos of landmarks, against 50
# to 7,000 references of other landmarks.
AGAINST, BY_LUCK, TENFOLD, FEWEST = 10.0, -0.02, 0.11, 50


@dataclass(frozen=True, slots=True)
class Contender:
    """A place that some of the likest references show.

    Attributes:
        pack, number: which place.
        alike: cosines to its references among the likest, the highest first.
        spots: found again in each of these, 0 where they were not compared.
        rival: cosine to the likest photo of another place, shipped or learned.
        rival_spots: the most found again in such a photo.
        count: references that the place has.
        votes: share of the likest references that are this place's, of as many as could be.
        common: cosine of its likest reference to the likest photo of a shipped landmark elsewhere.
        wide: whether it is WIDE_M wide.
    """

    pack: int
    number: int
    alike: tuple[float, ...]
    spots: tuple[int, ...]
    rival: float
    rival_spots: int
    count: int
    votes: float = 1.0
    common: float = 0.0
    wide: bool = False

    @property
    def score(self) -> float:
        """By which the place is chosen that is judged."""
        above_chance = min(max(0, max(self.spots) - BY_CHANCE), SPOTS)
        return ALIKE * self.alike[0] + SPOT * above_chance

    def evidence(self, findings: Findings) -> Floats:
        """The NUMBERS that the rule weighs; the first is 1."""
        best = max(self.spots)
        values = (
            1.0,
            self.alike[0],
            self.alike[0] - self.rival,
            findings.others,
            np.log(self.count),
            float(np.mean(self.alike[:2])),
            float(findings.network.max(initial=-12.0)),
            min(best, BY_CHANCE),
            np.clip(best - BY_CHANCE, 0, SURE_SPOTS - BY_CHANCE),
            np.clip(best - SURE_SPOTS, 0, ALL_SPOTS - SURE_SPOTS),
            min(self.rival_spots, SURE_SPOTS),
            sum(spots >= VERIFIED for spots in self.spots[1:]),
            float(self.count < 3),
            self.votes,
            min(best, TOGETHER) * max(0.0, self.alike[0] - LIKE),
            self.common,
        )
        return np.array(values, np.float32)


@cache
def shipped_rule() -> Floats:
    """The rule [2, NUMBERS] that ``scripts/measure_learning.py`` fitted."""
    return np.array(json.loads(RULE_FILE.read_text(encoding="utf-8"))["rule"], np.float32)


def confidence(candidate: Contender, evidence: Floats, rule: Floats, step: int) -> float:
    """That a place is right, before (0) or after (1) local features are compared."""
    return sigmoid(float(evidence @ rule[step]) - candidate.wide * DOUBT)


def against(alike: float, references: int) -> float:
    """Logits against a landmark elsewhere: the photo is so like one of the learned references.

    >>> round(against(0.5, 100), 1)
    3.0
    """
    by_luck = BY_LUCK + TENFOLD * math.log10(max(FEWEST, references))
    return AGAINST * max(0.0, alike - by_luck)
