"""A copy that was not compiled says what to do, before any photo is opened."""

import subprocess
import sys
from pathlib import Path

from conftest import REPOSITORY, SAMPLES

WITHOUT = """
import sys
sys.modules["tagger.places._bits"] = None
from tagger.cli.main import main
main()
"""


def test_a_copy_that_is_not_compiled_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, SAMPLES, "--dry-run", "--ledger", tmp_path / "l.db",
         "--report", tmp_path / "report.csv"],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "is not compiled" in done.stderr and "pip install ." in done.stderr
    assert "Traceback" not in done.stderr
