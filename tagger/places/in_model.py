"""The places that a model file brings itself: a table in its archive, read without torch."""

import io
import zipfile
import zlib
from pathlib import Path

from tagger.errors import RunError
from tagger.places.table import TABLE, from_csv
from tagger.records import Landmark
from tagger.storage.named_files import read_regular

LARGEST_MODEL = 4 << 30  # bytes: a hundred times the model that ships
LARGEST = 50_000_000  # bytes of a table: 200,000 places


def model_bytes(path: Path) -> bytes:
    """A model file. No pipe: it is read several times, and what lies beside it belongs to it.

    Raises:
        RunError: it cannot be read.
    """
    try:
        return read_regular(path, LARGEST_MODEL)
    except OSError as error:
        raise RunError(
            f"--model {path}: cannot be read ({error.strerror}); give the path of a model file"
        ) from error


def places_in(data: bytes, name: str) -> dict[str, Landmark]:
    """The places of a model file's bytes by slug; none where it has no table, or is no archive.

    Raises:
        RunError: the table cannot be read; ``name`` is the file's in the message.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                if entry.filename.split("/")[1:] == ["extra", TABLE]:
                    if entry.file_size > LARGEST:
                        raise RunError(
                            f"--model {name}: its table of places is too large; give another file"
                        )
                    return from_csv(archive.read(entry), f"--model {name}")
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError):
        pass  # the model's own check says what is wrong with it
    return {}
