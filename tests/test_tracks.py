"""Tracks of every kind are read as points; damaged and hostile ones are refused with a reason."""

import json
import zipfile
from pathlib import Path

import pytest
from conftest import REPOSITORY

from tagger.errors import RunError
from tagger.evidence.captures import Captures
from tagger.evidence.limits import Limits
from tagger.evidence.track_source import Tracks, TrackSource
from tagger.evidence.tracks.point import Point
from tagger.evidence.tracks.reading import read_tracks
from tagger.places.distance import distance_m

GPX = """<?xml version="1.0"?><gpx version="1.{v}" xmlns="http://www.topografix.com/GPX/1/{v}"><trk>
<trkseg><trkpt lat="50.5" lon="4.25"><ele>3</ele><time>2017-04-17T12:19:12Z</time></trkpt>
<trkpt lat="50.6" lon="4.35"/></trkseg></trk></gpx>"""
KML = """<kml xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://www.google.com/kml/ext/2.2">
<Document><Placemark><gx:Track><when>2017-04-17T12:19:12Z</when><when>2017-04-17T12:20:12Z</when>
<gx:coord>4.25 50.5 10</gx:coord><gx:coord>4.26 50.6 10</gx:coord></gx:Track></Placemark>
<Placemark><TimeStamp><when>2017-04-17T12:21:12Z</when></TimeStamp><Point><coordinates>4.27,50.7,0
</coordinates></Point></Placemark></Document></kml>"""
AT = 1492431552.0
FIRST = Point(AT, 50.5, 4.25)


def read(tmp_path: Path, name: str, content: str | bytes) -> list[Point]:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_tracks([path]))


@pytest.mark.parametrize("version", ["0", "1"])
def test_gpx(tmp_path: Path, version: str) -> None:
    assert read(tmp_path, "a.gpx", GPX.replace("{v}", version)) == [FIRST]


def test_kml_and_kmz(tmp_path: Path) -> None:
    points = [FIRST, Point(AT + 60, 50.6, 4.26), Point(AT + 120, 50.7, 4.27)]
    assert read(tmp_path, "a.kml", KML) == points
    with zipfile.ZipFile(tmp_path / "a.kmz", "w") as archive:
        archive.writestr("doc.kml", KML)
    assert list(read_tracks([tmp_path / "a.kmz"])) == points


@pytest.mark.parametrize(
    ("exported", "expected"),
    [
        (
            {"locations": [{"latitudeE7": 505000000, "longitudeE7": 42500000,
                            "accuracy": 12, "timestamp": "2017-04-17T12:19:12Z"}]},
            Point(AT, 50.5, 4.25, 12),
        ),
        (
            {"locations": [{"latitudeE7": 505000000, "longitudeE7": 4294967296 - 42500000,
                            "timestampMs": "1492431552000"}]},
            Point(AT, 50.5, -4.25),
        ),
        (
            {"timelineObjects": [{"activitySegment": {"simplifiedRawPath": {"points": [
                {"latE7": 505000000, "lngE7": 42500000, "accuracyMeters": 9,
                 "timestamp": "2017-04-17T12:19:12Z"}]}}}]},
            Point(AT, 50.5, 4.25, 9),
        ),
        (
            {"semanticSegments": [{"startTime": "2017-04-17T14:00:00+02:00", "timelinePath": [
                {"point": "50.5°, 4.25°", "time": "2017-04-17T14:19:12+02:00"}]}]},
            FIRST,
        ),
        (
            {"semanticSegments": [], "rawSignals": [{"position": {
                "LatLng": "50.5°, 4.25°", "accuracyMeters": 7,
                "timestamp": "2017-04-17T14:19:12+02:00"}}]},
            Point(AT, 50.5, 4.25, 7),
        ),
        (
            [{"startTime": "2017-04-17T14:09:12+02:00", "timelinePath": [
                {"point": "geo:50.5,4.25", "durationMinutesOffsetFromStartTime": "10"}]}],
            FIRST,
        ),
        (
            {"type": "FeatureCollection", "features": [{"type": "Feature",
                "geometry": {"type": "Point", "coordinates": [4.25, 50.5]},
                "properties": {"tst": 1492431552}}]},
            FIRST,
        ),
        (
            {"type": "FeatureCollection", "features": [{"type": "Feature",
                "geometry": {"type": "LineString", "coordinates": [[4.25, 50.5]]},
                "properties": {"coordTimes": ["2017-04-17T12:19:12Z"]}}]},
            FIRST,
        ),
    ],
)  # fmt: skip
def test_timeline_and_geojson(tmp_path: Path, exported: object, expected: Point) -> None:
    assert read(tmp_path, "a.json", json.dumps(exported)) == [expected]


