"""What every source of a position answers: a place on Earth, how far off it may be, and why."""

from dataclasses import dataclass, field
from typing import Protocol

from tagger.metadata.capture import Capture
from tagger.records import Source

# The report shows degrees with this many decimals, a metre; a camera's position is written with no
# more, so that a dry run's report, applied, writes the same bytes.
DEGREE_DECIMALS = 5


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A photo that an estimate rests on: its key, seconds after (or before) and its position."""

    key: str
    seconds: float
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A source's answer: where the camera was (of a landmark: what the photo shows).

    Attributes:
        latitude, longitude: degrees, WGS-84.
        radius_68_m, radius_95_m: metres; the truth lies within with 68 and 95 % probability.
        probability: 0..1 that the estimate is right at all, that is within a few radii.
        words: the evidence for a person, for example "3 min after IMG_1.jpg".
        refused: why the source gives no position though it has one; empty where it does.
        neighbours: the photos it rests on, nearest in time first.
    """

    source: Source
    latitude: float
    longitude: float
    radius_68_m: float
    radius_95_m: float
    probability: float
    words: str
    refused: str = ""
    neighbours: tuple[Neighbour, ...] = field(default=())


class PositionSource(Protocol):
    """A source of positions: a photo in, an estimate out."""

    @property
    def source(self) -> Source: ...

    def estimate(self, photo: Capture) -> Estimate | None:
        """The camera's position when ``photo`` was taken; None where the source knows nothing.

        An estimate that must not be written, because its readings contradict each other, comes
        with ``refused``: it can still speak against another source.
        """
        ...


def allowed(sources: tuple[Source, ...], pairs: bool) -> tuple[Source, ...]:
    """The sources that may write: with ``pairs``, a photo of the same shot always may."""
    others = tuple(one for one in sources if one is not Source.PAIR)
    return (*others, Source.PAIR) if pairs else others


def between(a: tuple[float, float], b: tuple[float, float], share: float) -> tuple[float, float]:
    """The point ``share`` of the way from ``a`` to ``b`` in degrees, across the date line too."""
    turn = (b[1] - a[1] + 180) % 360 - 180
    longitude = (a[1] + share * turn + 180) % 360 - 180
    return a[0] + share * (b[0] - a[0]), longitude
