"""What network, likest photos and local features say of a photo, weighed by one rule."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tagger.model.local_features.matching import Bytes, describe, products
from tagger.model.local_features.references import BEFORE, NEAREST, OF_ONE, RULE, References
from tagger.model.local_features.sift import Floats
from tagger.places.embeddings import unit

# 1. What counts in choosing the landmark that is judged: an embedding as like as can be is worth
#    so many logits, each spot above BY_CHANCE so many, up to so many spots.
ALIKE, SPOT, BY_CHANCE, SPOTS = 8.0, 2.5, 4, 6
# 2. Confidence by the first step between which local features are asked: they take as long as the
#    network does, and next to no ordinary photo is above the lower one.
LEAST, SURE = 0.08, 0.95
POSSIBLE = 0.04  # the network's best probability from which anything is compared at all
LOWEST = -12.0  # of a probability's logarithm
OTHERS = 3  # photos of other things, the likest, that a photo is compared with
# 3. How evidence is cut: spots up to BY_CHANCE, from there to SURE_SPOTS, and beyond, to ALL_SPOTS.
SURE_SPOTS, ALL_SPOTS = 8, 16
LOOSEST = 0.3  # cosine that photos of one landmark have at least
VERIFIED = 6  # spots that two photos of one place have in common, where that is no chance
# 4. A photo of some bay or hillside is like another. Rules of older model files do not weigh that:
#    they ask so many logits more of an area.
DOUBT = 1.0


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known of a photo, by landmark.

    Attributes:
        network: float32 [C], logarithms of the network's probabilities.
        alike: float32 [C], cosine to the likest reference photo, -1 where there is none.
        others: cosine to the likest photos of other things, their mean.
        spots: int64 [C], found again in a reference photo, the most.
        counts: int64 [C], photos that the network learned, all of them reference photos.
        usual: float32 [C], cosine that is usual between these photos of one landmark.
        areas: float32 [C], 1 for a bay or a desert, 0 for a building.
    """

    network: Floats
    alike: Floats
    others: float
    spots: NDArray[np.int64]
    counts: NDArray[np.int64]
    usual: Floats
    areas: Floats

    @property
    def best(self) -> int:
        """The landmark that most speaks for; one without such photos is not named."""
        above_chance = np.clip(self.spots - BY_CHANCE, 0, SPOTS)
        score = self.network + ALIKE * self.alike + SPOT * above_chance
        return int(np.where(self.counts > 0, score, -np.inf).argmax())

    def evidence(self) -> Floats:
        """The numbers that the rule weighs, of the best landmark; the first is 1."""
        best = self.best
        rest = np.arange(len(self.network)) != best
        spots = int(self.spots[best])
        values = (
            1.0,
            self.network[best],
            self.network[best] - self.network[rest].max(),
            self.alike[best],
            self.alike[best] - self.alike[rest].max(),
            self.others,
            np.log(max(1, self.counts[best])),
            min(spots, BY_CHANCE),
            np.clip(spots - BY_CHANCE, 0, SURE_SPOTS - BY_CHANCE),
            np.clip(spots - SURE_SPOTS, 0, ALL_SPOTS - SURE_SPOTS),
            min(self.spots[rest].max(), SURE_SPOTS),
            float(self.counts[best] < 8),
            self.alike[best] / self.usual[best],
            self.areas[best],
        )
        return np.array(values, np.float32)


def areas(extents: Sequence[str]) -> Floats:
    """Which landmarks are areas, float32 [C], from the ``extent`` of each.

    >>> areas(["point", "area", "site"]).tolist()
    [0.0, 1.0, 0.0]
    """
    return np.array([extent == "area" for extent in extents], np.float32)


def usual(references: References, known: Floats) -> Floats:
    """How alike the photos of each landmark are that the network learned, float32 [C].

    The median of their cosines to the likest other one, LOOSEST at least: a tower is alike in all
    photos, a bay in none. Where only one was learned, it is what is usual for the others.
    ``known`` are the references' embeddings, of length 1.
    """
    starts, own = references.landmarks[:-1], references.counts
    medians = np.full(len(own), np.nan, np.float32)
    for landmark in np.flatnonzero(own > 1):
        photos = known[starts[landmark] : starts[landmark] + own[landmark]]
        cosines = products(photos, photos)
        np.fill_diagonal(cosines, -1)
        medians[landmark] = np.median(cosines.max(1))
    rest = np.nanmedian(medians) if np.isfinite(medians).any() else 1.0
    return np.maximum(np.where(np.isnan(medians), rest, medians), LOOSEST).astype(np.float32)


def sigmoid(logit: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(logit, -40, 40))))


