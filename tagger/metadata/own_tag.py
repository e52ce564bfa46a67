"""The record of what we wrote into a photo, so that it can be recognised and undone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

from tagger.errors import RefusedError
from tagger.records import Position, Provenance, Source, Tag

TOOL = "landmark-tag"
# EXIF 2.32 allows four words here, and ExifTool -validate insists; of these MANUAL says that no
# receiver measured it. Readers stop at the NUL; what follows names the tool and is the record.
METHOD = "MANUAL\0"
TOLERANCE = 1e-6  # degrees, 11 cm


@dataclass(frozen=True, slots=True)
class Record:
    """The record that a tagged photo holds of its tag.

    ``position`` is the landmark's; where ``landmark`` (its slug) and ``name`` are empty, the
    camera's. ``camera`` is where the camera was, if the tag has both. ``wrote`` names what else
    was added (ImageDescription, Exif, Packet ...); ``exif`` is the EXIF block before: its length,
    its IFD0 offset, the CRC-32 of its bytes from the eighth on.
    """

    provenance: Provenance
    landmark: str
    name: str
    position: Position
    camera: Position | None = None
    wrote: tuple[str, ...] = ()
    exif: tuple[int, int, int] | None = None

    def stands_in(self, positions: Sequence[tuple[float, float]]) -> bool:
        """Whether the first of a photo's positions, camera before subject, are still these."""
        ours = (self.camera, self.position) if self.camera else (self.position,)
        pairs = list(zip(positions, ours, strict=False))
        return bool(pairs) and all(near(here, there) for here, there in pairs)

    def says(self) -> str:
        """The place in words."""
        return self.name or f"a position by {self.provenance.source}"

    def fields(self) -> dict[str, str]:
        """As names and texts; the names are properties of our XMP namespace.

        None is a name such as Model that a reader without namespaces would take for the camera's.
        """
        texts = {
            "TaggedBy": self.provenance.tool,
            "TaggerVersion": self.provenance.version,
            "TagModelSHA256": self.provenance.model_sha256,
            "TagLandmark": self.landmark,
            "TagLandmarkName": self.name,
            "TagConfidence": f"{self.provenance.confidence:.4f}",
            "TagRun": self.provenance.run_id,
            "TagPosition": _text(self.position),
            "TagWrote": " ".join(self.wrote),
        }
        if self.provenance.source is not Source.LANDMARK:
            texts["TagSource"] = self.provenance.source.value
            texts["TagEvidence"] = self.provenance.evidence
        if self.camera:
            texts["TagCamera"] = _text(self.camera)
        if self.exif:
            texts["TagExifBefore"] = " ".join(map(str, self.exif))
        return texts

    def method(self) -> str:
        """GPSProcessingMethod."""
        fields = self.fields()
        rest = "; ".join(f"{name}={quote(text, ' :,')}" for name, text in list(fields.items())[2:])
        return f"{METHOD}{fields['TaggedBy']} {fields['TaggerVersion']}; {rest}"


def of(tag: Tag, wrote: tuple[str, ...], exif: tuple[int, int, int] | None) -> Record:
    """The record of a tag about to be written."""
    place, known = tag.landmark, tag.known_camera
    camera = Position(known.latitude, known.longitude) if known else None
    if place is None:
        assert camera is not None, "exif_values.check refuses it"
        return Record(tag.provenance, "", "", camera, None, wrote, exif)
    position = Position(place.latitude, place.longitude)
    return Record(tag.provenance, place.slug, place.name, position, camera, wrote, exif)


def near(here: tuple[float, float], there: tuple[float, float]) -> bool:
    """Whether two positions in degrees are the same."""
    return max(abs(a - b) for a, b in zip(here, there, strict=True)) <= TOLERANCE


def _text(position: Position) -> str:
    return "{:.7f} {:.7f}".format(*position)


def _position(text: str) -> Position:
    """Raises: ValueError: it is none."""
    latitude, longitude = (float(part) for part in text.split())
    if not math.isfinite(latitude) or not math.isfinite(longitude):
        raise ValueError(f"not a position: {text}")
    return Position(latitude, longitude)


def from_fields(fields: dict[str, str]) -> Record | None:
    """The record that :meth:`Record.fields` made, or None where it is not one."""
    if fields.get("TaggedBy") != TOOL:
        return None
    try:
        position = _position(fields["TagPosition"])
        camera = _position(fields["TagCamera"]) if "TagCamera" in fields else None
        confidence = float(fields["TagConfidence"])
        source = Source(fields.get("TagSource", Source.LANDMARK))
        numbers = tuple(int(part) for part in fields.get("TagExifBefore", "").split())
    except (KeyError, ValueError):
        return None
    if not math.isfinite(confidence):
        return None
    length, ifd0, crc = numbers if len(numbers) == 3 else (-1, 0, 0)
    return Record(
        Provenance(
            TOOL,
            fields.get("TaggerVersion", ""),
            fields.get("TagModelSHA256", ""),
            confidence,
            fields.get("TagRun", ""),
            source,
            fields.get("TagEvidence", ""),
        ),
        fields.get("TagLandmark", ""),
        fields.get("TagLandmarkName", ""),
        position,
        camera,
        tuple(fields.get("TagWrote", "").split()),
        (length, ifd0, crc) if length >= 0 else None,
    )


def from_method(raw: bytes) -> Record | None:
    """The record inside a raw GPSProcessingMethod, or None where it is not ours."""
    start = f"ASCII\0\0\0{METHOD}{TOOL} ".encode()
    if not raw.startswith(start):
        return None
    version, *rest = raw[len(start) :].decode("utf-8", "replace").rstrip("\0").split("; ")
    pairs = (part.partition("=") for part in rest)
    return from_fields(
        {"TaggedBy": TOOL, "TaggerVersion": version}
        | {name: unquote(text) for name, _, text in pairs}
    )


def check_same(known: Record, tag: Tag) -> None:
    """Check that a photo's record is of the same place as ``tag``.

    Raises:
        RefusedError: it is of another place.
    """
    new = of(tag, (), None)
    same = known.landmark == new.landmark and near(known.position, new.position)
    if known.camera is None or new.camera is None:
        same = same and known.camera is new.camera
    else:
        same = same and near(known.camera, new.camera)
    if not same:
        raise RefusedError(f"already tagged by us as {known.says()}; remove that tag first")
