"""Sources of a position: honest radii, clocks, neighbours in time, and weighing them."""

import io
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import piexif
import pytest
from piexif import ExifIFD, ImageIFD
from PIL import Image
from walk_photos import WALKS as LIBRARIES
from walk_photos import walk

from tagger.evidence.captures import Captures
from tagger.evidence.clocks import ClockSpan, measured, readings, runs_of, stated
from tagger.evidence.estimate import Estimate, Neighbour, between
from tagger.evidence.limits import Limits
from tagger.evidence.motion import PRIOR_PACE, Fix, Motion, locate, motion_of
from tagger.evidence.time_source import TimeSource
from tagger.evidence.track_source import Tracks, TrackSource
from tagger.evidence.tracks.point import Point
from tagger.evidence.weigh import Conclusion, Sight, raised, weigh
from tagger.metadata.capture import Capture, capture
from tagger.places.distance import distance_m
from tagger.places.landmarks import load_landmarks
from tagger.records import Source

WALKS = ("doors_stockholm", "walk_arezzo", "walk_jette", "walk_rome")
needs_walks = pytest.mark.skipif(
    not LIBRARIES.is_dir(), reason="the walks of real libraries are not here"
)
PARIS, VEGAS = (48.85826, 2.2945), (36.1125, -115.1728)


OPENED: list[Captures] = []


@pytest.fixture(autouse=True)
def close_indexes() -> Iterator[None]:
    """Python 3.13 warns of a database that nobody closed."""
    yield
    while OPENED:
        OPENED.pop().close()


def index(photos: Iterable[Capture], zone: float = 7200.0) -> Captures:
    """An index of photos; those that state no offset are in ``zone``."""
    OPENED.append(captures := Captures())
    for photo in photos:
        ahead = stated(photo)
        known = zone if ahead is None and photo.position else ahead
        utc = None if known is None or photo.local is None else photo.local - known
        captures.add(photo, "", ahead, utc)
    return captures


def photo(
    key: str, local: float, position: tuple[float, float] | None = None, **more: object
) -> Capture:
    return Capture(key, local, position=position, **{"camera": "X", **more})  # type: ignore[arg-type]


def test_between_crosses_the_date_line() -> None:
    assert between((0, 179), (0, -179), 0.5) == (0, -180)
    assert between((10, 20), (20, 40), 0.25) == (12.5, 25)


def test_how_one_moves_is_what_the_library_shows() -> None:
    assert motion_of([]) == Motion(PRIOR_PACE, walks=False)
    slow = motion_of([Fix(60.0 * n, (48 + n * 1e-5, 2)) for n in range(40)])
    assert slow.pace < PRIOR_PACE / 2 and slow.walks
    train = motion_of([Fix(60.0 * n, (48 + n * 2e-2, 2)) for n in range(40)])
    assert train.pace > 5 * PRIOR_PACE and not train.walks


def test_a_photo_is_seldom_further_away_than_its_neighbours_are_apart() -> None:
    """300 m apart in 20 minutes: the radius is about that, far less with one neighbour alone."""
    one, other = Fix(-600, PARIS), Fix(600, (PARIS[0] + 300 / 111_195, PARIS[1]))
    both, alone = locate(one, other, Motion()), locate(one, None, Motion())
    assert both and alone and 300 < both.radius_95_m < 700 < alone.radius_95_m
    still = locate(one, Fix(600, PARIS), Motion())
    assert still and still.radius_95_m < both.radius_95_m
    afoot = locate(one, other, Motion(walks=True))
    assert afoot and afoot.radius_95_m < both.radius_95_m


def test_the_radius_grows_with_the_gap() -> None:
    radii = [locate(Fix(-gap, PARIS), None, Motion()) for gap in (10, 60, 600, 3600)]
    sizes = [located.radius_95_m for located in radii if located]
    assert sizes == sorted(sizes) and sizes[0] < 60 and sizes[-1] > 1000
    both = locate(Fix(-600, PARIS), Fix(600, PARIS), Motion())
    alone = locate(Fix(-600, PARIS), None, Motion())
    assert both and alone and both.radius_95_m < alone.radius_95_m


def test_a_photo_in_the_middle_of_a_flight_has_no_position() -> None:
    midway = locate(Fix(-3600, PARIS), Fix(7200, VEGAS), Motion())
    assert midway and midway.radius_95_m == float("inf")
    shortly = locate(Fix(-60, PARIS), Fix(36_000, VEGAS), Motion())
    assert shortly and shortly.position == PARIS and shortly.radius_95_m < 500


