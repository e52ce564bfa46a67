"""An XMP packet as a tree that knows where in the packet each element stands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from tagger.errors import RefusedError

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC = "http://purl.org/dc/elements/1.1/"
EXIF = "http://ns.adobe.com/exif/1.0/"
IPTC_EXT = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
SIDECAR_FOR = PHOTOSHOP + "SidecarForExtension"  # of photo.xmp: which photo of that name it is for
OURS = "urn:landmark-tag:provenance:1.0/"
MAX_BYTES, MAX_DEPTH, MAX_NODES = 8_000_000, 64, 200_000
START_TAG = re.compile(rb"<(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>")


class UnreadableError(RefusedError):
    """An XMP packet that does not parse, or is not RDF as XMP has it; it is left alone."""

    def __init__(self, what: str, remedy: str = "repair the XMP first") -> None:
        super().__init__(f"{what}; {remedy}")


@dataclass(slots=True)
class Node:
    """One element; names are ``namespace + local``, offsets are bytes of the packet.

    ``start`` is its ``<``, ``inner`` the end of its start tag, ``close`` its end tag and ``end``
    what follows; a self-closing element has inner == close == end.
    """

    name: str
    attributes: dict[str, str]
    start: int
    inner: int
    close: int = 0
    end: int = 0
    text: str = ""  # what stands directly in it, once it is closed
    children: list["Node"] = field(default_factory=list)
    prefixes: dict[str, set[str]] = field(default_factory=dict)  # at the root: of each namespace

    def named(self, name: str) -> Iterator["Node"]:
        return (child for child in self.children if child.name == name)


class _Builder:
    """Collects expat's events; refuses entities, depth and size before they cost anything."""

    def __init__(self, data: bytes) -> None:
        self.data, self.open, self.count = data, [Node("", {}, 0, 0)], 0
        self.prefixes: dict[str, set[str]] = {}
        self.texts: list[list[str]] = [[]]  # of the open elements
        self.parser = expat.ParserCreate("utf-8", namespace_separator="")
        self.parser.buffer_text = True
        self.parser.StartNamespaceDeclHandler = self.namespace
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.XmlDeclHandler = self.declaration

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if len(self.open) > MAX_DEPTH or self.count > MAX_NODES:
            raise UnreadableError("its XMP is nested too deeply or too large")
        at = self.parser.CurrentByteIndex
        tag = START_TAG.match(self.data, at)
        if tag is None:
            raise UnreadableError("its XMP cannot be followed byte by byte")
        node = Node(name, attributes, at, tag.end())
        self.open[-1].children.append(node)
        self.open.append(node)
        self.texts.append([])

    def end(self, _name: str) -> None:
        node = self.open.pop()
        node.text = "".join(self.texts.pop())
        if self.data[node.inner - 2 : node.inner] == b"/>":
            node.close = node.end = node.inner
        else:
            node.close = self.parser.CurrentByteIndex
            node.end = self.data.index(b">", node.close) + 1

    def characters(self, text: str) -> None:
        self.texts[-1].append(text)

    def namespace(self, prefix: str | None, uri: str | None) -> None:
        self.prefixes.setdefault(uri or "", set()).add(prefix or "")

    def doctype(self, *_: object) -> None:
        raise UnreadableError("its XMP declares a document type, which XMP never does")

    def declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding and encoding.lower() not in ("utf-8", "us-ascii"):
            raise UnreadableError(f"its XMP is in {encoding}, not UTF-8")


def parse(data: bytes) -> Node:
    """The packet's rdf:RDF element (XMP part 1 section 7.3).

    Its ``prefixes`` are those that any element of the packet declares, used or not.

    Raises:
        UnreadableError: not well-formed UTF-8 XML, a document type, too big, or not one rdf:RDF
            whose children are all rdf:Description.
    """
    if len(data) > MAX_BYTES:
        raise UnreadableError("its XMP is too large")
    builder = _Builder(data)
    try:
        # Some writers end the packet with a NUL or spaces, which XML does not have.
        builder.parser.Parse(data.rstrip(b"\0 \r\n\t"), True)
    except expat.ExpatError as error:
        raise UnreadableError(f"its XMP does not parse ({error})") from error
    roots = [
        node
        for top in builder.open[0].children
        for node in (top, *top.children)
        if node.name == RDF + "RDF"
    ]
    if len(roots) != 1 or any(node.name != RDF + "Description" for node in roots[0].children):
        raise UnreadableError("its XMP is not laid out as XMP")
    roots[0].prefixes = builder.prefixes
    return roots[0]


def raw_prefix(data: bytes, node: Node) -> bytes:
    """The namespace prefix, colon included, that an element is written with."""
    tag = data[node.start + 1 : node.inner]
    name = re.split(rb"[\s/>]", tag, maxsplit=1)[0]
    prefix, colon, _ = name.rpartition(b":")
    return prefix + colon


def fields(node: Node) -> dict[str, str]:
    """A structure's simple fields, however written: attributes, elements, nested Description."""
    texts = dict(node.attributes)
    for child in node.children:
        if child.name == RDF + "Description":
            texts |= fields(child)
        else:
            texts[child.name] = _leaf(child)
    return texts


def _leaf(node: Node) -> str:
    """The text of a field, or of its first list item."""
    while node.children:
        node = node.children[0]
    return node.text.strip()


def items(prop: Node) -> tuple[Node, list[Node]] | None:
    """The container and the items of an array property; None where it is no array."""
    if len(prop.children) != 1 or prop.children[0].name not in (
        RDF + "Bag",
        RDF + "Seq",
        RDF + "Alt",
    ):
        return None
    array = prop.children[0]
    return array, list(array.named(RDF + "li"))
