"""The clocks of a library's cameras: what one may have shown when a photo was taken."""

from tagger.evidence.captures import By, Captures
from tagger.evidence.clocks import (
    AGREE,
    DAYLIGHT,
    QUARTER,
    VIEWS_AGREE,
    Clock,
    measured,
    readings,
    stated,
)
from tagger.evidence.estimate import Estimate
from tagger.evidence.limits import Limits
from tagger.evidence.zones import ahead_at, aheads_at, aheads_in
from tagger.metadata.capture import Capture


class CameraClocks:
    """Readings of clocks, by what the user says, photos state, and other cameras saw."""

    def __init__(self, captures: Captures, limits: Limits) -> None:
        self._captures, self._limits = captures, limits
        self._zones: list[float] | None = None  # of the library, once it is all there

    def of(self, photo: Capture) -> list[Clock]:
        """The possible readings of the clock of the photo's camera.

        Several if it was set or crossed time zones around then; none if nothing is known.
        """
        limits, local = self._limits, photo.local or 0.0
        fast = self.fast(photo) or 0.0
        set_to = limits.ahead.get(photo.camera, limits.ahead.get(""))
        if set_to is not None:
            return [Clock(set_to + fast)]
        if limits.zone and photo.offset is None:
            return [Clock(ahead + fast) for ahead in aheads_in(limits.zone, local)]
        # GPS time already shows how fast a clock is; a stated offset is of the zone alone.
        if (ahead := stated(photo)) is not None:
            return [Clock(ahead + fast)]
        if not photo.camera:
            return []
        possible = readings(self._captures.runs(photo.camera, local), local)
        if not possible and self.fast(photo) is None:
            by_views = self._captures.ahead_by_views(photo.camera, local)
            # Views tell it to a minute: the positions a minute earlier and later must agree.
            offs = (0.0, -VIEWS_AGREE / 2, VIEWS_AGREE / 2)
            return [] if by_views is None else [Clock(by_views + off) for off in offs]
        others = self._captures.clock(photo.camera, local)
        finer = measured(local, others)
        if finer is not None:  # clocks drift: photos close in time tell it better
            possible = [finer if abs(finer - ahead) <= AGREE else ahead for ahead in possible]
        return [Clock(ahead + fast, bool(others)) for ahead in possible]

    def by_place(self, photo: Capture, clock: Clock, at: Estimate) -> Clock | None:
        """The clock on the wall where the photo was taken, if the camera states another zone.

        Its clock may be that of home, as it states; or a person set it by hand to the time there
        and left the zone. Nothing in the photo tells. None where the zone is the same, the user
        says that the clock is right, or the camera noted positions of its own about then.

        Of a clock that states nothing, the other reading in the hour that comes twice in autumn.
        """
        limits, local = self._limits, photo.local or 0.0
        here = aheads_at((at.latitude, at.longitude), local)
        if not clock.stated:
            fast = self.fast(photo) or 0.0
            others = set(here) - {clock.ahead - fast}
            return Clock(others.pop() + fast, False) if len(others) < len(here) > 1 else None
        by_user = self.fast(photo) is not None or {photo.camera, ""} & limits.ahead.keys()
        if by_user or clock.ahead % QUARTER:  # it was measured by GPS time
            return None
        if any(self._captures.around(By.CAMERA, local, limits.max_gap, photo.camera, 1)):
            return None
        return Clock(here[0]) if here and clock.ahead not in here else None

    def fast(self, photo: Capture) -> float | None:
        """How many seconds the user says that the clock is fast."""
        fast = self._limits.fast
        return fast.get(photo.camera, fast.get(""))

    def offs(self, first: Estimate, local: float) -> list[float]:
        """What a clock of which nothing is known may be slow by: an hour, or it shows another zone
        of the library, such as that of home.
        """
        here = ahead_at((first.latitude, first.longitude), local) or 0.0
        if self._zones is None:
            self._zones = self._captures.zones()
        return sorted({*DAYLIGHT, *(here - zone for zone in self._zones)} - {0.0})
