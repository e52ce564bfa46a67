"""One review: the report, the decisions on it so far, and how to make and undo one."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tagger.errors import RunError
from tagger.records import Landmark
from tagger.review.decision import CELLS, Decision, effect, widened
from tagger.review.decision_log import DecisionLog
from tagger.review.sheet import Sheet, number, plain_cell


class Review:
    """A report under review.

    A decision is lasting in the log when :meth:`decide` returns; the CSV follows at once in
    the background, and is brought up to date from the log when a review starts.

    Attributes:
        sheet: the report's rows, with the decisions worked in.
        decisions: the decision that stands, by row number.
        problem: why the CSV could not be saved, empty while all is well.
        kept: rows whose cells were edited elsewhere since they were decided; the edits stand.
        written: rows whose photo Apply has written since the start, with the decision then.
    """

    def __init__(self, report: Path, landmarks: Mapping[str, Landmark]) -> None:
        self.sheet = Sheet(report)
        self.landmarks = landmarks
        self._log = DecisionLog(report)
        self._numbers = {self.sheet.key(row): row for row in range(len(self.sheet.rows))}
        self._originals: dict[int, tuple[str, ...]] = {}
        self._stacks: dict[int, list[Decision]] = {}
        self.problem = ""
        self.kept = 0
        self.written: dict[int, Decision | None] = {}
        self._lock = threading.RLock()
        self._change = threading.Condition()
        self._wanted = self._saved = 0
        self._closed = False
        self._replay()
        self._saver = threading.Thread(target=self._keep_saved, name="save report", daemon=True)
        self._saver.start()

    @property
    def decisions(self) -> dict[int, Decision]:
        return {row: stack[-1] for row, stack in list(self._stacks.items()) if stack}

    def decision(self, row: int) -> Decision | None:
        stack = self._stacks.get(row)
        return stack[-1] if stack else None

    def original(self, row: int, name: str) -> str:
        """What the run wrote into a cell, whatever was decided since, without marks of the file."""
        if row in self._originals and name in CELLS:
            return plain_cell(name, self._originals[row][CELLS.index(name)])
        return self.sheet.cell(row, name)

    def decide(self, rows: Sequence[int], decision: Decision) -> None:
        """Decide on rows, as one step for undo.

        Raises:
            RunError: it could not be kept, so it does not count.
        """
        if decision.landmark and decision.landmark not in self.landmarks:
            raise RunError(f"{decision.landmark}: no landmark of that name is known; pick another")
        with self._lock:
            before = [self._originals.get(row) or self.sheet.get(row, CELLS) for row in rows]
            keys = [self.sheet.key(row) for row in rows]
            self._log.add(list(zip(keys, before, strict=True)), decision)
            for row, cells in zip(rows, before, strict=True):
                self._originals[row] = cells
                self._stacks.setdefault(row, []).append(decision)
                self._refresh(row)
        self._save_soon()

    def undo(self) -> list[int]:
        """Take back the last decision, also one of an earlier session; the rows it was on."""
        with self._lock:
            rows = [self._numbers[key] for key in self._log.undo() if key in self._numbers]
            for row in rows:
                if self._stacks.get(row):
                    self._stacks[row].pop()
                self._refresh(row)
        self._save_soon()
        return rows

    def flush(self) -> None:
        """Wait until the CSV holds every decision.

        Raises:
            RunError: it cannot be saved.
        """
        with self._change:
            self._change.wait_for(lambda: self._saved >= self._wanted)
        if self.problem:
            raise RunError(self.problem)

    def close(self) -> None:
        """Save what is left and let another review open the report."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._saver.join()
        self._log.close()

    def _replay(self) -> None:
        history: dict[int, set[tuple[str, ...]]] = {}
        for entry in self._log.entries():
            row = self._numbers.get(entry.key)
            if row is None or entry.decision.landmark not in {"", *self.landmarks}:
                continue
            before = widened(entry.before, self.sheet.get(row, CELLS))
            original = self._originals.setdefault(row, before)
            states = history.setdefault(row, {_plain(original)})
            states.add(_plain(effect(entry.decision, original, self.landmarks)))
            if not entry.undone:
                self._stacks.setdefault(row, []).append(entry.decision)
        edited = [
            row
            for row, states in history.items()
            if _plain(self.sheet.get(row, CELLS)) not in states
        ]
        for row in edited:
            self._stacks.pop(row, None)
            del self._originals[row], history[row]
        self._log.forget([self.sheet.key(row) for row in edited])
        self.kept = len(edited)
        stale = [row for row in history if self._refresh(row)]
        if stale:
            self.sheet.save()

    def _refresh(self, row: int) -> bool:
        """Bring a row's cells in line with the decision that stands; whether that changed them."""
        cells = effect(self.decision(row), self._originals[row], self.landmarks)
        if cells == self.sheet.get(row, CELLS):
            return False
        self.sheet.put(row, CELLS, cells)
        return True

    def _save_soon(self) -> None:
        with self._change:
            self._wanted += 1
            self._change.notify_all()

    def _keep_saved(self) -> None:
        """Save after each change; changes that come while one is being saved share the next."""
        while True:
            with self._change:
                self._change.wait_for(lambda: self._wanted > self._saved or self._closed)
                target = self._wanted
                if target == self._saved:
                    return
            try:
                self.sheet.save()
                self.problem = ""
            except RunError as error:
                self.problem = str(error)
            with self._change:
                self._saved = target
                self._change.notify_all()


def _plain(cells: tuple[str, ...]) -> tuple[str, ...]:
    """The cells of :data:`CELLS`, each number in one spelling: a spreadsheet makes 2.50000 2.5."""
    return tuple(
        _spelled(cell) if name in ("latitude", "longitude", "radius_m") else cell
        for name, cell in zip(CELLS, cells, strict=True)
    )


def _spelled(cell: str) -> str:
    value = number(cell)
    return cell if value is None else repr(value + 0.0)  # -0.0 becomes 0.0
