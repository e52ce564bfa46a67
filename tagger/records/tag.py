"""What is written into a photo: the place, which positions, and where they come from."""

import math
from dataclasses import dataclass, replace

from tagger.records.guess import Landmark, Position
from tagger.records.words import Coords, Source

EVIDENCE_LENGTH = 200  # characters of evidence that are written into a photo


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a tag comes from; written into the photo so that it can be distinguished from a user's.

    ``source`` is what the camera's position comes from and ``evidence`` why, in words; a
    :class:`Tag` sets both.
    """

    tool: str
    version: str
    model_sha256: str
    confidence: float
    run_id: str
    source: Source = Source.LANDMARK
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class CameraPosition:
    """Where the camera was, by a source other than a landmark.

    Attributes:
        latitude, longitude: degrees, WGS-84.
        radius_m: the camera was within with 95 % probability; rounded up to whole metres.
        source: what knows it; never a landmark, which is the subject.
        evidence: why, in words; made printable, and cut to 200 characters.
        probability: 0..1 that the position is right.
    """

    latitude: float
    longitude: float
    radius_m: float
    source: Source
    evidence: str = ""
    probability: float = 1.0

    def __post_init__(self) -> None:
        if math.isfinite(self.radius_m):
            object.__setattr__(self, "radius_m", max(1, math.ceil(self.radius_m)))
        shown = "".join(c if c.isprintable() else " " for c in self.evidence)
        object.__setattr__(self, "evidence", " ".join(shown.split())[:EVIDENCE_LENGTH].rstrip())


@dataclass(frozen=True, slots=True)
class Tag:
    """All that is written into one photo: the place, which positions, and their provenance.

    A landmark is the subject. The camera is at ``camera`` where another source knows that, and
    else within the landmark's radius. At least one of the two is there.
    """

    landmark: Landmark | None
    coords: Coords
    provenance: Provenance
    camera: CameraPosition | None = None

    def __post_init__(self) -> None:
        if self.landmark is None and self.camera is None:
            raise ValueError("a tag needs a landmark or a camera position")
        source, evidence = Source.LANDMARK, ""
        if self.known_camera:
            source, evidence = self.known_camera.source, self.known_camera.evidence
        provenance = replace(self.provenance, source=source, evidence=evidence)
        object.__setattr__(self, "provenance", provenance)

    @property
    def known_camera(self) -> CameraPosition | None:
        """The camera's position by a source other than the landmark, if it is written."""
        return None if self.coords is Coords.SUBJECT else self.camera

    @property
    def camera_point(self) -> Position | None:
        """The camera's position to be written."""
        if self.coords is Coords.SUBJECT:
            return None
        place = self.camera or self.landmark
        return Position(place.latitude, place.longitude) if place else None

    @property
    def subject_point(self) -> Position | None:
        """The subject's position to be written."""
        if self.coords is Coords.CAMERA or self.landmark is None:
            return None
        return Position(self.landmark.latitude, self.landmark.longitude)

    @property
    def radius_m(self) -> int:
        """How far off the position may be, in metres."""
        place = self.known_camera or self.landmark
        return int(place.radius_m) if place else 0
