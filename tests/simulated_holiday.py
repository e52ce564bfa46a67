"""A holiday in four countries, made up: where people truly were, and what their cameras noted.

Two people with a phone each, and a camera without GPS. They start at home, walk, stop, drive, take
trains, fly and return; on some days they part. Phones hold fixes that are minutes old, lose their
position for hours, and their clocks jump to the zone of the country a while after landing.

Where the figures come from (five real libraries of ../shared/data/walks, 129 photos, and six more
that are not part of the project, 5,800 photos on phones and a camera in ten countries):

- walking: 1.2 m/s between photos 20 to 120 s apart (90 %: 1.4), so 0.7 to 1.5 m/s a leg;
- stops: photos 10 minutes to 2 hours apart are 0.2 m/s apart (median), so stops of 2 to 60 minutes
  take three quarters of a day out;
- rides: a tenth of the photos 10 minutes to 2 hours apart are 4 to 20 m/s apart;
- photos: 76 to 136 a day (median day of four journeys), in bursts with pauses; here about 90;
- positions: 9 of 129 photos have none, in runs: one photo, 46 minutes, two days. So one photo in
  ten has none by chance, and one in a hundred begins half an hour to 30 hours without any;
- clocks: most cameras' clocks are right or an hour off (walk_jette), and drift by up to 90 s.
"""

import bisect
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tagger.evidence.estimate import between
from tagger.evidence.zones import ahead_in
from tagger.metadata.capture import Capture
from tagger.places.distance import distance_m

Position = tuple[float, float]
DAY, HOUR, MINUTE = 86_400.0, 3600.0, 60.0
CITIES: dict[str, tuple[Position, str]] = {
    "Lisbon": ((38.7139, -9.1394), "Europe/Lisbon"),
    "Madrid": ((40.4168, -3.7038), "Europe/Madrid"),
    "Rome": ((41.8931, 12.4828), "Europe/Rome"),
    "Athens": ((37.9755, 23.7348), "Europe/Athens"),
    "Istanbul": ((41.0082, 28.9784), "Europe/Istanbul"),
    "London": ((51.5074, -0.1278), "Europe/London"),
    "New York": ((40.7580, -73.9855), "America/New_York"),
    "Tokyo": ((35.6812, 139.7671), "Asia/Tokyo"),
    "Bangkok": ((13.7563, 100.5018), "Asia/Bangkok"),
    "Sydney": ((-33.8688, 151.2093), "Australia/Sydney"),
    "Auckland": ((-36.8485, 174.7633), "Pacific/Auckland"),
}
HOME = ((52.52, 13.405), "Europe/Berlin")
IPHONE, PIXEL, CAMERA = "Apple iPhone 14", "Google Pixel 7", "Canon EOS R5 0123"
BY_TRAIN_M = 700_000.0  # nearer cities are reached by train, as Lisbon and Madrid are


@dataclass(frozen=True)
class Shot:
    """A photo as its camera noted it, and where it was truly taken."""

    shown: Capture
    truth: Position


