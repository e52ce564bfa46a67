"""Degrees, and the four states of a photo's GPS metadata."""

import struct

import pytest
from awkward_photos import (
    TAG,
    app1_exif,
    app1_xmp,
    exif,
    jpeg,
    packet,
    picture,
    position,
    segment,
)
from hypothesis import given
from hypothesis import strategies as st
from over_gps import tagged_over

from tagger import metadata
from tagger.metadata import gps
from tagger.records import GpsState

EMPTY, VALID, VOID, MALFORMED = GpsState.EMPTY, GpsState.VALID, GpsState.VOID, GpsState.MALFORMED
ZERO = ((0, 1), (0, 1), (0, 1))
NOTHING = ((0, 0), (0, 0), (0, 0))
STATUS_V, STATUS_A = (9, 2, 2, b"V\0"), (9, 2, 2, b"A\0")


@given(st.floats(-180, 180))
def test_degrees_survive_exif_and_xmp_within_a_tenth_of_a_millionth(degrees: float) -> None:
    whole, minutes, seconds = (top / bottom for top, bottom in gps.to_rationals(degrees))
    assert minutes < 60
    assert seconds < 60
    assert abs(whole + minutes / 60 + seconds / 3600 - abs(degrees)) < 1e-7
    assert abs(gps.from_xmp(gps.to_xmp(degrees, "EW")) - degrees) < 1e-7


@pytest.mark.parametrize("degrees", [59.9999999999, 0.99999999999, 1 / 3, 179.9999999999, 0.0])
def test_sixty_seconds_never_appear(degrees: float) -> None:
    _, (minutes, _), (top, bottom) = gps.to_rationals(degrees)
    assert minutes < 60
    assert top < 60 * bottom
    assert ",60" not in gps.to_xmp(degrees, "NS")


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("48,51.502200N", 48.85837),
        ("48,51,30.132N", 48.85837),
        ("2,17.66886W", -2.294481),
        ("-33.8568", -33.8568),
        ("0,0.0S", 0.0),
    ],
)
def test_coordinates_in_xmp(text: str, degrees: float) -> None:
    assert gps.from_xmp(text) == pytest.approx(degrees, abs=1e-9)


@pytest.mark.parametrize("text", ["", "N", "91,0N", "abc", "48,-3N", "nan", "1,2,3,4N", "1e999"])
def test_what_is_no_coordinate(text: str) -> None:
    with pytest.raises(ValueError, match=r"coordinate|float"):
        gps.from_xmp(text)


def cases(order: str) -> dict[str, tuple[list[tuple[int, int, int, bytes]] | None, GpsState]]:
    date = (29, 2, 11, b"2020:01:01\0")
    place = position(order)
    return {
        "no GPS directory": (None, EMPTY),
        "an empty one": ([], EMPTY),
        "no position in it": ([(0, 1, 4, b"\2\2\0\0"), date], EMPTY),
        "a position": (place, VALID),
        "zeroed, with references": (position(order, ZERO, ZERO), EMPTY),
        "zeroed by Android": (position(order, NOTHING, NOTHING, b"\0\0"), EMPTY),
        "zeroed, with a date": ([*position(order, ZERO, ZERO), date], EMPTY),
        "zeroed, without a fix": ([*position(order, ZERO, ZERO), STATUS_V], EMPTY),
        "a fix at 0, 0": ([*position(order, ZERO, ZERO), STATUS_A], VALID),
        "on the equator": (position(order, ZERO), VALID),
        "on the meridian": (position(order, longitude=ZERO), VALID),
        "void": ([*place, STATUS_V], VOID),
        "active": ([*place, STATUS_A], VALID),
        "the subject only": (position(order, first=19), VALID),
        "the subject, camera zeroed": (
            [*position(order, ZERO, ZERO), *position(order, first=19)],
            VALID,
        ),
        "half a subject": ([*place, *position(order, first=19)[:2]], VALID),
        "latitude alone": (place[:2], MALFORMED),
        "no hemisphere": ([place[1], place[3]], MALFORMED),
        "a wrong hemisphere": (position(order, refs=b"XE"), MALFORMED),
        "91 degrees": (position(order, ((91, 1), (0, 1), (0, 1))), MALFORMED),
        "181 degrees": (position(order, longitude=((181, 1), (0, 1), (0, 1))), MALFORMED),
        "a division by zero": (position(order, ((48, 1), (51, 0), (30, 1))), MALFORMED),
        "two rationals": ([place[0], (2, 5, 2, place[1][3][:16]), *place[2:]], MALFORMED),
        "text for a number": ([place[0], (2, 2, 24, b"4" * 24), *place[2:]], MALFORMED),
    }


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", cases("<"))
def test_states(name: str, order: str) -> None:
    fields, state = cases(order)[name]
    photo = jpeg(app1_exif(exif(order, sorted(fields) if fields else fields)))
    reading = metadata.gps_state(photo[:2000])
    assert reading is not None
    assert reading.state is state, reading
    assert reading.reason


