"""Arbitrary and damaged bytes give an answer or a reason: no other exception, no hang, no bloat."""

import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable

import heif_photos
import pytest
from awkward_photos import (
    BOTH_TAG,
    CAMERA_TAG,
    TAG,
    app1_exif,
    app1_xmp,
    exif,
    jpeg,
    mpf,
    packet,
    picture,
    position,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from over_gps import tagged_over
from positions import MALFORMED
from positions import PHOTOS as POSITIONED
from test_metadata_formats import PHOTOS, heic

from tagger import metadata
from tagger.errors import RefusedError
from tagger.metadata.formats import jpeg as parser
from tagger.records import GpsState

KEYWORDS = "<dc:subject><rdf:Bag><rdf:li>b</rdf:li></rdf:Bag></dc:subject>"
ZEROED = position(latitude=((0, 1),) * 3, longitude=((0, 1),) * 3)
BLOCK = exif(gps=ZEROED, thumbnail=picture((8, 8)), note=bytes(range(256)))
JPEG = jpeg(app1_exif(BLOCK), app1_xmp(packet(KEYWORDS)), mpf("<", 0, [(9, 0), (9, 99)]))
SEEDS = [
    JPEG,
    jpeg(app1_exif(exif(">", gps=position(">")))),
    metadata.tagged(JPEG, TAG),
    metadata.tagged(JPEG, CAMERA_TAG),
    metadata.tagged(JPEG, BOTH_TAG),
    PHOTOS["png exif"],
    PHOTOS["webp animated exif xmp"],
    PHOTOS["tiff xmp"],
    PHOTOS["tiff big-endian"],
    heic(),
    heic(1, b"mime"),
    *heif_photos.SKELETONS.values(),
    metadata.tagged(heif_photos.SKELETONS["tone map and group"], TAG),
    packet(KEYWORDS, 'exif:GPSLatitude="48,5N" exif:GPSLongitude="2,3E"'),
    metadata.sidecar(packet(KEYWORDS), TAG),
    metadata.sidecar(packet(KEYWORDS), BOTH_TAG),
    *[*POSITIONED.values()][::4],
    *MALFORMED.values(),
]
STARTS = [
    b"",
    b"\xff\xd8",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF    WEBP",
    b"II*\0",
    b"MM\0*",
    b"<",
    b"\0\0\0\x18ftyp",
]
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def survive(data: bytes) -> None:
    """Every public function answers or refuses; whatever it writes can be removed again."""
    reading = metadata.gps_state(data, whole=True)
    assert reading is not None
    metadata.gps_state(data)
    metadata.position(data)
    metadata.provenance(data)
    metadata.has_sidecar_gps(data)
    writes: tuple[Callable[[], bytes | None], ...] = (
        lambda: metadata.stripped(data),
        lambda: metadata.stripped_sidecar(data),
        lambda: metadata.sidecar(data, TAG),
        lambda: tagged_over(data, TAG),
    )
    for write in writes:
        try:
            written = write()
        except RefusedError as error:
            assert str(error)
    assert isinstance(metadata.xmp_note(data), str)
    if reading.state is not GpsState.EMPTY and metadata.provenance(data) is None:
        with pytest.raises(RefusedError):
            metadata.tagged(data, TAG)
        return
    try:
        written = metadata.tagged(data, TAG)
    except RefusedError:
        return
    assert metadata.tagged(written, TAG) == written
    again = metadata.gps_state(written, whole=True)
    assert again is not None
    assert again.state is GpsState.VALID


@QUICK
@given(st.sampled_from(STARTS), st.binary(max_size=300))
def test_arbitrary_bytes(start: bytes, rest: bytes) -> None:
    survive(start + rest)


@QUICK
@given(st.binary(max_size=300), st.sampled_from(["<", ">"]), st.binary(max_size=120))
def test_arbitrary_exif_and_xmp(block: bytes, order: str, text: bytes) -> None:
    lead = (b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08") + block
    survive(jpeg(app1_exif(lead), app1_xmp(text)))


@QUICK
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=6),
    st.floats(0.1, 1),
)
def test_damaged_photos(seed: bytes, damage: list[tuple[float, bytes]], keep: float) -> None:
    data = bytearray(seed)
    for where, new in damage:
        at = int(where * (len(data) - 1))
        data[at : at + len(new)] = new
    survive(bytes(data[: max(1, int(keep * len(data)))]) if keep < 0.9 else bytes(data))


@settings(QUICK, max_examples=400)
@given(
    st.sampled_from(list(heif_photos.SKELETONS.values())),
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from([0, 1, 2, 4, 8, 0xFF, 0xFFFF, 1 << 31])),
        min_size=1,
        max_size=3,
    ),
)
def test_every_number_of_an_item_table_may_lie(seed: bytes, lies: list[tuple[float, int]]) -> None:
    data, width = bytearray(seed), seed.rindex(b"mdat")
    for where, number in lies:
        at = int(where * width)
        size = 1 + (number > 0xFF) + 2 * (number > 0xFFFF)
        data[at : at + size] = number.to_bytes(size, "big")
    survive(bytes(data))


