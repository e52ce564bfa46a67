"""A landmark tag has the same bytes as before tags could hold a camera position."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
from awkward_photos import EIFFEL, TAG, app1_exif, app1_xmp, exif, jpeg, packet, picture

from tagger import __version__, metadata
from tagger.metadata import xmp
from tagger.metadata.formats import detect
from tagger.records import Coords, Landmark, Tag

KEYWORDS = "<dc:subject><rdf:Bag><rdf:li>b</rdf:li></rdf:Bag></dc:subject>"
PLACE = (
    "<Iptc4xmpExt:LocationShown><rdf:Bag><rdf:li><rdf:Description Iptc4xmpExt:City='Paris'/>"
    "</rdf:li></rdf:Bag></Iptc4xmpExt:LocationShown>"
)
DATED = [(29, 2, 11, b"2020:01:01\0")]
RIO = replace(EIFFEL, name="São & <Rio> 天壇", latitude=-22.9519, longitude=-43.2105, wikidata="")
PHOTOS = {
    "nothing": picture(),
    "little": jpeg(app1_exif(exif("<", note=b"Canon\0" * 20))),
    "big": jpeg(app1_exif(exif(">", gps=DATED)), app1_xmp(packet())),
    "lists": jpeg(app1_xmp(packet(KEYWORDS + PLACE))),
}
# SHA-256 of the EXIF block and the XMP packet (the rest comes from the encoder), made by the
# version before: scripts and tests never renew them.
GOLDEN = {
    "photo nothing, Ei, both": "127bdb5a9f97e0fce9ffcf0652b56fb3",
    "photo little, Ei, both": "33979742495d9770c835dbb40aa19602",
    "photo big, Ei, both": "477b70d57a2f17146d54ae4301b48329",
    "photo lists, Ei, both": "f63f97875298c6bc90ddc72919a1532e",
    "sidecar new, Ei, both": "a24109dae770b45de9d82b8333bda633",
    "sidecar of jpg, Ei, both": "5bdaa03719def3ce2da120d9b4e3f786",
    "sidecar merged, Ei, both": "202ad087353a4fc23d2c1cdd202b7701",
    "photo nothing, Ei, camera": "577253189ade2704c24615b394ae0411",
    "photo little, Ei, camera": "bd132e2661111cf7750438cc612b9da8",
    "photo big, Ei, camera": "02ed763eb24536620b30653abff40eba",
    "photo lists, Ei, camera": "f3c288388aa29fc43e1ab7011d320e32",
    "sidecar new, Ei, camera": "5fdafc28c2897f4ef93701ca3dcde0c4",
    "sidecar of jpg, Ei, camera": "28c99216f737c4f59770c6da853eb130",
    "sidecar merged, Ei, camera": "c78ab5ff244beb8e882b56ccb70585c6",
    "photo nothing, Ei, subject": "41ead42ca48f7292bb6f60df14cb3190",
    "photo little, Ei, subject": "cb634b4316f583fbfc980cd44d94b56e",
    "photo big, Ei, subject": "c5d599b101b66998e8d33a39fedb1eb0",
    "photo lists, Ei, subject": "79c81839ce228e0181304f5123dfff27",
    "sidecar new, Ei, subject": "de5c1131ed4d9a400cb0f9947e561837",
    "sidecar of jpg, Ei, subject": "3a74c3358b6579d72173dcdd7e1bf332",
    "sidecar merged, Ei, subject": "103910834b99cf966275786634f230d8",
    "photo nothing, Sã, both": "7564ca46c783287bc6c42302bc0d502f",
    "photo little, Sã, both": "f12966cba8395cdecda5c185bc70b60f",
    "photo big, Sã, both": "31701855ff6f7705dcd6f52adb1a13c3",
    "photo lists, Sã, both": "cbd2a09e76018b873043dffa6da90a7f",
    "sidecar new, Sã, both": "91ae6ba8dfca5440fde7130dfeee60e9",
    "sidecar of jpg, Sã, both": "dc8d7da944e08cc9d010c09b8b1b12db",
    "sidecar merged, Sã, both": "feec7787c5e3c1d9ad741d7ca1a45bb9",
    "photo nothing, Sã, camera": "76f295c3793a76cd1f5ea2d1df2df0c0",
    "photo little, Sã, camera": "d793c7055129d285d56792e54fa6a6d7",
    "photo big, Sã, camera": "3ae75efdba10c65fe9aaed762357993a",
    "photo lists, Sã, camera": "5adcad929375590bcb16bc9f511d7ebd",
    "sidecar new, Sã, camera": "3c76ab3b4b5f3544aa5ef90f3e5c3e7c",
    "sidecar of jpg, Sã, camera": "b9d9db5815b21ffaa08a74772000d053",
    "sidecar merged, Sã, camera": "1a5256ad50ac47671e035966fd003fae",
    "photo nothing, Sã, subject": "c4ebad48f293d5c71d637f4b6400127e",
    "photo little, Sã, subject": "42098f96b0524456307a1e59e23b5618",
    "photo big, Sã, subject": "e323687433465c49e364722e91d9094f",
    "photo lists, Sã, subject": "6fd203408ff7f04e60045f94facdf339",
    "sidecar new, Sã, subject": "846f987922c1d9026a6dbda8ce5caa46",
    "sidecar of jpg, Sã, subject": "9d7c4504cfde5eb2c585b2b48082a4bc",
    "sidecar merged, Sã, subject": "9916769bda5cc3801b760e6fdfcb42fb",
}


def written(place: Landmark, coords: Coords) -> Iterator[tuple[str, bytes]]:
    tag = Tag(replace(place), coords, TAG.provenance)
    for name, photo in PHOTOS.items():
        blocks = detect.blocks(metadata.tagged(photo, tag), True)
        assert len(blocks.exif) == len(blocks.xmp) == 1
        yield f"photo {name}", blocks.exif[0] + blocks.xmp[0]
    yield "sidecar new", metadata.sidecar(None, tag)
    yield "sidecar of jpg", metadata.sidecar(None, tag, "jpg")
    yield "sidecar merged", metadata.sidecar(packet(KEYWORDS + PLACE), tag)


def test_the_bytes_are_those_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    version = f'landmark-tag {__version__}"'.encode()
    assert version in xmp.NEW_PACKET
    monkeypatch.setattr(xmp, "NEW_PACKET", xmp.NEW_PACKET.replace(version, b'landmark-tag 0"'))
    digests = {
        f"{name}, {place.name[:2]}, {coords}": hashlib.sha256(data).hexdigest()[:32]
        for place in (EIFFEL, RIO)
        for coords in Coords
        for name, data in written(place, coords)
    }
    assert digests == GOLDEN
