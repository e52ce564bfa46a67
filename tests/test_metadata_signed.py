"""Signed photos of every format are not written in place, wherever the manifest is."""

import struct

import pytest
from awkward_photos import TAG, app1_xmp, directory, jpeg, packet, segment
from test_metadata_formats import PHOTOS, behind, big_endian_tiff, chunk, heic

from tagger import metadata
from tagger.errors import RefusedError

DCTERMS = 'xmlns:dcterms="http://purl.org/dc/terms/"'
ADDRESS = "https://manifests.example/manifests/1"
REMOTE = f'{DCTERMS} dcterms:provenance="{ADDRESS}"'
JUMBF = segment(0xEB, b"JP\0\0\0\0\0\0\0\0\0\0jumbc2pa")
STORE = [(0xCD41, 7, 8, b"manifest")]


def webp_with_c2pa() -> bytes:
    body = PHOTOS["webp exif"] + struct.pack("<4sI", b"C2PA", 4) + b"jumb"
    return body[:4] + struct.pack("<I", len(body) - 8) + body[8:]


def tiff_with_store(page: bool) -> bytes:
    """The manifest store in the first directory, or as the only entry of one after it."""
    plain = big_endian_tiff()
    at = len(plain)
    if page:
        following = plain.rindex(b"\0\0\0\0")
        return plain[:following] + struct.pack(">I", at) + directory(">", at, STORE)
    entries = plain[18:-4]
    first = struct.pack(">H", len(entries) // 12 + 1) + entries
    first += struct.pack(">HHII", 0xCD41, 7, 8, at + 12) + b"\0\0\0\0"
    return plain[:16] + first + b"manifest"


def heic_with_store() -> bytes:
    uuid = bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + b"\0\0\0\0manifest"
    return heic() + struct.pack(">I4s", len(uuid) + 8, b"uuid") + uuid


def png_with_xmp(data: bytes) -> bytes:
    return behind(PHOTOS["png RGB"], chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + data))


SIGNED = {
    "JPEG": jpeg(JUMBF),
    "PNG": behind(PHOTOS["png RGB"], chunk(b"caBX", b"c2pa")),
    "WebP": webp_with_c2pa(),
    "TIFF, first directory": tiff_with_store(False),
    "TIFF, last directory": tiff_with_store(True),
    "HEIC": heic_with_store(),
    "JPEG, elsewhere": jpeg(app1_xmp(packet(attributes=REMOTE))),
    "PNG, elsewhere": png_with_xmp(packet(attributes=REMOTE)),
    "JPEG, as an element": jpeg(
        app1_xmp(packet(f"<dcterms:provenance {DCTERMS}>\n{ADDRESS}</dcterms:provenance>"))
    ),
    "JPEG, as a resource": jpeg(
        app1_xmp(packet(f'<dcterms:provenance {DCTERMS} rdf:resource="{ADDRESS}"/>'))
    ),
    "JPEG, another prefix": jpeg(app1_xmp(packet(attributes=REMOTE).replace(b"dcterms", b"terms"))),
    "JPEG, XMP that does not parse": jpeg(app1_xmp(packet(attributes=REMOTE)[:-60])),
}


@pytest.mark.parametrize("name", SIGNED)
def test_a_signed_photo_is_not_written(name: str) -> None:
    with pytest.raises(RefusedError, match=r"^is signed .*any change breaks the seal"):
        metadata.tagged(SIGNED[name], TAG)
    with pytest.raises(RefusedError, match=r"^is signed"):
        metadata.stripped(SIGNED[name])


@pytest.mark.parametrize("words", ["given by the painter's heirs", "", "httpd"])
def test_a_provenance_in_words_is_no_signature(words: str) -> None:
    photo = jpeg(app1_xmp(packet(attributes=f'{DCTERMS} dcterms:provenance="{words}"')))
    assert metadata.stripped(metadata.tagged(photo, TAG)) == photo


def test_a_sidecar_is_not_signed() -> None:
    old = packet(attributes=REMOTE)
    assert metadata.stripped_sidecar(metadata.sidecar(old, TAG)) == old
