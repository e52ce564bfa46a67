"""What a photo may show, and what the classifier says of it."""

from dataclasses import dataclass
from typing import NamedTuple

from tagger.records.words import Status


class Position(NamedTuple):
    """A position in degrees, WGS-84."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Landmark:
    """One row of landmarks.csv; degrees WGS-84, ``radius_m`` in metres around the point."""

    slug: str
    name: str
    local_name: str
    latitude: float
    longitude: float
    radius_m: int
    city: str
    region: str
    country: str
    country_code: str
    wikidata: str
    extent: str
    source: str


class Candidate(NamedTuple):
    """A landmark (its slug) and the calibrated probability, 0..1, that the photo shows it."""

    slug: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Guess:
    """The classifier's answer: candidates, best first, and the probability of no landmark.

    All candidates of the model and ``none`` together sum to 1; only the best few are kept. Where
    the photo's thumbnail alone showed that there is nothing known, there are no candidates, and
    ``thumbnail`` names the network that looked at it (SHA-256 in hex).
    """

    candidates: tuple[Candidate, ...]
    none: float
    thumbnail: str = ""

    @property
    def best(self) -> Candidate:
        return self.candidates[0] if self.candidates else Candidate("", 0.0)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The acceptance rule's answer: a status, and the rule in words."""

    accepted: bool
    status: Status
    reason: str
