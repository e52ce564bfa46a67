"""The landmark table against its checker, and against distances from other sources."""

import csv
import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("reverse_geocode", reason="the checker's gazetteer is a test dependency")

Output = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tagger" / "places" / "landmarks.csv"


def _shipped() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _load_checker() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "check_landmarks", ROOT / "scripts" / "check_landmarks.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


checker = _load_checker()

EIFFEL = {
    "slug": "Eiffel_Tower",
    "name": "Eiffel Tower",
    "local_name": "Tour Eiffel",
    "latitude": "48.85826",
    "longitude": "2.29450",
    "radius_m": "100",
    "city": "Paris",
    "region": "Île-de-France",
    "country": "France",
    "country_code": "FR",
    "wikidata": "Q243",
    "extent": "point",
    "source": "a test",
}
LOUVRE = EIFFEL | {
    "slug": "Louvre",
    "name": "Louvre",
    "local_name": "Musée du Louvre",
    "latitude": "48.86111",
    "longitude": "2.33583",
    "wikidata": "Q19675",
}
REEF = EIFFEL | {
    "wikidata": "Q7343",
    "slug": "Great_Barrier_Reef",
    "name": "Great Barrier Reef",
    "local_name": "Great Barrier Reef",
    "latitude": "-18.28611",
    "longitude": "147.70000",
    "radius_m": "1150000",
    "city": "",
    "country": "Australia",
    "country_code": "AU",
    "extent": "area",
}
SEA = REEF | {
    "wikidata": "Q23883",
    "slug": "Dead_Sea",
    "name": "Dead Sea",
    "local_name": "Dead Sea",
    "latitude": "31.50000",
    "longitude": "35.50000",
    "radius_m": "55000",
    "country": "",
    "country_code": "",
}