@QUICK
@given(st.integers(0, len(BLOCK) - 4), st.sampled_from([0, 1, 8, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
def test_every_number_of_an_exif_block_may_lie(at: int, number: int) -> None:
    block = bytearray(BLOCK)
    block[at : at + 4] = number.to_bytes(4, "little")
    survive(jpeg(app1_exif(bytes(block))))


@pytest.mark.parametrize("seed", SEEDS)
def test_memory_does_not_blow_up(seed: bytes) -> None:
    huge = seed.replace((6).to_bytes(4, "little"), (0x0FFFFFFF).to_bytes(4, "little"))
    tracemalloc.start()
    survive(huge)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000


def test_a_png_that_inflates_without_end_is_cut_off() -> None:
    import zlib

    from test_metadata_formats import behind, chunk

    bomb = zlib.compress(b"41" * 40_000_000, 9)
    tracemalloc.start()
    survive(behind(PHOTOS["png RGB"], chunk(b"zTXt", b"Raw profile type exif\0\0" + bomb)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60_000_000


def test_what_is_damaged_before_is_not_made_worse() -> None:
    """A truncated thumbnail, say, must not turn into one that ends in our directories."""
    for length in range(20, len(BLOCK)):
        try:
            photo = metadata.tagged(jpeg(app1_exif(BLOCK[:length])), TAG)
        except RefusedError:
            continue
        block = parser.read(photo).exif
        assert block is not None
        assert block[8:length] == BLOCK[8:length]


def test_extents_without_bytes_do_not_hang() -> None:
    """An item table in which offsets and lengths take no room can promise 65,535 of each item."""
    places = b"".join(struct.pack(">HHHH", n, 0, 0, 0xFFFF) for n in range(4000))
    iloc = b"\1\0\0\0\0\0" + struct.pack(">H", 4000) + places
    iinf = b"\0\0\0\0\0\0"
    photo = heic_of(box(b"iinf", iinf) + box(b"iloc", iloc))
    reading = metadata.gps_state(photo, whole=True)
    assert reading is not None and reading.state is GpsState.EMPTY
    assert metadata.position(photo) is None


def heic_of(inside: bytes) -> bytes:
    meta = struct.pack(">I4s4x", len(inside) + 12, b"meta") + inside
    return struct.pack(">I4s", 16, b"ftyp") + b"heic\0\0\0\0" + meta


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, name) + body


def test_a_heic_that_ends_in_an_empty_table_has_no_position() -> None:
    survive(heic_of(box(b"iloc", b"\0\0\0\0\x44\0\0\0") + box(b"iinf", b"")))


def test_a_heic_that_names_the_same_bytes_again_and_again_costs_no_memory() -> None:
    entry = b"\2\0\0\0" + struct.pack(">HH4s", 1, 0, b"Exif") + b"\0"
    places = struct.pack(">HHH", 1, 0, 16_000) + struct.pack(">HH", 0, 60_000) * 16_000
    iloc = box(b"iloc", b"\0\0\0\0\x22\0\0\1" + places)
    photo = heic_of(box(b"iinf", b"\0\0\0\0\0\1" + box(b"infe", entry)) + iloc)
    tracemalloc.start()
    assert metadata.gps_state(photo.ljust(131_072, b"\0")) is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_xmp_takes_time_in_proportion_to_its_size() -> None:
    """Each took a minute or more when it was parsed repeatedly."""
    start = time.process_time()
    mixed = f"<exif:Latitude>{('x' * 40 + '<b/>') * 100_000}</exif:Latitude>"
    metadata.has_sidecar_gps(packet(mixed))
    spaced = packet().replace(b'rdf:about=""', b" " * 45_000 + b'rdf:about=""')
    metadata.stripped(metadata.tagged(jpeg(app1_xmp(spaced)), TAG))
    many = b'<rdf:Description xmlns:q="q" q:a="1"/>' * 8000 + b"</rdf:RDF>"
    metadata.stripped_sidecar(metadata.sidecar(packet().replace(b"</rdf:RDF>", many), TAG))
    assert time.process_time() - start < 20


def test_a_trailer_of_end_marks_costs_no_memory() -> None:
    photo = jpeg(trailer=b"\xff\xd9" * 8_000_000)
    tracemalloc.start()
    metadata.tagged(photo, TAG)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * len(photo)


def overlapping(kind: int, number: int, size: int) -> bytes:
    """A directory whose values all share the same bytes; as GPS directory or as IFD0."""
    rows = b"".join(struct.pack("<HHII", 0xC000 + n, 7, size, 8) for n in range(number))
    lead = struct.pack("<HHHII", 1, kind, 4, 1, 26) + b"\0\0\0\0" if kind else b""
    ending = struct.pack("<H", number) + rows + b"\0\0\0\0"
    return (b"II*\0\x08\0\0\0" + lead + ending).ljust(size + 8, b"\0")


def tiff_of(rows: list[tuple[int, int, int, int]], rest: bytes) -> bytes:
    body = b"".join(struct.pack("<HHII", *row) for row in rows)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(rows)) + body + b"\0\0\0\0" + rest


def strips(number: int, sizes: int) -> bytes:
    """A TIFF with that many strips, each as large as the file, and that many sizes of strips."""
    at = 8 + 2 + 12 * 3 + 4
    rows = [(262, 3, 1, 2), (273, 4, number, at), (279, 4, sizes, at + 4 * number)]
    length = at + 4 * (number + sizes)
    return tiff_of(
        rows, struct.pack("<I", 8) * number + struct.pack("<I", length - 8) * (sizes - 1) + b"1234"
    )


def crowded(number: int) -> bytes:
    """A TIFF of two directories with that many entries each."""
    first = tiff_of([(262, 3, 1, 2), *[(0x9999, 1, 1, 0)] * (number - 1)], b"")
    return first[:-4] + struct.pack("<I", len(first)) + first[8:]


@pytest.mark.parametrize("tag", [700, 34377, 0x8825])
def test_a_tag_of_which_there_are_many_costs_little(tag: int) -> None:
    rows = [(tag, 4 if tag == 0x8825 else 7, 1 if tag == 0x8825 else 60_000, 8)] * 4_000
    photo = jpeg(app1_exif(tiff_of(rows, b"Latitude8BIM")))
    tiff = tiff_of([(262, 3, 1, 2), *rows], b"Latitude8BIM".ljust(60_000))
    for data in (photo, tiff):
        start = time.process_time()
        tracemalloc.start()
        survive(data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 60_000_000
        assert time.process_time() - start < 20


@pytest.mark.parametrize(
    ("photo", "why"),
    [
        (jpeg(app1_exif(overlapping(0, 1000, 60_000))), "overlap"),
        (jpeg(app1_exif(overlapping(0x8825, 1000, 60_000))), "overlap"),
        (strips(20_000, 20_000), "overlap"),
        (strips(3, 2), "add up"),
        (crowded(15_100), "30000 EXIF entries"),
        (jpeg(app1_xmp(b"") * 10_100), "10000 JPEG segments"),
        (jpeg(b"\xff\xe5\0\2" * 10_100), "10000 JPEG segments"),
    ],
)
def test_what_promises_more_than_it_holds_is_refused_at_once(photo: bytes, why: str) -> None:
    tracemalloc.start()
    survive(photo)
    with pytest.raises(RefusedError, match=why):
        tagged_over(photo, TAG)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


def test_many_inflating_chunks_are_not_all_inflated() -> None:
    import zlib

    from test_metadata_formats import behind, chunk

    bomb = zlib.compress(b"<" + b"Latitude" * 900_000, 9)
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb)
    tracemalloc.start()
    metadata.gps_state(behind(PHOTOS["png RGB"], text * 100), whole=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000_000


def test_compressed_xmp_is_not_inflated_without_end() -> None:
    bomb = heif_photos.ZLIB, zlib.compress(bytes(40_000_000), 9)
    items = {1: (b"hvc1", b"picture")} | dict.fromkeys(range(2, 20), bomb)
    tracemalloc.start()
    survive(heif_photos.Photo(items).made())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 120_000_000


def crowds() -> dict[str, bytes]:
    """Item tables with so many entries that a search among all for each one would take too long."""
    items = {1: (b"hvc1", b"picture")} | dict.fromkeys(range(2, 8000), (b"Exif", b""))
    links = tuple((b"cdsc", n, 1) for n in range(2, 8000))
    many = [heif_photos.full(b"stco", b"\0\0\x27\x10" + b"\0\0\0\x40" * 10_000)] * 20
    return {
        "items and references": heif_photos.Photo(items, links).made(),
        "items": heif_photos.Photo(items).made(),
        "boxes": heif_photos.SKELETONS["neither"] + heif_photos.box(b"free", b"") * 100_000,
        "chunks": heif_photos.sequence(extra=b"".join(many)),
    }


@pytest.mark.parametrize("kind", ["items and references", "items", "boxes", "chunks"])
def test_a_crowded_heic_takes_no_time(kind: str) -> None:
    start = time.process_time()
    with pytest.raises(RefusedError):
        metadata.tagged(crowds()[kind], TAG)
    assert time.process_time() - start < 5
