"""Embeds a tag in a photo and proves, before handing it over, that nothing else changed."""

from tagger import __version__
from tagger.errors import RefusedError
from tagger.metadata import content, exif, jpeg, look
from tagger.metadata.edits import Edit, apply
from tagger.records import GpsState, Tag


def tagged(data: bytes, tag: Tag, *, replace_gps: bool = False) -> bytes:
    """The photo with ``tag`` embedded, verified.

    Args:
        data: the whole file.
        tag: the place and its provenance; degrees WGS-84, radius in metres.
        replace_gps: write although the photo has a position (for tests and checks).

    Raises:
        RefusedError: not provably safe; the message says why and what to do.
    """
    reading = look.gps_state(data, whole=True)
    if reading and reading.state is not GpsState.EMPTY and not replace_gps:
        raise RefusedError(f"{reading.reason}; left alone")
    if not data.startswith(b"\xff\xd8\xff"):
        raise RefusedError("not a JPEG")
    return _jpeg(data, tag)


def _jpeg(data: bytes, tag: Tag) -> bytes:
    header = jpeg.scan(data)
    jpeg.check_writable(data, header)
    block = jpeg.exif_block(data, header)
    describe = not jpeg.has_caption(data, header)
    new = exif.with_tag(
        exif.new_block(jpeg.density(data, header)) if block is None else block,
        tag,
        "MANUAL\0" + f"{content.TOOL} {__version__}",
        describe,
    )
    if header.exif:
        edits = [jpeg.replacing(header.exif[0], data, jpeg.EXIF, new)]
    else:
        place = jpeg.new_exif_place(data, header)
        edits = [Edit(place, place, jpeg.app1(jpeg.EXIF, new))]
    edits += jpeg.mpf_edits(data, header, edits)
    return apply(data, edits)
