"""PNG, WebP and TIFF in their variants; HEIC and AVIF as they are read."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from awkward_photos import TAG, TAGS, exif, first_position, packet, picture, position
from over_gps import tagged_over
from PIL import Image, ImageSequence, PngImagePlugin

from tagger import metadata
from tagger.errors import RefusedError
from tagger.metadata.formats import png, webp
from tagger.records import GpsState

PIXELS = np.random.default_rng(3).integers(0, 255, (21, 33, 3), dtype=np.uint8)
RGB = Image.fromarray(PIXELS)
DEEP = Image.fromarray(PIXELS[:, :, 0].astype(np.uint16) * 257)
FRAMES = [
    RGB,
    RGB.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    RGB.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_info(**extra: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "hello")
    for keyword, text in extra.items():
        info.add_itxt(keyword.replace("_", ":").replace("..", "."), text)
    return info


def with_xmp(data: bytes) -> bytes:
    body = b"XML:com.adobe.xmp\0\0\0\0\0" + packet()
    return data[:33] + chunk(b"iTXt", body) + data[33:]


def chunk(kind: bytes, body: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + crc


def photos() -> Iterator[tuple[str, bytes]]:
    for mode in ("RGB", "RGBA", "L", "LA", "P", "1"):
        image = RGB.convert(mode)
        yield f"png {mode}", saved(image, "PNG")
        yield f"tiff {mode}", saved(image, "TIFF")
        if mode in ("RGB", "RGBA", "L"):
            yield f"webp {mode}", saved(image, "WEBP")
            yield f"webp lossless {mode}", saved(image, "WEBP", lossless=True)
    yield "png 16 bit", saved(DEEP, "PNG")
    yield "tiff 16 bit", saved(DEEP, "TIFF")
    yield "png exif", saved(RGB, "PNG", exif=exif(gps=[]), dpi=(150, 150), pnginfo=png_info())
    yield "png xmp", with_xmp(saved(RGB, "PNG", icc_profile=b"profile" * 40))
    yield "png exif behind the picture", behind(saved(RGB, "PNG"), chunk(b"eXIf", exif()))
    yield "png animated", saved(RGB, "PNG", save_all=True, append_images=FRAMES[1:], duration=70)
    yield "png with a tail", saved(RGB, "PNG") + b"tail"
    yield "webp exif", saved(RGB, "WEBP", exif=exif())
    yield "webp prefixed exif", saved(RGB, "WEBP", exif=b"Exif\0\0" + exif())
    yield "webp xmp", saved(RGB, "WEBP", xmp=packet(), icc_profile=b"profile" * 41)
    frames = {"save_all": True, "append_images": FRAMES[1:], "duration": 70}
    yield "webp animated", saved(RGB, "WEBP", **frames)
    yield "webp animated exif xmp", saved(RGB, "WEBP", **frames, exif=exif(), xmp=packet())
    for compression in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        yield f"tiff {compression}", saved(RGB, "TIFF", compression=compression)
    yield "tiff xmp", saved(RGB, "TIFF", tiffinfo={700: packet()})
    yield "tiff pages", saved(RGB, "TIFF", save_all=True, append_images=FRAMES[1:])
    yield "tiff big-endian", big_endian_tiff()


def behind(data: bytes, extra: bytes) -> bytes:
    return data[:-12] + extra + data[-12:]


def big_endian_tiff() -> bytes:
    from awkward_photos import directory

    def short(number: int) -> bytes:
        return struct.pack(">H", number)

    fields = [
        (256, 3, 1, short(4)),
        (257, 3, 1, short(2)),
        (258, 3, 1, short(8)),
        (259, 3, 1, short(1)),
        (262, 3, 1, short(1)),
        (273, 4, 1, struct.pack(">I", 8)),
        (277, 3, 1, short(1)),
        (278, 3, 1, short(2)),
        (279, 4, 1, struct.pack(">I", 8)),
    ]
    return b"MM\0*" + struct.pack(">I", 16) + b"pictures" + directory(">", 16, fields)


PHOTOS = dict(photos())


def frames(data: bytes) -> list[tuple[str, tuple[int, int], bytes, object]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data)) as image:
            return [
                (frame.mode, frame.size, frame.tobytes(), frame.info.get("duration"))
                for frame in ImageSequence.Iterator(image)
            ]


@pytest.mark.parametrize("kind", TAGS)
@pytest.mark.parametrize("name", PHOTOS)
def test_tag_and_take_out_again(name: str, kind: str) -> None:
    photo, tag = PHOTOS[name], TAGS[kind]
    tagged = metadata.tagged(photo, tag)
    assert frames(tagged) == frames(photo)
    assert metadata.tagged(tagged, tag) == tagged
    assert metadata.xmp_note(tagged) == ""
    assert metadata.provenance(tagged) == tag.provenance
    assert metadata.position(tagged) == pytest.approx(first_position(tag), abs=1e-7)
    assert metadata.stripped(tagged) == photo
    read = (48, 51, 30.132) if kind == "landmark" else (48, 51, 41.7996)
    with Image.open(io.BytesIO(tagged)) as image:
        assert image.getexif().get_ifd(0x8825)[2] == pytest.approx(read, abs=1e-6)
    for data, state in ((photo, GpsState.EMPTY), (tagged, GpsState.VALID)):
        reading = metadata.gps_state(data, whole=True)
        assert reading is not None
        assert reading.state is state


@pytest.mark.parametrize("name", PHOTOS)
def test_a_head_never_contradicts_the_whole(name: str) -> None:
    for data in (PHOTOS[name], metadata.tagged(PHOTOS[name], TAG)):
        whole = metadata.gps_state(data, whole=True)
        for length in {*range(0, 200), *range(200, len(data), 97)}:
            assert metadata.gps_state(data[:length]) in (whole, None) or length < 16


def test_chunks_stand_where_the_standards_want_them() -> None:
    kinds = [each.kind for each in png.chunks(metadata.tagged(PHOTOS["png animated"], TAG))]
    assert kinds[:4] == [b"IHDR", b"eXIf", b"iTXt", b"acTL"]
    tagged = metadata.tagged(PHOTOS["webp RGB"], TAG)
    assert [each.kind for each in webp.chunks(tagged)] == [b"VP8X", b"VP8 ", b"EXIF", b"XMP "]
    assert tagged[20] == webp.EXIF_FLAG | webp.XMP_FLAG


def test_png_profiles_of_imagemagick_are_read_and_not_doubled() -> None:
    body = b"Exif\0\0" + exif(gps=position())
    text = b"\nexif\n%8d\n%s\n" % (len(body), body.hex().encode())
    for extra in (
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)),
        chunk(b"tEXt", b"Raw profile type APP1\0" + text),
    ):
        photo = behind(saved(RGB, "PNG"), extra)
        reading = metadata.gps_state(photo, whole=True)
        assert reading is not None
        assert reading.state is GpsState.VALID
        with pytest.raises(RefusedError, match="old way"):
            tagged_over(photo, TAG)


def heic(method: int = 0, kind: bytes = b"Exif") -> bytes:
    """A HEIC skeleton with one EXIF or XMP item."""

    def box(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", len(body) + 8, name) + body

    item = b"\0\0\0\6Exif\0\0" + exif(gps=position())
    entry = b"\2\0\0\0" + struct.pack(">HH4s", 1, 0, kind) + b"\0"
    if kind == b"mime":
        item = packet(attributes='exif:GPSLatitude="48,5N" exif:GPSLongitude="2,3E"')
        entry += b"application/rdf+xml\0"
    iinf = box(b"iinf", b"\0\0\0\0\0\1" + box(b"infe", entry))

    def whole(offset: int) -> bytes:
        place = struct.pack(">HHHHHII", 1, method, 0, 1, 0, 0, 0)[:8]
        place += struct.pack(">II", offset, len(item))
        iloc = box(b"iloc", b"\1\0\0\0\x44\0\0\1" + place)
        inside = iinf + iloc + (box(b"idat", item) if method else b"")
        meta = box(b"meta", b"\0\0\0\0" + inside)
        return box(b"ftyp", b"heic\0\0\0\0mif1") + meta + (b"" if method else box(b"mdat", item))

    return whole(0 if method else whole(0).index(item))


def test_captions_and_keywords_of_iptc_are_not_hidden() -> None:
    iptc = b"\x1c\x02\x19\0\6family" + b"\x1c\x02\x78\0\2Us"
    profile = chunk(b"tEXt", b"Raw profile type iptc\0\niptc\n19\n" + iptc.hex().encode())
    for photo in (saved(RGB, "TIFF", tiffinfo={33723: iptc}), behind(saved(RGB, "PNG"), profile)):
        tagged = metadata.tagged(photo, TAG)
        assert b"dc:subject" not in tagged
        with Image.open(io.BytesIO(tagged)) as image:
            assert 0x010E not in image.getexif()


@pytest.mark.parametrize("kind", [b"Exif", b"mime"])
@pytest.mark.parametrize("method", [0, 1])
def test_heic_is_read(method: int, kind: bytes) -> None:
    photo = heic(method, kind)
    reading = metadata.gps_state(photo, whole=True)
    assert reading is not None
    assert reading.state is GpsState.VALID
    assert metadata.gps_state(photo[:-10]) is None
    assert metadata.position(photo) is not None


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_real_heic_and_avif(kind: str) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    for block, state in ((exif(gps=position()), GpsState.VALID), (exif(), GpsState.EMPTY)):
        photo = saved(RGB, kind, exif=b"Exif\0\0" + block)
        reading = metadata.gps_state(photo, whole=True)
        assert reading is not None
        assert reading.state is state


@pytest.mark.parametrize(
    ("photo", "why"),
    [
        (PHOTOS["png RGB"][:60], "PNG chunks"),
        (behind(PHOTOS["png exif"], chunk(b"eXIf", exif())), "more than one EXIF"),
        (behind(PHOTOS["png RGB"], chunk(b"caBX", b"c2pa")), "signed"),
        (PHOTOS["webp RGB"][:-2], "fill the file"),
        (PHOTOS["webp RGB"] + b"tail", "fill the file"),
        (PHOTOS["tiff RGB"][:-300], "outside|cut short"),
        (
            PHOTOS["tiff big-endian"].replace(
                struct.pack(">HHIH", 262, 3, 1, 1), struct.pack(">HHIH", 262, 3, 1, 32803)
            ),
            "raw",
        ),
        (saved(RGB, "TIFF", big_tiff=True), "BigTIFF"),
        (picture(kind="GIF"), "this format"),
    ],
)
def test_what_is_not_provably_safe_is_refused(photo: bytes, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        tagged_over(photo, TAG)
