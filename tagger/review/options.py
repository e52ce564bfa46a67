"""What the app was started with; one server process shows one report."""

from dataclasses import dataclass
from pathlib import Path

from tagger.evidence.decide import MIN_CONF
from tagger.model import DEFAULT_MODEL
from tagger.review.trusted_root import Root


@dataclass(frozen=True, slots=True)
class AppOptions:
    """Set once, before the first page is drawn.

    Attributes:
        report: the report to review; None shows the Try page alone.
        root: the folder, or bucket URL, whose photos may be shown and written.
        ledger: where writes are noted; None for the one in the state folder.
        samples: a folder of photos to try.
        packs: of the run that made the report.
    """

    report: Path | None = None
    root: Root = Path()
    ledger: Path | None = None
    model: Path = DEFAULT_MODEL
    min_conf: float = MIN_CONF
    samples: Path | None = None
    packs: tuple[Path, ...] = ()


_current = AppOptions()


def configure(options: AppOptions) -> None:
    global _current
    _current = options


def current() -> AppOptions:
    return _current
