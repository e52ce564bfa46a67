"""HEIC and AVIF photos in every layout that the standard allows, made of simple ones."""

import io
import itertools
import re
import struct
from dataclasses import dataclass, field, replace

import numpy as np
from awkward_photos import exif, packet
from PIL import Image

from tagger.metadata.formats import heif, heif_parse

PICTURE, OTHER, EXIF, XMP = b"picture " * 40, b"another " * 30, b"Exif", b"mime"
ZLIB = b"mime/application/rdf+xml\0deflate"
SEFT = b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_DataSEFHxxxx\x14\0\0\0SEFT"


def box(kind: bytes, body: bytes, long: bool = False) -> bytes:
    """A box with a size of 32 or of 64 bits."""
    if long:
        return struct.pack(">I4sQ", 1, kind, len(body) + 16) + body
    return struct.pack(">I4s", len(body) + 8, kind) + body


def full(kind: bytes, body: bytes, version: int = 0, long: bool = False) -> bytes:
    return box(kind, bytes((version, 0, 0, 0)) + body, long)


@dataclass(frozen=True)
class Layout:
    """How a photo's items are laid out; ``widths`` are those of offset, length and base."""

    widths: tuple[int, int, int] = (4, 4, 0)
    version: int = 1
    long: bool = False
    pieces: int = 1  # extents of each item
    in_idat: tuple[int, ...] = ()
    in_item: tuple[int, ...] = ()  # construction method 2: pieces of item 9
    meta_last: bool = False
    before: bytes = b""  # boxes between meta and the media data
    after: bytes = b""


