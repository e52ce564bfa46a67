"""One question asked of every photo: is it signed, so that any change would break the seal?"""

from tagger.errors import RefusedError
from tagger.metadata import xmp_packet
from tagger.metadata.formats.container import ONLY_SIDECAR, Blocks
from tagger.metadata.xmp_packet import RDF, Node

# C2PA specification 2.1; where a manifest store is embedded (appendix A) each format tells.
DCTERMS = "http://purl.org/dc/terms/"
PROVENANCE = DCTERMS + "provenance"  # section 11.4: where a manifest is kept elsewhere
SIGNED = "is signed (C2PA {}): any change breaks the seal; " + ONLY_SIDECAR
ADDRESSES = ("http://", "https://", "self#jumbf")


def check(blocks: Blocks) -> None:
    """Refuse a photo with content credentials, embedded or kept elsewhere.

    Raises:
        RefusedError: it is signed.
    """
    if blocks.signed:
        raise RefusedError(SIGNED.format("content credentials"))
    if any(map(_is_remote, blocks.xmp)):
        raise RefusedError(SIGNED.format("content credentials that are kept elsewhere"))


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
