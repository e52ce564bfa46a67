"""Crash safety, by really killing: 200 runs over a folder, each cut short at a random moment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import photo

ROUNDS, SEED = 200, 20240607


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_killed_run_leaves_old_or_new_photos_and_can_be_undone(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        path = photos / f"{number}.jpg"
        path.write_bytes(photo((number * 40, 90, 10), size=(160, 120)))
        os.utime(path, ns=(1, 1_500_000_000_000_000_000 + number * 1001))
    arguments = [str(photos), str(tmp_path / "ledger.db"), str(ROUNDS), str(SEED)]
    driver = Path(__file__).with_name("crash_driver.py")
    done = subprocess.run(
        [sys.executable, str(driver), *arguments],
        cwd=Path(__file__).resolve().parent.parent, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    seen = json.loads(done.stdout.splitlines()[-1])
    # The promise was put to the test only if the axe fell while there was something to cut.
    assert seen["runs cut short"] >= ROUNDS // 2
    assert seen["partly done"] >= ROUNDS // 8
    assert seen["with an intent left open"] >= ROUNDS // 12