@pytest.mark.parametrize(
    ("facts", "ahead"),
    [
        ({"local": 7200.0, "gps_time": 0.0}, 7200.0),
        ({"local": 7200.0, "gps_time": 86_400.0}, 7200.0),  # the receiver's date is a day off
        ({"local": 7200.0, "offset": 3600.0}, 3600.0),
        ({"local": 46_800.0, "gps_time": 0.0, "offset": 46_800.0}, 46_800.0),  # UTC+13
        ({"local": None, "offset": 3600.0}, None),
        ({"local": 5.0}, None),
    ],
)
def test_what_a_photo_states_of_its_clock(facts: dict[str, float], ahead: float | None) -> None:
    assert stated(Capture("a", **facts)) == ahead  # type: ignore[arg-type]


def test_a_clock_is_known_by_the_cameras_other_photos() -> None:
    assert measured(1e9, [(1e9 + 60, 3600.0), (1e9 - 600, 3602.0)]) == 3601.0
    assert measured(1e9, [(1e9 + 60, 3600.0), (1e9 + 700, 7200.0)]) is None  # it was set between
    assert measured(1e9, [(1e9 + 30 * 86_400, 3600.0)]) is None  # too long ago


def test_a_time_may_mean_two_moments_where_the_clock_was_put_back() -> None:
    """A flight of eight hours to a zone that is six hours behind."""
    here, there = 7200.0, 7200.0 - 6 * 3600
    runs = runs_of([(0.0, here), (600.0, here), (8 * 3600.0, there), (9 * 3600.0, there)])
    assert runs == [ClockSpan(0.0, 600.0, here), ClockSpan(8 * 3600.0, 9 * 3600.0, there)]
    assert readings(runs, here - 7 * 3600.0) == [here]
    assert readings(runs, 4 * 3600.0 + here) == [here, there]
    assert readings(runs, 15 * 3600.0 + there) == [there]
    assert readings(runs, 30 * 86_400.0) == []


def test_the_time_of_an_old_position_does_not_set_the_clock() -> None:
    rows = [(0.0, 3600.0), (60.0, 3600.0 + 1000), (900.0, 3601.0), (990.0, 3600.0)]
    assert runs_of(rows) == [ClockSpan(0.0, 990.0, 3600.0)]


def test_a_neighbour_of_the_same_camera_gives_its_position() -> None:
    captures = index([photo("near.jpg", 1e9 - 60, PARIS), photo("far.jpg", 1e9 - 9000, VEGAS)])
    guess = TimeSource(captures, Limits()).estimate(photo("x.jpg", 1e9))
    assert guess and not guess.refused
    assert distance_m((guess.latitude, guess.longitude), PARIS) < 1
    assert guess.words == "1 min after near.jpg"


@pytest.mark.parametrize(
    ("day", "others", "doubted"),
    [
        (3, {1: None}, True),  # its photos begin on 1 January
        (30, {1: None, 15: None}, True),
        (40, {1: None}, False),  # by then somebody would have set it
        (3, {}, False),
        (3, {1: None, -5: None}, False),  # it was in use at Christmas
        (3, {1: 7200.0}, False),  # and stated its clock
    ],
)
def test_the_days_after_a_clock_began_anew_place_no_photo(
    day: int, others: dict[int, float | None], doubted: bool
) -> None:
    new_year = datetime.fromisoformat("2005-01-01T00:00+00:00").timestamp()
    local = new_year + (day - 1) * 86_400 + 40_000
    earlier = [
        photo(f"{other}.jpg", new_year + (other - 1) * 86_400 + 50_000, offset=offset)
        for other, offset in others.items()
    ]
    known = index([*earlier, photo("near.jpg", local - 60, PARIS)])
    answer = TimeSource(known, Limits()).estimate(photo("x.jpg", local))
    assert answer and ("the clock may never have been set" in answer.refused) == doubted
    set_right = Limits(fast={"X": 0.0})
    answer = TimeSource(known, set_right).estimate(photo("x.jpg", local))
    assert answer and not answer.refused


