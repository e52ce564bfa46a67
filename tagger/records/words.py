"""The words of a run that stand in options, reports and code alike."""

from enum import StrEnum


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
