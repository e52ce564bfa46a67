"""Photos as the ledger's rows hold them: what identifies one, and its guess as text."""

import json
from typing import Any

from tagger.records import Candidate, Guess, Version

# The photo at a key is now this one, whatever was known of that key.
REMEMBER = (
    "INSERT INTO photos (key, size, mtime_ns, etag, status, guess, run, fingerprint)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
    " size = excluded.size, mtime_ns = excluded.mtime_ns, etag = excluded.etag,"
    " status = excluded.status, guess = excluded.guess, run = excluded.run,"
    " fingerprint = excluded.fingerprint"
)


def guess_of(text: str | None) -> Guess | None:
    """The guess of a row; None where it has none."""
    if not text:
        return None
    fields = json.loads(text)
    candidates = tuple(Candidate(*candidate) for candidate in fields["candidates"])
    return Guess(candidates, fields["none"], fields.get("thumbnail", ""))


def guess_as_json(guess: Guess | None) -> str | None:
    """A guess as :func:`guess_of` takes it."""
    if guess is None:
        return None
    fields: dict[str, Any] = {"candidates": guess.candidates, "none": guess.none}
    return json.dumps(fields | ({"thumbnail": guess.thumbnail} if guess.thumbnail else {}))


def identity_of(version: Version, sidecar: bool) -> tuple[int, int, str]:
    """What must be the same for a photo to count as unchanged; a sidecar may hold its position."""
    return version.size, version.mtime_ns, version.etag + "+xmp" * sidecar


def version_columns(version: Version | None) -> tuple[int | None, int | None, str | None]:
    """Size, time and ETag; of a file that is not there, nothing."""
    return (version.size, version.mtime_ns, version.etag) if version else (None, None, None)
