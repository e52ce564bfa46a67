"""Break JPEGs for minutes and decode them with tagger/imaging/_fast_jpeg.c under AddressSanitizer.

Needs gcc with its sanitizers. Whatever still decodes must have the same pixels as with Pillow.
"""

import importlib.util
import io
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from itertools import product
from pathlib import Path

import click
import numpy as np
from PIL import Image

from tagger.imaging import fast_jpeg

SOURCE = Path(fast_jpeg.__file__).with_name("_fast_jpeg.c")
BUILT = "LANDMARK_TAG_SANITIZED"  # the environment variable that names the module to load


def build(folder: Path) -> dict[str, str]:
    """Compile with sanitizers; the environment in which Python can load the result."""
    module = folder / "_fast_jpeg.so"
    flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    include = f"-I{sysconfig.get_path('include')}"
    subprocess.run(["gcc", *flags, "-shared", "-fPIC", include, "-o", module, SOURCE], check=True)
    runtimes = [
        subprocess.check_output(["gcc", f"-print-file-name={name}"], text=True).strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    preload = {"LD_PRELOAD": ":".join(runtimes), "ASAN_OPTIONS": "detect_leaks=0"}
    return os.environ | preload | {BUILT: str(module)}


def seeds() -> list[bytes]:
    """Small JPEGs of all kinds that are decoded, noisy and uniform ones."""
    chance, photos = np.random.default_rng(0), []
    sizes, samplings = ((33, 17), (64, 64), (8, 8), (9, 130)), ("4:4:4", "4:2:2", "4:2:0", "grey")
    for (width, height), sampling, quality, restart in product(
        sizes, samplings, (20, 92, 100), (0, 1, 3)
    ):
        noise = chance.integers(0, 256, (height, width, 3), np.uint8) // (1 if quality > 50 else 8)
        kind = {} if sampling == "grey" else {"subsampling": sampling}
        picture, buffer = Image.fromarray(noise.astype(np.uint8)), io.BytesIO()
        picture = picture.convert("L") if sampling == "grey" else picture
        picture.save(buffer, "JPEG", quality=quality, restart_marker_blocks=restart, **kind)
        photos.append(buffer.getvalue())
    return photos


def broken(data: bytes, chance: random.Random) -> bytes:
    """The data with some bytes changed, cut off, removed or inserted."""
    at, count = chance.randrange(2, len(data)), chance.randrange(1, 20)
    match chance.randrange(4):
        case 0:
            changed = bytearray(data)
            for _ in range(chance.choice((1, 1, 2, 5))):
                changed[chance.randrange(len(data))] = chance.randrange(256)
            return bytes(changed)
        case 1:
            return data[:at]
        case 2:
            return data[:at] + data[at + count :]
    return data[:at] + chance.randbytes(count) + data[at:]


def judged(data: bytes) -> str:
    """The result of decoding; ``different`` and ``only ours`` are findings."""
    decoded = fast_jpeg.decode(data)
    if decoded is None:
        return "left to Pillow"
    values, width, height, _ = decoded
    try:
        picture = Image.open(io.BytesIO(data))
    except (OSError, SyntaxError):
        return "not opened by Pillow"
    if width * height > 1 << 18 or min(picture.size) < 8:
        return "not compared"
    picture.draft("RGB", (picture.width // 8, picture.height // 8))
    try:
        same = picture.size == (width, height) and picture.tobytes() == values
    except OSError:
        return "only ours"
    return "the same" if same else "different"


@click.command()
@click.option("--seconds", default=60, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(seconds: int, seed: int) -> None:
    """Exit with 1 at a finding; the sanitizers end the process themselves."""
    if BUILT not in os.environ:
        with tempfile.TemporaryDirectory() as folder:
            sys.exit(
                subprocess.run([sys.executable, *sys.argv], env=build(Path(folder))).returncode
            )
    spec = importlib.util.spec_from_file_location("_fast_jpeg", os.environ[BUILT])
    assert spec and spec.loader
    vars(fast_jpeg)["_fast_jpeg"] = importlib.util.module_from_spec(spec)
    chance, whole, counts = random.Random(seed), seeds(), Counter[str]()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = broken(chance.choice(whole), chance)
        result = judged(data)
        counts[result] += 1
        if result in ("different", "only ours"):
            Path(f"finding-{counts.total()}.jpg").write_bytes(data)
    click.echo(f"{counts.total()} JPEGs: {dict(counts)}")
    sys.exit(bool(counts["different"] + counts["only ours"]))


if __name__ == "__main__":
    main()
