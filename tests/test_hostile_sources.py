"""Damaged or hostile photos, Takeout files, tracks and index: no crash, no wrong place."""

import random
import tempfile
import time
import zipfile
from pathlib import Path

import pytest

from tagger.errors import RunError
from tagger.evidence.captures import Captures
from tagger.evidence.sources import Sources
from tagger.evidence.takeout import parse
from tagger.evidence.tracks.reading import read_tracks
from tagger.metadata.capture import Capture, capture

NOON = 1_714_564_800.0
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE g [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><gpx><trk><name>&i;</name></trk></gpx>"
)
GPX = '<gpx><trk><trkseg><trkpt lat="{0}" lon="{1}"><time>{2}</time></trkpt></trkseg></trk></gpx>'


def damaged(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] = chance.choice(
            (0, 255, 127, chance.randrange(256))
        )
    return bytes(changed[: chance.choice((len(changed), chance.randrange(len(changed))))])


def test_damaged_photos_state_less_and_raise_nothing() -> None:
    from walk_photos import photo

    good = photo(Capture("a", NOON, 7200.0, NOON, "Maker Model", (48.0, 2.0), 10.0))
    end = good.index(b"\xff\xdb")
    chance = random.Random(7)
    for _ in range(3000):
        stated = capture("a", damaged(good[:end], chance) + good[end:], whole=True)
        assert stated.position is None or (
            abs(stated.position[0]) <= 90 and abs(stated.position[1]) <= 180
        )


def test_damaged_takeout_states_nothing_wrong() -> None:
    good = (
        b'{"photoTakenTime":{"timestamp":"1714564800"},"geoData":{"latitude":48.0,"longitude":2.0}}'
    )
    chance = random.Random(7)
    for _ in range(3000):
        stated = parse("a.json", damaged(good, chance), "a.jpg")
        assert stated.position is None or (
            abs(stated.position[0]) <= 90 and abs(stated.position[1]) <= 180
        )
    for text in (
        b'{"photoTakenTime":{"timestamp":"' + b"9" * 5000 + b'"}}',
        b'{"a":' + b"9" * 9000 + b"}",
        b'{"geoData":{"latitude":NaN,"longitude":Infinity}}',
        b'{"geoData":{"latitude":' + b"9" * 400 + b',"longitude":1}}',
    ):
        assert parse("a.json", text, "a.jpg").position is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bomb.gpx", BOMB),
        ("deep.gpx", "<gpx>" + "<a>" * 200_000),
        ("cut.gpx", GPX[:60]),
        ("nan.gpx", GPX.format("NaN", "inf", "2024-05-01T12:00:00Z")),
        ("late.gpx", GPX.format(48, 2, "9999-12-31T23:59:59-14:00")),
        ("early.gpx", GPX.format(48, 2, "0001-01-01T00:00:00+14:00")),
        ("words.gpx", GPX.format("north", "east", "2024-05-01T12:00:00Z")),
        ("deep.json", "[" * 200_000),
        ("cut.json", '{"locations":[{"latitudeE7":480000000,'),
        ("nan.json", '{"locations":[{"latitudeE7":1e400,"longitudeE7":1,"timestampMs":"1"}]}'),
        ("huge.json", '{"locations":[{"latitudeE7":1,"longitudeE7":1,"timestampMs":' + "9" * 6000 + "}]}"),  # noqa: E501
        ("late.json", '{"locations":[{"latitudeE7":1,"longitudeE7":1,"timestamp":"9999-12-31T23:59:59-14:00"}]}'),  # noqa: E501
        ("odd.json", '{"features":[{"geometry":{"type":"Point","coordinates":{}},"properties":{"time":1}}]}'),  # noqa: E501
        ("list.json", '{"features":[{"geometry":[],"properties":[]}],"rawSignals":[{"position":{"LatLng":"","timestamp":5}}]}'),  # noqa: E501
        ("a.nmea", "$GPRMC,999999,A,9999.9,N,9999.9,E,,,999999,,\r\n$GPRMC,,A,.,N,.,E,,,010101,,\n"),  # noqa: E501
    ],
)  # fmt: skip
def test_hostile_tracks_are_refused_in_words(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(RunError, match=name):
        list(read_tracks([tmp_path / name]))
    assert list(read_tracks([tmp_path])) == []


def test_a_track_nested_without_end_costs_little(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 200_000)
    start = time.process_time()
    with pytest.raises(RunError, match=r"deep\.json: is nested deeper than any track"):
        list(read_tracks([path]))
    assert time.process_time() - start < 3  # 0.03 s; 9 s with ijson's own step of 64 KB


def test_nothing_stays_open_of_tracks_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "cut.gpx").write_text(GPX[:60])
    with pytest.raises(RunError, match=r"cut\.gpx") as error:  # keeps all that the frames hold
        Sources.beside(tmp_path / "ledger.db", tracks=[tmp_path / "cut.gpx"])
    assert list((tmp_path / "temporary").iterdir()) == [], error


def test_a_zip_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.kmz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("doc.kml", "w", force_zip64=True) as member,
    ):
        for _ in range(65):
            member.write(bytes(1 << 20))
    with pytest.raises(RunError, match=r"bomb\.kmz"):
        list(read_tracks([path]))


@pytest.mark.parametrize(
    "content", [b"", b"not a database" * 500, b"SQLite format 3\0" + bytes(4000)]
)
def test_a_damaged_index_is_made_anew_or_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.captures"
    path.write_bytes(content)
    try:
        Captures(path).close()
    except RunError as error:
        assert "delete that file" in str(error)


def test_an_index_of_another_kind_is_told(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "x.captures"
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE captures (something TEXT)")
    foreign.close()
    with pytest.raises(RunError, match="delete that file"):
        Captures(path)


def test_names_that_are_not_utf8_and_two_runs_at_once(tmp_path: Path) -> None:
    path, key = tmp_path / "x.captures", "/photos/\udcff\udcfe.jpg"
    one, other = Sources(path), Sources(path)
    for number, sources in enumerate((one, other)):
        sources.note(Capture(key, NOON, 0.0, camera="X", position=(48.0, 2.0)), "1")
        sources.note(Capture(f"{number}.jpg", NOON + 9, 0.0, camera="X"), "1")
        sources.captures.flush()
    assert one.captures.known(key, "1") and other.captures.known("0.jpg", "1")
    estimates = one.estimates("1.jpg")
    assert estimates and estimates[0].neighbours[0].key == key
    one.close()
    other.close()
