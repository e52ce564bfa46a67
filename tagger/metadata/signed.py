"""One question asked of every photo: is it signed, so that any change would break the seal?"""

from collections.abc import Callable
from contextlib import suppress

from tagger.errors import RefusedError
from tagger.metadata import ifd, xmp_packet
from tagger.metadata.formats import detect, heif, jpeg, png, webp
from tagger.metadata.formats.detect import Format
from tagger.metadata.xmp_packet import RDF, Node

# C2PA specification 2.1, appendix A: where a manifest store is embedded.
TIFF_TAG = 0xCD41
BMFF_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
DCTERMS = "http://purl.org/dc/terms/"
PROVENANCE = DCTERMS + "provenance"  # section 11.4: where a manifest is kept elsewhere
ADDRESSES = ("http://", "https://", "self#jumbf")


def check(data: bytes) -> None:
    """Refuse a photo with content credentials, embedded or kept elsewhere.

    Raises:
        RefusedError: it is signed.
    """
    embedded = EMBEDDED.get(detect.of(data[:16]))
    if embedded and embedded(data):
        raise RefusedError("is signed (C2PA content credentials); any change breaks the seal")
    if any(map(_is_remote, detect.blocks(data, True).xmp)):
        raise RefusedError(
            "is signed (C2PA content credentials that are kept elsewhere); any change breaks the "
            "seal"
        )


def _in_jpeg(data: bytes) -> bool:
    """JUMBF in APP11 (ISO/IEC 19566-5 annex D)."""
    header = jpeg.Header()
    with suppress(RefusedError):  # what was found up to there counts
        jpeg.scan(data, header)
    return any(
        part.marker == jpeg.APP11 and data.find(b"jumb", part.at, min(part.end, part.at + 64)) >= 0
        for part in header.segments
    )


def _in_png(data: bytes) -> bool:
    return any(chunk.kind == b"caBX" for chunk in png.chunks(data))


def _in_webp(data: bytes) -> bool:
    return any(chunk.kind == b"C2PA" for chunk in webp.chunks(data))


def _in_tiff(data: bytes) -> bool:
    """A manifest store in any directory: the first one's by C2PA 1.2, the last one's by 1.4."""
    try:
        return any(directory.find(TIFF_TAG) for _, directory in ifd.walk(data))
    except RefusedError:
        return False  # it is not written, for that reason


def _in_bmff(data: bytes) -> bool:
    return any(
        box.kind == b"uuid" and data.startswith(BMFF_UUID, box.at)
        for box in heif.boxes(data, 0, len(data))
    )


EMBEDDED: dict[Format, Callable[[bytes], bool]] = {
    Format.JPEG: _in_jpeg,
    Format.PNG: _in_png,
    Format.WEBP: _in_webp,
    Format.TIFF: _in_tiff,
    Format.HEIC: _in_bmff,
}


def _is_remote(data: bytes) -> bool:
    """Whether XMP names a manifest; what does not parse, and may name one, counts as well."""
    if DCTERMS.encode() not in data or b"provenance" not in data:
        return False
    try:
        root = xmp_packet.parse(data)
    except RefusedError:
        return True
    return any(_names_manifest(node) for node in root.children)


def _names_manifest(description: Node) -> bool:
    texts = [description.attributes.get(PROVENANCE, "")]
    for prop in description.named(PROVENANCE):
        while prop.children:
            prop = prop.children[0]
        texts += [prop.text, prop.attributes.get(RDF + "resource", "")]
    return any(text.strip().lower().startswith(ADDRESSES) for text in texts)
