"""The report of a run as a file: a row for each photo, written as soon as it is settled."""

import errno
import os
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from tagger.errors import RunError
from tagger.records import Outcome
from tagger.report.columns import row
from tagger.report.files import move_aside, remove_old
from tagger.report.formats import format_of
from tagger.storage.named_files import emptied


class ReportWriter:
    """A report that is whole after every row, so that a run cut short leaves a valid one.

    Raises:
        RunError: the file cannot be written, or holds something that is not such a report.

    Args:
        path: where it goes, and by its suffix the format; what is there is kept under a number.
        names: the name of each slug.
        model: for the column of that name.
        run_id: for the column of that name.
        keep: so many numbered reports are kept, the latest. None for all.
    """

    def __init__(
        self,
        path: Path,
        names: Mapping[str, str],
        model: str,
        run_id: str,
        keep: int | None = None,
    ) -> None:
        self._names, self._model, self._run_id = names, model, run_id
        self._path = path
        self._format = format_of(path.name)
        try:
            if path.exists() and path.stat().st_size:
                move_aside(path)
                if keep is not None:
                    remove_old(path, keep)
            self._file = FileIO(path, "w", opener=emptied)
        except OSError as error:
            raise RunError(
                f"--report {path}: cannot be written ({error.strerror}); choose another place"
            ) from error
        try:
            self._put(self._format.header())
        except RunError:
            self._file.close()
            raise

    def write(self, outcome: Outcome) -> None:
        """Add one row.

        Raises:
            RunError: the disk is full or unmounted; a run must not continue unreported.
        """
        self._put(self._format.row(row(outcome, self._names, self._model, self._run_id)))

    def _put(self, data: bytes) -> None:
        """Hand a whole row to the system at once, or none of it."""
        try:
            written = self._file.write(data)
            if written != len(data):
                os.ftruncate(self._file.fileno(), self._file.tell() - (written or 0))
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> RunError:
        return RunError(
            f"--report {self._path}: cannot be written ({error.strerror}); the run stops here, "
            "make room and run again"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
