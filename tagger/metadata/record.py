"""The record of what we wrote into a photo, so that it can be told from others' work and undone."""

import math
from dataclasses import dataclass
from urllib.parse import quote, unquote

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
        """As names and texts; the names are properties of our XMP namespace."""
        found = {
            "Tool": self.provenance.tool,
            "Version": self.provenance.version,
            "Model": self.provenance.model_sha256,
            "Landmark": self.landmark,
            "Name": self.name,
            "Confidence": f"{self.provenance.confidence:.4f}",
            "Run": self.provenance.run_id,
            "Position": "{:.7f} {:.7f}".format(*self.position),
            "Wrote": " ".join(self.wrote),
        }
        if self.exif:
            found["Exif"] = " ".join(map(str, self.exif))
        return found

    def method(self) -> str:
        """GPSProcessingMethod."""
        fields = self.fields()
        rest = "; ".join(f"{name}={quote(text, ' :,')}" for name, text in list(fields.items())[2:])
        return f"{METHOD}{fields['Tool']} {fields['Version']}; {rest}"


def of(tag: Tag, wrote: tuple[str, ...], exif: tuple[int, int, int] | None) -> Record:
    """The record of a tag about to be written."""
    place = tag.landmark
    return Record(
        tag.provenance, place.slug, place.name, (place.latitude, place.longitude), wrote, exif
    )


def from_fields(fields: dict[str, str]) -> Record | None:
    """The record that :meth:`Record.fields` made, or None where it is not one."""
    if fields.get("Tool") != TOOL:
        return None
    try:
        latitude, longitude = (float(part) for part in fields["Position"].split())
        confidence = float(fields["Confidence"])
        numbers = tuple(int(part) for part in fields.get("Exif", "").split())
    except (KeyError, ValueError):
        return None
    if not all(map(math.isfinite, (latitude, longitude, confidence))):
        return None
    length, ifd0, crc = numbers if len(numbers) == 3 else (-1, 0, 0)
    return Record(
        Provenance(
            TOOL,
            fields.get("Version", ""),
            fields.get("Model", ""),
            confidence,
            fields.get("Run", ""),
        ),
        fields.get("Landmark", ""),
        fields.get("Name", ""),
        (latitude, longitude),
        tuple(fields.get("Wrote", "").split()),
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
        {"Tool": TOOL, "Version": version} | {name: unquote(text) for name, _, text in pairs}
    )
