"""The report: written, read back after a review, and applied."""
