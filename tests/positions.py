"""Photos with a position in a place where few programs write one and many read it."""

import struct
import zlib
from collections.abc import Iterator

from awkward_photos import (
    XMP,
    app1_exif,
    app1_xmp,
    directory,
    exif,
    jpeg,
    packet,
    position,
    segment,
)
from test_metadata_formats import RGB, behind, big_endian_tiff, chunk, saved

PLAIN = 'exif:GPSLatitude="48,51.5N" exif:GPSLongitude="2,17.66667E"'
IN_XMP = packet(attributes=PLAIN)
IN_EXIF = exif(gps=position())
PNG, TIFF = saved(RGB, "PNG"), big_endian_tiff()
UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
DJI = 'xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" drone-dji:GpsLatitude="+48.85"'
DWC = 'xmlns:dwc="http://rs.tdwg.org/dwc/index.htm" dwc:decimalLatitude="-41.0983423"'
GEO = 'xmlns:geo="http://www.w3.org/2003/01/geo/wgs84_pos#" geo:lat="48.85" geo:long="2.29"'


def within(tag: int, raw: bytes, order: str = "<", kind: int = 7) -> bytes:
    """An EXIF block with one more tag in IFD0."""
    return exif(order, ifd0=((tag, kind, len(raw), raw),))


def resource(number: int, raw: bytes) -> bytes:
    """One of Photoshop's image resources."""
    return b"8BIM" + struct.pack(">HHI", number, 0, len(raw)) + raw + b"\0" * (len(raw) % 2)


def location(kind: str) -> bytes:
    """XMP with an IPTC location that has coordinates."""
    place = (
        "<exif:GPSLatitude>48,51.5N</exif:GPSLatitude>"
        "<exif:GPSLongitude>2,17.66667E</exif:GPSLongitude>"
    )
    item = f'<rdf:Bag><rdf:li rdf:parseType="Resource">{place}</rdf:li></rdf:Bag>'
    return packet(f"<Iptc4xmpExt:{kind}>{item}</Iptc4xmpExt:{kind}>")


def profile(name: bytes, raw: bytes) -> bytes:
    """Keyword and text of a raw profile, as ImageMagick writes it."""
    return b"\n%s\n%8d\n%s\n" % (name, len(raw), raw.hex().encode())


def text_chunk(kind: bytes, keyword: bytes, text: bytes) -> bytes:
    if kind == b"zTXt":
        return chunk(kind, keyword + b"\0\0" + zlib.compress(text))
    return chunk(kind, keyword + (b"\0\0\0\0\0" if kind == b"iTXt" else b"\0") + text)


def elsewhere(order: str, where: str, place: list[tuple[int, int, int, bytes]]) -> bytes:
    """An EXIF block whose pointer to its GPS directory stands in the Exif directory or in IFD1."""

    def long(number: int) -> bytes:
        return struct.pack(order + "I", number)

    second, third = 8 + 2 + 12 * 2 + 4 + 6, 8 + 2 + 12 * 2 + 4 + 6 + 18
    fields = [(0x010F, 2, 6, b"Canon\0")]
    fields.append((0x8769, 4, 1, long(second)) if where == "ExifIFD" else (0x0112, 3, 1, b"\0\0"))
    first = directory(order, 8, fields, 0 if where == "ExifIFD" else second)
    lead = b"II*\0" if order == "<" else b"MM\0*"
    pointing = directory(order, second, [(0x8825, 4, 1, long(third))])
    return lead + long(8) + first + pointing + directory(order, third, place)


def second_page(place: list[tuple[int, int, int, bytes]]) -> bytes:
    """A TIFF of two pages, of which the second points to a GPS directory."""
    count = struct.unpack_from(">H", TIFF, 16)[0]
    following, at = 16 + 2 + 12 * count, len(TIFF)
    data = bytearray(TIFF)
    data[following : following + 4] = struct.pack(">I", at)
    rows = [(tag, kind, 1, raw) for tag, kind, raw in PAGE]
    gps_at = at + 2 + 12 * (len(rows) + 1) + 4
    page = directory(">", at, [*rows, (0x8825, 4, 1, struct.pack(">I", gps_at))])
    return bytes(data) + page + directory(">", gps_at, place)


PAGE = [
    (tag, kind, struct.pack(">H" if kind == 3 else ">I", number))
    for tag, kind, number in (
        (256, 3, 4), (257, 3, 2), (258, 3, 8), (259, 3, 1), (262, 3, 1),
        (273, 4, 8), (277, 3, 1), (278, 3, 2), (279, 4, 8),
    )
]  # fmt: skip


