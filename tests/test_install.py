"""What users install: a wheel made from the source archive, run without a checkout."""

import http.cookiejar
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tarfile
import time
import urllib.error
import urllib.request
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import REPOSITORY, SAMPLES

from tagger import __version__, metadata

Command = Callable[..., str]
pytestmark = pytest.mark.slow
# Files of the repository that no source archive contains: built ones, or local to this machine.
NOT_SHIPPED = re.compile(r"__pycache__|\.py[co]$|\.so$|/\.")
BUILD = "import sys; from setuptools import build_meta as b; print(b.build_{}(sys.argv[1]))"


def call(*words: object, folder: Path, **environment: str) -> str:
    """The output of a program run outside this checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder, env=kept | environment, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def files(folder: Path, *below: str) -> set[str]:
    paths = (path for top in below for path in (folder / top).rglob("*") if path.is_file())
    names = {str(path.relative_to(folder)) for path in paths}
    return {name for name in names if not NOT_SHIPPED.search(name)}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive unpacked in it, and the wheel made from that."""
    place = tmp_path_factory.mktemp("built")
    copy = place / "checkout"
    ignored = shutil.ignore_patterns(".*", "*.so", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(REPOSITORY, copy, ignore=ignored)
    call(sys.executable, "-c", BUILD.format("sdist"), place, folder=copy)
    with tarfile.open(next(place.glob("*.tar.gz"))) as archive:
        archive.extractall(place, filter="data")
    source = place / f"landmark_tag-{__version__}"
    call(sys.executable, "-c", BUILD.format("wheel"), place, folder=source)
    return place


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel; large packages come from the tests' own.

    A path in a .pth file brings packages, but not the .pth files beside them: an editable install
    of this checkout stays out.
    """
    place = tmp_path_factory.mktemp("installed")
    venv.create(place, symlinks=os.name != "nt", with_pip=False)
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    wheel = next(built.glob("*.whl"))
    call(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, folder=place)
    site = call(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=place
    )
    Path(site.strip(), "packages_of_the_tests.pth").write_text(sysconfig.get_path("purelib"))
    where = call(python, "-c", "import tagger; print(tagger.__file__)", folder=place)
    assert Path(where.strip()).is_relative_to(place)
    return python.parent


def test_the_source_archive_holds_what_trains_measures_and_tests(built: Path) -> None:
    source = built / f"landmark_tag-{__version__}"
    folders = "tagger", "train", "scripts", "tests", "docs", "sample_photos"
    assert files(REPOSITORY, *folders) <= files(source, *folders)
    plain = {
        "LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "Dockerfile", "setup.py",
        "setup.cfg", "pyproject.toml", "MANIFEST.in",
    }  # fmt: skip
    assert plain <= {path.name for path in source.iterdir()}


def test_the_wheel_holds_every_file_of_the_package(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    wanted = {name for name in files(REPOSITORY, "tagger") if not name.endswith(".c")}
    assert wanted <= held
    assert f"landmark_tag-{__version__}.dist-info/licenses/LICENSE" in held
    assert not [name for name in held if name.startswith(("tests/", "train/", "scripts/"))]


def test_one_wheel_serves_every_python_of_a_platform(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert "-cp311-abi3-" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        compiled = [n for n in archive.namelist() if n.endswith((".so", ".pyd"))]
    assert all(".abi3." in name or name.endswith(".pyd") for name in compiled)
    assert len(compiled) == len(list((REPOSITORY / "tagger").rglob("*.c")))


@pytest.fixture
def album(tmp_path: Path) -> Path:
    (tmp_path / "album").mkdir()
    shutil.copy(SAMPLES / "taj_mahal.jpg", tmp_path / "album")
    return tmp_path


@pytest.fixture
def run(installed: Path, album: Path) -> Command:
    def landmark_tag(*words: object) -> str:
        return call(
            installed / "landmark-tag", *words, folder=album,
            XDG_STATE_HOME=str(album / "state"), LANDMARK_TAG_CONFIG=os.devnull,
        )  # fmt: skip

    return landmark_tag


def test_an_installed_wheel_tags_and_undoes(run: Command, album: Path) -> None:
    photo = album / "album" / "taj_mahal.jpg"
    before = photo.read_bytes()
    run("album", "--min-conf", "0.6", "--report", "report.csv")
    assert metadata.position(photo.read_bytes())
    assert "Taj Mahal" in (album / "report.csv").read_text(encoding="utf-8-sig")
    run("undo", "last")
    assert photo.read_bytes() == before
    assert run("--version").strip().endswith(__version__)


def test_an_installed_wheel_shows_its_report_as_a_page(run: Command, album: Path) -> None:
    run("album", "--dry-run", "--report", "report.csv")
    run("report", "report.csv", "--html", "report.html", "--root", "album")
    page = (album / "report.html").read_text(encoding="utf-8")
    assert "Taj" in page and "<style" in page


@pytest.fixture
def review(run: Command, installed: Path, album: Path) -> Iterator[str]:
    """The address of the review that the installed program serves."""
    pytest.importorskip("streamlit")
    run("album", "--dry-run", "--report", "report.csv")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = f"review report.csv --root album --no-browser --port {port}".split()
    server: subprocess.Popen[str] = subprocess.Popen(
        [installed / "landmark-tag", *words], cwd=album, env=kept, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert server.stdout
    try:
        line = server.stdout.readline()
        address = re.search(r"http://\S+", line)
        assert address, line
        yield address[0]
    finally:
        server.terminate()
        server.wait(300)
        server.stdout.close()


def test_an_installed_wheel_serves_the_review(review: str) -> None:
    browser = urllib.request.build_opener(
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    )
    for _ in range(60):
        try:
            answer = browser.open(review, timeout=300)
            break
        except urllib.error.URLError as error:  # the address is printed before the server listens
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
            time.sleep(0.5)
    assert answer.status == 200 and b"<html" in answer.read()
