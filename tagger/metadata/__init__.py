"""Questions and answers about a photo's location metadata: pure functions, bytes in, bytes out."""

from tagger.metadata.embed import tagged
from tagger.metadata.gps import GpsReading
from tagger.metadata.look import HEAD_BYTES, gps_state, position

__all__ = ["HEAD_BYTES", "GpsReading", "gps_state", "position", "tagged"]