class Way:
    """Where a person was at every moment: straight lines between points in order of time."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.points: list[Position] = []
        self.zones: list[str] = []

    def go(self, utc: float, point: Position, zone: str) -> None:
        self.times.append(max(utc, self.times[-1] if self.times else utc))
        self.points.append(point)
        self.zones.append(zone)

    def at(self, utc: float) -> Position:
        n = min(max(1, bisect.bisect(self.times, utc)), len(self.times) - 1)
        start, end = self.times[n - 1], self.times[n]
        share = min(1.0, max(0.0, (utc - start) / (end - start or 1)))
        return between(self.points[n - 1], self.points[n], share)

    def zone(self, utc: float) -> str:
        return self.zones[max(0, bisect.bisect(self.times, utc) - 1)]


def moved(point: Position, metres: float, heading: float) -> Position:
    north, east = metres * math.cos(heading), metres * math.sin(heading)
    return (
        point[0] + north / 111_195,
        (point[1] + east / (111_195 * math.cos(math.radians(point[0]))) + 180) % 360 - 180,
    )


def out(way: Way, chance: random.Random, begin: float, end: float, zone: str) -> None:
    """A day out: stops, strolls and now and then a ride, from where the way ends."""
    now, place = begin, way.points[-1]
    way.go(now, place, zone)
    heading = chance.uniform(0, math.tau)
    while now < end:
        kind = chance.choices(("stop", "walk", "ride"), (5, 6, 1))[0]
        if kind == "stop":
            now += chance.uniform(2, 60) * MINUTE
            place = moved(place, chance.uniform(0, 40), chance.uniform(0, math.tau))
        elif kind == "walk":
            for _ in range(chance.randint(2, 12)):
                heading += chance.gauss(0, 0.9)
                seconds = chance.uniform(40, 180)
                now, place = (
                    now + seconds,
                    moved(place, seconds * chance.uniform(0.7, 1.5), heading),
                )
                way.go(now, place, zone)
        else:
            seconds = chance.uniform(8, 50) * MINUTE
            now += seconds
            place = moved(place, seconds * chance.uniform(4, 20), chance.uniform(0, math.tau))
        way.go(now, place, zone)


def holiday(chance: random.Random, days: int = 16) -> tuple[Way, Way]:
    """The ways of two people from home through four countries, half a week in each, and back."""
    year = chance.choice((2019, 2023, 2024)) - 1970
    begin = year * 365.2425 * DAY + chance.choice((80, 200, 295, 355)) * DAY
    begin -= begin % DAY
    first, second = Way(), Way()
    ways = (first, second)
    for way in ways:
        way.go(begin + 5 * HOUR, *HOME)
    cities = chance.sample(sorted(CITIES), 4)
    for number in range(days):
        city, zone = CITIES[cities[number * 4 // days]]
        if first.zones[-1] != zone or distance_m(first.points[-1], city) > 300_000:
            travel(ways, chance, city, zone)
        # The next morning that is not over there: after a flight a day may be half gone.
        today = first.times[-1] + ahead_in(zone, first.times[-1])
        hour = today % DAY / HOUR
        wait = 0.0 if 8.5 <= hour < 15 else ((8.5 - hour) % 24) * HOUR
        morning = first.times[-1] + wait
        evening = morning + max(3.0, 17.5 - max(8.5, hour if not wait else 8.5)) * HOUR
        for way in ways:
            way.go(morning, first.points[-1], zone)
        hotel = moved(city, 800, 1.0)
        together = chance.random() < 0.7
        seed = chance.random()
        out(first, random.Random(seed), morning, evening, zone)
        out(second, random.Random(seed if together else seed + 1), morning, evening, zone)
        night = max(first.times[-1], second.times[-1]) + HOUR
        for way in ways:
            way.go(night, hotel, zone)
            way.go(night + 9 * HOUR, hotel, zone)
    travel(ways, chance, *HOME)
    return first, second


def travel(ways: tuple[Way, Way], chance: random.Random, city: Position, zone: str) -> None:
    """By train, or by plane: to the airport, waiting there, the flight, and into town."""
    first = ways[0]
    now, start, old = first.times[-1], first.points[-1], first.zones[-1]
    legs: tuple[tuple[float, Position, str], ...]
    if distance_m(start, city) < BY_TRAIN_M:
        legs = ((distance_m(start, city) / 45, city, zone),)
    else:
        gate, field = moved(start, 25_000, 2.0), moved(city, 30_000, 5.0)
        legs = (
            (40 * MINUTE, gate, old), (chance.uniform(1, 3) * HOUR, gate, old),
            (distance_m(gate, field) / 230, field, zone),
            (chance.uniform(0.3, 1.2) * HOUR, field, zone), (45 * MINUTE, city, zone),
        )  # fmt: skip
    for way in ways:
        way.go(now, start, old)
    for seconds, place, where in legs:
        now += seconds
        for way in ways:
            way.go(now, place, where)


def photos(chance: random.Random, days: int = 16) -> list[Shot]:
    """What the library holds after the holiday."""
    first, second = holiday(chance, days)
    phones = (IPHONE, IPHONE if chance.random() < 0.2 else PIXEL)
    stale = chance.uniform(0, 0.1)
    shots = [
        *phone(first, chance, phones[0], "a", stale, offsets=True),
        *phone(second, chance, phones[1], "b", stale, offsets=chance.random() < 0.7),
        *camera(first, chance),
    ]
    edited = [shot for shot in shots if chance.random() < 0.03]
    shots += [
        Shot(replace(shot.shown, key=shot.shown.key.replace(".jpg", "-edited.jpg")), shot.truth)
        for shot in edited
    ]
    return shots


def moments(way: Way, chance: random.Random, each: float) -> Iterator[float]:
    """When photos are taken: in bursts with pauses, by day, now and then out of the window."""
    now = way.times[0]
    while now < way.times[-1]:
        now += chance.expovariate(1 / each)
        local = now + ahead_in(way.zone(now), now)
        if not 7 <= local % DAY / HOUR < 23:
            continue
        speed = distance_m(way.at(now - 30), way.at(now + 30)) / 60
        if speed > 8 and chance.random() < 0.6:
            continue
        for _ in range(chance.choice((1, 1, 2, 3, 6))):
            now += chance.expovariate(1 / 12)
            yield now


def phone(
    way: Way, chance: random.Random, name: str, folder: str, stale: float, offsets: bool
) -> Iterator[Shot]:
    zone, since, fix, fixed, off_until = "", 0.0, way.points[0], way.times[0], 0.0
    shown_zone = way.zones[0]
    first = chance.randrange(9000)  # phones' counters are where years of photos left them
    by_hand = chance.random() < 0.05  # its clock does not follow the country
    for number, utc in enumerate(moments(way, chance, 25 * MINUTE)):
        if way.zone(utc) != zone:
            zone, since = way.zone(utc), utc + chance.uniform(0, 40) * MINUTE
        if utc >= since and not by_hand:
            shown_zone = zone
        ahead = ahead_in(shown_zone, utc + ahead_in(shown_zone, utc))
        truth = way.at(utc)
        speed = distance_m(way.at(utc - 30), way.at(utc + 30)) / 60
        error = chance.choice((4, 6, 10, 20, 60))
        if utc > off_until and chance.random() < 0.01:
            off_until = utc + chance.uniform(0.5, 30) * HOUR  # location switched off
        if chance.random() > stale or utc - fixed > 2 * HOUR:
            heading, size = chance.uniform(0, math.tau), error * math.sqrt(chance.expovariate(1))
            fix, fixed = moved(truth, size / 1.07, heading), utc
        has = utc > off_until and speed < 100 and chance.random() < 0.9
        stem = f"IMG_{(first + number) % 10_000:04}"
        if name == PIXEL:
            stem = datetime.fromtimestamp(utc, UTC).strftime(f"PXL_%Y%m%d_%H%M%S{number % 1000:03}")
        yield Shot(
            Capture(
                f"{folder}/{stem}.jpg", utc + ahead, ahead if offsets else None,
                math.floor(fixed) if has else None, name, fix if has else None,
                float(error) if has and folder == "a" else None,
            ),
            truth,
        )  # fmt: skip


def camera(way: Way, chance: random.Random) -> Iterator[Shot]:
    """Without GPS; its clock stays at home, or shows the country's time, at times an hour off."""
    habit = chance.choice(("home", "hour", "right", "right"))
    drift = chance.uniform(-90, 90)
    for number, utc in enumerate(moments(way, chance, 30 * MINUTE)):
        zone = HOME[1] if habit == "home" else way.zone(utc)
        ahead = ahead_in(zone, utc) + drift + (HOUR if habit == "hour" else 0)
        truth = way.at(utc)
        name = f"c/DSC_{number:04}.jpg"
        yield Shot(Capture(name, float(round(utc + ahead)), camera=CAMERA), truth)


def bare(shots: Sequence[Shot]) -> list[Shot]:
    """Those whose cameras noted no position."""
    return [shot for shot in shots if shot.shown.position is None]


def half_hidden(shots: Sequence[Shot], chance: random.Random) -> tuple[list[Shot], list[Shot]]:
    """The library with half of its positions taken away, and the photos that had them.

    An edited copy loses its position with its original, or that would tell it.
    """
    gone = {
        shot.shown.key.replace("-edited", "")
        for shot in shots
        if shot.shown.position is not None and chance.random() < 0.5
    }
    asked, left = [], []
    for shot in shots:
        if shot.shown.position is not None and shot.shown.key.replace("-edited", "") in gone:
            shot = Shot(replace(shot.shown, position=None, gps_time=None, error_m=None), shot.truth)
            asked.append(shot)
        left.append(shot)
    return left, asked