@pytest.mark.parametrize("moment", ["2005-01-01T00:05", "2005-01-01T12:07", "1998-07-14T00:00"])
def test_a_clock_that_nobody_set_places_no_photo(moment: str) -> None:
    """Two journeys, each after an empty battery, have the same times; so have dates by hand."""
    local = datetime.fromisoformat(moment + "+00:00").timestamp()

    def answer_for(
        key: str = "oslo.jpg", limits: Limits | None = None, offset: float | None = None
    ) -> Estimate:
        paris = [photo(f"{key[:4]}{1233 + n}.jpg", local + 60 * n, PARIS) for n in range(3)]
        source = TimeSource(index(paris), limits or Limits())
        answer = source.estimate(photo(key, local, offset=offset))
        assert answer
        return answer

    assert "the clock may never have been set" in answer_for().refused
    # It speaks against no landmark either.
    sight = Sight(load_landmarks()["Taj_Mahal"], 0.95, accepted=True)
    assert (
        weigh(sight, [answer_for()], (Source.LANDMARK, Source.TIME), 0.6).subject is sight.landmark
    )
    # Where the user says that the clock is right, the photo does, or the camera counted on.
    assert not answer_for(limits=Limits(fast={"X": 0.0})).refused
    assert not answer_for(offset=7200.0).refused
    assert not answer_for("IMG_1236.jpg").refused
    assert answer_for("IMG_7236.jpg").refused


@pytest.mark.parametrize(
    ("metres", "gap", "least", "most"),
    [
        (45_000, 1800, 10_000, 60_000),  # a car whose receiver slept for half an hour
        (450_000, 1800, 10_000, 500_000),  # a flight
        (10_000, 300, 1_000, 20_000),
        (2_000, 1800, 700, 1_000),  # a walk with a rest, who knows where
        (500, 600, 100, 400),
        (750, 30, 100, 200),  # a car
        (25, 1, 20, 100),
        (20, 15, 20, 50),  # a walk
    ],
)
def test_the_radius_of_a_track_allows_for_stops_between_its_points(
    metres: float, gap: float, least: float, most: float
) -> None:
    points = [Point(1e9, 48.0, 11.0), Point(1e9 + gap, 48.0 + metres / 111_195, 11.0)]
    tracks = Tracks(points)
    try:
        answer = TrackSource(tracks, index([]), Limits()).at(1e9 + gap / 2)
    finally:
        tracks.close()
    assert answer and least < answer.radius_95_m < most
    assert bool(answer.refused) == (answer.radius_95_m > Limits().max_radius_m)


@pytest.mark.parametrize(
    ("speed", "least", "most"), [(30, 3_000, 4_000), (5, 500, 700), (1, 200, 400)]
)
@pytest.mark.parametrize("after", [True, False])
def test_beside_a_track_its_last_pace_counts(
    speed: float, least: float, most: float, after: bool
) -> None:
    """Whoever rides is 3.6 km further two minutes after the receiver went off."""
    points = [Point(1e9 + 10 * n, 48.0 + speed * 10 * n / 111_195, 11.0) for n in range(3)]
    tracks = Tracks(points)
    try:
        moment = 1e9 + 20 + 110 if after else 1e9 - 110
        answer = TrackSource(tracks, index([]), Limits()).at(moment)
    finally:
        tracks.close()
    assert answer and least < answer.radius_95_m < most


def test_what_no_camera_took_has_no_position_by_time() -> None:
    captures = index([photo("near.jpg", 1e9 - 60, PARIS)])
    screenshot = Capture("s.png", 1e9, camera="X", taken=False)
    assert TimeSource(captures, Limits()).estimate(screenshot) is None


def test_another_cameras_clock_must_not_matter() -> None:
    """A camera whose clock is unknown: the phone stood still, or it did not."""
    still = [photo(f"{n}.jpg", 1e9 + 600 * n, PARIS, camera="phone") for n in range(-12, 13)]
    stood = TimeSource(index(still), Limits()).estimate(photo("x.jpg", 1e9, camera="old"))
    assert stood and not stood.refused
    walk = [
        photo(f"{n}.jpg", 1e9 + 600 * n, (48.85 + n * 0.005, 2.29), camera="phone")
        for n in range(-12, 13)
    ]
    moved = TimeSource(index(walk), Limits()).estimate(photo("x.jpg", 1e9, camera="old"))
    assert moved and "--clock-offset 'old=0'" in moved.refused
    stated = TimeSource(index(walk), Limits(fast={"old": 0.0})).estimate(
        photo("x.jpg", 1e9, camera="old")
    )
    assert stated and not stated.refused


