"""Builds small photos with the oddities of real ones, without the code under test."""

import io
import struct

import numpy as np
from PIL import Image

from tagger.records import CameraPosition, Coords, Landmark, Provenance, Source, Tag

EIFFEL = Landmark(
    slug="eiffel-tower",
    name="Eiffel Tower",
    local_name="Tour Eiffel",
    latitude=48.85837,
    longitude=2.294481,
    radius_m=150,
    city="Paris",
    region="Île-de-France",
    country="France",
    country_code="FR",
    wikidata="Q243",
    extent="building",
    source="",
)
PROVENANCE = Provenance("landmark-tag", "0.1.0", "ab" * 32, 0.93, "20260101T000000Z-1")
TAG = Tag(EIFFEL, Coords.BOTH, PROVENANCE)
# The Trocadéro, 600 m from the tower.
CAMERA = CameraPosition(48.861611, 2.288889, 72.3, Source.TIME, "3 min after Straße 1.jpg; <b>")
CAMERA_TAG = Tag(None, Coords.BOTH, PROVENANCE, CAMERA)
BOTH_TAG = Tag(EIFFEL, Coords.BOTH, PROVENANCE, CAMERA)
TAGS = {"landmark": TAG, "camera": CAMERA_TAG, "both": BOTH_TAG}
KINDS = [  # every kind of tag with every choice of coordinates that leaves it a position
    (f"{kind} {coords}", Tag(tag.landmark, coords, PROVENANCE, tag.camera))
    for kind, tag in TAGS.items()
    for coords in Coords
    if tag.landmark or coords is not Coords.SUBJECT
]


def first_position(tag: Tag) -> tuple[float, float]:
    """The position that readers find first: the camera's, or else the subject's."""
    place = EIFFEL if tag.camera is None or tag.coords is Coords.SUBJECT else tag.camera
    return place.latitude, place.longitude


Field = tuple[int, int, int, bytes]  # tag, type, count, value
XMP = b"http://ns.adobe.com/xap/1.0/\0"


def picture(size: tuple[int, int] = (40, 24), kind: str = "JPEG", **options: object) -> bytes:
    """A plain photo: noise, no metadata."""
    pixels = np.random.default_rng(7).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def segment(marker: int, body: bytes, fill: int = 0) -> bytes:
    return b"\xff" * (fill + 1) + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg(*segments: bytes, trailer: bytes = b"", jfif: bool = True) -> bytes:
    """A JPEG with these segments after the JFIF header."""
    plain = picture()
    return plain[:2] + (plain[2:20] if jfif else b"") + b"".join(segments) + plain[20:] + trailer


def app1_exif(block: bytes, fill: int = 0) -> bytes:
    return segment(0xE1, b"Exif\0\0" + block, fill)


def app1_xmp(packet: bytes, fill: int = 0) -> bytes:
    return segment(0xE1, XMP + packet, fill)


def directory(order: str, at: int, fields: list[Field], following: int = 0) -> bytes:
    """A TIFF directory at offset ``at``, values right behind it."""
    rows, extra, spare = b"", b"", at + 2 + 12 * len(fields) + 4
    for tag, kind, count, raw in fields:
        value = raw.ljust(4, b"\0")
        if len(raw) > 4:
            value = struct.pack(order + "I", spare + len(extra))
            extra += raw + b"\0" * (len(raw) % 2)
        rows += struct.pack(order + "HHI", tag, kind, count) + value
    number = struct.pack(order + "H", len(fields))
    return number + rows + struct.pack(order + "I", following) + extra


def exif(
    order: str = "<",
    gps: list[Field] | None = None,
    ifd0: tuple[Field, ...] = (),
    thumbnail: bytes = b"",
    note: bytes = b"",
) -> bytes:
    """An EXIF block: IFD0, optionally GPS, Exif with a maker note, and IFD1 with a thumbnail."""

    def long(number: int) -> bytes:
        return struct.pack(order + "I", number)

    fields = sorted(
        [(0x010F, 2, 6, b"Canon\0"), (0x0112, 3, 1, struct.pack(order + "H", 6)), *ifd0]
    )
    pointers = [0x8769] * bool(note) + [0x8825] * (gps is not None)
    at = 8 + len(directory(order, 0, [*fields, *((tag, 4, 1, long(0)) for tag in pointers)]))
    tail = b""
    for tag in pointers:
        inside = (gps or []) if tag == 0x8825 else [(0x927C, 7, len(note), note)]
        fields.append((tag, 4, 1, long(at)))
        tail += directory(order, at, inside)
        at += len(directory(order, at, inside))
    following = at if thumbnail else 0
    if thumbnail:
        start, size = (0x0201, 4, 1, long(at + 2 + 24 + 4)), (0x0202, 4, 1, long(len(thumbnail)))
        tail += directory(order, at, [start, size]) + thumbnail
    lead = b"II*\0" if order == "<" else b"MM\0*"
    return lead + long(8) + directory(order, 8, sorted(fields), following) + tail


def rationals(order: str, *pairs: tuple[int, int]) -> bytes:
    return b"".join(struct.pack(order + "II", *pair) for pair in pairs)


def position(
    order: str = "<",
    latitude: tuple[tuple[int, int], ...] = ((48, 1), (51, 1), (30, 1)),
    longitude: tuple[tuple[int, int], ...] = ((2, 1), (17, 1), (40, 1)),
    refs: bytes = b"NE",
    first: int = 1,
) -> list[Field]:
    """The four fields of a position; ``first`` is 1 for the camera's, 19 for the subject's."""
    return [
        (first, 2, 2, refs[:1] + b"\0"),
        (first + 1, 5, 3, rationals(order, *latitude)),
        (first + 2, 2, 2, refs[1:] + b"\0"),
        (first + 3, 5, 3, rationals(order, *longitude)),
    ]


def packet(inside: str = "", attributes: str = "", about: str = "") -> bytes:
    """An XMP packet with one rdf:Description."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><!-- a comment -->\n'
        ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
        f'  <rdf:Description rdf:about="{about}" xmlns:xmp="http://ns.adobe.com/xap/1.0/"\n'
        '    xmlns:dc="http://purl.org/dc/elements/1.1/"\n'
        '    xmlns:exif="http://ns.adobe.com/exif/1.0/"\n'
        '    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"\n'
        f"    xmp:Rating='4' {attributes}>{inside}</rdf:Description>\n"
        f" </rdf:RDF>\n</x:xmpmeta>\n{' ' * 50}\n<?xpacket end='w'?>"
    ).encode()


def mpf(order: str, base: int, images: list[tuple[int, int]]) -> bytes:
    """An MPF segment whose entries are (size, offset from the MPF header)."""
    entries = b"".join(struct.pack(order + "IIIHH", 0x30000, *image, 0, 0) for image in images)
    fields = [
        (0xB000, 7, 4, b"0100"),
        (0xB001, 4, 1, struct.pack(order + "I", len(images))),
        (0xB002, 7, len(entries), entries),
    ]
    lead = b"II*\0" if order == "<" else b"MM\0*"
    body = lead + struct.pack(order + "I", 8) + directory(order, 8, fields)
    return segment(0xE2, b"MPF\0" + body)
