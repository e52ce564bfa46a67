"""Packs of more photos beside a model file: ``default.castles.places`` beside ``default.pt``."""

import glob
import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from tagger.errors import RunError
from tagger.places.in_model import LARGEST_MODEL
from tagger.places.pack import SUFFIX
from tagger.storage.named_files import read_regular

OLD = ".npz"  # of such files when they were no packs


def names(path: Path) -> list[str]:
    """What the files beside the model file are called, ``castles`` for instance."""
    return _beside(path, SUFFIX)


def place(path: Path, name: str) -> Path:
    """Where the file of this name lies."""
    return path.with_name(f"{path.stem}.{name}{SUFFIX}")


def read(path: Path, without: Collection[str] = ()) -> dict[str, bytes]:
    """The files by name, but for those of ``without``.

    Raises:
        RunError: one of an earlier version lies there, or one cannot be read.
    """
    for name in _beside(path, OLD):
        if name not in without:
            raise RunError(
                f"{path.with_name(f'{path.stem}.{name}{OLD}')}: photos as an earlier version kept "
                "them; delete the file, or make it anew: python -m train part or add"
            )
    return {name: _bytes(place(path, name)) for name in names(path) if name not in without}


def _bytes(path: Path) -> bytes:
    try:
        return read_regular(path, LARGEST_MODEL)
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); delete or rename it") from error


def identity(model: bytes, packs: Mapping[str, bytes]) -> str:
    """SHA-256 in hex of a model file, or of it and what is beside it: whatever else is guessed."""
    return identity_with(hashlib.sha256(model).hexdigest(), packs)


def identity_with(sha256: str, packs: Mapping[str, bytes]) -> str:
    """As :func:`identity`, of a model file whose own SHA-256 in hex is known."""
    if not packs:
        return sha256
    whole = hashlib.sha256(bytes.fromhex(sha256))
    for _, data in sorted(packs.items()):
        whole.update(hashlib.sha256(data).digest())
    return whole.hexdigest()


def _beside(path: Path, suffix: str) -> list[str]:
    files = path.parent.glob(f"{glob.escape(path.stem)}.*{suffix}")
    return sorted(file.name[len(path.stem) + 1 : -len(suffix)] for file in files)