def test_a_clock_that_states_the_zone_of_another_place_is_doubted() -> None:
    """Who sets a camera to summer time by hand leaves its zone; so does a wrong sign."""

    def placed(step: float, offset: float, limits: Limits | None = None) -> list[Estimate | None]:
        spots = [(1e9 + 600 * n, 48.85 + n * step, 2.29) for n in range(-30, 31)]
        phone = [
            photo(f"{t}.jpg", t, (north, east), camera="phone", offset=7200.0)
            for t, north, east in spots
        ]
        captures, asked = index(phone), photo("x.jpg", 1e9, camera="old", offset=offset)
        tracks = Tracks(Point(t - 7200, north, east) for t, north, east in spots)
        try:
            return [
                TimeSource(captures, limits or Limits()).estimate(asked),
                TrackSource(tracks, captures, limits or Limits()).estimate(asked),
            ]
        finally:
            tracks.close()

    for one in placed(0.005, 7200.0) + placed(0, 3600.0) + placed(0, -7200.0):
        assert one and not one.refused
    for offset in (3600.0, -7200.0, 0.0):
        time, track = placed(0.005, offset)
        assert time and "states another time zone than that of the place" in time.refused
        assert track and "set --utc-offset or --clock-offset" in track.refused
    for limits in (Limits(fast={"old": 0.0}), Limits(ahead={"": 3600.0})):
        for one in placed(0.005, 3600.0, limits):
            assert one and not one.refused


def test_two_cameras_that_were_apart_are_believed_each_for_itself() -> None:
    known = [
        photo("mine.jpg", 1e9 - 300, PARIS, camera="mine", offset=7200.0),
        photo("yours.jpg", 1e9 - 10, VEGAS, camera="yours", offset=7200.0),
    ]
    guess = TimeSource(index(known), Limits()).estimate(
        photo("x.jpg", 1e9, camera="mine", offset=7200.0)
    )
    assert guess and distance_m((guess.latitude, guess.longitude), PARIS) < 1


def estimate(
    source: Source, at: tuple[float, float], radius: float = 100, **more: object
) -> Estimate:
    return Estimate(source, *at, radius / 2, radius, 0.98, "as told", **more)  # type: ignore[arg-type]


