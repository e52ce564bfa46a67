"""JPEG segments without a proper EXIF or XMP header that other readers accept anyway."""

import re

from tagger.metadata.formats.container import Blocks

EXIF = re.compile(rb".{0,4}Exif\0.", re.I | re.S)  # the headers behind which ExifTool reads EXIF
XMP_SIGNS = (b"<?xpacket", b":xmpmeta", b":RDF", b"http://ns.adobe.com/xap/1.0/")


def unusual(body: bytes) -> Blocks:
    """EXIF or XMP after a wrong header; otherwise the body counts as odd."""
    header = EXIF.match(body)
    if header:
        return Blocks((body[header.end() :],))
    if is_xmp(body):
        return Blocks((), (body[max(0, body.find(b"<")) :],))
    return Blocks(odd=(body,))


def is_xmp(body: bytes) -> bool:
    """Whether the content looks like XMP, whatever its header."""
    return any(sign in body for sign in XMP_SIGNS)
