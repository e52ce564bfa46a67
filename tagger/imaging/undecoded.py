"""Why a photo cannot be decoded: it is damaged, of an unsupported variety, or no photo."""

import re
import struct

from tagger.errors import DamagedError, PhotoError, RefusedError, UnsupportedError
from tagger.imaging import libtiff
from tagger.metadata import ifd
from tagger.metadata.formats import detect, heif, jpeg, tiff

EXPORT = "tag a JPEG exported from it"
EXCLUDE = "rename or exclude it"
# First bytes of files that are not decoded here, whatever they are named.
OTHERS = (
    (b"%!PS", "PostScript (EPS)"),
    (b"\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (b"%PDF", "PDF"),
    (b"8BPS", "Photoshop (PSD)"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"II\xbc", "JPEG XR"),
    (b"IIU\0", "Panasonic camera raw"),
    (b"IIRO", "Olympus camera raw"),
    (b"FUJIFILM", "Fujifilm camera raw"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"SIMPLE  =", "FITS"),
    (b"gimp xcf", "GIMP (XCF)"),
    (b"\x1aE\xdf\xa3", "Matroska or WebM video"),
    (b"PK\3\4", "ZIP"),
    (b"<svg", "SVG"),
    (b"<!DOCTYPE html", "HTML"),
    (b"<html", "HTML"),
)
# The photo formats among them: their owners want them tagged, not renamed.
PHOTOS = frozenset({"JPEG XL", "JPEG 2000", "JPEG XR"})
# Brands of ISO base media files that are not HEIF pictures.
BRANDS = (
    (b"qt  ", "a QuickTime movie"),
    (b"crx ", "Canon camera raw (CR3)"),
    (b"jp2 ", "JPEG 2000"),
    (b"jxl ", "JPEG XL"),
    *((brand, "an MP4 video") for brand in (b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"M4V ")),
)
# ITU-T T.81 table B.1; arithmetic coding (0xC9, 0xCA) is decoded.
FRAMES = {
    0xC3: "lossless", 0xC5: "hierarchical", 0xC6: "hierarchical", 0xC7: "hierarchical",
    0xCB: "lossless", 0xCD: "hierarchical", 0xCE: "hierarchical", 0xCF: "hierarchical",
    0xF7: "JPEG-LS",
}  # fmt: skip
SOFS = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), 0xCD, 0xCE, 0xCF))
COMPRESSIONS = {
    1: "none", 2: "CCITT", 3: "CCITT fax 3", 4: "CCITT fax 4", 5: "LZW", 6: "old JPEG", 7: "JPEG",
    8: "Deflate", 32773: "PackBits", 32809: "ThunderScan", 32946: "Deflate", 34661: "JBIG",
    33003: "JPEG 2000", 33005: "JPEG 2000", 34676: "LogLuv", 34677: "LogLuv", 34712: "JPEG 2000",
    34887: "LERC", 34892: "lossy JPEG", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP",
    50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
COLOURS = {
    0: "grey", 1: "grey", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr", 8: "CIELab",
    9: "ICCLab", 10: "ITULab", 32803: "sensor (CFA)", 32844: "LogL", 32845: "LogLuv",
    34892: "linear raw",
}  # fmt: skip
_LACKS = re.compile(r"not been built in|not implemented|unsupported|no codec|not supported", re.I)


def explained(data: bytes, error: Exception) -> PhotoError:
    """What is wrong with a photo for which the decoders raised ``error``."""
    detail = f"({' '.join(str(error).split()) or type(error).__name__})"
    if isinstance(error, PhotoError):
        return error
    if isinstance(error, MemoryError):
        return UnsupportedError("not enough memory to decode it; scale it down first")
    kind = detect.of(data)
    if kind is detect.Format.HEIC:
        return _heif(data, error, detail)
    variety = ""
    if kind is detect.Format.JPEG:
        variety = _jpeg(data)
    elif kind in (detect.Format.TIFF, detect.Format.BIG_TIFF):
        variety = _tiff(data, detail)
    elif kind is detect.Format.PNG and data[12:16] == b"CgBI":
        variety = "a PNG optimised for iOS"
    if variety:
        return UnsupportedError(f"{variety} is not decoded here; {EXPORT}")
    return DamagedError(f"damaged, cannot be decoded {detail}; restore it from a backup")


def unknown(data: bytes) -> PhotoError:
    """What a file is that has no decoder here."""
    if not data.strip(b"\0"):  # a crash or a broken disk leaves a file of zeros
        what = f"holds {len(data)} bytes of zeros" if data else "is empty (0 bytes)"
        return DamagedError(f"the file {what}; restore it from a backup")
    if detect.of(data) is detect.Format.HEIC:
        return _brand(data)
    start = data[:64].lstrip(b"\xef\xbb\xbf \r\n\t")
    for magic, name in OTHERS:
        if data.startswith(magic) or start.startswith(magic):
            if name in PHOTOS:
                return _photo(name)
            return UnsupportedError(f"is {name} by its content, which is not decoded; {EXCLUDE}")
    return UnsupportedError("not a photo format that can be read; check the file or exclude it")


def _brand(data: bytes) -> PhotoError:
    brands = heif.brands(data)
    if brands & heif.AVIF_BRANDS or not brands & heif.BRANDS:
        for brand, name in BRANDS:
            if data[8:12] == brand or (brand in brands and not brands & heif.AVIF_BRANDS):
                if name in PHOTOS:
                    return _photo(name)
                return UnsupportedError(f"is {name} by its content, not a photo; {EXCLUDE}")
    if brands & heif.AVIF_BRANDS:
        return UnsupportedError("AVIF is not decoded by this Pillow; pip install -U pillow")
    if brands & heif.BRANDS:
        return UnsupportedError(
            "HEIC cannot be decoded here; install the extra: pip install 'landmark-tag[heic]'"
        )
    name = data[8:12].decode("latin-1").strip()
    shown = f" ({name})" if name.isascii() and name.isprintable() and name else ""
    return UnsupportedError(f"a media file of a kind{shown} that is not decoded; exclude it")


def _photo(name: str) -> PhotoError:
    return UnsupportedError(f"{name} is not decoded here; export it as JPEG or PNG")


def _heif(data: bytes, error: Exception, detail: str) -> PhotoError:
    name = "AVIF" if heif.brands(data) & heif.AVIF_BRANDS else "HEIC"
    if _LACKS.search(str(error)):
        return UnsupportedError(f"a variety of {name} that is not decoded here {detail}; {EXPORT}")
    return DamagedError(
        f"its {name} decoder cannot read it {detail}; where other programs show it, {EXPORT}, "
        "else restore it from a backup"
    )


def _jpeg(data: bytes) -> str:
    """Kinds of JPEG that libjpeg, built for 8 bits, does not decode."""
    try:
        for part in jpeg.segments(data):
            if part.marker in FRAMES:
                return f"{FRAMES[part.marker]} JPEG".replace("JPEG-LS JPEG", "JPEG-LS")
            if part.marker in SOFS:
                bits, count = data[part.at], data[part.at + 5]
                if bits > 8:
                    return f"JPEG of {bits} bits a colour"
                return "" if count in (1, 3, 4) else f"JPEG of {count} colours"
    except (RefusedError, IndexError):
        return ""
    return ""


def _tiff(data: bytes, detail: str) -> str:
    """The variety of an undamaged TIFF.

    Raises:
        DamagedError: it is not.
    """
    cut = DamagedError(f"the TIFF is damaged or cut short {detail}; restore it from a backup")
    if detect.of(data) is detect.Format.BIG_TIFF:
        (first,) = struct.unpack_from("<Q" if data[:2] == b"II" else ">Q", data.ljust(16), 8)
        if first + 8 > len(data):
            raise cut
        return f"a variety of BigTIFF {detail}"
    try:
        order, first = ifd.header(data)
        directory = ifd.read_ifd(data, order, first)

        def numbers(tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
            entry = directory.find(tag)
            return tuple(tiff.numbers(data, order, entry)) if entry else default

        compression, colours = numbers(259, (1,)), numbers(262, (-1,))
        bits, sample = numbers(258, (1,)), numbers(339, (1,))
        for starts, sizes in tiff.DATA:
            for start, size in zip(numbers(starts, ()), numbers(sizes, ()), strict=False):
                if start + size > len(data):
                    raise cut
    except (RefusedError, struct.error, ValueError) as error:
        raise cut from error
    method = COMPRESSIONS.get(compression[0], f"of number {compression[0]}")
    if compression[0] not in COMPRESSIONS or not libtiff.decodes(compression[0]):
        return f"TIFF compression {method}"
    floats = "floating point" if 3 in sample else "signed" if 2 in sample else ""
    if max(bits) in (1, 2, 4, 8) and not floats and colours[0] in (0, 1, 2, 3, 5, 6):
        return "" if "decod" in detail or "trunc" in detail else f"a variety of TIFF {detail}"
    name = COLOURS.get(colours[0], f"of number {colours[0]}") if colours[0] >= 0 else "unstated"
    each = "/".join(map(str, bits[:4]))
    return f"TIFF with colours {name}, {each} bits {floats}".rstrip()
