"""The crontab line, the systemd units and the configuration of docs/nightly.md work as printed."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import s3
from conftest import COLOURS, REPOSITORY, photo

PAGE = (REPOSITORY / "docs" / "nightly.md").read_text(encoding="utf-8")
INSTALLED = "/opt/landmark-tag/bin/landmark-tag"


def printed(kind: str) -> list[str]:
    """The blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.M | re.S)


def cron_command() -> str:
    """What cron would pass to the shell."""
    (block,) = printed("crontab")
    minute, hour, *others, command = block.strip().split(None, 5)
    assert 0 <= int(minute) < 60 and 0 <= int(hour) < 24 and others == ["*"] * 3
    assert "%" not in command  # which cron takes for the end of the line
    return command


def systemd_command() -> str:
    command: str = re.findall(r"^ExecStart=(.*)$", printed("ini")[0], re.M)[0]
    return command


@pytest.fixture
def home(
    tmp_path: Path, s3_server: s3.Server, bucket: s3.Bucket, colour_model: Path
) -> tuple[Path, s3.Bucket]:
    """A home folder with the page's configuration file, and the bucket that the line names."""
    (settings,) = printed("toml")
    place = tmp_path / ".config" / "landmark-tag" / "config.toml"
    place.parent.mkdir(parents=True)
    place.write_text(f'{settings}model = "{colour_model}"\n', encoding="utf-8")
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(
        "[default]\naws_access_key_id = x\naws_secret_access_key = y\nregion = us-east-1\n"
        f"endpoint_url = {s3_server.url}\n",
        encoding="utf-8",
    )
    uploads = s3.Bucket(bucket.client, "photos")
    uploads.client.create_bucket(Bucket="photos")
    for number, colour in enumerate((*COLOURS.values(), (120, 120, 120))):
        uploads.put(f"uploads/{number}.jpg", photo(colour))
    return tmp_path, uploads


@pytest.mark.parametrize("command", [cron_command(), systemd_command()], ids=["cron", "systemd"])
def test_the_line_does_its_work_in_the_environment_that_cron_gives(
    home: tuple[Path, s3.Bucket], command: str
) -> None:
    folder, uploads = home
    shell = folder / "landmark-tag"
    shell.write_text(f'#!/bin/sh\nPYTHONPATH={REPOSITORY} exec {sys.executable} -m tagger "$@"\n')
    shell.chmod(0o755)
    environment = {"HOME": str(folder), "LOGNAME": "photos", "PATH": "/usr/bin:/bin",
                   "SHELL": "/bin/sh"}  # fmt: skip
    try:
        assert command.startswith(INSTALLED)
        for _ in range(2):
            done = subprocess.run(
                ["/bin/sh", "-c", command.replace(INSTALLED, str(shell))],
                env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
            )  # fmt: skip
            assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    finally:
        for name in uploads.names():
            uploads.client.delete_object(Bucket="photos", Key=name)
        uploads.client.delete_bucket(Bucket="photos")
    with (folder / "landmark-tag.1.csv").open(encoding="utf-8", newline="") as first:
        statuses = [row["status"] for row in csv.DictReader(first)]
    assert statuses == ["tagged", "tagged", "tagged", "no_landmark"]
    facts = json.loads((folder / "landmark-tag.json").read_text(encoding="utf-8"))
    assert (facts["exit_code"], facts["photos"], facts["looked_at"]) == (0, 4, 0)
    assert (folder / "landmark-tag.log").read_text(encoding="utf-8").count(": tagged ") == 3


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_has_nothing_to_say_about_the_units(tmp_path: Path) -> None:
    units = []
    for block in printed("ini"):
        name = re.match(r"# /etc/systemd/system/(landmark-tag\.(?:service|timer))\n", block)
        assert name
        units.append(tmp_path / name[1])
        units[-1].write_text(block.replace(INSTALLED, os.path.realpath(sys.executable)))
    assert len(units) == 2
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, units)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    times = re.findall(r"^OnCalendar=(.*)$", units[1].read_text(), re.M)
    assert (
        subprocess.run(["systemd-analyze", "calendar", *times], capture_output=True).returncode == 0
    )