def heic(*boxes: tuple[bytes, bytes], item: bytes = b"") -> bytes:
    """A HEIC skeleton with one EXIF item, and further boxes of the file."""

    def box(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", len(body) + 8, name) + body

    entry = box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", 1, 0, b"Exif") + b"\0")
    handler = box(b"hdlr", b"\0" * 8 + b"pict" + b"\0" * 13)

    def lead(at: int) -> bytes:
        iloc = b"\0\0\0\0\x44\0\0\1" + struct.pack(">HHHII", 1, 0, 1, at, len(item))
        inside = handler + box(b"iinf", b"\0\0\0\0\0\1" + entry) + box(b"iloc", iloc)
        return box(b"ftyp", b"heic\0\0\0\0mif1heic") + box(b"meta", b"\0\0\0\0" + inside)

    extra = b"".join(box(*extra) for extra in boxes)
    return lead(len(lead(0)) + 8) + box(b"mdat", item) + extra


def in_jpeg() -> Iterator[tuple[str, bytes]]:
    for name, header in {
        "ends in FF": b"Exif\0\xff", "upper": b"EXIF\0\0", "junk": b"\0\0Exif\0\0",
        "a segment's header": b"\xff\xe1\1\2Exif\0\0", "no second zero": b"Exif\0\1",
    }.items():  # fmt: skip
        yield f"EXIF header {name}", jpeg(segment(0xE1, header + IN_EXIF))
    yield "XMP header without zero", jpeg(segment(0xE1, XMP[:-1] + IN_XMP))
    yield "XMP without header", jpeg(segment(0xE1, IN_XMP))
    for order in "<>":
        for where in ("ExifIFD", "IFD1"):
            block = elsewhere(order, where, position(order))
            yield f"GPS pointer in {where} {order}", jpeg(app1_exif(block))
        yield f"XMP in EXIF {order}", jpeg(app1_exif(within(700, IN_XMP, order)))
    yield "XMP in EXIF as bytes", jpeg(app1_exif(within(700, IN_XMP, kind=1)))
    copy = resource(0x0424, IN_XMP)
    yield "XMP in Photoshop's", jpeg(segment(0xED, b"Photoshop 3.0\0" + copy))
    yield "XMP in Photoshop's in EXIF", jpeg(app1_exif(within(34377, copy)))
    copy = resource(0x0404, b"\x1c\x02\x19\0\6family") + resource(0x0422, IN_EXIF)
    yield "EXIF in Photoshop's", jpeg(segment(0xED, b"Photoshop 3.0\0" + copy))
    for kind in ("LocationCreated", "LocationShown"):
        yield kind, jpeg(app1_xmp(location(kind)))
    for name, attributes in {"DJI": DJI, "Darwin Core": DWC, "WGS 84": GEO}.items():
        yield f"XMP of {name}", jpeg(app1_xmp(packet(attributes=attributes)))
    yield "XMP of nobody", jpeg(app1_xmp(packet(f'<xmp:X rdf:parseType="Resource"><exif:{ALONE}')))
    yield "XMP in UTF-16", jpeg(segment(0xE1, XMP + IN_XMP.decode().encode("utf-16")))


ALONE = "GPSLatitude>48,51.5N</exif:GPSLatitude></xmp:X>"


def in_png() -> Iterator[tuple[str, bytes]]:
    yield "eXIf with JPEG's header", behind(PNG, chunk(b"eXIf", b"Exif\0\0" + IN_EXIF))
    squeezed = b"\0" + struct.pack(">I", len(IN_EXIF)) + zlib.compress(IN_EXIF)
    yield "zxIf", behind(PNG, chunk(b"zxIf", squeezed))
    yield "XMP in eXIf", behind(PNG, chunk(b"eXIf", within(700, IN_XMP)))
    for kind in (b"tEXt", b"zTXt", b"iTXt"):
        name = kind.decode()
        yield f"XMP in {name}", behind(PNG, text_chunk(kind, b"XML:com.adobe.xmp", IN_XMP))
        for keyword, raw in {
            b"exif": IN_EXIF, b"APP1": b"Exif\0\0" + IN_EXIF, b"xmp": IN_XMP,
            b"iptc": resource(0x0424, IN_XMP),
        }.items():  # fmt: skip
            body = text_chunk(kind, b"Raw profile type " + keyword, profile(keyword, raw))
            yield f"raw profile {keyword.decode()} in {name}", behind(PNG, body)
    body = text_chunk(b"zTXt", b"Raw profile type APP1", profile(b"generic profile", XMP + IN_XMP))
    yield "raw profile APP1 with XMP", behind(PNG, body)
    body = text_chunk(b"zTXt", b"Raw profile type exif", profile(b"exif", b"Exif\0\0" + IN_EXIF))
    yield "raw profile exif with header", behind(PNG, body)


def in_others() -> Iterator[tuple[str, bytes]]:
    yield "webp XMP in EXIF", saved(RGB, "WEBP", exif=within(700, IN_XMP))
    yield "webp GPS in ExifIFD", saved(RGB, "WEBP", exif=elsewhere("<", "ExifIFD", position()))
    yield "tiff second page", second_page(position(">"))
    yield "tiff Photoshop", saved(RGB, "TIFF", tiffinfo={34377: resource(0x0424, IN_XMP)})
    yield "heic uuid", heic((b"free", b"picture"), (b"uuid", UUID + IN_XMP))
    yield "heic item without its header", heic(item=IN_EXIF)
    yield "heic item with JPEG's header", heic(item=b"Exif\0\0" + IN_EXIF)


PHOTOS = {
    **{f"jpg {name}": data for name, data in in_jpeg()},
    **{f"png {name}": data for name, data in in_png()},
    **dict(in_others()),
}
MALFORMED = {
    "jpg stray bytes before EXIF": jpeg(b"stray", app1_exif(IN_EXIF)),
    "jpg EXIF without TIFF header": jpeg(app1_exif(b"\0\0\0\0" + IN_EXIF)),
    "jpg GPS pointer of a wrong type": jpeg(
        app1_exif(elsewhere("<", "ExifIFD", position()).replace(b"\x25\x88\4\0", b"\x25\x88\7\0"))
    ),
    "jpg signed": jpeg(segment(0xEB, b'JP\0\1\0\0\0\1jumb {"exif:GPSLatitude": "48,51.5N"}')),
    "png cut short": PNG[:33] + chunk(b"eXIf", IN_EXIF)[:-60],
    "png raw profile": behind(
        PNG, text_chunk(b"tEXt", b"Raw profile type x", profile(b"x", b"-" * 50 + IN_EXIF))
    ),
    "webp cut short": saved(RGB, "WEBP", exif=IN_EXIF)[:-40],
    "tiff that is cut short": second_page(position(">"))[:-60],
    "heic item out of reach": heic((b"free", IN_EXIF), item=IN_EXIF).replace(b"iloc", b"icol"),
}
