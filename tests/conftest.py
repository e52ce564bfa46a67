"""Shared fixtures: a tiny real model file that tells landmarks by colour, and photos for it."""

import csv
import hashlib
import io
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from tagger.cli.main import main
from tagger.imaging.decode import Resize
from tagger.model import artifact, operators

if TYPE_CHECKING:
    import s3

REPOSITORY = Path(__file__).resolve().parent.parent
SAMPLES = REPOSITORY / "sample_photos"
COLOURS = {"Taj_Mahal": (220, 30, 30), "Eiffel_Tower": (30, 220, 30), "Qutub_Minar": (30, 30, 220)}


# What only scripts/test.sh all runs, by module; single tests of other modules are marked there.
SLOW_MODULES = {
    "test_app_browser": "browser", "test_cluster": "cluster", "test_crash": "crash",
    "test_metadata_corpus": "corpus", "test_metadata_heif_corpus": "corpus",
    "test_train": "training",
}  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="repeat as often as the docs say")


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether to repeat as often as the docs say; without it the same kinds are repeated less."""
    return bool(request.config.getoption("full"))


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test of a slow kind with its kind, and as slow."""
    for item in items:
        for start, kind in SLOW_MODULES.items():
            if item.path.stem.startswith(start):
                item.add_marker(kind)
        if any(item.get_closest_marker(kind) for kind in SLOW_MODULES.values()):
            item.add_marker("slow")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A process imports no module whose tests it leaves out: up to 10 s of processor time each."""
    wanted = config.option.markexpr
    if collection_path.suffix != ".py" or wanted not in ("slow", "not slow"):
        return None
    slow = collection_path.stem.startswith(tuple(SLOW_MODULES))
    if wanted == "not slow":
        return slow or None
    text = collection_path.read_text(encoding="utf-8")
    marked = any(f"mark.{kind}" in text for kind in ("slow", *SLOW_MODULES.values()))
    return None if slow or marked else True


@pytest.fixture(scope="session", autouse=True)
def _no_configuration() -> Iterator[None]:
    """The tests ignore the configuration of the user who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LANDMARK_TAG_")]:
            patch.delenv(name)
        patch.setenv("LANDMARK_TAG_CONFIG", os.devnull)
        yield


@pytest.fixture(scope="session", autouse=True)
def _models_are_searched_once() -> Iterator[None]:
    """That nothing forbidden is in the model that ships takes half a second, of many tests each.

    Of the same bytes it is asked once; a refusal is never remembered.
    """
    check, harmless = operators.check, set[bytes]()

    def once(data: bytes) -> None:
        if (digest := hashlib.sha256(data).digest()) not in harmless:
            check(data)
            harmless.add(digest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operators, "check", once)
        yield


class ByColour(torch.nn.Module):
    """Red is the Taj Mahal, green the Eiffel Tower, blue the Qutub Minar, grey no landmark."""

    scale: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(255.0))

    def mean(self, pictures: torch.Tensor) -> torch.Tensor:
        """Of each channel, float32 [N, 3] from 0 to 1."""
        return (pictures.to(self.scale.dtype) / self.scale).float().mean((2, 3))

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        colour = self.mean(pictures)
        score = torch.cat([12 * (colour - colour.mean(1, keepdim=True)), colour[:, :1] * 0 + 2], 1)
        return score.softmax(1)[:, :3], colour


def save_colour_model(path: Path, **changes: object) -> Path:
    fields: dict[str, Any] = {
        "labels": tuple(COLOURS), "image_size": 32, "resize": Resize.CROP,
        "embedding_size": 3, "name": "colour",
    } | changes  # fmt: skip
    artifact.save(ByColour(), artifact.Manifest(**fields), path)
    return path


@pytest.fixture(scope="session")
def colour_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_colour_model(tmp_path_factory.mktemp("model") / "colour.pt")


def photo(colour: tuple[int, int, int], size: tuple[int, int] = (64, 48), **save: Any) -> bytes:
    """A noisy picture of about one colour, as JPEG bytes unless ``format`` says otherwise."""
    noise = np.random.default_rng(sum(colour)).integers(-20, 20, (size[1], size[0], 3))
    pixels = (np.array(colour) + noise).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, **{"format": "JPEG", "quality": 90, **save})
    return buffer.getvalue()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder with one photo of each landmark that the colour model knows, and one without."""
    folder = tmp_path / "library"
    (folder / "trip").mkdir(parents=True)
    (folder / "a_taj.jpg").write_bytes(photo(COLOURS["Taj_Mahal"]))
    (folder / "b_grey.jpg").write_bytes(photo((120, 120, 120)))
    (folder / "trip" / "eiffel.JPG").write_bytes(photo(COLOURS["Eiffel_Tower"]))
    (folder / "trip" / "qutub.jpg").write_bytes(photo(COLOURS["Qutub_Minar"]))
    return folder


@pytest.fixture
def bytes_of() -> Callable[[Path], dict[str, bytes]]:
    """The bytes of every file below a folder, to compare before and after."""
    return lambda folder: {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".csv"
    }


@pytest.fixture(scope="session")
def s3_server() -> "Iterator[s3.Server]":
    """Moto's S3 in a process of its own; takes three seconds, once."""
    import s3

    with s3.running() as server:
        yield server


@pytest.fixture
def bucket(s3_server: "s3.Server", monkeypatch: pytest.MonkeyPatch) -> "Iterator[s3.Bucket]":
    """A new bucket, and the environment variables that give access to it."""
    import s3

    for name, value in s3.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)
    bucket = s3.Bucket(s3_server.client(), f"bucket-{secrets.token_hex(4)}")
    bucket.client.create_bucket(Bucket=bucket.name)
    yield bucket
    s3_server.fail(0, 0)
    s3_server.expire(-1)


@pytest.fixture
def tag_photos(tmp_path: Path, colour_model: Path) -> Any:
    """Run the command over tmp_path/photos; returns its result and report rows by file name."""

    def run(*options: str, code: int = 0) -> tuple[Result, dict[str, dict[str, str]]]:
        report = tmp_path / "report.csv"
        result = CliRunner().invoke(
            main,
            [
                str(tmp_path / "photos"), "--model", str(colour_model), "--report", str(report),
                "--ledger", str(tmp_path / "ledger.db"), *options,
            ],
        )  # fmt: skip
        assert result.exit_code == code, result.output
        with report.open(newline="", encoding="utf-8") as file:
            return result, {Path(row["path"]).name: row for row in csv.DictReader(file)}

    return run