@dataclass(frozen=True)
class Photo:
    """Items by number (kind and bytes), references between them, and further boxes of ``meta``."""

    items: dict[int, tuple[bytes, bytes]]
    references: tuple[tuple[bytes, int, int], ...] = ()
    more: tuple[bytes, ...] = ()
    layout: Layout = field(default_factory=Layout)
    brands: bytes = b"heic\0\0\0\0mif1heic"
    handler: bytes = full(b"hdlr", b"\0\0\0\0pict" + bytes(13))

    def made(self) -> bytes:
        draft = self._made([0] * len(self.items))
        media = draft.rindex(b"mdat")
        return self._made([max(0, draft.find(body, media)) for _, body in self.items.values()])

    def _made(self, offsets: list[int]) -> bytes:
        how, long = self.layout, self.layout.long
        inside = [self.handler, full(b"pitm", b"\0\1")]
        infos = b"".join(info(number, kind) for number, (kind, _) in self.items.items())
        inside.append(full(b"iinf", struct.pack(">H", len(self.items)) + infos, 0, long))
        links = [box(kind, struct.pack(">HHH", one, 1, to)) for kind, one, to in self.references]
        if how.in_item:
            links += [box(b"iloc", struct.pack(">HHH", number, 1, 9)) for number in how.in_item]
        if links:
            inside.append(full(b"iref", b"".join(links), 0, long))
        inside += self.more
        idat = b"".join(self.items[number][1] for number in how.in_idat)
        inside += [box(b"idat", idat, long)] * bool(idat)
        inside.append(full(b"iloc", self._places(offsets, idat), how.version, long))
        meta = full(b"meta", b"".join(inside), 0, long)
        apart = {*how.in_idat, *how.in_item}
        media = b"".join(body for n, (_, body) in self.items.items() if n not in apart)
        parts = [meta, how.before, box(b"mdat", media, long)]
        parts = parts[1:] + parts[:1] if how.meta_last else parts
        return box(b"ftyp", self.brands) + b"".join(parts) + how.after

    def _places(self, offsets: list[int], idat: bytes) -> bytes:
        how = self.layout
        offset, length, base = how.widths
        wide = how.version == 2
        body = bytes((offset << 4 | length, base << 4))
        body += len(self.items).to_bytes(4 if wide else 2, "big")
        for at, (number, (_, data)) in zip(offsets, self.items.items(), strict=True):
            method = 1 if number in how.in_idat else 2 if number in how.in_item else 0
            place = idat.index(data) if method == 1 else 0 if method == 2 else at
            body += number.to_bytes(4 if wide else 2, "big")
            body += struct.pack(">H", method) if how.version else b""
            origin = place if base and (number % 2 or not offset) else 0
            count = how.pieces if offset and len(data) >= how.pieces else 1
            body += b"\0\0" + origin.to_bytes(base, "big") + struct.pack(">H", count)
            cuts = [len(data) * n // count for n in range(count + 1)]
            for start, end in itertools.pairwise(cuts):
                body += (place - origin + start).to_bytes(offset, "big") if offset else b""
                body += (end - start).to_bytes(length, "big") if length else b""
        return body


def info(number: int, kind: bytes) -> bytes:
    """An entry of ``iinf``; ``mime/x`` has the content type x, XMP by default."""
    name, _, content = kind.partition(b"/")
    text = b"\0" + (content or b"application/rdf+xml") + b"\0" if name == XMP else b"\0"
    return full(b"infe", struct.pack(">HH4s", number, 0, name) + text, 2)


def item_exif(block: bytes | None = None) -> bytes:
    return b"\0\0\0\6Exif\0\0" + (exif(note=b"Canon\0" * 9) if block is None else block)


def item_xmp() -> bytes:
    return packet("<dc:subject><rdf:Bag><rdf:li>family</rdf:li></rdf:Bag></dc:subject>")


MAIN = {1: (b"hvc1", PICTURE), 2: (b"hvc1", OTHER)}
WITH_EXIF = MAIN | {3: (EXIF, item_exif())}
WITH_BOTH = WITH_EXIF | {4: (XMP, item_xmp())}
OF_MAIN = ((b"thmb", 2, 1), (b"cdsc", 3, 1))
OF_BOTH = (*OF_MAIN, (b"cdsc", 4, 1))
BOTH = Photo(WITH_BOTH, OF_BOTH)


def sequence(wide: bool = False, extra: bytes = b"", url: bytes = b"\0\0\0\1") -> bytes:
    """A photo with an image sequence beside it: two chunks in its media data."""

    def made(places: tuple[int, ...]) -> bytes:
        code = ">I" + ("QQ" if wide else "II")
        table = full(b"co64" if wide else b"stco", struct.pack(code, 2, *places))
        dref = full(b"dref", b"\0\0\0\1" + box(b"url ", url))
        stbl = box(b"stbl", full(b"stsz", bytes(8)) + table + extra)
        minf = box(b"minf", box(b"dinf", dref) + stbl)
        moov = box(b"moov", box(b"trak", box(b"mdia", minf)))
        return replace(BOTH, layout=Layout(before=moov)).made()

    draft = made((0, 0))
    return made((draft.index(PICTURE), draft.index(OTHER)))


LAYOUTS = {
    "two metadata items": BOTH,
    "EXIF only": Photo(WITH_EXIF, OF_MAIN),
    "XMP only": Photo(MAIN | {4: (XMP, item_xmp())}, ((b"cdsc", 4, 1),)),
    "neither": Photo(MAIN),
    "neither, references": Photo(MAIN, ((b"thmb", 2, 1),)),
    "EXIF that describes nothing": Photo(WITH_EXIF),
    "EXIF without its header": Photo(MAIN | {3: (EXIF, exif())}, OF_MAIN),
    "EXIF with JPEG's header": Photo(MAIN | {3: (EXIF, b"Exif\0\0" + exif())}, OF_MAIN),
    "empty EXIF": Photo(MAIN | {3: (EXIF, b"\0\0\0\0")}, OF_MAIN),
    "the thumbnail's EXIF": Photo(WITH_EXIF, ((b"thmb", 2, 1), (b"cdsc", 3, 2))),
    "XMP of the gain map": Photo(WITH_BOTH, ((b"auxl", 2, 1), (b"cdsc", 3, 1), (b"cdsc", 4, 2))),
    "tone map and group": Photo(
        WITH_EXIF | {7: (b"tmap", b"\0\0gain map metadata")},
        (*OF_MAIN, (b"dimg", 7, 1), (b"dimg", 7, 2)),
        (box(b"grpl", full(b"altr", struct.pack(">IIII", 8, 2, 7, 1))),),
    ),
    "grid in idat": Photo(
        WITH_EXIF | {5: (b"grid", b"\0\0\0\1\2\3\4\5")},
        (*OF_MAIN, (b"dimg", 5, 1)),
        layout=Layout(in_idat=(5,)),
    ),
    "EXIF in idat": replace(BOTH, layout=Layout(in_idat=(3, 4))),
    "all in idat": replace(BOTH, layout=Layout(in_idat=(1, 2, 3, 4))),
    "pieces of an item": Photo(
        WITH_EXIF | {9: (b"hvc1", b"0123456789" * 30), 10: (b"hvc1", b"0123456789" * 30)},
        OF_MAIN,
        layout=Layout(in_item=(10,)),
    ),
    "several extents": replace(BOTH, layout=Layout(pieces=3)),
    "version 0": replace(BOTH, layout=Layout(version=0)),
    "version 2": replace(BOTH, layout=Layout(version=2)),
    "8-byte offsets": replace(BOTH, layout=Layout(widths=(8, 8, 0))),
    "base offsets": replace(BOTH, layout=Layout(widths=(4, 4, 4), pieces=2)),
    "base offsets alone": replace(BOTH, layout=Layout(widths=(0, 4, 4))),
    "8-byte base offsets alone": replace(BOTH, layout=Layout(widths=(0, 4, 8), version=0)),
    "64-bit boxes": replace(BOTH, layout=Layout(long=True)),
    "items behind the pictures": replace(BOTH, layout=Layout(meta_last=True)),
    "free space": replace(BOTH, layout=Layout(before=box(b"free", bytes(99)))),
    "motion photo": replace(BOTH, layout=Layout(after=box(b"mpvd", box(b"ftyp", b"mp42")))),
    "Samsung's boxes": replace(BOTH, layout=Layout(after=box(b"sefd", SEFT))),
    "Samsung's trailer": replace(BOTH, layout=Layout(after=SEFT)),
}
SKELETONS = {name: photo.made() for name, photo in LAYOUTS.items()} | {
    "a sequence beside it": sequence(),
    "a sequence beside it, 64 bit": sequence(True),
}


def relaid(photo: bytes, layout: Layout) -> bytes:
    """A real photo with its items in another layout."""
    table = heif_parse.parse(photo)
    items = dict[int, tuple[bytes, bytes]]()
    for number, item in table.items.items():
        body = b"".join(photo[start:end] for start, end in table.spans(number))
        at = item.start + 16
        items[number] = photo[at : at + 4], body
    kept = [b for b in table.parts.values() if b.kind in (b"iprp", b"grpl", b"dinf")]
    handler = table.parts[b"hdlr"]
    made = Photo(
        items,
        tuple((r.kind, r.source, target) for r in table.references for target in r.targets[:1]),
        tuple(photo[part.start : part.end] for part in kept),
        layout,
        photo[8 : table.boxes[0].end],
        photo[handler.start : handler.end],
    )
    assert all(len(r.targets) == 1 for r in table.references), "a grid is not laid out anew"
    return made.made()


def coloured(mode: str = "RGB", size: tuple[int, int] = (96, 64)) -> Image.Image:
    """A picture in which any shift or mix-up is visible."""
    noise = np.random.default_rng(7).integers(0, 255, (*size[::-1], len(mode)), np.uint8)
    smooth = np.linspace(0, 255, size[0], dtype=np.uint8)[None, :, None]
    return Image.fromarray((noise // 8 + smooth // 2).astype(np.uint8).squeeze())


def saved(kind: str, mode: str = "RGB", **options: object) -> bytes:
    """A real photo by pillow-heif (HEIF) or Pillow (AVIF)."""
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    coloured(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def uuid_xmp() -> bytes:
    return box(b"uuid", heif.XMP_UUID + item_xmp())


def items(photo: bytes) -> dict[int, bytes]:
    """The bytes of every item, read without the code under test."""
    meta = photo.index(b"meta")
    iloc = re.compile(rb"iloc[\0-\2]\0{3}").search(photo, meta)
    assert iloc is not None
    at, idat = iloc.start() + 4, photo.find(b"idat", meta, iloc.start()) + 4
    at += 8 * (photo[at - 8 : at - 4] == b"\0\0\0\1")  # a size of 64 bits
    version, sizes = photo[at], int.from_bytes(photo[at + 4 : at + 6], "big")
    offset, length, base = (sizes >> shift & 15 for shift in (12, 8, 4))
    file, wide = io.BytesIO(photo[at + 6 :]), 4 if version == 2 else 2

    def number(size: int) -> int:
        return int.from_bytes(file.read(size), "big")

    contents = dict[int, bytes]()
    borrowed = dict[int, tuple[int, int]]()
    for _ in range(number(wide)):
        item, method = number(wide), number(2) if version else 0
        number(2)
        origin, body = number(base), b""
        for _ in range(number(2)):
            start, size = origin + number(offset), number(length)
            if method == 2:
                borrowed[item] = start, start + size
            start += idat if method else 0
            body += photo[start : start + size]
        contents[item] = body
    for item, (start, end) in borrowed.items():
        contents[item] = contents[9][start:end]
    return contents