def _write(path: Path, *rows: dict[str, str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(EIFFEL), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _check(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    code = checker.main([str(path)])
    return code, capsys.readouterr().out.splitlines()


def test_shipped_table_passes(capsys: Output) -> None:
    assert checker.main([]) == 0
    assert capsys.readouterr().out.startswith(f"{len(_shipped())} landmarks")


def test_every_landmark_moved_by_50_km_is_found() -> None:
    wide = {"area", *checker.VAST}
    moves = [(50 / 111.2, 0.0), (-50 / 111.2, 0.0), (0.0, 1.0), (0.0, -1.0)]
    passed = []
    for number, row in enumerate(_shipped()):
        north, east = moves[number % 4]
        east *= 50 / 111.2 / math.cos(math.radians(float(row["latitude"])))
        moved = row | {
            "latitude": f"{float(row['latitude']) + north:.5f}",
            "longitude": f"{float(row['longitude']) + east:.5f}",
        }
        if row["extent"] not in wide and not list(checker._row(moved)):
            passed.append(row["slug"])
    assert not passed


def test_a_list_of_hints_is_compared(tmp_path: Path, capsys: Output) -> None:
    hints = tmp_path / "hints.csv"
    table = _write(tmp_path / "good.csv", EIFFEL, LOUVRE)
    for longitude, code in (("2.29600", 0), ("2.32000", 1), ("", 0)):
        hints.write_text(
            f"slug,hint_latitude,hint_longitude\nEiffel_Tower,{longitude and 48.858},{longitude}\n"
        )
        assert checker.main([str(table), "--hints", str(hints)]) == code
    assert "Eiffel_Tower: 1866 m from the hint" in capsys.readouterr().out


def test_two_landmarks_in_one_place_are_told(tmp_path: Path, capsys: Output) -> None:
    twin = LOUVRE | {"latitude": "48.85830", "longitude": "2.29500"}
    code, lines = _check(_write(tmp_path / "twins.csv", EIFFEL, twin), capsys)
    assert code == 1 and lines == ["Louvre: 37 m from Eiffel_Tower: one landmark twice?"]


def test_good_rows_pass(tmp_path: Path, capsys: Output) -> None:
    code, lines = _check(_write(tmp_path / "good.csv", SEA, EIFFEL, REEF, LOUVRE), capsys)
    assert code == 0, lines


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (EIFFEL | {"slug": "Eiffel Tower"}, "slug 'Eiffel Tower'"),
        (EIFFEL | {"slug": "=Eiffel"}, "slug '=Eiffel'"),
        (EIFFEL | {"slug": "Tour_Éiffel"}, "slug 'Tour_Éiffel'"),
        (EIFFEL | {"name": ""}, "name '': write"),
        (EIFFEL | {"local_name": ""}, "local_name '': write"),
        (EIFFEL | {"source": ""}, "source '': write"),
        (EIFFEL | {"city": "Paris "}, "city 'Paris ': remove outer blanks"),
        (EIFFEL | {"latitude": "48.8583"}, "latitude '48.8583': write degrees with exactly 5"),
        (EIFFEL | {"longitude": "2,29450"}, "longitude '2,29450': write degrees"),
        (EIFFEL | {"latitude": "nan"}, "latitude 'nan'"),
        (EIFFEL | {"latitude": "90.00001"}, "not on Earth"),
        (EIFFEL | {"longitude": "180.00001"}, "not on Earth"),
        (EIFFEL | {"radius_m": "100.5"}, "radius_m '100.5': write whole metres"),
        (EIFFEL | {"radius_m": "19"}, "radius_m 19: use 20 to 600 for extent point"),
        (EIFFEL | {"radius_m": "601"}, "radius_m 601: use 20 to 600 for extent point"),
        (EIFFEL | {"radius_m": "3001", "extent": "site"}, "use 50 to 3000 for extent site"),
        (EIFFEL | {"radius_m": "499", "extent": "area"}, "use 500 to 100000 for extent area"),
        (REEF | {"radius_m": "1600001"}, "radius_m 1600001"),
        (EIFFEL | {"wikidata": "243"}, "wikidata '243': write Q and a number"),
        (EIFFEL | {"extent": "building"}, "extent 'building': write point, site or area"),
        (EIFFEL | {"country_code": "XX"}, "'XX': give its name and ISO 3166-1 alpha-2 code"),
        (EIFFEL | {"country_code": "fr"}, "'fr': give its name and ISO 3166-1 alpha-2 code"),
        (EIFFEL | {"country": ""}, "country '', 'FR': give its name"),
        (SEA | {"slug": "Lake"}, "country '', '': give its name"),
        (SEA | {"country_code": "IL"}, "lies on a border: leave country"),
        # Signs and order swapped, the classic mistakes.
        (EIFFEL | {"latitude": "-48.85826"}, "not FR: correct the position or the country"),
        (EIFFEL | {"latitude": "2.29450", "longitude": "48.85826"}, "not FR"),
        (SEA | {"latitude": "30.04000", "longitude": "31.23000"}, "lies in EG, not IL/JO/PS"),
        (EIFFEL | {"city": "Marseille"}, "km from its city Marseille: correct"),
        (EIFFEL | {"city": "Atlantis"}, "city 'Atlantis' is unknown in FR"),
        (EIFFEL | {"city": "Old Goa"}, "km from its city Old Goa"),
        (EIFFEL | {"city": ""}, "city is empty: only an area"),
    ],
)
def test_each_defect_is_one_clear_line(
    row: dict[str, str], problem: str, tmp_path: Path, capsys: Output
) -> None:
    code, lines = _check(_write(tmp_path / "bad.csv", row), capsys)
    assert code == 1
    assert any(problem in line and line.startswith(row["slug"]) for line in lines), lines


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (LOUVRE | {"wikidata": "Q243"}, "Louvre: same wikidata as Eiffel_Tower"),
        (
            LOUVRE | {"latitude": EIFFEL["latitude"], "longitude": EIFFEL["longitude"]},
            "Louvre: same latitude and longitude as Eiffel_Tower",
        ),
        (LOUVRE | {"slug": "Eiffel_Tower"}, "Eiffel_Tower: same slug as Eiffel_Tower"),
        (LOUVRE | {"local_name": "tour eiffel"}, "Louvre: same name as Eiffel_Tower"),
    ],
)
def test_duplicates_are_named(
    row: dict[str, str], problem: str, tmp_path: Path, capsys: Output
) -> None:
    code, lines = _check(_write(tmp_path / "twice.csv", EIFFEL, row), capsys)
    assert code == 1
    assert [line.partition(": correct")[0] for line in lines] == [problem]


def test_rows_without_wikidata_are_no_duplicates(tmp_path: Path, capsys: Output) -> None:
    rows = [row | {"wikidata": ""} for row in (EIFFEL, LOUVRE)]
    assert _check(_write(tmp_path / "none.csv", *rows), capsys)[0] == 0


def test_broken_files_are_refused(tmp_path: Path, capsys: Output) -> None:
    good = _write(tmp_path / "good.csv", EIFFEL).read_bytes()
    for broken, problem in [
        (good.replace(b"slug,name", b"name,slug"), "the header"),
        (good.replace(b"\n", b"\r\n"), "LF line ends"),
        (good.replace(b"Q243,", b"Q243,extra,"), "line 2: write 13 columns"),
        (good.replace(b",a test", b""), "line 2: write 13 columns"),
        (good.splitlines(keepends=True)[0], "at least one row"),
        (good + good.splitlines()[1].replace(b"Eiffel_", b"A_"), "sorted by slug"),
        (good.replace("Î".encode(), b"\xce"), "utf-8"),
        (b"", "the header"),
    ]:
        path = tmp_path / "broken.csv"
        path.write_bytes(broken)
        code, lines = _check(path, capsys)
        assert code == 1
        assert len(lines) == 1 and problem in lines[0], lines
    assert _check(tmp_path / "absent.csv", capsys)[0] == 1


