"""A reviewer's decision on one row of a report, and its effect on the row's cells."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from tagger.errors import RunError
from tagger.records import Landmark, Source, Status
from tagger.report.camera_of_row import may_show
from tagger.report.cells import safe, unsafe
from tagger.review.sheet import number


class Verdict(StrEnum):
    """The tag is right; it is wrong; it is another landmark; it is a place on the map."""

    ACCEPT = "accept"
    REJECT = "reject"
    LANDMARK = "landmark"
    PLACE = "place"


@dataclass(frozen=True, slots=True)
class Decision:
    """One verdict; ``landmark`` is a slug; name and degrees (WGS-84) are those of a place."""

    verdict: Verdict
    landmark: str = ""
    latitude: float = 0.0
    longitude: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        if not (-90 <= self.latitude <= 90 and -180 <= self.longitude <= 180):
            raise RunError(
                f"{self.latitude}, {self.longitude}: not on Earth; give latitude -90..90 and "
                "longitude -180..180"
            )
        if self.verdict is Verdict.PLACE and not (self.name.strip() and self.name.isprintable()):
            raise RunError("a place needs a name, on one line; type what the photo shows")

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Decision":
        fields = json.loads(text)
        return cls(**fields | {"verdict": Verdict(fields["verdict"])})


# What ``landmark-tag apply`` can act on, and what it has done already; the rest is only shown.
_CAMERA = frozenset(Source) - {Source.LANDMARK}
REVIEWABLE = frozenset({Status.WOULD_TAG, Status.UNSURE, Status.NO_LANDMARK, Status.TAGGED})
# The cells that a decision may change, in the order in which the original ones are kept.
CELLS = (
    "landmark", "latitude", "longitude", "radius_m", "city", "country", "wikidata", "source",
    "evidence", "accept",
)  # fmt: skip
_OLDER = 8  # without source and evidence, as decisions were kept before there were such columns


def widened(before: tuple[str, ...], now: tuple[str, ...]) -> tuple[str, ...]:
    """Original cells kept by an older version, completed from the present cells."""
    return (*before[:-1], *now[7:9], before[-1]) if len(before) == _OLDER else before


def effect(
    decision: Decision | None, original: tuple[str, ...], landmarks: Mapping[str, Landmark]
) -> tuple[str, ...]:
    """The cells of :data:`CELLS` after ``decision``, from what the run had written there."""
    if decision is None:
        return original
    match decision.verdict:
        case Verdict.ACCEPT:
            known = [place for place in landmarks.values() if safe(place.name) == original[0]]
            if original[1] or len(known) != 1:
                return (*original[:-1], "yes")
            return _cells(known[0])  # an unsure row names a landmark but has no place yet
        case Verdict.REJECT:
            return (*original[:-1], "no")
        case Verdict.LANDMARK:
            return _named(landmarks[decision.landmark], original)
        case Verdict.PLACE:
            degrees = (f"{decision.latitude:.5f}", f"{decision.longitude:.5f}")
            return (safe(decision.name.strip()), *degrees, "", "", "", "", "", "", "yes")


def _named(place: Landmark, original: tuple[str, ...]) -> tuple[str, ...]:
    """The landmark as the subject, and the camera where another source knows it to have been.

    If the landmark cannot be seen from there, the reviewer knows better than the source.
    """
    cells = _cells(place)
    at = number(original[1]), number(original[2])
    if original[7].casefold() not in _CAMERA or at[0] is None or at[1] is None:
        return cells
    if not may_show(place, (at[0], at[1]), number(original[3]) or 0.0):
        return cells
    return (cells[0], *original[1:4], *cells[4:7], *original[7:9], "yes")


def _cells(place: Landmark) -> tuple[str, ...]:
    return (
        safe(place.name), f"{place.latitude:.5f}", f"{place.longitude:.5f}", str(place.radius_m),
        safe(place.city), safe(place.country), place.wikidata, Source.LANDMARK.value, "", "yes",
    )  # fmt: skip


def parse_place(text: str) -> tuple[float, float]:
    """Latitude and longitude from text such as ``48.85837, 2.29448``.

    Raises:
        RunError: it is not two numbers, or not on Earth.
    """
    try:
        latitude, longitude = (float(part) for part in unsafe(text).replace(",", " ").split())
    except ValueError as error:
        raise RunError(
            f"{text!r}: not a position; write latitude, longitude, such as 48.85837, 2.29448"
        ) from error
    Decision(Verdict.PLACE, "", latitude, longitude, "a place")
    return latitude, longitude
