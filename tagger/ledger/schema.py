"""The ledger's file: its location, tables and version, and its errors explained."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import platformdirs

from tagger.errors import RunError
from tagger.ledger.locks import gate

SCHEMA_VERSION = 3
_APPLICATION = 0x4C544147  # "LTAG" in the file's header marks a ledger
_BUSY_SECONDS = 30.0

# Keys are bytes because file names are. States are those of ledger.State. ``photos`` holds the last
# outcome of each photo seen, so that a later run can skip what has not changed; its model and
# limits are those of the run it names. The fingerprint is there for photos that were decoded: it
# finds them where they were moved to.
_TABLES = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, verb TEXT NOT NULL,
    started TEXT NOT NULL, ended TEXT, targets TEXT NOT NULL, settings TEXT NOT NULL,
    model_sha256 TEXT NOT NULL, tool_version TEXT NOT NULL, counts TEXT);
CREATE TABLE changes (
    number INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs, key BLOB NOT NULL,
    kind TEXT NOT NULL, state TEXT NOT NULL, sha256_before BLOB, sha256_after BLOB,
    size_before INTEGER, mtime_ns_before INTEGER, etag_before TEXT,
    size_after INTEGER, mtime_ns_after INTEGER, etag_after TEXT, patch BLOB NOT NULL);
CREATE INDEX changes_by_run ON changes (run, number);
CREATE INDEX changes_by_key ON changes (key);
CREATE TABLE photos (
    key BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, etag TEXT NOT NULL,
    status TEXT NOT NULL, guess TEXT, run INTEGER NOT NULL REFERENCES runs, fingerprint BLOB)
    WITHOUT ROWID;
CREATE INDEX photos_by_content ON photos (size, mtime_ns) WHERE fingerprint IS NOT NULL;
"""
# Version 2 had SHA-256 alone for digests, which are read as ever; its readers know no others.
# Version 1 had the inode as the ETag of a file (x'3A2F2F' is ://, which only URLs contain). A file
# of the same size and time is the same one, so the rows stay good without it.
_FROM_1 = """
ALTER TABLE photos ADD COLUMN fingerprint BLOB;
CREATE INDEX photos_by_content ON photos (size, mtime_ns) WHERE fingerprint IS NOT NULL;
UPDATE photos SET etag = CASE WHEN etag LIKE '%+xmp' THEN '+xmp' ELSE '' END
    WHERE instr(key, x'3A2F2F') = 0;
"""


def default_path() -> Path:
    """The ledger of this user, for example ~/.local/state/landmark-tag/ledger.db."""
    return platformdirs.user_state_path("landmark-tag", appauthor=False) / "ledger.db"


def connect(path: Path, create: bool) -> sqlite3.Connection:
    """Open the file and check that this version can read it; an older one is updated.

    A new one is made only where no file is. An empty file was a ledger, cut off by a full or broken
    disk: SQLite would take it for a new database and delete the log that may lie beside it.

    Raises:
        RunError: it is not, or it cannot be opened; the message says which and what to do.
    """
    try:
        if not create and not path.exists():
            raise RunError(
                f"--ledger {path}: no such file, so that nothing was recorded there; check the path"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _create(path)
        if path.is_file() and path.stat().st_size == 0:
            raise RunError(
                f"--ledger {path}: is empty, so what earlier runs wrote cannot be undone with it; "
                "restore it from a backup, or delete it to begin a new one"
            )
    except OSError as error:
        raise RunError(
            f"--ledger {path}: cannot be opened ({error.strerror}); choose another place"
        ) from error
    with explained(path):
        # The recorder lets one thread in at a time.
        db = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("PRAGMA journal_mode = WAL")
            # A noted intent has to survive a power cut: only FULL syncs the log at each commit.
            db.execute("PRAGMA synchronous = FULL")
            with transaction(db, path):
                _check(db, path)
        except BaseException:
            db.close()
            raise
    return db


def _create(path: Path) -> None:
    """Make a ledger under another name and rename it: a process killed here leaves no empty one.

    Of two that do so at once the second finds the file of the first.
    """
    path = Path(os.path.realpath(path))  # a link stays one
    with gate(path):
        if path.exists():
            return
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)  # of one that was killed
        with explained(path), closing(sqlite3.connect(new, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = FULL")
            with transaction(db, path):
                for statement in _TABLES.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {_APPLICATION}")
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        os.replace(new, path)
        with suppress(OSError):  # Windows opens no folders
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _check(db: sqlite3.Connection, path: Path) -> None:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION:
        raise RunError(f"--ledger {path}: is another program's database; choose another name")
    elif version > SCHEMA_VERSION:
        raise RunError(
            f"--ledger {path}: was written by a later landmark-tag (format {version}, known here: "
            f"{SCHEMA_VERSION}); update landmark-tag, or choose another ledger"
        )
    elif version < SCHEMA_VERSION:
        for statement in _FROM_1.split(";") if version < 2 else ():
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextmanager
def transaction(db: sqlite3.Connection, path: Path) -> Iterator[None]:
    """All or nothing, durable when the block ends."""
    with explained(path):
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a RunError: without its ledger, no run may write."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise RunError(
            f"--ledger {path}: cannot be used ({error}); check its folder's permissions, the free "
            "space and whether another program holds it, or choose another place"
        ) from error
    except sqlite3.DatabaseError as error:
        raise RunError(
            f"--ledger {path}: is damaged or no ledger ({error}); restore it from a backup, or "
            "choose another name"
        ) from error


def blob(key: str) -> bytes:
    """A key as stored; names that are not UTF-8 keep their bytes."""
    return key.encode("utf-8", "surrogateescape")
