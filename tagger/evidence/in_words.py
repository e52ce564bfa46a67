"""Times, distances and neighbours in words for people."""

import os

from tagger.evidence.motion import Fix


def in_words(fix: Fix) -> str:
    """For example ``3 min after IMG_1.jpg``."""
    return f"{lasting(abs(fix.seconds))} {'after' if fix.seconds < 0 else 'before'} " + (
        os.path.basename(fix.key) or "another photo"
    )


def lasting(seconds: float) -> str:
    """A time for people: 45 s, 3 min, 2.5 h."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def far(metres: float) -> str:
    """A distance for people: 80 m, 1.2 km, 6,000 km."""
    if metres < 1000:
        return f"{metres:.0f} m"
    return f"{metres / 1000:.1f} km" if metres < 20_000 else f"{metres / 1000:,.0f} km"
