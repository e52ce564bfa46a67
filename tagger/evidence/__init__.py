"""Where a position comes from, and how the sources are weighed together."""
