"""The place that a reviewed row names: a known one, or typed coordinates."""

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace

from tagger.errors import RefusedError
from tagger.records import Landmark
from tagger.report.reader import Row

# The report shows 5 decimals, and a spreadsheet may show fewer trailing zeros.
_SAME_DEGREES = 6e-6
# Typed coordinates this far from the landmark that the row names are an error in one of the two.
_FAR_KM = 100.0
_NEAR_KM = 50.0
# For a place typed without a radius: a short walk, so that the position does not claim too much.
DEFAULT_RADIUS_M = 1000
_LARGEST_RADIUS_M = 200_000


def choose(row: Row, known: Mapping[str, Landmark]) -> Landmark:
    """The place to write for ``row``; ``known`` holds the landmarks by slug.

    1. A name we know, coordinates empty, its own, or still those of another landmark (whose name
       was corrected): that landmark.
    2. A name we know and other coordinates within reach of it: that landmark, there.
    3. Another name and coordinates that are no known landmark's: a place of that name, there.

    Raises:
        RefusedError: the row is none of these; nothing is guessed.
    """
    name, point = row.text("landmark"), point_of(row)
    exact = named(name, known)
    if len(exact) > 1:  # one name, several places: the coordinates decide
        exact = [place for place in exact if point and same_point(place, point)]
        if len(exact) != 1:
            raise RefusedError(f"several landmarks are called {name!r}; use the slug of the one")
    owners = [place for place in known.values() if point and same_point(place, point)]
    if exact:
        if point is None or owners:
            return exact[0]
        return _moved(exact[0], point, row)
    if not name:
        raise RefusedError("landmark is empty; name the place")
    if point is None:
        raise RefusedError(
            f"landmark {name!r} is not one we know; correct the name, type its coordinates, or add "
            "--pack or --model of the run"
        )
    if owners:
        raise RefusedError(
            f"landmark {name!r} is not one we know, and the coordinates are still those of "
            f"{owners[0].name}; correct the name, or type the place's own coordinates"
        )
    return _custom(name, point, row, known)


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Along the surface of a sphere of 6371 km; points in degrees (latitude, longitude)."""
    (lat1, lon1), (lat2, lon2) = (tuple(map(math.radians, point)) for point in (one, other))
    half = math.sin((lat2 - lat1) / 2) ** 2
    half += math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(min(1.0, half)))


def point_of(row: Row) -> tuple[float, float] | None:
    """The coordinates of a row in degrees; None where both cells are empty.

    Raises:
        RefusedError: they are no position.
    """
    latitude, longitude = row.number("latitude"), row.number("longitude")
    if latitude is None and longitude is None:
        return None
    if latitude is None or longitude is None:
        raise RefusedError("only one of latitude and longitude is there; type both or neither")
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise RefusedError(
            f"{latitude:g}, {longitude:g} is not a position in degrees; check the decimal points"
        )
    return latitude, longitude


def named(name: str, known: Mapping[str, Landmark]) -> list[Landmark]:
    """The landmarks of that name, in English or their own language, or slug."""
    wanted = _folded(name)
    return [
        place
        for place in known.values()
        if wanted and wanted in map(_folded, (place.name, place.local_name, place.slug))
    ]


def _folded(name: str) -> str:
    """A name without its case, its kind of apostrophe and the slug's underscores."""
    plain = unicodedata.normalize("NFKC", name).replace("’", "'").replace("_", " ")
    return " ".join(plain.casefold().split())


def same_point(place: Landmark, point: tuple[float, float]) -> bool:
    """Whether the point is the landmark's own, as the report shows it."""
    off = abs(place.latitude - point[0]), abs(place.longitude - point[1])
    return max(off) <= _SAME_DEGREES


def _moved(place: Landmark, point: tuple[float, float], row: Row) -> Landmark:
    away = distance_km((place.latitude, place.longitude), point)
    if away > max(_FAR_KM, 3 * place.radius_m / 1000):
        raise RefusedError(
            f"the coordinates are {away:.0f} km from {place.name}; correct them or the name"
        )
    radius = radius_of(row) or place.radius_m
    return replace(place, latitude=point[0], longitude=point[1], radius_m=radius, extent="point")


def _custom(
    name: str, point: tuple[float, float], row: Row, known: Mapping[str, Landmark]
) -> Landmark:
    city, country = row.text("city"), row.text("country")
    guessed = [place for place in known.values() if (place.city, place.country) == (city, country)]
    if guessed and all(
        distance_km((place.latitude, place.longitude), point) > _NEAR_KM for place in guessed
    ):
        city = country = ""  # left from the guess that the reviewer corrected
    code = next((p.country_code for p in known.values() if country and p.country == country), "")
    return Landmark(
        slug="_".join(name.split()), name=name, local_name=name, latitude=point[0],
        longitude=point[1], radius_m=radius_of(row) or DEFAULT_RADIUS_M, city=city, region="",
        country=country, country_code=code, wikidata="", extent="point", source="",
    )  # fmt: skip


def radius_of(row: Row) -> int:
    """Metres; 0 where the cell is empty.

    Raises:
        RefusedError: it is no number of metres.
    """
    text = row.text("radius_m")
    if re.search(r"[.,]\d{3}$", text):  # 1.500 is how some countries write 1,500
        raise RefusedError(f"radius_m is {text!r}; write metres without a thousands mark")
    radius = row.number("radius_m")
    if radius is None:
        return 0
    if not (1 <= radius <= _LARGEST_RADIUS_M and radius.is_integer()):
        raise RefusedError(
            f"radius_m is {radius:g}; type whole metres from 1 to {_LARGEST_RADIUS_M}, or nothing"
        )
    return int(radius)
