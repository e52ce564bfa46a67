"""Which files are photos, by suffix: the only home of these lists."""

import os

# What is decoded: JPEG (also of several pictures: .mpo, .jps, .insp), PNG, TIFF, WebP, and HEIF
# and AVIF under all their names (.hif is what Sony, Canon, Fujifilm, Nikon and OM write).
HEIF_SUFFIXES = frozenset(".heic .heif .hif .heics .heifs .avif .avifs".split())
PHOTO_SUFFIXES = HEIF_SUFFIXES | frozenset(
    ".jpg .jpeg .jpe .jfif .jfi .jif .pjpeg .pjp .mpo .jps .insp "
    ".png .apng .tif .tiff .webp".split()
)
# Camera raw: classified by its embedded preview, and never written.
RAW_SUFFIXES = frozenset(
    ".3fr .arw .bay .cap .cr2 .cr3 .crw .cs1 .dcr .dcs .dng .drf .eip .erf .fff .gpr .iiq .k25 "
    ".kc2 .kdc .mdc .mef .mos .mrw .nef .nrw .orf .ori .pef .pxn .qtk .raf .raw .rw2 .rwl .rwz "
    ".sr2 .srf .srw .sti .x3f".split()
)
# Listed so that they show up in the report; Pillow does not read them.
UNREAD_SUFFIXES = frozenset(".jxl .jxr .hdp .wdp".split())
MOVIE_SUFFIXES = frozenset((".mov", ".mp4"))  # read beside a photo (Live Photo), never listed
LISTED_SUFFIXES = PHOTO_SUFFIXES | RAW_SUFFIXES | UNREAD_SUFFIXES


def suffix(name: str) -> str:
    """A name's suffix in lower case, with its dot."""
    return os.path.splitext(name)[1].lower()


def is_raw(key: str) -> bool:
    """Whether a key names a camera raw file, which is never written."""
    return suffix(key) in RAW_SUFFIXES


def is_movie(key: str) -> bool:
    """Whether a key names a movie, which may be the moving half of a photo; never written."""
    return suffix(key) in MOVIE_SUFFIXES


def sidecar_names(name: str) -> tuple[str, str]:
    """The two names a photo's XMP sidecar goes by: photo.jpg.xmp first, then photo.xmp."""
    return f"{name}.xmp", f"{os.path.splitext(name)[0]}.xmp"


def is_sidecar(key: str) -> bool:
    """Whether a key names an XMP sidecar rather than a photo."""
    return suffix(key) == ".xmp"
