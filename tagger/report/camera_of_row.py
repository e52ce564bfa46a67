"""Camera and subject of a reviewed row, and the source of each."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from tagger.errors import RefusedError
from tagger.records import CameraPosition, Landmark, Source
from tagger.report.cells import native
from tagger.report.columns import SUBJECT_ONLY
from tagger.report.place_of_row import choose, distance_km, named, point_of, radius_of, same_point
from tagger.report.reader import Row

# A landmark further than this from the camera cannot be seen.
_FAR_KM = 100.0
_CAMERA = frozenset(Source) - {Source.LANDMARK}


@dataclass(frozen=True, slots=True)
class RowPositions:
    """What is to be written for one row.

    Attributes:
        place: the subject; None where only the camera's position is known.
        camera: where another source than the landmark puts the camera.
        subject_only: the camera's position is not to be written.
        as_reported: the row was not corrected.
    """

    place: Landmark | None
    camera: CameraPosition | None = None
    subject_only: bool = False
    as_reported: bool = False


def positions_of(
    row: Row, known: Mapping[str, Landmark], probability: float | None
) -> RowPositions:
    """Read a row; ``known`` holds the landmarks by slug.

    1. The source is one of camera positions: the coordinates are the camera's. The
       landmark that is named, if any, is the subject, where we know it.
    2. Any other row: :func:`tagger.report.place_of_row.choose`. Reports that were made before there
       was a column ``source`` have only such rows.

    Raises:
        RefusedError: the row is none of these; nothing is guessed.
    """
    text = row.text("source").casefold()
    if text not in {"", SUBJECT_ONLY, *Source}:
        raise RefusedError(f"source is {text!r}; restore the cell, or empty it and name the place")
    if text in _CAMERA:
        return _by_camera(row, known, Source(text), probability)
    place = choose(row, known)
    point = point_of(row)
    reported = known.get(place.slug) == place and point is not None and same_point(place, point)
    # A user who moved the place or named another vouches for it, the camera included.
    return RowPositions(place, None, text == SUBJECT_ONLY and reported, reported)


def may_show(place: Landmark, camera: tuple[float, float], radius_m: float) -> bool:
    """Whether a photo taken within the radius of that point may show the landmark."""
    away = distance_km((place.latitude, place.longitude), camera)
    return away <= max(_FAR_KM, 3 * place.radius_m / 1000) + 3 * radius_m / 1000


def _by_camera(
    row: Row, known: Mapping[str, Landmark], source: Source, probability: float | None
) -> RowPositions:
    name, point = row.text("landmark"), point_of(row)
    if point is None:
        if name:  # the cells were emptied: the landmark alone is right
            return RowPositions(choose(row, known))
        raise RefusedError("latitude and longitude are empty; restore the cells, or name the place")
    places = named(name, known) if name else []
    if name and len(places) != 1:
        raise RefusedError(
            f"several landmarks are called {name!r}; use the slug of the one"
            if places
            else f"landmark {name!r} is not one we know, and the coordinates are the camera's, by "
            f"{source}; correct the name, or empty source and type the place's own coordinates"
        )
    place = places[0] if places else None
    radius = radius_of(row)
    if not radius:
        raise RefusedError("radius_m is empty; restore the cell, or type how far off it may be")
    if place and not may_show(place, point, radius):
        away = distance_km((place.latitude, place.longitude), point)
        raise RefusedError(
            f"{place.name} is {away:.0f} km from where the camera was, by {source}; correct the "
            "name, or empty source, latitude and longitude"
        )
    evidence = row.text("evidence")
    with suppress(ValueError):
        evidence = native(evidence)
    sure = 1.0 if probability is None else probability
    return RowPositions(
        place, CameraPosition(*point, radius, source, evidence, sure), as_reported=True
    )
