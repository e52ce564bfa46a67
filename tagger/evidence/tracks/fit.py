"""FIT activities of sports watches and bicycle computers, through fitdecode (extra ``tracks``)."""

from collections.abc import Iterator
from pathlib import Path

from tagger.evidence.tracks.point import Point, TrackError

SEMICIRCLE = 180 / 2**31  # degrees


def read(path: Path) -> Iterator[Point]:
    """The points of a file.

    Raises:
        TrackError: it is damaged, or the extra is not installed.
    """
    try:
        import fitdecode
    except ModuleNotFoundError as error:
        raise TrackError("FIT files need the extra: pip install 'landmark-tag[tracks]'") from error
    try:
        with fitdecode.FitReader(path) as frames:
            for frame in frames:
                if frame.frame_type != fitdecode.FIT_FRAME_DATA or frame.name != "record":
                    continue
                values = {name: frame.get_value(name, fallback=None) for name in _NAMES}
                if all(values[name] is not None for name in _NAMES):
                    yield Point(
                        values["timestamp"].timestamp(),
                        values["position_lat"] * SEMICIRCLE,
                        values["position_long"] * SEMICIRCLE,
                    )
    except (fitdecode.FitError, AttributeError, TypeError, ValueError) as error:
        raise TrackError(f"is damaged ({error}); export it again") from error
    except OSError as error:
        raise TrackError(f"cannot be read ({error.strerror}); check the disk") from error


_NAMES = ("timestamp", "position_lat", "position_long")
