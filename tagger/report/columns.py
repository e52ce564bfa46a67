"""The columns of the report, and how an outcome fills them."""

from collections.abc import Mapping

from tagger.evidence.decide import DECIMALS
from tagger.evidence.estimate import DEGREE_DECIMALS
from tagger.records import Candidate, Outcome, Source
from tagger.report.cells import portable, safe
from tagger.storage.urls import is_url

COLUMNS = (
    "path", "status", "landmark", "latitude", "longitude", "radius_m", "confidence",
    "second", "second_confidence", "third", "third_confidence", "city", "country", "wikidata",
    "reason", "source", "evidence", "answers", "model", "run_id", "size", "mtime_ns", "etag",
    "accept",
)  # fmt: skip
# In the column source: the subject is written, and no position of the camera.
SUBJECT_ONLY = "subject"
# Between the answers of the sources, kept where there are others than the landmark's.
BETWEEN = " | "
FIRST_COLUMNS = "path,status,"  # what distinguishes a report from other files


def row(outcome: Outcome, names: Mapping[str, str], model: str, run_id: str) -> list[str]:
    """One row, in the order of :data:`COLUMNS`; ``names`` gives the name of a slug."""
    empty = Candidate("", 0.0)
    best, second, third = (*(outcome.guess.candidates if outcome.guess else ()), *[empty] * 3)[:3]
    place, camera = outcome.landmark, outcome.camera
    at = camera or place
    if camera and not place:  # the landmark that it looks like was not accepted
        best, second, third = empty, best, second
    sure = best.confidence if best.slug else camera.probability if camera and not place else None
    version = outcome.entry.version
    return [
        safe(portable(outcome.entry.key)),
        outcome.status.value,
        safe(names.get(best.slug, "") or (place.name if place else "")),
        f"{at.latitude:.{DEGREE_DECIMALS}f}" if at else "",
        f"{at.longitude:.{DEGREE_DECIMALS}f}" if at else "",
        str(at.radius_m) if at else "",
        f"{sure:.{DECIMALS}f}" if sure is not None else "",
        *(_confidence(second, names)),
        *(_confidence(third, names)),
        safe(place.city) if place else "",
        safe(place.country) if place else "",
        place.wikidata if place else "",
        safe(portable(outcome.reason)),
        _source(outcome),
        safe(portable(camera.evidence)) if camera else "",
        safe(portable(BETWEEN.join(outcome.answers))) if len(outcome.answers) > 1 else "",
        model,
        run_id,
        str(version.size),
        # Spreadsheets keep 15 digits of a number, but every one of a text.
        f"{version.mtime_ns}ns",
        # On a disk it is a file's number there, which restoring a backup changes.
        safe(version.etag) if is_url(outcome.entry.key) else "",
        "",
    ]


def _source(outcome: Outcome) -> str:
    """What the camera's position comes from."""
    if outcome.camera:
        return outcome.camera.source.value
    if outcome.landmark:
        return SUBJECT_ONLY if outcome.subject_only else Source.LANDMARK.value
    return ""


def _confidence(candidate: Candidate, names: Mapping[str, str]) -> tuple[str, str]:
    if not candidate.slug:
        return "", ""
    name = names.get(candidate.slug, candidate.slug)
    return safe(name), f"{candidate.confidence:.{DECIMALS}f}"
