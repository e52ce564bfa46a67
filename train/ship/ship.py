"""From a trained network to a model file: calibrate on validation photos, measure, write."""

import platform
import subprocess
from pathlib import Path

import torch

from tagger import __version__
from tagger.imaging.decode import Resize
from tagger.model.artifact import Manifest
from tagger.places.landmarks import load_landmarks
from train.networks.pretrained import Transfer
from train.networks.scratch import ScratchNet
from train.photos.arrays import load_photos
from train.photos.pixel_cache import CACHE
from train.photos.split import Material
from train.rejection.calibrate import RULE, calibrate, doubts, see
from train.rejection.compare import compare, measured, save
from train.ship.export import deployed, write

Network = Transfer | ScratchNet


def ship(
    network: Network,
    material: Material,
    name: str,
    size: int,
    resize: Resize,
    out: Path,
    *,
    recipe: str = "",
    run: Path | None = None,
    cache: Path = CACHE,
) -> int:
    """Write ``network`` as a model file; its size in bytes.

    Args:
        network: has ``trunk`` (photos to embedding), ``mean``, ``std`` and a linear ``head``.
        material: what it was trained on; the validation part calibrates it.
        name: what the model is called in the manifest.
        size, resize: what the model file wants to be fed.
        recipe: how it was trained, for the manifest.
        run: folder to write rejection.csv to, the comparison that the rule was chosen by.
    """
    network.cpu().eval()
    columns = len(material.labels) + 1
    train, valid = (
        see(network, *load_photos(samples, columns, size, resize, cache))
        for samples in (material.train, material.valid)
    )
    doubt = doubts(material.labels, load_landmarks())
    shape, calibration = calibrate(network.head, train, valid, doubt)
    rows = compare(network.head, train, valid, doubt)
    if run:
        save(rows, run / "rejection.csv")
    module = deployed(network.trunk, network.mean, network.std, network.head, shape, calibration)
    manifest = Manifest(
        material.labels,
        size,
        resize,
        network.head.in_features,
        name,
        metrics=measured(rows, RULE),
        provenance={
            "recipe": recipe,
            "photos": f"{len(material.train)} train, {len(material.valid)} validation",
            "code": f"landmark-tag {__version__} {_commit()}".strip(),
            "torch": torch.__version__,
            "machine": platform.machine(),
        },
    )
    return write(module, manifest, out)


def _commit() -> str:
    """The commit that the code is at, where there is one to ask."""
    try:
        here = Path(__file__).parent
        command = ["git", "-C", str(here), "rev-parse", "--short", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
