"""The records that stages pass on: plain data, no torch, no I/O."""

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

EVIDENCE_LENGTH = 200  # characters of evidence that are written into a photo


class Status(StrEnum):
    """The result for one photo; the ``status`` column of the report."""

    TAGGED = "tagged"
    WOULD_TAG = "would_tag"
    HAS_GPS = "has_gps"
    UNSURE = "unsure"
    NO_LANDMARK = "no_landmark"
    UNREADABLE = "unreadable"
    UNSUPPORTED = "unsupported"
    CHANGED = "changed"
    FAILED = "failed"


class GpsState(StrEnum):
    """The four states of a photo's GPS metadata; only ``EMPTY`` is ever tagged."""

    VALID = "valid"
    EMPTY = "empty"
    VOID = "void"
    MALFORMED = "malformed"


class Coords(StrEnum):
    """Which position to write: the camera's (GPSLatitude), the subject's (GPSDestLatitude)."""

    BOTH = "both"
    CAMERA = "camera"
    SUBJECT = "subject"


class Source(StrEnum):
    """Where a position comes from; the ``source`` column of the report."""

    LANDMARK = "landmark"
    LIBRARY = "library"
    TIME = "time"
    TRACK = "track"
    TAKEOUT = "takeout"
    PAIR = "pair"


class Position(NamedTuple):
    """A position in degrees, WGS-84."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Landmark:
    """One row of landmarks.csv; degrees WGS-84, ``radius_m`` in metres around the point."""

    slug: str
    name: str
    local_name: str
    latitude: float
    longitude: float
    radius_m: int
    city: str
    region: str
    country: str
    country_code: str
    wikidata: str
    extent: str
    source: str


class Candidate(NamedTuple):
    """A landmark (its slug) and the calibrated probability, 0..1, that the photo shows it."""

    slug: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Guess:
    """The classifier's answer: candidates, best first, and the probability of no landmark.

    All candidates of the model and ``none`` together sum to 1; only the best few are kept. Where
    the photo's thumbnail alone showed that there is nothing known, there are no candidates, and
    ``thumbnail`` names the network that looked at it (SHA-256 in hex).
    """

    candidates: tuple[Candidate, ...]
    none: float
    thumbnail: str = ""

    @property
    def best(self) -> Candidate:
        return self.candidates[0] if self.candidates else Candidate("", 0.0)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The acceptance rule's answer: a status, and the rule in words."""

    accepted: bool
    status: Status
    reason: str


class SidecarMode(StrEnum):
    """When to write an XMP sidecar instead of the photo."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class SidecarName(StrEnum):
    """photo.jpg.xmp (digiKam, darktable, Immich) or photo.xmp (Lightroom, Bridge)."""

    FULL = "full"
    STEM = "stem"


class HardLinks(StrEnum):
    """What to do with a photo that has several names: leave it alone, or make it a file of its own.

    A write gives one name a new file, and the others keep the old one.
    """

    SKIP = "skip"
    SPLIT = "split"


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


# The file behind a path at one moment: device, inode, and ctime in ns (0: not known). A plain tuple
# is made in a tenth of the time of a named one, and each listed photo has one.
Node = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Version:
    """Identity of a photo's content: changes with every write.

    Size, time and a store's ETag are the identity, also from run to run: versions that agree in
    them are equal. Inodes are no part of it. FUSE and exFAT number files afresh at each mount or
    even each look, and so does a restore.

    ``node`` and ``data`` serve the guard of one run, and are neither compared nor stored: another
    node makes the guard compare the content, which ``data`` is where all of it was read.
    """

    size: int
    mtime_ns: int
    etag: str = ""
    node: Node | None = field(default=None, compare=False, repr=False)
    data: bytes | None = field(default=None, compare=False, repr=False)

    def same_node(self, other: "Version") -> bool:
        """Whether the file is the same one and, as far as known, was not touched."""
        if self.node is None or other.node is None:
            return True
        times = self.node[2], other.node[2]
        return self.node[:2] == other.node[:2] and (0 in times or times[0] == times[1])


@dataclass(frozen=True, slots=True)
class Entry:
    """One listed photo: its key (a path as text), its version, or why it cannot be processed.

    ``sidecars`` are the keys of the XMP sidecars that lie beside it, ``takeout`` is that of its
    Google Takeout file, ``movie`` that of a movie of its name; ``fault`` is False where the problem
    is a limit of the tool, which is permanent and needs no attention. ``links``
    counts the file's names; ``shares_stem``: photo.xmp may belong to another photo.
    ``fingerprint`` is of the bytes that were decoded, empty where none were or an ETag says more.
    """

    key: str
    version: Version
    problem: str = ""
    sidecars: tuple[str, ...] = ()
    fault: bool = True
    links: int = 1
    shares_stem: bool = False
    takeout: str = ""
    movie: str = ""
    fingerprint: bytes = b""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one photo: one row of the report.

    ``fresh`` is False where it only repeats what an earlier run found. ``camera`` is where the
    camera was, where another source than the landmark knows; ``placeable`` tells that one does,
    but was not asked to write. ``subject_only`` tells that the camera was too far from the landmark
    to be placed at it. ``answers`` are those of the sources, each in words.
    """

    entry: Entry
    status: Status
    reason: str = ""
    guess: Guess | None = None
    landmark: Landmark | None = None
    fresh: bool = True
    camera: CameraPosition | None = None
    placeable: bool = False
    subject_only: bool = False
    answers: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Where the photo is: an absolute path, or a URL."""
        return self.entry.key

    @property
    def place(self) -> Landmark | None:
        """The landmark that was written or would be; None where there is none."""
        return self.landmark

    @property
    def position(self) -> Position | None:
        """The position that was written or would be: the camera's, or else the landmark's."""
        at = self.camera or self.landmark
        return Position(at.latitude, at.longitude) if at else None


@dataclass(frozen=True, slots=True)
class Seen:
    """What an earlier run found for a photo that has not changed since; ``output`` is the run's.

    ``elsewhere``: the photo is known by its content only, from another place.
    """

    status: Status
    guess: Guess | None
    model_sha256: str
    output: str = ""
    fingerprint: bytes = b""
    elsewhere: bool = False
