"""The commands review (in the browser) and report (one HTML file); no logic."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tagger.cli import options
from tagger.cli.exits import exits
from tagger.cli.help import Grouped
from tagger.errors import RunError
from tagger.terminal import counted, printable, tell

if TYPE_CHECKING:
    from tagger.review.trusted_root import Root

_root = click.option(
    "--root",
    metavar="FOLDER",
    default=None,
    help="Folder or bucket URL that holds the photos; rows that name other files are refused.",
)


@click.command(cls=Grouped)
@click.argument(
    "report", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@_root
@options.model("Model file of the run and for the Try page; default: the one in the package.")
@options.packs("Pack of the run; repeatable.")
@options.min_conf("Threshold the Try page starts with.")
@click.option(
    "--samples",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Folder of photos that the Try page offers.",
)
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; the page opens only with the printed link, which holds a token.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8501,
    show_default=True,
    help="Port to listen on.",
)
@click.option("--browser/--no-browser", default=True, help="Open it in the browser (default).")
@options.ledger
@options.endpoint_url
@exits
def review(
    report: Path | None,
    root: str | None,
    model: Path | None,
    packs: tuple[Path, ...],
    min_conf: float,
    samples: Path | None,
    address: str,
    port: int,
    browser: bool,
    ledger: Path | None,
    endpoint_url: str,
) -> None:
    """Review REPORT in the browser, or try photos.

    \b
    landmark-tag ~/Pictures --dry-run --report review.csv
    landmark-tag review review.csv
    landmark-tag review                               only try photos

    Accept, reject or correct each photo, then apply. Each decision is saved at once, into REPORT
    and a file beside it.
    """
    from tagger.model import DEFAULT_MODEL
    from tagger.review.options import AppOptions
    from tagger.review.server import serve

    if report is None and Path("report.csv").is_file():
        report = Path("report.csv")
    trusted = _trusted(report, root, ledger, endpoint_url) if report else Path()
    shown = AppOptions(
        report.absolute() if report else None, trusted, ledger, model or DEFAULT_MODEL, min_conf,
        samples=samples or _shipped_samples(), packs=packs,
    )  # fmt: skip
    serve(shown, address, port, browser)


@click.command(cls=Grouped)
@click.argument("report", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--html",
    "out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="HTML file to write; an existing HTML file is replaced.",
)
@_root
@click.option(
    "--thumbnails",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    help="Embed at most this many thumbnails, about 15 KB each.",
)
@options.ledger
@options.endpoint_url
@exits
def report(
    report: Path,
    out: Path,
    root: str | None,
    thumbnails: int,
    ledger: Path | None,
    endpoint_url: str,
) -> None:
    """Write REPORT as one HTML file, to mail or keep.

    \b
    landmark-tag report report.csv --html report.html

    The file holds thumbnails, a map and filters, and needs no other file.
    """
    from tagger.review.htmlreport import write_html

    trusted = _trusted(report, root, ledger, endpoint_url)
    refused = write_html(report, out, trusted, thumbnails, os.cpu_count() or 1)
    tell(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
    if refused:
        tell(
            f"{counted(refused, 'row')} of files outside {trusted} left out; "
            "--root names another folder",
            err=True,
        )


def _trusted(report: Path, root: str | None, ledger: Path | None, endpoint_url: str) -> "Root":
    """The folder whose photos may be shown; the user is asked if it can only be guessed."""
    from tagger.ledger.ledger import Ledger
    from tagger.ledger.schema import default_path
    from tagger.review.sheet import Sheet
    from tagger.review.trusted_root import choose_root, common_folder, inside

    if root is not None:
        return choose_root(root, [], report, endpoint_url)
    sheet = Sheet(report)
    run_ids = set(sheet.column("run_id"))
    recorded: list[str] = []
    if (ledger or default_path()).exists():
        with Ledger.open(ledger, create=False) as book:
            recorded = [place for run in book.runs() if run.run_id in run_ids
                        for place in run.targets]  # fmt: skip
    trusted = choose_root(None, recorded, report, endpoint_url)
    photos = [sheet.photo(row) for row in range(len(sheet.rows))]
    if recorded or not photos or any(inside(photo, trusted) for photo in photos):
        return trusted
    proposed = common_folder(photos)
    if proposed is None:
        return trusted
    question = f"The report names photos in {proposed}. Show and write photos there?"
    if sys.stdin.isatty() and click.confirm(printable(question)):
        return choose_root(proposed, [], report, endpoint_url)
    raise RunError(
        f"{report}: names photos in {proposed}, which is neither a folder of its run nor the "
        f"report's own; if the photos are there, add --root {shlex.quote(str(proposed))}"
    )


def _shipped_samples() -> Path | None:
    folder = Path(__file__).resolve().parents[2] / "sample_photos"
    return folder if folder.is_dir() else None


COMMANDS = (review, report)
