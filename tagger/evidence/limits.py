"""What an estimate may rest on, and what the user says of clocks."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """What an estimate may rest on.

    Attributes:
        max_radius_m: the largest radius (95 %) that is written, and how far apart two readings
            of the same facts may lie.
        max_gap: seconds to the nearest neighbour.
        ahead: seconds that clocks are ahead of UTC by camera, as --utc-offset says; the key ""
            stands for all that are not named.
        fast: seconds that clocks are fast, as --clock-offset says, likewise.
        zone: the name of the zone that clocks were set to, as --time-zone says.
    """

    max_radius_m: float = 1000.0
    max_gap: float = 3 * 3600.0
    ahead: Mapping[str, float] = field(default_factory=dict)
    fast: Mapping[str, float] = field(default_factory=dict)
    zone: str = ""