def _metres(first: str, second: str) -> float:
    """Haversine distance between two rows of the shipped table."""
    rows = {row["slug"]: row for row in _shipped()}
    a, b, c, d = (
        math.radians(float(rows[slug][axis]))
        for slug in (first, second)
        for axis in ("latitude", "longitude")
    )
    half = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 2 * 6_371_000 * math.asin(math.sqrt(half))


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ("Qutub_Minar", "Alai_Minar", 80, 250),
        ("Qutub_Minar", "Alai_Darwaza", 20, 120),
        ("Qutub_Minar", "Jamali_Kamali_Tomb", 400, 900),
        ("Qutub_Minar", "India_Gate", 10_000, 11_500),
        ("India_Gate", "Humayuns_Tomb", 2_600, 3_400),
        ("Humayuns_Tomb", "Lotus_Temple", 4_000, 5_000),
        ("Ajanta_Caves", "Ellora_Caves", 70_000, 100_000),
        ("Taj_Mahal", "Qutub_Minar", 165_000, 185_000),
        ("Eiffel_Tower", "Paris_Louvre", 2_900, 3_300),
        ("Eiffel_Tower", "Paris_Les_Invalides", 1_200, 1_600),
        ("Paris_Moulin_Rouge", "Paris_Louvre", 2_300, 2_900),
        ("Paris_La_Defense_Grande_Arche", "Paris_Louvre", 7_500, 8_500),
        ("Pont_d_Avignon", "Avignon_Palais_des_Papes", 250, 600),
        ("Avignon_Palais_des_Papes", "Orange_Theatre_Antique", 19_000, 22_000),
        ("Avignon_Palais_des_Papes", "Pont_du_Gard", 20_000, 23_500),
        ("Marseille_La_Major", "Marseille_CMA_CGM_Tower", 1_500, 1_900),
        ("Marseille_La_Major", "Marseille_Notre_Dame_de_la_Garde", 1_700, 2_000),
        ("Marseille_Notre_Dame_de_la_Garde", "Marseille_Chateau_d_If", 3_500, 4_000),
        ("Marseille_Notre_Dame_de_la_Garde", "Marseille_Palais_Longchamp", 2_700, 3_200),
        ("Aix_Fontaine_de_la_Rotonde", "Aix_Pavillon_Noir", 300, 600),
        ("Aix_Fontaine_de_la_Rotonde", "Aix_Palais_de_Justice", 400, 700),
        ("Nice_Place_Massena", "Nice_Hotel_Negresco", 900, 1_100),
        ("Nice_Place_Massena", "Nice_Monument_aux_Morts", 800, 1_100),
        ("Porto_Clerigos_Tower", "Porto_City_Hall", 400, 700),
        ("Porto_Casa_da_Musica", "Porto_City_Hall", 1_700, 2_200),
        ("Porto_Casa_da_Musica", "Porto_Serralves", 1_900, 2_500),
        ("Porto_Casa_da_Musica", "Porto_Arrabida_Bridge", 1_300, 1_700),
        ("Sydney_Opera_House", "Sydney_Harbour_Bridge", 500, 900),
        ("Central_Park", "Brooklyn_Bridge", 8_500, 9_300),
        ("Temple_of_Heaven", "Great_Wall_of_China", 55_000, 70_000),
        ("Edinburgh_Castle", "Forth_Bridge", 12_000, 14_000),
        ("Ho_Chi_Minh_Mausoleum", "Ha_Long_Bay", 125_000, 155_000),
        ("great_sphinx", "pyramids_of_giza", 500, 700),
        ("colosseum", "pantheon_rome", 1_500, 1_800),
        ("big_ben", "london_eye", 300, 550),
        ("hagia_sophia", "blue_mosque", 300, 500),
        ("brandenburg_gate", "berlin_cathedral", 1_500, 1_800),
        ("forbidden_city", "summer_palace", 12_000, 14_500),
        ("karnak_temple", "hatshepsut_temple", 5_000, 5_800),
        ("badshahi_mosque", "lahore_fort", 300, 600),
        ("hohensalzburg_fortress", "hohenwerfen_castle", 33_000, 38_000),
        ("conwy_castle", "caernarfon_castle", 32_000, 36_000),
        ("conwy_castle", "beaumaris_castle", 16_000, 19_000),
        ("haut_koenigsbourg", "burg_fleckenstein", 88_000, 98_000),
        ("malbork_castle", "mewe_castle", 24_000, 29_000),
        ("Badlands_National_Park", "Mount_Rushmore_National_Memorial", 60_000, 110_000),
    ],
)
def test_known_distances_in_metres(first: str, second: str, low: float, high: float) -> None:
    assert low <= _metres(first, second) <= high