@pytest.mark.parametrize(
    ("xmp", "state"),
    [
        (packet(attributes='exif:GPSLatitude="48,51.5N" exif:GPSLongitude="2,17.6E"'), VALID),
        (
            packet(
                "<exif:GPSLatitude>48,51.5N</exif:GPSLatitude>"
                "<exif:GPSLongitude>2,17.6E</exif:GPSLongitude>"
            ),
            VALID,
        ),
        (packet(attributes='exif:GPSLatitude="0,0.0N" exif:GPSLongitude="0,0.0E"'), EMPTY),
        (packet(attributes='exif:GPSLatitude="north" exif:GPSLongitude="2,17.6E"'), MALFORMED),
        (packet(attributes='xmlns:d="http://dji" d:GpsLatitude="+47.35"'), VALID),
        (packet(attributes='xmlns:d="http://dji" d:GpsLatitude="+0.00"'), EMPTY),
        (packet("<dc:title>Latitude</dc:title>"), EMPTY),
        (b"<rdf:RDF exif:GPSLatitude='48,1N'", MALFORMED),
        (b"<broken", EMPTY),
    ],
)
def test_position_in_xmp(xmp: bytes, state: GpsState) -> None:
    for photo in (
        jpeg(app1_xmp(xmp)),
        jpeg(app1_exif(exif()), app1_xmp(xmp)),
        jpeg(app1_xmp(xmp), app1_exif(exif(gps=[]))),
    ):
        reading = metadata.gps_state(photo, whole=True)
        assert reading is not None
        assert reading.state is state


def test_exif_that_points_nowhere_is_malformed() -> None:
    block = bytearray(exif(gps=position()))
    at = block.index(struct.pack("<HHI", 0x8825, 4, 1))
    block[at + 8 : at + 12] = struct.pack("<I", 60_000)
    reading = metadata.gps_state(jpeg(app1_exif(bytes(block))))
    assert reading is not None
    assert reading.state is MALFORMED


def test_a_head_that_ends_too_early_settles_nothing() -> None:
    photo = jpeg(segment(0xED, b"\0" * 60_000), app1_exif(exif(gps=position())))
    assert metadata.gps_state(photo[:50_000]) is None
    reading = metadata.gps_state(photo)
    assert reading is not None
    assert reading.state is VALID


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"text", b"\0" * 99, b"GIF89a"]
)
def test_what_is_no_photo_has_no_position(data: bytes) -> None:
    reading = metadata.gps_state(data, whole=True)
    assert reading is not None
    assert reading.state is EMPTY
    assert metadata.position(data) is None
    assert metadata.provenance(data) is None


@pytest.mark.parametrize("entries", [[], position()])
def test_a_head_never_contradicts_the_whole(entries: list[tuple[int, int, int, bytes]]) -> None:
    photo = jpeg(segment(0xED, b"\0" * 99), app1_exif(exif(gps=entries)), app1_xmp(packet()))
    for data in (photo, tagged_over(photo, TAG)):
        whole = metadata.gps_state(data, whole=True)
        for length in range(2, len(data), 3):
            assert metadata.gps_state(data[:length]) in (whole, None)


def test_a_tagged_photo_is_valid_from_its_head() -> None:
    photo = metadata.tagged(picture((900, 900)), TAG)
    reading = metadata.gps_state(photo[:16_384])
    assert reading is not None
    assert reading.state is VALID
