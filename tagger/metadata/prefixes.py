"""What an XMP packet calls the namespaces that a tag is written in."""

from typing import NamedTuple

from tagger.metadata.xmp_packet import DC, EXIF, IPTC_EXT, OURS, RDF, Node, UnreadableError

USUAL = {RDF: "rdf", DC: "dc", EXIF: "exif", IPTC_EXT: "Iptc4xmpExt", OURS: "landmarktag"}


class Prefixes(NamedTuple):
    """One prefix a namespace, in the order of ``USUAL``."""

    rdf: str
    dc: str
    exif: str
    iptc: str
    ours: str

    def declared(self) -> str:
        """Their declarations, as attributes of an element."""
        return "".join(f' xmlns:{name}="{uri}"' for name, uri in zip(self, USUAL, strict=True))


def of(root: Node) -> Prefixes:
    """The packet's own prefix of each namespace; the usual one where it has none.

    A second prefix for a namespace, merely declared, makes exiv2 0.27 and 0.28 read nothing of
    the packet ("Schema namespace URI and prefix mismatch") and drop it when it saves the photo.

    Raises:
        UnreadableError: one has several prefixes already, or one that we cannot write.
    """
    taken = set[str]().union(*root.prefixes.values())
    return Prefixes(*(_one(root.prefixes.get(uri), uri, taken) for uri in USUAL))


def _one(known: set[str] | None, uri: str, taken: set[str]) -> str:
    if known is None:
        usual = USUAL[uri]
        spare = (f"{usual}{number}" for number in range(1, len(taken) + 2))
        return next(name for name in (usual, *spare) if name not in taken)
    (prefix,) = known if len(known) == 1 else ("",)
    if not prefix.isascii() or not prefix:
        raise UnreadableError(
            f"its XMP has several prefixes, or none, for {uri}", "re-save it with ExifTool first"
        )
    return prefix
