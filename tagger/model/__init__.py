"""The classifier: its file format, the landmarks it knows, and how it is run."""

from pathlib import Path

DEFAULT_MODEL = Path(__file__).with_name("default.pt")
