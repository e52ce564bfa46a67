"""The source ``time``: where the photos taken shortly before and after were taken."""

import math
from collections.abc import Sequence
from dataclasses import replace

from tagger.evidence.camera_clocks import CameraClocks
from tagger.evidence.captures import BY_UTC, By, Captures
from tagger.evidence.clocks import BEGUN, Clock, since_new_year, unset
from tagger.evidence.estimate import Estimate, Neighbour
from tagger.evidence.in_words import far, in_words
from tagger.evidence.limits import Limits
from tagger.evidence.motion import (
    FASTEST_WALK,
    UNSURE,
    Fix,
    Located,
    company,
    leaps,
    locate,
    motion_of,
    pace_of,
)
from tagger.evidence.one_name import Placed, one_counter
from tagger.metadata.capture import Capture
from tagger.places.distance import distance_m
from tagger.records import Source

# A journey is recognised by a position at its other end, which may be further off than --max-gap.
JOURNEY_SECONDS = 48 * 3600.0
MOST = 24  # other cameras' photos that are looked at before, and after
# Other cameras are believed if none of these was elsewhere so long before or after the photo; two
# photos of two cameras are compared if they were taken within so many seconds.
TOGETHER_S, COMPARED_S = 6 * 3600.0, 3600.0
APART = "the cameras were at different places at that time"
TWO = "two cameras of one name were at two places"
RESET = (
    "the clock may never have been set: 1 January or days that follow it, or midnight to the "
    "second; if it was, add --clock-offset '{}=0'"
)
NOT_KNOWN, ANOTHER_ZONE = "is not known", "states another time zone than that of the place"
TWICE = "shows an hour that comes twice as summer time ends"
UNKNOWN = "nothing shows that this camera was where the other one was"
# How people moved at that time: from at most this many positions within so many seconds.
PAIRS, SPEED_S = 24, 6 * 3600.0
# Two phones of one model share a name; a single one never moves this fast for this long.
SAME_NAME_M_S, SAME_NAME_S = 60.0, 1800.0
# Probability that neighbours in time were where the photo was taken, if nothing contradicts it.
PROBABLE = 0.98