def test_own_tracks(tmp_path: Path) -> None:
    line = '2017-04-17T12:19:12Z\t*\t{"tst":1492431552,"lat":50.5,"lon":4.25}\nodd\n'
    assert read(tmp_path, "2017-04.rec", line) == [FIRST]


def test_nmea(tmp_path: Path) -> None:
    log = (
        "$GPRMC,121912.00,A,5030.0000,N,00415.0000,E,0.0,0.0,170417,,,A*54\r\n"
        "$GPRMC,121913.00,A,5030.0000,N,00415.0000,E,0.0,0.0,170417,,,A*00\r\n"  # wrong checksum
        "$GPRMC,121914.00,V,5030.0000,N,00415.0000,E,0.0,0.0,170417,,,A\r\n"  # no fix
        "$GPGGA,121912,5030.0,N,00415.0,E,1,8,1,5,M,,M,,\r\n"
    )
    assert read(tmp_path, "a.nmea", log) == [FIRST]


def test_a_folder_is_searched_and_what_is_no_track_is_told(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.gpx").write_text(GPX.replace("{v}", "1"))
    (tmp_path / "broken.gpx").write_text("<gpx><trk>")
    (tmp_path / "notes.txt").write_text("hello")
    warnings: list[str] = []
    assert list(read_tracks([tmp_path], warnings.append)) == [FIRST]
    assert len(warnings) == 1 and "broken.gpx: skipped (is damaged" in warnings[0]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.gpx", "<gpx><trk>", "is damaged"),
        (
            "a.gpx",
            '<!DOCTYPE g [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><gpx>&b;</gpx>',
            "is damaged",
        ),
        ("a.json", '{"locations": [', "is damaged"),
        ("a.json", '{"locations": []}', "holds no point with a time"),
        ("a.jpg", "\xff\xd8", "is not a GPX, KML, KMZ, FIT, NMEA, GeoJSON or Google Timeline file"),
        ("a.gpx", GPX.replace("{v}", "1").replace("50.5", "95"), "holds no point"),
    ],
)
def test_what_is_no_track_is_refused(tmp_path: Path, name: str, content: str, says: str) -> None:
    with pytest.raises(RunError, match=f"--track .*{name}: {says}"):
        read(tmp_path, name, content)


def test_a_missing_track_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be read"):
        list(read_tracks([tmp_path / "none.gpx"]))


WALK = REPOSITORY.parent / "shared" / "data" / "walks" / "walk_jette_1.gpx"


@pytest.mark.skipif(not WALK.exists(), reason="the walks of real libraries are not here")
def test_a_real_track() -> None:
    points = list(read_tracks([WALK]))
    assert len(points) > 500 and all(50.8 < point.latitude < 50.9 for point in points)


@pytest.mark.parametrize("gap", [30, 120, 300, 600, 1200])
@pytest.mark.skipif(not WALK.exists(), reason="the walks of real libraries are not here")
def test_the_radius_between_far_points_of_a_real_track_is_honest(gap: float) -> None:
    """Of a walk of which one point each ``gap`` seconds is kept, the others lie within it."""
    inside = list[bool]()
    for path in sorted(WALK.parent.glob("walk_jette_*.gpx")):
        points, kept = sorted(read_tracks([path])), list[Point]()
        for point in points:
            if not kept or point.utc - kept[-1].utc >= gap:
                kept.append(point)
        tracks, captures = Tracks(kept), Captures()
        try:
            source = TrackSource(tracks, captures, Limits())
            for point in set(points[::2]) - set(kept):
                if answer := source.at(point.utc):
                    at = answer.latitude, answer.longitude
                    away = distance_m(at, (point.latitude, point.longitude))
                    inside.append(away <= answer.radius_95_m)
        finally:
            tracks.close()
            captures.close()
    assert len(inside) > 100 and sum(inside) >= 0.95 * len(inside)
