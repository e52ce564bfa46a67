"""Photos of repositories that gave nothing to learn from: their list, and how they are compared."""

import csv
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from awkward_photos import picture
from click.testing import CliRunner

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure_unseen", SCRIPTS / "measure_unseen.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["measure_unseen"] = module
    spec.loader.exec_module(module)
    return module


def rows(name: str) -> list[dict[str, str]]:
    with (SCRIPTS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_no_repository_is_both_learned_and_unseen() -> None:
    unseen = rows("unseen_photos.csv")
    assert len(unseen) > 600
    assert len({(row["repository"], row["path"]) for row in unseen}) == len(unseen)
    learned = {row["repository"] for row in rows("more_photos.csv")}
    assert not learned & {row["repository"] for row in unseen}


def test_what_is_lost_weighs_each_landmark_alike(script: ModuleType) -> None:
    def photo(slug: str, repository: str, right: bool) -> object:
        return script.Asked(slug, repository, True, right, right)

    unseen = [photo("a", "x", True), photo("a", "y", False), photo("a", "y", True),
              photo("b", "x", False), photo("elsewhere", "x", False)]  # fmt: skip
    seen = [photo("a", "s", True), photo("b", "s", True), photo("b", "s", False)]
    here, there, lost = script.lost(unseen, seen)[:, 0]
    assert here == pytest.approx(2 / 4)  # the landmark without seen photos does not count
    assert there == pytest.approx((3 * 1 + 0.5) / 4)
    assert lost == pytest.approx(there - here)


def test_an_interval_goes_by_repositories_not_by_photos(script: ModuleType) -> None:
    values = np.array([[1.0]] * 50 + [[0.0]] * 50)
    few = script.drawn(values, ["one"] * 50 + ["other"] * 50)[:, 0]
    many = script.drawn(values, [str(number) for number in range(100)])[:, 0]
    assert few[0] == many[0] == 0.5
    assert few[1] == 0 and few[2] == 1
    assert 0.3 < many[1] < 0.5 < many[2] < 0.7


def test_ordinary_photos_are_not_tagged_and_copies_count_once(
    script: ModuleType, tmp_path: Path
) -> None:
    folder = tmp_path / "photos" / "nowhere"
    folder.mkdir(parents=True)
    for name in ("a_site__one.jpg", "b_site__same.jpg"):
        (folder / name).write_bytes(picture((320, 240)))
    (folder / "c_site__broken.jpg").write_bytes(b"no photo")
    done = CliRunner().invoke(script.main, [str(tmp_path / "photos")])
    assert done.exit_code == 0, done.output
    assert "c_site__broken.jpg: left out" in done.output
    assert "places that it does not know: 1 photo, 1 place, 1 repository" in done.output


def test_it_runs_from_any_folder(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "measure_unseen.py"), "--help"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--seen" in done.stdout
