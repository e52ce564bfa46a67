"""SQLite files beside the ledger that only save work: they can be deleted, and are made anew."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from tagger.errors import RunError

WAIT = 30.0  # seconds for another process


def opened(path: Path | None, tables: str, form: int, called: str) -> sqlite3.Connection:
    """Open such a file, with its tables.

    Args:
        path: the file; None for a temporary one, which SQLite spills to disk and removes.
        tables: SQL that makes each table and index where it is not there.
        form: of the tables: those of another one are dropped.
        called: what a person calls the file, for the message.

    Raises:
        RunError: the file cannot be used.
    """
    try:
        database = connected(str(path or ""))
        try:
            patiently(lambda: _prepare(database, path, tables, form))
        except sqlite3.Error:
            database.close()
            raise
    except sqlite3.Error as error:
        raise unusable(path, called, error) from error
    return database


def connected(name: str, uri: bool = False) -> sqlite3.Connection:
    """A connection that several threads may use in turn, each statement a transaction."""
    return sqlite3.connect(
        name, timeout=WAIT, isolation_level=None, check_same_thread=False, uri=uri
    )


def _prepare(database: sqlite3.Connection, path: Path | None, tables: str, form: int) -> None:
    if path:
        database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = OFF")  # a torn file is made anew
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in (0, form):
        rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in rows:
            database.execute(f"DROP TABLE IF EXISTS {name}")
    for statement in filter(str.strip, tables.split(";")):
        database.execute(statement)
    database.execute(f"PRAGMA user_version = {form}")


def patiently(prepare: Callable[[], None], seconds: float = WAIT) -> None:
    """Prepare a database that another process may be preparing too.

    SQLite does not wait for a lock where two connections would wait for each other, as when both
    turn the write-ahead log on.

    Raises:
        sqlite3.Error: of ``prepare``; that the database is locked only after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return prepare()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def unusable(path: Path | None, called: str, error: sqlite3.Error) -> RunError:
    """What to tell of a file that SQLite gave up on."""
    return RunError(
        f"{path or 'the temporary folder'}: {called} cannot be used ({error}); check the free "
        "space and permissions there, or delete that file: it is made anew"
    )


def as_stored(key: str) -> bytes:
    """A photo's key; names that are not UTF-8 keep their bytes."""
    return key.encode("utf-8", "surrogateescape")