class TimeSource:
    """Positions by neighbours in time, of the same camera and of others."""

    source = Source.TIME

    def __init__(self, captures: Captures, limits: Limits) -> None:
        self._captures, self._limits = captures, limits
        self._clocks = CameraClocks(captures, limits)

    def estimate(self, photo: Capture) -> Estimate | None:
        """See :class:`tagger.evidence.estimate.PositionSource`."""
        if photo.local is None or not photo.taken:
            return None
        answer = self._by_clock(photo, photo.local)
        if answer and not answer.refused and self._may_be_reset(photo, answer):
            return replace(
                answer, radius_68_m=math.inf, radius_95_m=math.inf, neighbours=(),
                refused=RESET.format(photo.camera),
            )  # fmt: skip
        return answer

    def _may_be_reset(self, photo: Capture, answer: Estimate) -> bool:
        """Whether the photo may be of any year, and no camera's own count shows of which."""
        if not (unset(photo) or self._begun(photo)) or self._clocks.fast(photo) is not None:
            return False
        near = answer.neighbours
        return not all(one_counter(photo.key, one.key, one.seconds) for one in near)

    def _begun(self, photo: Capture) -> bool:
        """Whether the camera's photos of that January begin on the first, as after a reset."""
        since = since_new_year(photo)
        if since is None or since >= BEGUN or photo.local is None or not photo.camera:
            return False
        return self._captures.began_at(photo.camera, photo.local - since)

    def _by_clock(self, photo: Capture, local: float) -> Estimate | None:
        clocks = self._clocks.of(photo)
        if not clocks:
            return self._by_wall(photo, local)
        answers = [self._by_utc(photo, local, clock) for clock in clocks]
        first = answers[0]
        if len(answers) > 1 or first is None or first.refused:
            by_zone = self._limits.zone and photo.offset is None
            return self._agreed(answers, photo, TWICE if by_zone else NOT_KNOWN)
        other = self._clocks.by_place(photo, clocks[0], first)
        if other is None:
            return first
        why = ANOTHER_ZONE if clocks[0].stated else TWICE
        return self._agreed([first, self._by_utc(photo, local, other)], photo, why)

    def _by_utc(self, photo: Capture, local: float, clock: Clock) -> Estimate | None:
        utc = local - clock.ahead
        own = []
        if photo.camera and clock.stated:
            own = self._fixes(By.STATED, utc, photo) + self._fixes(By.UNSTATED, local, photo)
        elif photo.camera:
            own = self._fixes(By.OWN, utc, photo)
        return self._answer(photo, utc, own, self._fixes(By.UTC, utc, photo))

    def _by_wall(self, photo: Capture, local: float) -> Estimate | None:
        """Other cameras by the clock on the wall; this camera's may be an hour off it."""
        fast = self._clocks.fast(photo)

        def read(off: float) -> Estimate | None:
            others = self._fixes(By.WALL, local + off, photo)
            return self._answer(photo, local + off, [], others)

        if fast is not None:
            return read(-fast)
        first = read(0.0)
        if first is None or first.refused:
            return first
        return self._agreed([first, *(read(off) for off in self._clocks.offs(first, local))], photo)

    def _agreed(
        self, answers: Sequence[Estimate | None], photo: Capture, why: str = NOT_KNOWN
    ) -> Estimate | None:
        """The first answer, if all readings of a clock lead to about the same place."""
        first = answers[0]
        if first is None or len(answers) == 1:
            return first
        apart_m = max(
            math.inf
            if first.refused or other is None or other.refused
            else distance_m((first.latitude, first.longitude), (other.latitude, other.longitude))
            for other in answers[1:]
        )
        if apart_m + first.radius_95_m <= self._limits.max_radius_m:
            return replace(first, radius_95_m=first.radius_95_m + apart_m)
        name = photo.camera or "this camera"
        remedy = f"set --clock-offset '{photo.camera}=0' if it is right"
        if why is TWICE:
            remedy = "set --utc-offset"
        return replace(
            first,
            refused=f"the clock of {name} {why}: if it is off by hours, the photo was taken "
            f"{far(apart_m) if apart_m < math.inf else 'who knows where'}; {remedy}",
        )

    def _fixes(self, by: By, moment: float, photo: Capture) -> list[Fix]:
        """Known positions around the photo in order of time, its own left out."""
        most = MOST if by in (By.UTC, By.WALL) else 12
        before, after = self._captures.around(by, moment, JOURNEY_SECONDS, photo.camera, most)

        def fix(row: Placed) -> Fix:
            at = row.utc if by in BY_UTC else row.local
            assert at is not None
            key = row.key.decode("utf-8", "surrogateescape")
            return Fix(at - moment, (row.latitude, row.longitude), row.error_m, key, row.camera)

        return [made for row in [*before[::-1], *after] if (made := fix(row)).key != photo.key]

    def _answer(
        self, photo: Capture, utc: float, fixes: list[Fix], others: list[Fix]
    ) -> Estimate | None:
        """From this camera's photos; from other cameras' photos if they were demonstrably together.

        Args:
            fixes: of cameras of this name.
            others: of cameras of other names.
        """
        shared = bool(fixes) and self._captures.shared(photo.camera, utc)
        own = []
        for fix in sorted(fixes, key=lambda fix: fix.seconds):
            same = one_counter(photo.key, fix.key, fix.seconds)
            if same or (same is None and not shared):
                own.append(fix)
            else:
                others = [*others, replace(fix, camera=f"another {fix.camera}")]
        by_own, by_others = self._located(own), self._located(others)
        near = [fix for fix in own if abs(fix.seconds) <= TOGETHER_S]
        if leaps(near, SAME_NAME_M_S, SAME_NAME_S):
            return self._estimate(own, by_own, TWO)
        if by_others is None:
            return self._estimate(own, by_own)
        both = sorted(own + others, key=lambda fix: fix.seconds)
        close = [fix for fix in both if abs(fix.seconds) <= TOGETHER_S]
        together = company(close, FASTEST_WALK, COMPARED_S, own[0].camera if own else "")
        if together is None and not own:
            together = (not fixes and self._captures.positioned(utc) == 1) or None
        if together:
            return self._estimate(both, self._located(both))
        if by_own is not None:
            return self._estimate(own, by_own)
        if shared:
            return self._estimate(both, by_others, TWO)
        if not fixes and (somewhere := self._with_any(others, utc)):
            return self._estimate(both, somewhere)
        return self._estimate(both, by_others, APART if together is False else UNKNOWN)

    def _with_any(self, others: Sequence[Fix], utc: float) -> Located | None:
        """Where a camera without positions was, if all others were at about one place."""
        places = []
        for camera in {fix.camera for fix in others}:
            at = self._located([fix for fix in others if fix.camera == camera])
            if at is None:
                return None
            places.append(at)
        if len(places) < max(2, self._captures.positioned(utc)):
            return None
        best = min(places, key=lambda at: at.radius_95_m)
        return replace(
            best,
            radius_95_m=max(
                distance_m(best.position, at.position) + at.radius_95_m for at in places
            ),
            journey=max(at.journey for at in places),
        )

    def _located(self, fixes: Sequence[Fix]) -> Located | None:
        before = [fix for fix in fixes if fix.seconds < 0][-2:]
        after = [fix for fix in fixes if fix.seconds >= 0][:2]
        if not any(abs(fix.seconds) <= self._limits.max_gap for fix in before[-1:] + after[:1]):
            return None
        return locate(
            before[-1] if before else None,
            after[0] if after else None,
            motion_of([fix for fix in fixes if abs(fix.seconds) <= SPEED_S][:PAIRS]),
            pace_of(before + after),
        )

    def _estimate(
        self, fixes: Sequence[Fix], place: Located | None, refused: str = ""
    ) -> Estimate | None:
        """The estimate in words, and refused where it is too wide."""
        if place is None:
            return None
        nearest = sorted(fixes, key=lambda fix: abs(fix.seconds))
        used = [
            *[fix for fix in nearest if fix.seconds < 0][:1],
            *[fix for fix in nearest if fix.seconds >= 0][:1],
        ]
        used.sort(key=lambda fix: abs(fix.seconds))
        words = " and ".join(in_words(fix) for fix in used if abs(fix.seconds) <= JOURNEY_SECONDS)
        if refused:
            pass
        elif place.journey >= UNSURE:
            refused = "taken during a journey, or shortly before or after one"
        elif place.radius_95_m > self._limits.max_radius_m:
            refused = (
                f"known to {far(place.radius_95_m)} only; --max-radius allows "
                f"{far(self._limits.max_radius_m)}"
            )
        return Estimate(
            Source.TIME,
            *place.position,
            place.radius_68_m,
            place.radius_95_m,
            PROBABLE * (1 - place.journey),
            words,
            refused,
            tuple(Neighbour(fix.key, fix.seconds, *fix.position) for fix in nearest[:6]),
        )
