"""The public Python interface, which ``tagger`` exports: predict, read, tag, learn and undo."""

from tagger.api.lesson import learn
from tagger.api.model import Model, load_model
from tagger.api.photo import Photo, read
from tagger.api.run import Run, tag, undo
from tagger.errors import LockedError, PhotoError, RunError, TaggerError
from tagger.ledger.undo import Undone
from tagger.records import (
    Candidate,
    Coords,
    GpsState,
    Guess,
    Landmark,
    Outcome,
    SidecarMode,
    SidecarName,
    Source,
    Status,
)
from tagger.run.learn import LessonResult

__all__ = [
    "Candidate", "Coords", "GpsState", "Guess", "Landmark", "LessonResult", "LockedError", "Model",
    "Outcome", "Photo", "PhotoError", "Run", "RunError", "SidecarMode", "SidecarName", "Source",
    "Status", "TaggerError", "Undone", "learn", "load_model", "read", "tag", "undo",
]  # fmt: skip