class Weigher:
    """References made ready to weigh photos; several threads may at once.

    The rule is a logistic regression in two steps: on what the network says and its embedding
    compared with those of the references, and, where that leaves it open, on the spots found again
    in the NEAREST likest reference photos of ANY landmark too. Local features may so name another
    landmark than the network's first guess. ``train.ship.weighing`` fits its weights.

    ``areas`` are :func:`areas` of the landmarks; none is one when left out.
    """

    def __init__(self, references: References, areas: Floats | None = None) -> None:
        self.references = references
        self._components = references.components.T.astype(np.float32)
        self._known, self._others = unit(references.embeddings), unit(references.others)
        self._counts = references.counts.astype(np.int64)
        self._owners = references.owners
        # Takes 30 ms of a start; the rules of the oldest model files do not weigh it.
        asked = references.rule.shape[1] > min(BEFORE)
        self._usual = usual(references, self._known) if asked else np.ones(len(self._counts), "f4")
        self._filled = np.flatnonzero(np.diff(references.landmarks))
        self._areas = np.zeros(len(self._counts), np.float32) if areas is None else areas

    def placed(self, embeddings: Floats) -> Floats:
        """Embeddings [N, D] in the components that are compared, float32 [N, E] of length 1."""
        return unit(products(embeddings, self._components))

    def first_findings(self, probabilities: Floats, embedding: Floats) -> tuple[Findings, Floats]:
        """The findings before local features are compared, and cosines [P] to the references."""
        place = self.placed(embedding[None])[0]
        cosines, others = (
            products(photos, place[None])[:, 0] for photos in (self._known, self._others)
        )
        return self._findings(probabilities, cosines, others), cosines

    def _findings(self, probabilities: Floats, cosines: Floats, others: Floats) -> Findings:
        alike = np.full(len(self._counts), -1, np.float32)
        if len(cosines):
            starts = self.references.landmarks[:-1][self._filled]
            alike[self._filled] = np.maximum.reduceat(cosines, starts)
        others = np.sort(others)[-OTHERS:]
        network = np.log(np.maximum(probabilities, np.exp(LOWEST)))
        return Findings(
            network,
            alike,
            float(others.mean()) if len(others) else 0.0,
            np.zeros(len(alike), np.int64),
            self._counts,
            self._usual,
            self._areas,
        )

    def weighed(
        self,
        probabilities: Floats,
        embedding: Floats,
        grey: Bytes,
        first: tuple[Findings, Floats] | None = None,
    ) -> Floats:
        """Probabilities [C] of the network for a photo, and what its references say of that.

        What the best landmark gains, the others lose together; what it loses, none gains. ``first``
        are :meth:`first_findings`, if they are known already.
        """
        return self.judged(probabilities, embedding, grey, first)[0]

    def judged(
        self,
        probabilities: Floats,
        embedding: Floats,
        grey: Bytes,
        first: tuple[Findings, Floats] | None = None,
    ) -> tuple[Floats, bool]:
        """As :meth:`weighed`, and whether spots of the best landmark were found again."""
        if probabilities.max() < POSSIBLE:
            return probabilities, False
        findings, cosines = first or self.first_findings(probabilities, embedding)
        sure = self._confidence(findings, 0)
        if LEAST <= sure < SURE:
            findings = self.compared(findings, cosines, grey)
            sure = self._confidence(findings, 1)
        best = findings.best
        rest = 1 - float(probabilities[best])
        left = min(1.0, (1 - sure) / rest) if rest > 0 else 0.0
        weighed: Floats = probabilities * np.float32(left)
        weighed[self._counts == 0] = 0
        weighed = np.minimum(weighed, np.float32(sure))
        weighed[best] = sure
        return weighed, bool(findings.spots[best] >= VERIFIED)

    def at_first(self, probabilities: Floats, embeddings: Floats) -> list[float]:
        """Logits of the rule's first step, without local features: that a landmark is shown.

        For [N, C] and [N, D], compared with the references together, in a quarter of the time.
        """
        places = self.placed(embeddings)
        findings = map(
            self._findings,
            probabilities,
            products(self._known, places).T,
            products(self._others, places).T,
        )
        return [self._logit(each, 0) for each in findings]

    def compared(self, findings: Findings, cosines: Floats, grey: Bytes) -> Findings:
        """What local features add, compared with those of the likest photos."""
        spots, near = findings.spots.copy(), self.nearest(cosines)
        counts = self.references.supports(near, describe(grey))
        np.maximum.at(spots, self._owners[near], counts)
        return replace(findings, spots=spots)

    def _confidence(self, findings: Findings, step: int) -> float:
        return sigmoid(self._logit(findings, step))

    def _logit(self, findings: Findings, step: int) -> float:
        rule, evidence = self.references.rule[step], findings.evidence()
        doubt = DOUBT * float(evidence[-1]) if len(rule) < RULE else 0.0
        return float(evidence[: len(rule)] @ rule) - doubt

    def nearest(self, cosines: Floats) -> list[int]:
        """The likest photos of any landmark, NEAREST, of one no more than OF_ONE."""
        taken: dict[int, int] = {}
        near: list[int] = []
        for photo in np.argsort(-cosines, kind="stable").tolist():
            owner = int(self._owners[photo])
            taken[owner] = taken.get(owner, 0) + 1
            if taken[owner] <= OF_ONE:
                near.append(photo)
            if len(near) == NEAREST:
                break
        return near
