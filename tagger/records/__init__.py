"""The records that stages pass on: plain data, no torch, no I/O."""

from tagger.records.guess import Acceptance, Candidate, Guess, Landmark, Position
from tagger.records.photo import Entry, Node, Outcome, Seen, Version
from tagger.records.tag import EVIDENCE_LENGTH, CameraPosition, Provenance, Tag
from tagger.records.words import (
    Coords,
    GpsState,
    HardLinks,
    SidecarMode,
    SidecarName,
    Source,
    Status,
)

__all__ = [
    "EVIDENCE_LENGTH",
    "Acceptance",
    "CameraPosition",
    "Candidate",
    "Coords",
    "Entry",
    "GpsState",
    "Guess",
    "HardLinks",
    "Landmark",
    "Node",
    "Outcome",
    "Position",
    "Provenance",
    "Seen",
    "SidecarMode",
    "SidecarName",
    "Source",
    "Status",
    "Tag",
    "Version",
]
