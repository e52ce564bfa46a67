"""Holidays that are made up, with flights, rides and two phones: positions by time are honest."""

import random
from dataclasses import replace

import pytest
from simulated_holiday import DAY, HOUR, hidden, photos

from tagger.evidence.estimate import Estimate
from tagger.evidence.sources import Sources
from tagger.metadata.capture import Capture
from tagger.places.distance import distance_m

NOON = 1_714_564_800.0
PARIS, NEW_YORK, AUCKLAND = (48.85826, 2.2945), (40.758, -73.9855), (-36.8485, 174.7633)


def by_time(asked: str, *library: Capture) -> Estimate | None:
    """What time says of one photo of a library."""
    sources = Sources()
    for one in library:
        sources.note(one, "")
    found = list(sources.estimates(asked))
    sources.close()
    return found[0] if found else None


def one(
    key: str, utc: float, at: tuple[float, float] | None = None, ahead: float = 0.0, **more: object
) -> Capture:
    """A photo of a phone that states its clock's offset."""
    facts = {"camera": "Phone", "offset": ahead} | more
    return Capture(key, NOON + utc + ahead, position=at, **facts)  # type: ignore[arg-type]


@pytest.mark.xfail(reason="96.8 % within 1 km (20 draws), where 98 % is wanted: phones of one name")
def test_radii_hold_on_holidays_with_flights() -> None:
    asked = placed = near = within = 0
    for seed in (31, 32):
        shots, sources = photos(random.Random(seed), days=8), Sources()
        for shot in shots:
            sources.note(shot.shown, "")
        for shot in hidden(shots):
            asked += 1
            for found in sources.estimates(shot.shown.key):
                if not found.refused:
                    off = distance_m((found.latitude, found.longitude), shot.truth)
                    placed += 1
                    near += off <= 1000
                    within += off <= found.radius_95_m
        sources.close()
    assert placed >= 0.08 * asked
    assert near >= 0.98 * placed and within >= 0.93 * placed


def test_a_clock_that_jumped_in_flight_is_compared_by_utc() -> None:
    """Local time says five minutes; it was six hours and an ocean."""
    found = by_time(
        "x.jpg",
        one("paris.jpg", 0, PARIS, 7200.0),
        one("x.jpg", 6 * HOUR + 300, None, -4 * HOUR),
        one("york.jpg", 7 * HOUR, NEW_YORK, -4 * HOUR),
    )
    assert (
        found is None
        or found.refused
        or distance_m((found.latitude, found.longitude), NEW_YORK) < 1000
    )


def test_another_phone_is_believed_only_where_it_was_near() -> None:
    mine = [one("m1.jpg", -600, PARIS), one("m2.jpg", -13 * HOUR, PARIS)]
    hers = [one(f"h{n}.jpg", -620 + 300 * n, PARIS, camera="Hers") for n in range(4)]
    asked = one("x.jpg", 200)
    found = by_time("x.jpg", *mine, *hers, asked)
    assert found and not found.refused
    away = [replace(each, position=NEW_YORK) for each in hers]
    found = by_time("x.jpg", replace(mine[0], local=NOON - 5 * HOUR), mine[1], *away, asked)
    assert found and "nothing shows" in found.refused


def test_two_phones_of_one_name_at_two_places_place_nothing() -> None:
    lyon = (45.7578, 4.832)
    pairs = [one(f"{n}.jpg", 60 * n, (PARIS, lyon)[n % 2]) for n in range(-6, 7)]
    found = by_time("x.jpg", *pairs, one("x.jpg", 1))
    assert found and "two cameras of one name" in found.refused


def test_a_photo_out_of_a_train_is_known_by_its_pace() -> None:
    ride = [one(f"{n}.jpg", 120 * n, (48.85 + 0.05 * n, 2.29)) for n in (-2, -1, 1, 2)]
    found = by_time("x.jpg", *ride, one("x.jpg", -60))
    assert found and found.refused


@pytest.mark.parametrize("day", [0, 1, -1])
def test_beyond_the_date_line_the_place_tells_which_day_it_is(day: int) -> None:
    """UTC+12 may look like UTC-12; and receivers' dates may be a day off."""
    known = one("k.jpg", 0, AUCKLAND, 12 * HOUR, offset=None, gps_time=NOON + day * DAY)
    asked = one("x.jpg", 60, None, 12 * HOUR, camera="Other")
    found = by_time("x.jpg", known, asked)
    assert found and not found.refused and found.words == "1 min after k.jpg"


def test_the_year_may_end_between_two_photos() -> None:
    new_year = 1_704_067_200.0 - NOON
    found = by_time("x.jpg", one("a.jpg", new_year - 30, PARIS), one("x.jpg", new_year + 30))
    assert found and not found.refused


def test_an_old_fix_says_where_one_was_when_it_was_made() -> None:
    """Half an hour old by its GPS time, and so no evidence of now."""
    stale = one("s.jpg", 0, PARIS, gps_time=NOON - 2 * HOUR)
    found = by_time("x.jpg", stale, one("x.jpg", 10))
    assert found is None or found.refused
