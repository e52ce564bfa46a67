"""Places learned without training: what a photo's likest references say, by a rule of their own."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tagger.model.contender import WIDE_M, Contender, against, confidence, shipped_rule
from tagger.model.learning import as_references
from tagger.model.local_features.matching import Features, products
from tagger.model.local_features.references import OF_ONE, References
from tagger.model.local_features.sift import Floats
from tagger.model.local_features.weigh import Findings
from tagger.places.distance import distance_m
from tagger.places.embeddings import unit
from tagger.places.own import NOT, is_called
from tagger.places.pack import Pack
from tagger.places.search import PackSearch
from tagger.records import Candidate as Named
from tagger.records import Guess, Landmark

ASKED = 96  # references, the likest, of which no more than OF_ONE of a place are taken
LEAST = 0.02  # confidence of the first step from which local features are asked
COMPARED = 12  # of these, the likest, that are compared by local features; more find no more
VOTERS = 10  # of the likest references, those whose votes count, where a place has as many

Supports = Callable[[Sequence[int], Features], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class LearnedGuess:
    """The learned place that most speaks for, and the confidence that it is right.

    ``against`` are logits that its likeness takes off a landmark elsewhere.
    """

    slug: str
    landmark: Landmark | None
    confidence: float
    against: float = 0.0


class LearnedPlaces:
    """The places of some packs, ready to judge photos; several threads may at once.

    A learned place has no probability of the network. What counts is how like its likest reference
    is, how much more than another place's, how like other things, and which spots are found again;
    the rule was fitted on landmarks that the network never learned.
    """

    def __init__(
        self,
        packs: Sequence[Pack],
        references: References,
        shipped: Sequence[Landmark],
        rule: Floats | None = None,
    ) -> None:
        self.packs = packs
        self._rule = shipped_rule() if rule is None else rule
        self._searches = [PackSearch(pack) for pack in packs]
        self._references = [as_references(references, pack) for pack in packs]
        self._shipped = shipped
        self._known, self._owners = unit(references.embeddings), references.owners
        self._common: dict[tuple[int, int], float] = {}
        self._count = sum(len(pack.owners) for pack in packs)

    def judged(
        self, place: Floats, findings: Findings, features: Callable[[], Features]
    ) -> LearnedGuess | None:
        """The likest place and how sure it is; None where nothing is like it at all.

        Args:
            place: the photo's embedding, float32 [E] of length 1.
            seen: what the model's own landmarks say of the photo.
            features: gives the photo's local features, which takes as long as the network.
        """
        candidate = self.likest(place, findings)
        if candidate is None:
            return None
        sure = self._confidence(candidate, findings, 0)
        if sure >= LEAST:
            candidate = self.compared(place, findings, features())
            sure = self._confidence(candidate, findings, 1)
        pack = self.packs[candidate.pack]
        named = pack.named(candidate.number)
        landmark = pack.landmark(candidate.number) if named else None
        contrary = against(candidate.alike[0], self._count)
        return LearnedGuess(pack.slug(candidate.number), landmark, sure, contrary)

    def likest(self, place: Floats, findings: Findings) -> Contender | None:
        """The place of the likest reference, before local features are known."""
        return self._chosen(self._near(place), {}, findings)

    def compared(
        self, place: Floats, findings: Findings, photo: Features, supports: Sequence[Supports] = ()
    ) -> Contender:
        """The same with local features, which may speak for another place.

        ``supports`` stands for :meth:`References.supports` of each pack, if given.
        """
        near = self._near(place)
        spots: dict[tuple[int, int], int] = {}
        for number, of_pack in enumerate(supports or [one.supports for one in self._references]):
            rows = [row for pack, row, _ in near[:COMPARED] if pack == number]
            if rows:
                counts = of_pack(rows, photo).tolist()
                spots |= {(number, row): count for row, count in zip(rows, counts, strict=True)}
        chosen = self._chosen(near, spots, findings)
        assert chosen
        return chosen

    def _near(self, place: Floats) -> list[tuple[int, int, float]]:
        """Pack, row and cosine of the likest references, no more than OF_ONE of a place."""
        nearest = []
        for number, search in enumerate(self._searches):
            rows, cosines = search.nearest(place, ASKED)
            nearest += [
                (number, row, cosine)
                for row, cosine in zip(rows.tolist(), cosines.tolist(), strict=True)
            ]
        nearest.sort(key=lambda one: -one[2])
        taken: dict[tuple[int, int], int] = {}
        near = []
        for number, row, cosine in nearest:
            owner = number, int(self.packs[number].owners[row])
            taken[owner] = taken.get(owner, 0) + 1
            if taken[owner] <= OF_ONE:
                near.append((number, row, cosine))
        return near

    def _chosen(
        self,
        near: list[tuple[int, int, float]],
        spots: dict[tuple[int, int], int],
        findings: Findings,
    ) -> Contender | None:
        """The place that most speaks for, with what speaks for another one."""
        by_place: dict[tuple[int, int], list[tuple[float, int]]] = {}
        for pack, row, cosine in near:
            owner = pack, int(self.packs[pack].owners[row])
            by_place.setdefault(owner, []).append((cosine, spots.get((pack, row), 0)))
        best = [
            Contender(
                *owner, tuple(cosine for cosine, _ in rows), tuple(count for _, count in rows),
                -1.0, 0, int(self.packs[owner[0]].counts[owner[1]]),
            )
            for owner, rows in by_place.items()
        ]  # fmt: skip
        if not best:
            return None
        chosen = max(best, key=lambda one: one.score)
        rivals = [one for one in best if one is not chosen and not self._same(one, chosen)]
        alike, rival_spots = [one.alike[0] for one in rivals], [max(one.spots) for one in rivals]
        mark, owner = self._mark(chosen), (chosen.pack, chosen.number)
        mine = [(pack, int(self.packs[pack].owners[row])) == owner for pack, row, _ in near]
        voters = min(chosen.count, VOTERS)
        for landmark in np.argsort(-findings.alike)[:3].tolist():
            if mark is None or not _one_spot(self._shipped[landmark], mark):
                alike.append(float(findings.alike[landmark]))
                rival_spots.append(int(findings.spots[landmark]))
        return replace(
            chosen,
            rival=max(alike, default=-1.0),
            rival_spots=max(rival_spots, default=0),
            votes=sum(mine[:voters]) / min(chosen.count, OF_ONE),
            common=self._commonness(chosen.pack, near[mine.index(True)][1], mark),
            wide=mark is not None and mark.radius_m >= WIDE_M,
        )

    def _commonness(self, pack: int, row: int, mark: Landmark | None) -> float:
        """How like a reference is to photos of shipped landmarks, but the one it may show."""
        commonness = self._common.get((pack, row))
        if commonness is None:
            alike = np.full(len(self._shipped), -1, np.float32)
            reference = unit(self.packs[pack].embeddings[row][None])
            np.maximum.at(alike, self._owners, products(self._known, reference)[:, 0])
            best = [
                float(alike[landmark])
                for landmark in np.argsort(-alike)[:3].tolist()
                if mark is None or not _one_spot(self._shipped[landmark], mark)
            ]
            commonness = self._common[pack, row] = max(best, default=0.0)
        return commonness

    def _mark(self, one: Contender) -> Landmark | None:
        pack = self.packs[one.pack]
        return pack.landmark(one.number) if pack.named(one.number) else None

    def _same(self, one: Contender, other: Contender) -> bool:
        """Whether two packs mean one place; photos that do not show a place never do."""
        marks = self._mark(one), self._mark(other)
        return marks[0] is not None and marks[1] is not None and _one_spot(marks[0], marks[1])

    def _confidence(self, candidate: Contender, findings: Findings, step: int) -> float:
        return confidence(candidate, candidate.evidence(findings), self._rule, step)


def _one_spot(one: Landmark, other: Landmark) -> bool:
    """Whether two places are the same, or one lies in the other."""
    away = distance_m((one.latitude, one.longitude), (other.latitude, other.longitude))
    return away <= max(one.radius_m, other.radius_m)


def _of_another(slug: str, mark: Landmark, shipped: Mapping[str, Landmark]) -> bool:
    """Whether photos do not show some landmark, so that they may well show this one."""
    refused = slug.partition(f"/{NOT}")[2]
    if not refused or is_called(mark, refused):
        return False
    return any(is_called(one, refused) for one in shipped.values())


def merged(guess: Guess, judged: LearnedGuess, shipped: Mapping[str, Landmark]) -> Guess:
    """The model's guess and a learned place as one: what contradicts each other both lose.

    Either may be right, or neither, but not both: their confidences are those given that.
    """
    sure, mark, first = judged.confidence, judged.landmark, guess.best
    if mark is None and _of_another(judged.slug, shipped[first.slug], shipped):
        return guess
    same = mark is not None and _one_spot(mark, shipped[first.slug])
    if not same and judged.against:
        odds = first.confidence / max(1e-9, 1 - first.confidence) * math.exp(-judged.against)
        first = Named(first.slug, odds / (1 + odds))
    best = first.confidence
    if same and best:
        lost = (1 - max(sure, best)) / max(1e-9, 1 - best) if sure > best else 1.0
        own = sure if sure > best else min(sure, 1 - best)
    else:
        both = 1 - sure * best
        own = sure * (1 - best) / both if both > 0 else 0.0
        lost = (1 - sure) / both if both > 0 else 0.0
    others = [one for one in guess.candidates if one.slug != first.slug]
    kept = [Named(one.slug, one.confidence * lost) for one in (first, *others)]
    if same and sure > best:
        kept = [Named(slug, min(value, 1 - sure)) for slug, value in kept]
    if mark:
        kept.insert(0, Named(judged.slug, own))
    kept = sorted(kept, key=lambda one: -one.confidence)[: len(guess.candidates)]
    return Guess(tuple(kept), max(0.0, 1 - sum(one.confidence for one in kept)))
