"""Weigh the sources' estimates by numbered rules, and conclude what to write."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from tagger.evidence.estimate import Estimate
from tagger.evidence.in_words import far
from tagger.places.distance import distance_m
from tagger.records import Landmark, Source

# A landmark is photographed from at most this far beyond its own radius: towers, mountains.
IN_SIGHT_M = 20_000.0
# Within this distance, a landmark that the classifier is unsure of is likelier than any other.
NEAR_M = 3_000.0
# A landmark's tag puts the camera within its radius. Positions of landmarks and cameras are known
# to a few hundred metres; if the camera was this much further away, it was elsewhere.
ELSEWHERE_M = 1_000.0
# Nobody travels faster than an airliner.
FASTEST_M_S = 280.0
# The surest first: another photo of the same shot, the user's Takeout files, the original of a
# copy, where the owner of the camera was, where the camera was shortly before or after.
ORDER = (Source.PAIR, Source.TAKEOUT, Source.LIBRARY, Source.TRACK, Source.TIME)
# How much likelier a landmark becomes if it lies near the known position of the camera, rather than
# anywhere in the world; a confidence below LEAST is not raised.
LIKELIER, LEAST = 8.0, 0.2


@dataclass(frozen=True, slots=True)
class Sight:
    """The classifier's best landmark: what it shows, how sure, and whether that is enough."""

    landmark: Landmark
    confidence: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What to write.

    Attributes:
        subject: the landmark that the photo shows, where that is accepted.
        camera: the estimate of where the camera was; None where only the subject tells.
        contradiction: why nothing is written although there are answers; else empty.
        witnesses: estimates of sources that were not asked to write.
        evidence: short text for the report.
        elsewhere: why the subject is written without the camera's position; else empty.
    """

    subject: Landmark | None = None
    camera: Estimate | None = None
    contradiction: str = ""
    witnesses: tuple[Estimate, ...] = ()
    evidence: str = ""
    elsewhere: str = ""


def raised(confidence: float) -> float:
    """A landmark's confidence when it is known to be nearby, by Bayes' rule.

    >>> round(raised(0.3), 2)
    0.77
    """
    odds = LIKELIER * confidence / max(1e-9, 1 - confidence)
    return odds / (1 + odds)


def in_sight(landmark: Landmark, estimate: Estimate, metres: float = IN_SIGHT_M) -> bool:
    """Whether the landmark may be visible from where the estimate puts the camera."""
    return _apart(landmark, estimate) <= landmark.radius_m + metres + _reach(estimate)


def weigh(
    sight: Sight | None,
    estimates: Sequence[Estimate],
    wanted: Collection[Source],
    min_conf: float,
) -> Conclusion:
    """Decide by the first rule that fits.

    1. Two sources other than the landmark contradict each other by more than both radii: nothing
       is written.
    2. Another source puts the camera out of sight of the landmark: the landmark is vetoed; the
       other source's position is written if it is wanted.
    3. The landmark is in sight: if it is accepted it is the subject, and the camera's position is
       the other source's if that is wanted. If it is near, its confidence is raised (Bayes). Where
       a source that is not wanted knows that the camera was elsewhere, only the subject is written.
    4. No landmark: the surest wanted source writes the camera's position.

    Args:
        sight: the classifier's answer, None where nothing was recognised at all.
        estimates: what the other sources answered, refused ones included (these only veto).
        wanted: the sources that may write; the others are witnesses.
        min_conf: probability from which a landmark is accepted.
    """
    ranked = sorted(estimates, key=lambda estimate: ORDER.index(estimate.source))
    firm = [estimate for estimate in ranked if not estimate.refused]
    for number, one in enumerate(firm):
        for other in firm[number + 1 :]:
            apart = distance_m(_at(one), _at(other))
            if apart > one.radius_95_m + other.radius_95_m + 200:
                return Conclusion(
                    contradiction=f"{_in_words(one)} and {_in_words(other)} are {far(apart)} apart",
                    witnesses=tuple(ranked),
                )
    writers = [estimate for estimate in firm if estimate.source in wanted]
    witnesses = tuple(estimate for estimate in ranked if estimate.source not in wanted)
    best = writers[0] if writers else None
    verdict = Conclusion(camera=best, witnesses=witnesses, evidence=_words(writers))
    if sight is None or Source.LANDMARK not in wanted:
        return verdict
    against = [estimate for estimate in ranked if not in_sight(sight.landmark, estimate)]
    if against:
        if sight.accepted and best is None:
            apart = _apart(sight.landmark, against[0])
            return replace(
                verdict,
                contradiction=f"{sight.landmark.name} is {far(apart)} from where the camera was, "
                f"{_in_words(against[0])}",
            )
        return verdict
    near = [one for one in firm if in_sight(sight.landmark, one, NEAR_M)]
    sure = raised(sight.confidence) if near and sight.confidence >= LEAST else 0.0
    if not sight.accepted and sure < min_conf:
        return verdict
    return replace(
        verdict,
        subject=sight.landmark,
        evidence=_words(writers or near),
        elsewhere="" if best else _elsewhere(sight.landmark, firm),
    )


def _elsewhere(landmark: Landmark, firm: Sequence[Estimate]) -> str:
    """Why the camera was not at the landmark that it took; empty where it may have been."""
    for estimate in firm:
        apart = _apart(landmark, estimate)
        if apart > landmark.radius_m + estimate.radius_95_m + ELSEWHERE_M:
            return f"seen from {far(apart)} away, {_in_words(estimate)}"
    return ""


def _at(estimate: Estimate) -> tuple[float, float]:
    return estimate.latitude, estimate.longitude


def _apart(landmark: Landmark, estimate: Estimate) -> float:
    return distance_m((landmark.latitude, landmark.longitude), _at(estimate))


def _reach(estimate: Estimate) -> float:
    """How far from the estimate the camera can have been, even where the estimate is refused."""
    if estimate.source is not Source.TIME or not estimate.neighbours:
        return 3 * estimate.radius_95_m
    nearest = estimate.neighbours[0]
    by_speed = abs(nearest.seconds) * FASTEST_M_S
    return max(min(3 * estimate.radius_95_m, by_speed), by_speed if estimate.refused else 0)


def _in_words(estimate: Estimate) -> str:
    return f"{estimate.source}: {estimate.words}"


def _words(estimates: Sequence[Estimate]) -> str:
    return "; ".join(_in_words(estimate) for estimate in estimates)
