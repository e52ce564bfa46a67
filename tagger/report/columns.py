"""The columns of the report, and how an outcome fills them."""

from tagger.evidence.decide import DECIMALS
from tagger.records import Candidate, Outcome
from tagger.report.cells import portable, safe

COLUMNS = (
    "path", "status", "landmark", "latitude", "longitude", "radius_m", "confidence",
    "second", "second_confidence", "third", "third_confidence", "city", "country", "wikidata",
    "reason", "model", "run_id", "size", "mtime_ns", "etag", "accept",
)  # fmt: skip
FIRST_COLUMNS = "path,status,"  # what tells a report from any other file


def row(outcome: Outcome, names: dict[str, str], model: str, run_id: str) -> list[str]:
    """One row, in the order of :data:`COLUMNS`; ``names`` gives the name of a slug."""
    empty = Candidate("", 0.0)
    best, second, third = (*(outcome.guess.candidates if outcome.guess else ()), *[empty] * 3)[:3]
    place = outcome.landmark
    version = outcome.entry.version
    return [
        safe(portable(outcome.entry.key)),
        outcome.status.value,
        safe(names.get(best.slug, "") or (place.name if place else "")),
        f"{place.latitude:.5f}" if place else "",
        f"{place.longitude:.5f}" if place else "",
        str(place.radius_m) if place else "",
        *(_confidence(best)[1:]),
        *(_confidence(second, names)),
        *(_confidence(third, names)),
        safe(place.city) if place else "",
        safe(place.country) if place else "",
        place.wikidata if place else "",
        safe(portable(outcome.reason)),
        model,
        run_id,
        str(version.size),
        # Spreadsheets keep 15 digits of a number, but every one of a text.
        f"{version.mtime_ns}ns",
        # On a disk it is a file's number there, which restoring a backup changes.
        safe(version.etag) if "://" in outcome.entry.key else "",
        "",
    ]


def _confidence(candidate: Candidate, names: dict[str, str] | None = None) -> tuple[str, str]:
    if not candidate.slug:
        return "", ""
    name = (names or {}).get(candidate.slug, candidate.slug)
    return safe(name), f"{candidate.confidence:.{DECIMALS}f}"
