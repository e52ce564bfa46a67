"""Raw profiles: EXIF, XMP and Photoshop data in PNG text, as ImageMagick stored them."""

import re

from tagger.metadata import inside
from tagger.metadata.formats.container import Blocks

PROFILE = re.compile(rb"\s*[^\n]*\n\s*\d+\s(.*)", re.S)  # name, length, the bytes in hex
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"  # before XMP in a profile named APP1


def blocks(text: bytes) -> Blocks:
    """EXIF and XMP in a profile, whatever its name; anything else counts as odd."""
    raw = _decoded(text)
    if raw.startswith((inside.EXIF_HEAD, b"II*\0", b"MM\0*")):
        return Blocks((raw.removeprefix(inside.EXIF_HEAD),))
    if raw.startswith((inside.PHOTOSHOP_HEAD, b"8BIM")):
        return inside.of_photoshop(raw)
    if b"<" in raw[: len(XMP_HEADER) + 4]:
        return Blocks((), (raw.removeprefix(XMP_HEADER),))
    return Blocks(odd=(raw,))


def _decoded(text: bytes) -> bytes:
    match = PROFILE.match(text)
    digits = re.sub(rb"[^0-9A-Fa-f]", b"", match[1]) if match else b""
    return bytes.fromhex(digits[: len(digits) & ~1].decode("ascii"))
