"""From a trained network to a model file: calibrate on validation photos, measure, write."""

import platform
import subprocess
from pathlib import Path

import torch

from tagger import __version__
from tagger.imaging.decode import Resize
from tagger.model import artifact
from tagger.model.artifact import Manifest
from tagger.places.landmarks import load_landmarks
from train.networks.pretrained import Transfer
from train.networks.scratch import ScratchNet
from train.photos.arrays import load_photos
from train.photos.folders import NO_LANDMARK, STRANGER
from train.photos.pixel_cache import CACHE
from train.photos.split import Material
from train.rejection.calibrate import RULE, EmbeddedPhotos, calibrate, doubts, see
from train.rejection.compare import compare, measured, save
from train.rejection.scores import Calibration, Shipped, fit_shape
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
    like: Path | None = None,
    weighed: bool = False,
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
        like: the model file whose calibration to take over, where no validation photos are left.
        weighed: references will follow, whose rule takes the doubt of areas off.
        cache: where decoded photos are kept.
    """
    network.cpu().eval()
    seen = [
        see(network, *load_photos(samples, material.columns, size, resize, cache))
        for samples in (material.train, material.valid)
    ]
    head = Shipped(network.head, len(material.labels))
    train, valid = (only_shipped(part, head.classes) for part in seen)
    if like:
        shape = fit_shape(train.embeddings, train.labels, head.classes)
        calibration, metrics = calibration_of(like), artifact.alone(like).manifest.metrics
    else:
        doubt = doubts(material.extents)
        if weighed:
            doubt = torch.zeros_like(doubt)
        shape, calibration = calibrate(head, train, valid, doubt)
        rows = compare(head, train, valid, doubt)
        metrics = measured(rows, RULE)
        if run:
            save(rows, run / "rejection.csv")
    module = deployed(network.trunk, network.mean, network.std, network.head, shape, calibration)
    manifest = Manifest(
        material.labels,
        size,
        resize,
        network.head.in_features,
        name,
        metrics=metrics,
        provenance={
            "recipe": recipe,
            "photos": f"{len(material.train)} train, {len(material.valid)} validation",
            "code": f"landmark-tag {__version__} {_commit()}".strip(),
            "torch": torch.__version__,
            "machine": platform.machine(),
        },
    )
    shipped = load_landmarks()
    own = [place for slug, place in material.places.items() if place != shipped.get(slug)]
    return write(module, manifest, out, own)


def only_shipped(seen: EmbeddedPhotos, classes: int) -> EmbeddedPhotos:
    """The same, with photos of classes that do not ship as photos of no landmark."""
    beside = seen.labels >= classes
    labels = torch.where(beside, NO_LANDMARK, seen.labels)
    kinds = (STRANGER if one else kind for one, kind in zip(beside, seen.kinds, strict=True))
    return EmbeddedPhotos(seen.embeddings, labels, tuple(kinds))


def calibration_of(path: Path) -> Calibration:
    """The calibration in a model file."""
    module = artifact.alone(path).module
    threshold, temperature = float(module.threshold), float(module.temperature)
    return Calibration(temperature, module.rule(), threshold, module.doubt())


def _commit() -> str:
    """The commit of the code, if it is a git checkout."""
    try:
        here = Path(__file__).parent
        command = ["git", "-C", str(here), "rev-parse", "--short", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
