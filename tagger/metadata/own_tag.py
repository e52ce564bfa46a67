"""The record of what we wrote into a photo, so that it can be told from others' work and undone."""

import math
from dataclasses import dataclass
from urllib.parse import quote, unquote

from tagger.errors import RefusedError
from tagger.records import Provenance, Tag

TOOL = "landmark-tag"
# EXIF 2.32 allows four words here, and ExifTool -validate insists; of these MANUAL says that no
# receiver measured it. Readers stop at the NUL; what follows names the tool and is the record.
METHOD = "MANUAL\0"


@dataclass(frozen=True, slots=True)
class Record:
    """What a tagged photo says of its tag.

    ``wrote`` names what else was added (ImageDescription, Exif, Packet ...); ``exif`` is the EXIF
    block before: its length, its IFD0 offset, the CRC-32 of its bytes from the eighth on.
    """

    provenance: Provenance
    landmark: str
    name: str
    position: tuple[float, float]
    wrote: tuple[str, ...] = ()
    exif: tuple[int, int, int] | None = None

    def fields(self) -> dict[str, str]:
        """As names and texts; the names are properties of our XMP namespace.

        None is a name such as Model that a reader without namespaces would take for the camera's.
        """
        found = {
            "TaggedBy": self.provenance.tool,
            "TaggerVersion": self.provenance.version,
            "TagModelSHA256": self.provenance.model_sha256,
            "TagLandmark": self.landmark,
            "TagLandmarkName": self.name,
            "TagConfidence": f"{self.provenance.confidence:.4f}",
            "TagRun": self.provenance.run_id,
            "TagPosition": "{:.7f} {:.7f}".format(*self.position),
            "TagWrote": " ".join(self.wrote),
        }
        if self.exif:
            found["TagExifBefore"] = " ".join(map(str, self.exif))
        return found

    def method(self) -> str:
        """GPSProcessingMethod."""
        fields = self.fields()
        rest = "; ".join(f"{name}={quote(text, ' :,')}" for name, text in list(fields.items())[2:])
        return f"{METHOD}{fields['TaggedBy']} {fields['TaggerVersion']}; {rest}"


def of(tag: Tag, wrote: tuple[str, ...], exif: tuple[int, int, int] | None) -> Record:
    """The record of a tag about to be written."""
    place = tag.landmark
    return Record(
        tag.provenance, place.slug, place.name, (place.latitude, place.longitude), wrote, exif
    )


def from_fields(fields: dict[str, str]) -> Record | None:
    """The record that :meth:`Record.fields` made, or None where it is not one."""
    if fields.get("TaggedBy") != TOOL:
        return None
    try:
        latitude, longitude = (float(part) for part in fields["TagPosition"].split())
        confidence = float(fields["TagConfidence"])
        numbers = tuple(int(part) for part in fields.get("TagExifBefore", "").split())
    except (KeyError, ValueError):
        return None
    if not all(map(math.isfinite, (latitude, longitude, confidence))):
        return None
    length, ifd0, crc = numbers if len(numbers) == 3 else (-1, 0, 0)
    return Record(
        Provenance(
            TOOL,
            fields.get("TaggerVersion", ""),
            fields.get("TagModelSHA256", ""),
            confidence,
            fields.get("TagRun", ""),
        ),
        fields.get("TagLandmark", ""),
        fields.get("TagLandmarkName", ""),
        (latitude, longitude),
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


def unchanged(data: bytes, known: Record, tag: Tag) -> bytes:
    """``data``, which carries ``known``, where that is the same place as ``tag``.

    Raises:
        RefusedError: it is another place.
    """
    place = tag.landmark.latitude, tag.landmark.longitude
    off = max(abs(here - there) for here, there in zip(known.position, place, strict=True))
    if known.landmark == tag.landmark.slug and off <= 1e-6:
        return data
    raise RefusedError(f"already tagged by us as {known.name}; remove that tag first")