EIFFEL = load_landmarks()["Eiffel_Tower"]
SURE, UNSURE = Sight(EIFFEL, 0.9, True), Sight(EIFFEL, 0.3, False)
ALL = frozenset(Source)
ONLY = frozenset({Source.LANDMARK})
HERE, THERE = estimate(Source.TIME, PARIS), estimate(Source.TIME, VEGAS)
TAKEOUT = estimate(Source.TAKEOUT, VEGAS, 30)
FLOWN = estimate(
    Source.TIME, VEGAS, float("inf"), refused="a journey",
    neighbours=(Neighbour("n.jpg", -600.0, *VEGAS),),
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    sight: Sight | None
    estimates: Sequence[Estimate]
    wanted: frozenset[Source]
    says: Callable[[Conclusion], object]


@pytest.mark.parametrize(
    "case",
    [
        Case(SURE, (), ALL, lambda v: v.subject is EIFFEL and v.camera is None),
        Case(UNSURE, (), ALL, lambda v: v.subject is None and v.camera is None),
        Case(SURE, (HERE,), ONLY, lambda v: v.subject is EIFFEL and v.camera is None),
        Case(SURE, (HERE,), ALL, lambda v: v.subject is EIFFEL and v.camera is HERE),
        Case(UNSURE, (HERE,), ONLY, lambda v: v.subject is EIFFEL),  # agreement raises
        Case(SURE, (THERE,), ONLY, lambda v: v.subject is None and "8,7" in v.contradiction),
        Case(SURE, (THERE,), ALL, lambda v: v.subject is None and v.camera is THERE),
        Case(SURE, (TAKEOUT,), ONLY, lambda v: v.subject is None and v.contradiction),
        Case(SURE, (TAKEOUT,), ALL, lambda v: v.subject is None and v.camera is TAKEOUT),
        Case(SURE, (FLOWN,), ONLY, lambda v: v.subject is None and v.contradiction),
        Case(None, (HERE, TAKEOUT), ALL, lambda v: v.camera is None and v.contradiction),
        Case(None, (THERE, TAKEOUT), ALL, lambda v: v.camera is TAKEOUT),
        Case(None, (HERE,), ONLY, lambda v: v.camera is None and v.witnesses == (HERE,)),
        Case(None, (HERE,), ALL, lambda v: v.camera is HERE and v.evidence == "time: as told"),
    ],
)
def test_the_sources_are_weighed(case: Case) -> None:
    assert case.says(weigh(case.sight, case.estimates, case.wanted, 0.6))


def test_agreement_raises_by_bayes_rule() -> None:
    assert raised(0.0) == 0 and raised(0.3) == pytest.approx(0.774, abs=1e-3)


def half(photos: Sequence[Capture], chance: random.Random) -> set[str]:
    return {one.key for one in photos if chance.random() < 0.5}


def second_hours(photos: Sequence[Capture], _: random.Random) -> set[str]:
    return {one.key for one in photos if int((one.local or 0) // 3600) % 2}


def one_camera(photos: Sequence[Capture], chance: random.Random) -> set[str]:
    camera = chance.choice(sorted({one.camera for one in photos}))
    return {one.key for one in photos if one.camera == camera}


def one_day(photos: Sequence[Capture], chance: random.Random) -> set[str]:
    day = chance.choice(sorted({int((one.local or 0) // 86_400) for one in photos}))
    return {one.key for one in photos if int((one.local or 0) // 86_400) == day}


def hidden(
    name: str, hide: Callable[[Sequence[Capture], random.Random], set[str]], draws: int
) -> list[tuple[Estimate | None, float]]:
    """Each hidden photo's estimate, and how far off it is in metres."""
    photos, answers = list(walk(name)), []
    for draw in range(draws):
        gone = hide(photos, random.Random(draw))
        shown = [replace(p, position=None, gps_time=None) if p.key in gone else p for p in photos]
        source = TimeSource(index(shown), Limits())
        for truth, asked in zip(photos, shown, strict=True):
            if asked.position is None:
                guess = source.estimate(asked)
                assert truth.position
                off = distance_m((guess.latitude, guess.longitude), truth.position) if guess else 0
                answers.append((guess, off))
    return answers


@needs_walks
@pytest.mark.parametrize(
    ("hide", "least"), [(half, 0.85), (second_hours, 0.3), (one_camera, 0.0), (one_day, 0.0)]
)
def test_walks_get_their_positions_back(
    hide: Callable[[Sequence[Capture], random.Random], set[str]], least: float
) -> None:
    answers = [answer for name in WALKS for answer in hidden(name, hide, 20)]
    placed = [(guess, off) for guess, off in answers if guess and not guess.refused]
    assert len(placed) >= least * len(answers)
    assert sum(off <= 1000 for _, off in placed) >= 0.98 * len(placed)
    assert sum(off <= guess.radius_95_m for guess, off in placed) >= 0.93 * len(placed)


@needs_walks
def test_a_bicycle_tour_is_refused_rather_than_wrong() -> None:
    for hide in (half, second_hours, one_day):
        for guess, off in hidden("bicycle_tour", hide, 20):
            assert guess is None or guess.refused or off <= guess.radius_95_m


@pytest.mark.parametrize(
    ("first", "exif", "camera"),
    [
        ({}, {ExifIFD.BodySerialNumber: b"0123"}, "Canon EOS R5 0123"),
        ({ImageIFD.CameraSerialNumber: b"77"}, {}, "Canon EOS R5 77"),
        ({}, {ExifIFD.CameraOwnerName: b"Anna"}, "Canon EOS R5 Anna"),
        ({}, {ExifIFD.BodySerialNumber: b"0123", ExifIFD.CameraOwnerName: b"Anna"},
         "Canon EOS R5 0123"),
        ({}, {ExifIFD.BodySerialNumber: b"0000000", ExifIFD.CameraOwnerName: b"  "},
         "Canon EOS R5"),
        ({}, {ExifIFD.LensSerialNumber: b"555555"}, "Canon EOS R5"),
    ],
)  # fmt: skip
def test_two_cameras_of_one_model_have_two_names(
    first: dict[int, bytes], exif: dict[int, bytes], camera: str
) -> None:
    out = io.BytesIO()
    model = {ImageIFD.Make: b"Canon", ImageIFD.Model: b"Canon EOS R5"}
    block = piexif.dump({"0th": model | first, "Exif": exif})
    Image.new("RGB", (8, 8)).save(out, "JPEG", exif=block)
    assert capture("a.jpg", out.getvalue(), True).camera == camera
