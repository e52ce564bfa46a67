"""Google Timeline in all its forms, GeoJSON and OwnTracks, streamed through ijson."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tagger.evidence.tracks.point import Point, TrackError, moment

# Forms: Records.json (``locations`` with latitudeE7), Semantic Location History
# (``timelineObjects`` with waypoints and simplified paths), the exports of Android
# (``semanticSegments`` with ``timelinePath`` and ``rawSignals``) and iOS (a list with
# ``timelinePath`` and ``durationMinutesOffsetFromStartTime``), GeoJSON points with a time,
# OwnTracks' lines (``.rec``).
DEEPEST = 1000  # letters of the names that lead to a value
STEP = 4096  # bytes: ijson names each value of a step before the first can be judged too deep
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_LISTS = (
    "locations.item", "timelineObjects.item", "semanticSegments.item", "rawSignals.item",
    "features.item", "item",
)  # fmt: skip


def read(path: Path) -> Iterator[Point]:
    """The points of a file; memory does not grow with it.

    Raises:
        TrackError: it is no JSON, or the extra is not installed.
    """
    try:
        if path.suffix.lower() == ".rec":
            yield from _own_tracks(path)
            return
        for item in _items(path):
            yield from _points(item)
    except OSError as error:
        raise TrackError(f"cannot be read ({error.strerror}); check the disk") from error


def _items(path: Path) -> Iterator[Any]:
    """The elements of the file's long lists, one at a time."""
    try:
        import ijson
    except ModuleNotFoundError as error:
        raise TrackError(
            "Timeline and GeoJSON files need the extra: pip install 'landmark-tag[tracks]'"
        ) from error
    try:
        with path.open("rb") as file:
            builder = depth = prefix_open = None
            for prefix, event, value in ijson.parse(file, use_float=True, buf_size=STEP):
                if len(prefix) > DEEPEST:
                    raise TrackError("is nested deeper than any track; give another file")
                if builder is None:
                    if prefix in _LISTS and event in ("start_map",):
                        builder, depth, prefix_open = ijson.ObjectBuilder(), 0, prefix
                    else:
                        continue
                builder.event(event, value)
                assert depth is not None
                depth += event.startswith("start_") - event.startswith("end_")
                if depth == 0 and prefix == prefix_open:
                    yield builder.value
                    builder = None
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise TrackError(f"is damaged ({error}); export it again") from error


def _points(item: Any) -> Iterator[Point]:
    """The points of one element, whatever form it has; odd ones are left out."""
    if not isinstance(item, dict):
        return
    for make in (_record, _path, _semantic, _signal, _feature):
        try:
            yield from make(item)
        except (TypeError, ValueError, KeyError, AttributeError):
            continue


def _record(item: dict[str, Any]) -> Iterator[Point]:
    """Records.json: one fix."""
    if "latitudeE7" not in item:
        return
    when = _when(item.get("timestamp")) or float(item["timestampMs"]) / 1000
    yield Point(
        when, _e7(item["latitudeE7"]), _e7(item["longitudeE7"]), _metres(item.get("accuracy"))
    )


def _path(item: dict[str, Any]) -> Iterator[Point]:
    """The exports of Android and iOS: a segment with a path."""
    start = _when(item.get("startTime"))
    for step in item.get("timelinePath", ()):
        when = _when(step.get("time"))
        if when is None and start is not None:
            when = start + 60 * float(step["durationMinutesOffsetFromStartTime"])
        if when is not None:
            yield Point(when, *_degrees(step["point"]))


def _semantic(item: dict[str, Any]) -> Iterator[Point]:
    """Semantic Location History: the points of a way that carry a time of their own."""
    segment = item.get("activitySegment") or {}
    for step in segment.get("simplifiedRawPath", {}).get("points", ()):
        when = _when(step.get("timestamp")) or float(step["timestampMs"]) / 1000
        yield Point(
            when, _e7(step["latE7"]), _e7(step["lngE7"]), _metres(step.get("accuracyMeters"))
        )


def _signal(item: dict[str, Any]) -> Iterator[Point]:
    """Android's raw signals: one fix."""
    fix = item.get("position")
    if not isinstance(fix, dict):
        return
    when = _when(fix.get("timestamp"))
    place = fix.get("LatLng") or fix.get("latLng")
    if when is not None and place:
        yield Point(when, *_degrees(place), _metres(fix.get("accuracyMeters")))


def _feature(item: dict[str, Any]) -> Iterator[Point]:
    """GeoJSON: a point with a time, or a line with one time for each of its points."""
    shape, facts = item.get("geometry") or {}, item.get("properties") or {}
    if shape.get("type") == "Point":
        when = next((w for name in _TIMES if (w := _when(facts.get(name))) is not None), None)
        if when is not None:
            longitude, latitude = shape["coordinates"][:2]
            yield Point(when, float(latitude), float(longitude), _metres(facts.get("acc")))
    elif shape.get("type") == "LineString":
        times = facts.get("coordTimes") or facts.get("times") or []
        for when, place in zip(map(_when, times), shape["coordinates"], strict=False):
            if when is not None:
                yield Point(when, float(place[1]), float(place[0]))


_TIMES = ("tst", "time", "timestamp", "date", "datetime", "isotst")


def _own_tracks(path: Path) -> Iterator[Point]:
    """OwnTracks' recorder: a time, an asterisk and JSON on each line."""
    with path.open("rb") as file:
        lines: Iterable[bytes] = iter(lambda: file.readline(1 << 16), b"")
        for line in lines:
            try:
                fix = json.loads(line[line.index(b"{") :])
                yield Point(
                    float(fix["tst"]), float(fix["lat"]), float(fix["lon"]),
                    _metres(fix.get("acc")),
                )  # fmt: skip
            except (ValueError, KeyError, TypeError, RecursionError):
                continue


def _when(time: Any) -> float | None:
    if isinstance(time, str):
        return moment(time)
    if isinstance(time, int | float) and not isinstance(time, bool):
        return time / 1000 if time > 1e11 else float(time)
    return None


def _e7(degrees: Any) -> float:
    """Degrees in ten millionths; some exports wrap at 32 bits."""
    number = int(degrees)
    return (number - 2**32 if number > 2**31 else number) / 1e7


def _degrees(place: Any) -> tuple[float, float]:
    """``48.1°, 11.5°``, ``geo:48.1,11.5`` or a record with both."""
    if isinstance(place, dict):
        return float(place["latitude"]), float(place["longitude"])
    latitude, longitude = _NUMBER.findall(str(place))[:2]
    return float(latitude), float(longitude)


def _metres(accuracy: Any) -> float | None:
    return float(accuracy) if isinstance(accuracy, int | float) and 0 < accuracy < 1e6 else None
