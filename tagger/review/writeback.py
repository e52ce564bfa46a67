"""Apply from the page: the reviewed rows, by the same writer and ledger as the command."""

import csv
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tagger.errors import RefusedError, RunError
from tagger.ledger.ledger import Ledger, new_run_id
from tagger.records import Outcome, Status
from tagger.report import apply, reader
from tagger.report.reader import Row, Wish
from tagger.review.session import Review
from tagger.review.trusted_root import BucketRoot, Root, really_inside


def to_write(review: Review, rows: Sequence[int]) -> list[int]:
    """Those of the rows that ``landmark-tag apply`` would write, or refuse with a reason."""
    return [row for row in rows if _asks(review, row)]


def _asks(review: Review, row: int) -> bool:
    columns, cells = review.sheet.columns, review.sheet.rows[row]
    shifted = any(cells[len(columns) :])
    try:
        return Row(row + 2, dict(zip(columns, cells, strict=False)), shifted).wish() is Wish.WRITE
    except RefusedError:
        return True


def write_back(
    review: Review,
    rows: Sequence[int],
    root: Root,
    ledger: Path | None,
    progress: Callable[[float], None],
) -> tuple[str, list[Outcome]]:
    """Write what the review says of ``rows``, as one run that undo can take back.

    Returns:
        the run's id, and what became of each row that asked to be written.

    Raises:
        RunError: a row names a photo outside ``root``, or the run cannot start.
    """
    decisions = {review.sheet.photo(row): (row, review.decision(row)) for row in rows}
    for path in decisions:
        if not really_inside(path, root):
            raise RunError(
                f"{path}: lies outside {root}, nothing was written; --root names another folder"
            )
    review.flush()
    run_id, outcomes = new_run_id(), list[Outcome]()
    with tempfile.TemporaryDirectory(prefix="landmark-tag-") as folder:
        part = Path(folder) / review.sheet.path.name
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(review.sheet.columns)
            # Another row of the same photo has its say, too.
            writer.writerows(
                cells
                for row, cells in enumerate(review.sheet.rows)
                if review.sheet.photo(row) in decisions
            )
        keys = apply.keys_to_write(part)
        settings = {"report": str(review.sheet.path.absolute()), "from": "review"}
        with (
            Ledger.open(ledger) as book,
            book.begin(run_id, reader.targets(set(keys)), settings, verb="apply") as recorder,
        ):
            server = root.endpoint_url if isinstance(root, BucketRoot) else ""
            options = apply.ApplyOptions(run_id, endpoint_url=server)
            for done in apply.apply(part, review.landmarks, recorder, options):
                outcomes.append(done.outcome)
                if done.outcome.status is Status.TAGGED and done.outcome.entry.key in decisions:
                    row, decision = decisions[done.outcome.entry.key]
                    review.written[row] = decision
                progress(min(1.0, len(outcomes) / max(1, len(keys))))
    return run_id, outcomes
