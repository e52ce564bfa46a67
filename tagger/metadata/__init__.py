"""Questions and answers about a photo's location metadata: pure functions, bytes in, bytes out."""

from tagger.metadata.embedding import spliced, tagged, xmp_note
from tagger.metadata.gps import GpsReading
from tagger.metadata.reading import HEAD_BYTES, camera_position, gps_state, position, provenance
from tagger.metadata.removal import stripped
from tagger.metadata.sidecar import (
    has_sidecar_gps,
    sidecar,
    sidecar_extension,
    stripped_sidecar,
)

__all__ = [
    "HEAD_BYTES",
    "GpsReading",
    "camera_position",
    "gps_state",
    "has_sidecar_gps",
    "position",
    "provenance",
    "sidecar",
    "sidecar_extension",
    "spliced",
    "stripped",
    "stripped_sidecar",
    "tagged",
    "xmp_note",
]
