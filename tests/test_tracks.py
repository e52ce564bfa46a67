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
from tagger.evidence.tracks.jumps import doubtful
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


def test_waypoints_and_routes_of_a_gpx_file_are_no_track(tmp_path: Path) -> None:
    """A waypoint's time may be that of an edit, a route's points are where nobody has been yet."""
    at = 'lat="48.85" lon="2.35"><time>2017-04-17T12:20:12Z</time>'
    others = f"</trk><wpt {at}</wpt><rte><rtept {at}</rtept></rte></gpx>"
    text = GPX.replace("{v}", "1").replace("</trk></gpx>", others)
    assert read(tmp_path, "a.gpx", text) == [FIRST]


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
        ("a.json", '{"locations": []}', "holds no track point"),
        ("a.jpg", "\xff\xd8", "is not a GPX, KML, KMZ, FIT, NMEA, GeoJSON or Google Timeline file"),
        ("a.gpx", GPX.replace("{v}", "1").replace("50.5", "95"), "holds no track point"),
        ("a.gpx", GPX.replace("{v}", "1").replace("trkpt", "wpt"), "holds no track point"),
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


DEGREE_M = 111_195.0


def ride(*legs: tuple[float, float], each: float = 10.0) -> list[Point]:
    """A ride to the north, a point every ``each`` seconds: metres a second, for so many seconds."""
    points, away, utc = [Point(AT, 50.5, 4.25)], 0.0, AT
    for pace, seconds in legs:
        for _ in range(int(seconds / each)):
            away, utc = away + pace * each, utc + each
            points.append(Point(utc, 50.5 + away / DEGREE_M, 4.25))
    return points


def moved(points: list[Point], begin: float, end: float, metres: float = 2000.0) -> list[Point]:
    """The points, those of some seconds so many metres too far north."""
    return [
        point._replace(latitude=point.latitude + metres / DEGREE_M)
        if begin <= point.utc - AT <= end
        else point
        for point in points
    ]


WALK_OF_AN_HOUR = ride((1.2, 3600))


@pytest.mark.parametrize(
    ("begin", "end"),
    [(1000, 1000), (1000, 1060), (1000, 1480), (600, 1600), (0, 0), (0, 300), (3300, 3600)],
)
def test_where_a_track_jumps_away_and_back_it_places_nothing(begin: float, end: float) -> None:
    points = moved(WALK_OF_AN_HOUR, begin, end)
    tracks, captures = Tracks(points), Captures()
    try:
        source = TrackSource(tracks, captures, Limits())
        for true in WALK_OF_AN_HOUR:
            answer = source.at(true.utc)
            assert answer
            if begin <= true.utc - AT <= end:
                assert answer.refused == "the track jumps there, faster than anything travels"
            else:
                assert (answer.latitude, answer.longitude) == true[1:3] and not answer.refused
        for outside, wrong in ((AT - 60, begin == 0), (AT + 3660, end == 3600)):
            answer = source.at(outside)
            assert answer and bool(answer.refused) == wrong
    finally:
        tracks.close()
        captures.close()


def test_where_nothing_tells_which_half_is_wrong_ten_minutes_of_each_are_doubted() -> None:
    points = moved(WALK_OF_AN_HOUR, 1800, 3600)
    assert list(doubtful(points)) == [(AT + 1790 - 600, AT + 1800 + 600)]
    # Two phones, each at a place of its own.
    both = sorted([*WALK_OF_AN_HOUR, *(
        point._replace(utc=point.utc + 4) for point in moved(WALK_OF_AN_HOUR, 0, 3600)
    )])  # fmt: skip
    assert list(doubtful(both)) == [(AT - 120, AT + 3604 + 120)]


@pytest.mark.parametrize(
    "points",
    [
        WALK_OF_AN_HOUR,
        ride((1, 300), (33, 600), (0, 60), (33, 600), (1, 300), each=1),  # a car stops at once
        ride((1, 300), (14, 10), (28, 10), (33, 600), (0, 60), (14, 10), (33, 300)),
        ride(  # a flight
            (0, 300),
            (35, 30),
            (80, 30),
            (110, 60),
            (150, 60),
            (200, 120),
            (250, 3000),
            (180, 300),
            (100, 300),
            (70, 120),
            (20, 60),
            (0, 600),
            each=30,
        ),
        ride((1, 600), (80, 600), (1, 600), each=300),  # points far apart in time
        ride((250, 600)),  # switched on in the air
    ],
)
def test_what_can_be_travelled_is_believed(points: list[Point]) -> None:
    assert list(doubtful(points)) == []
    tunnel = [point for point in points if not 300 < point.utc - AT < 900]
    assert list(doubtful(tunnel)) == []


@pytest.mark.skipif(not WALK.exists(), reason="the walks of real libraries are not here")
@pytest.mark.parametrize("each", [0, 5, 10, 30, 60, 120, 300])
def test_no_true_point_of_a_real_track_is_doubted(each: float) -> None:
    """Two points of two walks are doubted: 395 m away within 1 s, and 303 m within 2 s."""
    doubted = []
    for path in sorted(WALK.parent.glob("walk_jette_*.gpx")):
        kept = list[Point]()
        for point in sorted(read_tracks([path])):
            if not kept or point.utc - kept[-1].utc >= each:
                kept.append(point)
        spans = list(doubtful(kept))
        doubted += [one for one in kept if any(a < one.utc < b for a, b in spans)]
    assert [round(one.utc) for one in doubted] == ([] if each else [1492431845, 1492443295])
