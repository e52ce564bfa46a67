"""Tags to write in tests."""

from tagger.places.landmarks import load_landmarks
from tagger.records import Coords, Provenance, Tag


def tag(slug: str = "Taj_Mahal", run_id: str = "run-1", coords: Coords = Coords.BOTH) -> Tag:
    provenance = Provenance("landmark-tag", "0.1.0", "ab" * 32, 0.9, run_id)
    return Tag(load_landmarks()[slug], coords, provenance)
