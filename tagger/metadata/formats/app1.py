"""What a JPEG segment holds that is not EXIF or XMP by its header, as other readers see it."""

import re

from tagger.metadata.formats.container import Blocks

EXIF = re.compile(rb".{0,4}Exif\0.", re.I | re.S)  # the headers behind which ExifTool reads EXIF
XMP_SIGNS = (b"<?xpacket", b":xmpmeta", b":RDF", b"http://ns.adobe.com/xap/1.0/")


def unusual(body: bytes) -> Blocks:
    """EXIF or XMP behind a wrong header; else the body is odd."""
    header = EXIF.match(body)
    if header:
        return Blocks((body[header.end() :],))
    if is_xmp(body):
        return Blocks((), (body[max(0, body.find(b"<")) :],))
    return Blocks(odd=(body,))


def is_xmp(body: bytes) -> bool:
    """Whether it looks like XMP inside, whatever its header."""
    return any(sign in body for sign in XMP_SIGNS)
