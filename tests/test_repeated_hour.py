"""The hour that comes twice as summer time ends: both readings are looked at."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime

import pytest

from tagger.evidence.estimate import Estimate
from tagger.evidence.limits import Limits
from tagger.evidence.sources import Sources
from tagger.evidence.track_source import Tracks
from tagger.evidence.tracks.point import Point
from tagger.evidence.zones import ahead_in, aheads_in
from tagger.metadata.capture import Capture
from tagger.records import Source

PARIS = (48.85826, 2.2945)
SUMMER, WINTER = 7200.0, 3600.0


def shown(clock: str, day: str = "2024-10-27") -> float:
    """What a clock shows in Paris in the night in which 3:00 becomes 2:00, as Capture has it."""
    return datetime.fromisoformat(f"{day}T{clock}+00:00").timestamp()


def spot(utc: float) -> tuple[float, float]:
    """Where somebody was who walked 3 km an hour eastwards that night."""
    return PARIS[0], PARIS[1] + (utc - shown("00:00")) / 3600 * 3000 / 73_150


@contextmanager
def estimates(
    others: Sequence[Capture], photo: Capture, limits: Limits | None = None, track: bool = False
) -> Iterator[dict[Source, Estimate]]:
    begin = shown("00:00") - SUMMER
    points = [Point(begin + 60 * n, *spot(begin + 60 * n)) for n in range(360)]
    with closing(Sources(limits=limits, tracks=Tracks(points) if track else None)) as sources:
        for each in (*others, photo):
            sources.note(each, "")
        yield {one.source: one for one in sources.estimates(photo.key)}


def test_a_time_has_two_readings_in_that_hour_only() -> None:
    assert aheads_in("Europe/Paris", shown("01:59")) == (SUMMER,)
    assert aheads_in("Europe/Paris", shown("02:30")) == (SUMMER, WINTER)
    assert aheads_in("Europe/Paris", shown("03:00")) == (WINTER,)
    assert len(aheads_in("Europe/Paris", shown("02:30", "2024-03-31"))) == 1  # it is skipped
    assert ahead_in("Europe/Paris", shown("02:30")) == SUMMER


@pytest.mark.parametrize(("clock", "placed"), [("01:50", True), ("02:10", False), ("03:10", True)])
def test_a_position_without_an_offset_is_of_no_moment_in_that_hour(
    clock: str, placed: bool
) -> None:
    """Two minutes before the photo that states its offset, or an hour earlier or later."""
    near = Capture("near.jpg", shown(clock), camera="X", position=PARIS)
    offset = WINTER if clock > "03" else SUMMER
    photo = Capture("photo.jpg", shown(clock) + 120, offset, camera="X")
    with estimates([near], photo) as answers:
        assert (Source.TIME in answers) == placed
    with estimates([replace(near, camera="another")], photo) as answers:
        assert (Source.TIME in answers) == placed


@pytest.mark.parametrize("walked", [True, False])
def test_a_photo_without_an_offset_may_be_of_either_hour(walked: bool) -> None:
    """Its camera's other photos are of summer time, or of before and after at one place."""
    others = [
        Capture(
            f"{minute}.jpg", shown(f"01:{minute}"), camera="X",
            position=spot(shown(f"01:{minute}") - SUMMER) if walked else PARIS,
        )
        for minute in range(10, 60, 5)
    ]  # fmt: skip
    if not walked:
        others += [Capture("x.jpg", shown("03:05"), camera="X", position=PARIS)]
    with estimates(others, Capture("photo.jpg", shown("02:05"), camera="X")) as answers:
        refused = answers[Source.TIME].refused
    doubt = "the clock of X shows an hour that comes twice as summer time ends"
    assert refused.startswith(doubt) and "set --utc-offset" in refused if walked else not refused


@pytest.mark.parametrize(
    ("clock", "limits", "placed"),
    [
        ("02:30", Limits(zone="Europe/Paris"), False),
        ("02:30", Limits(ahead={"X": WINTER}), True),
        ("01:30", Limits(zone="Europe/Paris"), True),
    ],
)
def test_a_track_is_read_both_ways_by_the_time_zone(
    clock: str, limits: Limits, placed: bool
) -> None:
    photo = Capture("photo.jpg", shown(clock), camera="X")
    with estimates([], photo, limits, track=True) as answers:
        assert bool(answers[Source.TRACK].refused) != placed


def test_a_clock_that_states_the_second_hour_is_of_the_places_zone() -> None:
    times = [shown("02:00") + 300 * n for n in range(12)]
    others = [
        Capture(f"{time}.jpg", time, WINTER, camera="phone", position=spot(time - WINTER))
        for time in times
    ]
    photo = Capture("photo.jpg", shown("02:32"), WINTER, camera="X")
    with estimates(others, photo) as answers:
        assert "another time zone" not in answers[Source.TIME].refused
