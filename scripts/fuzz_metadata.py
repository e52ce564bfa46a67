"""Fuzz the JPEG, TIFF/EXIF, XMP and other parsers with atheris, guided by coverage.

    pip install atheris
    python scripts/fuzz_metadata.py [all|exif|heif|xmp] [-max_total_time=600, libFuzzer options]

Any exception but a refusal with a reason, a hang (-timeout) or too much memory (-rss_limit_mb)
stops the run; the last line names the input, kept as crash-*, timeout-* or oom-* in a new folder
of the temporary files. Give that file as the only further argument to run it again.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

with atheris.instrument_imports(include=["tagger.metadata"]):
    from tagger import metadata

from awkward_photos import TAG, app1_exif, app1_xmp, jpeg, packet  # noqa: E402
from over_gps import tagged_over  # noqa: E402

from tagger.errors import RefusedError  # noqa: E402


def answer(data: bytes) -> None:
    """Call every public function on one file."""
    reading = metadata.gps_state(data, whole=True)
    if reading is None:
        raise AssertionError("the whole file must settle the GPS question")
    metadata.position(data)
    metadata.provenance(data)
    metadata.has_sidecar_gps(data)
    metadata.xmp_note(data)
    writes: tuple[Callable[[], object], ...] = (
        lambda: metadata.stripped(data),
        lambda: metadata.stripped_sidecar(data),
        lambda: metadata.sidecar(data, TAG),
    )
    for write in writes:
        try:
            write()
        except RefusedError:
            continue
    try:
        tagged = tagged_over(data, TAG)
    except RefusedError:
        return
    if metadata.tagged(tagged, TAG) != tagged:
        raise AssertionError("tagging twice must equal tagging once")
    if metadata.provenance(data) is None:
        try:
            metadata.stripped(tagged)
        except RefusedError as error:
            if "report" in str(error):
                raise AssertionError(error) from error


def whole_file(data: bytes) -> None:
    answer(data)


def exif_block(data: bytes) -> None:
    order = b"II*\0" if data[:1] < b"\x80" else b"MM\0*"
    answer(jpeg(app1_exif(order + data[1:60_000])))


def heif_boxes(data: bytes) -> None:
    answer(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + data)


def xmp_packet(data: bytes) -> None:
    answer(data)
    answer(jpeg(app1_xmp(data[:60_000])))


TARGETS = {"all": whole_file, "exif": exif_block, "heif": heif_boxes, "xmp": xmp_packet}


def seeds(target: str, folder: Path) -> None:
    """A few real shapes to start from."""
    from heif_photos import SKELETONS
    from test_metadata_fuzz import BLOCK, SEEDS

    inputs = {
        "exif": [b"\0" + BLOCK[4:]],
        "heif": [photo[24:] for photo in SKELETONS.values()],
        "xmp": [packet(), metadata.sidecar(packet(), TAG)],
    }
    for number, seed in enumerate(inputs.get(target, SEEDS)):
        (folder / f"seed{number}").write_bytes(seed)


def main() -> None:
    """Parse the target, write the seeds, hand over to libFuzzer."""
    arguments = sys.argv[1:]
    target = arguments.pop(0) if arguments and arguments[0] in TARGETS else "all"
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{target}-"))
    seeds(target, folder)
    options = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=20000"]
    options.append(f"-artifact_prefix={folder}{os.sep}")
    if not any(os.path.isfile(argument) for argument in arguments):
        arguments.append(os.fspath(folder))
    atheris.Setup([sys.argv[0], *options, *arguments], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
