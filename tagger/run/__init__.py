"""A run: the order of the stages, its limits, its log, its engines."""
