"""Which decoder is fastest from a camera's JPEG to the classifier's input, and their differences.

Needs, each left out where it is missing: pip install simplejpeg pyturbojpeg pyvips pyvips-binary,
and the system's libturbojpeg for pyturbojpeg.
"""

import io
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import click
import numpy as np
from bench_sections import CORES, MP_12, MP_24, cameras
from numpy.typing import NDArray
from PIL import Image

from tagger.imaging import decode

Pixels = NDArray[np.uint8]
EDGE = 256
# 1/8 of 12 megapixels and of 24 is still as large as imaging asks for.
SHRINK = 8


def landmark_tag(data: bytes) -> Pixels:
    """As in a run: tagger.imaging.fast_jpeg, or Pillow at the same scale if that declines."""
    return decode.to_pixels(data, EDGE, decode.Resize.SQUASH)


def pillow_draft(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as picture:
        picture.draft("RGB", (picture.width // SHRINK, picture.height // SHRINK))
        return _fit(np.asarray(picture.convert("RGB")))


def pillow_full(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as picture:
        return _fit(np.asarray(picture.convert("RGB")))


def simplejpeg(data: bytes) -> Pixels:
    import simplejpeg

    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    short = decode.SPARE * EDGE / min(height, width)
    return _fit(
        simplejpeg.decode_jpeg(
            data, "RGB", min_height=round(height * short), min_width=round(width * short)
        )
    )


def pyturbojpeg(data: bytes) -> Pixels:
    import turbojpeg

    return _fit(turbojpeg.TurboJPEG().decode(data, turbojpeg.TJPF_RGB, (1, SHRINK)))


def torchvision(data: bytes) -> Pixels:
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    whole = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)
    return _fit(whole.permute(1, 2, 0).numpy())


def pyvips(data: bytes) -> Pixels:
    import pyvips

    small = pyvips.Image.thumbnail_buffer(data, EDGE, height=EDGE, size="force")
    return np.ascontiguousarray(small.numpy().transpose(2, 0, 1))


DECODERS = (landmark_tag, pillow_draft, pillow_full, simplejpeg, pyturbojpeg, torchvision, pyvips)


def _fit(pixels: Pixels) -> Pixels:
    square = decode.fit(Image.fromarray(pixels), EDGE, decode.Resize.SQUASH)
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


def cpu_ms(decoder: Callable[[bytes], Pixels], data: list[bytes], rounds: int) -> float:
    """Milliseconds of processor time per photo, in the best round."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        for photo in data:
            decoder(photo)
        taken.append(time.process_time() - start)
    return 1e3 * min(taken) / len(data)


def rate(pool: Executor, data: list[bytes], rounds: int) -> float:
    """Photos a second with a pool of workers; the first round starts them."""
    taken = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        list(pool.map(landmark_tag, data))
        taken.append(time.perf_counter() - start)
    return len(data) / min(taken[1:])


@click.command()
@click.option("--photos", default=8, show_default=True, help="Photos of each size.")
@click.option("--rounds", default=3, show_default=True, help="The best of so many counts.")
@click.option("--folder", type=click.Path(path_type=Path), help="Own JPEGs instead of made ones.")
def main(photos: int, rounds: int, folder: Path | None) -> None:
    """Compare decoders on this machine, and threads with processes for the one in use."""
    if folder:
        sets = {"own": [path.read_bytes() for path in sorted(folder.glob("*.jp*g"))[:photos]]}
    else:
        sets = {"12 MP": cameras(photos, MP_12), "24 MP": cameras(photos, MP_24)}
    for kind, data in sets.items():
        reference = [pillow_full(photo).astype(int) for photo in data]
        for decoder in DECODERS:
            try:
                apart = np.mean(
                    [np.abs(decoder(p) - r).mean() for p, r in zip(data, reference, strict=True)]
                )
            except (ImportError, OSError, RuntimeError) as error:
                click.echo(f"{kind} {decoder.__name__:14} left out: {error}")
                continue
            click.echo(
                f"{kind} {decoder.__name__:14} {cpu_ms(decoder, data, rounds):7.1f} ms of a core, "
                f"{apart:.2f} of 255 from decoding in full"
            )
    data = next(iter(sets.values())) * 2
    for name, kind_of in {"threads": ThreadPoolExecutor, "processes": ProcessPoolExecutor}.items():
        with partial(kind_of, CORES)() as pool:
            click.echo(f"{CORES} {name}: {rate(pool, data, rounds):.1f} photos/s")


if __name__ == "__main__":
    main()
