"""Where a row says the camera was, in words, and the photos taken around that time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tagger.errors import PhotoError
from tagger.evidence.estimate import Neighbour
from tagger.evidence.in_words import far, lasting
from tagger.evidence.neighbours import neighbours
from tagger.ledger.schema import default_path
from tagger.records import Source
from tagger.report.columns import BETWEEN, SUBJECT_ONLY
from tagger.review import thumbnails
from tagger.review.session import Review
from tagger.review.sheet import Sheet, number, printable
from tagger.review.trusted_root import Root, inside
from tagger.review.unindexed import neighbours_in_report
from tagger.terminal import counted

CAMERA = frozenset(Source) - {Source.LANDMARK}
_BY = {
    Source.TIME: "photos taken close in time",
    Source.TRACK: "a GPS track",
    Source.TAKEOUT: "Google Takeout",
    Source.PAIR: "another photo of the same shot",
    Source.LIBRARY: "the same view in your library",
}
NONE_AROUND = "no photo with a position that was taken within 12 h was found in this report"
_EDGE = 160
_METRES = 111_195.0  # one degree of latitude


@dataclass(frozen=True, slots=True)
class Around:
    """A photo taken before or after: where from the camera's position in metres, and a picture."""

    file: str
    when: str
    east: float
    north: float
    thumb: str


def source_of(text: str) -> Source | None:
    """The source that a cell names, if it is a source of camera positions."""
    return Source(text) if text in CAMERA else None


def words(source: str, radius_m: str, evidence: str) -> list[str]:
    """Source, radius and evidence of a row, each a sentence."""
    known = source_of(source)
    if known is None:
        return ["Only the subject is written."] if source == SUBJECT_ONLY else []
    radius = number(radius_m)
    within = "" if radius is None else f", within {far(radius)}"
    return [f"Camera position by {_BY[known]}{within}.", *filter(None, [evidence])]


def answers(review: Review, row: int) -> list[tuple[str, str]]:
    """Each source's own answer: whose it is, and the answer in words.

    Reports of versions before have the position that the run wrote or would write, and the
    landmarks that the photo looks like.
    """
    if kept := review.original(row, "answers"):
        parts = (printable(part).partition(": ") for part in kept.split(BETWEEN))
        return [(who.capitalize(), text) for who, _, text in parts if text]
    source = source_of(review.original(row, "source"))
    at = [review.original(row, name) for name in ("latitude", "longitude")]
    if source is None or not all(at):
        return []
    radius = number(review.original(row, "radius_m"))
    within = "" if radius is None else f" within {far(radius)}"
    evidence = review.original(row, "evidence")
    lines = [
        (f"{source}".capitalize(), ", ".join(filter(None, [f"{', '.join(at)}{within}", evidence])))
    ]
    likely = [review.original(row, name) for name in ("landmark", "second", "third")]
    if named := [name for name in likely if name]:
        seen = named[0] if likely[0] else f"not written: {named[0]}"
        lines.append(
            ("Landmark", seen if len(named) == 1 else f"{seen}, then {', '.join(named[1:])}")
        )
    return lines


def around(
    sheet: Sheet, row: int, root: Root, ledger: Path | None
) -> tuple[float, list[Around]] | None:
    """The radius in metres of a row's camera position, and the neighbours that may be shown.

    None where the row has no camera position of another source than the landmark.
    """
    if source_of(sheet.cell(row, "source")) is None:
        return None
    latitude, longitude, radius = (
        number(sheet.cell(row, name)) for name in ("latitude", "longitude", "radius_m")
    )
    if latitude is None or longitude is None:
        return None
    photos = neighbours(ledger or default_path(), sheet.photo(row))
    photos = photos or neighbours_in_report(sheet, row, root)
    shown = [_one(one, (latitude, longitude), root) for one in photos if inside(one.key, root)]
    return radius or 0.0, shown


def _one(one: Neighbour, at: tuple[float, float], root: Root) -> Around:
    turn = (one.longitude - at[1] + 180) % 360 - 180
    try:
        thumb = thumbnails.data_url(thumbnails.thumbnail_of(one.key, root, _EDGE))
    except PhotoError:
        thumb = ""
    when = f"{lasting(abs(one.seconds))} {'earlier' if one.seconds < 0 else 'later'}"
    return Around(
        Path(printable(one.key)).name,
        when if round(abs(one.seconds)) else "the same moment",
        turn * _METRES * math.cos(math.radians(at[0])),
        (one.latitude - at[0]) * _METRES,
        thumb,
    )


def in_words(radius_m: float, shown: Sequence[Around]) -> str:
    """The drawing in words, for those who cannot see it."""
    around = f"{counted(len(shown), 'photo')} taken around it" if shown else NONE_AROUND
    return f"The camera was within {far(radius_m)} of the middle; {around}"
