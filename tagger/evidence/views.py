"""The index of a library's photos by what they look like, SQLite tables beside the ledger."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tagger.evidence.cache_file import as_stored, opened, unusable
from tagger.evidence.kept_view import SCALE, KeptView
from tagger.evidence.listing import Listing
from tagger.model.local_features.sift import Floats
from tagger.places.embeddings import signs
from tagger.places.search import least_different, products_with

# A cache, as that of capture times: it can be deleted, and photos are looked at again. About 5 kB a
# photo, most of it points. Embeddings of photos with a position lie apart, as all of them are read
# when a run begins. Numbers are never given twice: ``unlike`` is the highest that there was when
# nothing alike was found for a photo, so that later only newer ones need be compared.
TABLES = """
CREATE TABLE IF NOT EXISTS encoder (name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS views (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, stamp TEXT NOT NULL,
    unlike INTEGER NOT NULL, latitude REAL, longitude REAL, taken REAL, embedding BLOB NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, places BLOB NOT NULL, codes BLOB NOT NULL,
    small BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS placed (number INTEGER PRIMARY KEY, embedding BLOB NOT NULL)
"""
FORMAT = 2
CALLED = "the index of views"
COLUMNS = "key, stamp, latitude, longitude, taken, embedding, width, height, places, codes, small"
# The signs of so many numbers of each embedding, the first ones, tell which are compared in full,
# and how many: 16 bytes a photo in memory.
SIGNS, COMPARED = 128, 128
CHUNK = 65_536  # embeddings that are read at once


class LibraryIndex(Protocol):
    """What the source needs of the index, wherever that is."""

    def add(self, photo: KeptView) -> None: ...

    def likest(self, embedding: Floats, most: int, least: float, but: str) -> list[KeptView]: ...

    def note_unlike(self, key: str) -> None: ...


class ViewsIndex:
    """Photos by embedding, points and small picture; several threads may use it.

    Memory stays flat: 24 bytes for each photo that has a position.

    Args:
        path: its file; None for a temporary one.
        encoder: what made the embeddings: those of another are not compared.

    Raises:
        RunError: the file cannot be used.
    """

    def __init__(self, path: Path | None, encoder: str) -> None:
        self.path, self.encoder, self._lock = path, encoder, threading.RLock()
        self._known: tuple[NDArray[np.int64], NDArray[np.uint8]] | None = None
        self._db = opened(path, TABLES, FORMAT, CALLED)
        self._db.execute("PRAGMA mmap_size = 268435456")  # embeddings are read here and there
        with self._writing():
            made_by = self._db.execute("SELECT name FROM encoder").fetchone()
            if made_by != (encoder,):  # what another model made is of no use to this one
                for table in ("encoder", "views", "placed"):
                    self._db.execute(f"DELETE FROM {table}")
                self._db.execute("INSERT INTO encoder VALUES (?)", (encoder,))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction.

        Raises:
            RunError: the file cannot be written.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise unusable(self.path, CALLED, error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def copied_to(self, path: Path) -> None:
        """Copy the index to a file that another process may open."""
        with self._lock:
            other = sqlite3.connect(path)
            self._db.backup(other)
            other.close()

    def known(self, key: str, stamp: str) -> bool:
        """Whether this very version of the photo is in the index."""
        with self._lock:
            row = self._db.execute(
                "SELECT stamp FROM views WHERE key = ?", (as_stored(key),)
            ).fetchone()
        return row is not None and row[0] == stamp

    def add(self, photo: KeptView) -> None:
        """Keep a photo, in place of what was kept of it."""
        values = (
            as_stored(photo.key), photo.stamp, *(photo.position or (None, None)), photo.taken,
            photo.embedding, photo.width, photo.height, photo.places, photo.codes, photo.small,
        )  # fmt: skip
        with self._writing():
            self._drop(values[0])
            number = self._db.execute(
                f"INSERT INTO views (unlike, {COLUMNS}) VALUES (0{', ?' * len(values)})", values
            ).lastrowid
            if photo.position:
                self._db.execute("INSERT INTO placed VALUES (?, ?)", (number, photo.embedding))

    def _drop(self, key: object) -> None:
        self._db.execute(
            "DELETE FROM placed WHERE number = (SELECT number FROM views WHERE key = ?)", (key,)
        )
        self._db.execute("DELETE FROM views WHERE key = ?", (key,))

    def drop(self, keys: Iterable[str]) -> None:
        """Forget photos."""
        with self._writing():
            for key in keys:
                self._drop(as_stored(key))

    def ready(self) -> None:
        """From here on, compare with what was added until now."""
        with self._lock:
            self._known = None

    def view(self, key: str) -> KeptView | None:
        """A photo as it was kept, with or without a position; None if unknown or damaged."""
        with self._lock:
            row = self._db.execute(
                f"SELECT {COLUMNS} FROM views WHERE key = ? AND embedding <> x''", (as_stored(key),)
            ).fetchone()
        return None if row is None else _kept(row)

    def unlike(self, key: str, least: float) -> bool:
        """Whether nothing in the index is as alike a photo as this cosine.

        True only if that was found before, and is so for what is new since.
        """
        with self._lock:
            row = self._db.execute(
                "SELECT unlike, embedding FROM views WHERE key = ?", (as_stored(key),)
            ).fetchone()
        if row is None or not row[0]:
            return False
        embedding = np.frombuffer(row[1], np.int8).astype(np.float32) / np.float32(SCALE)
        if self._nearest(embedding, 1, least, after=row[0]):
            return False
        self.note_unlike(key)
        return True

    def note_unlike(self, key: str) -> None:
        """Note that nothing like the photo is in the index as it is now."""
        numbers, _ = self._loaded()
        if len(numbers):
            with self._writing():
                self._db.execute(
                    "UPDATE views SET unlike = ? WHERE key = ? AND unlike <> ?",
                    (int(numbers[-1]), as_stored(key), int(numbers[-1])),
                )

    def likest(self, embedding: Floats, most: int, least: float, but: str) -> list[KeptView]:
        """Photos with a position, the likest first.

        Args:
            embedding: float32 [E], of length 1.
            most: how many.
            least: cosine that they have at least.
            but: a photo that is left out.
        """
        kept = []
        with self._lock:
            for number in self._nearest(embedding, most + 1, least):
                row = self._db.execute(
                    f"SELECT {COLUMNS} FROM views WHERE number = ?", (number,)
                ).fetchone()
                if row is not None:  # dropped by another run meanwhile
                    kept.append(_kept(row))
        return [photo for photo in kept if photo.key != but][:most]

    def _nearest(self, embedding: Floats, most: int, least: float, after: int = 0) -> list[int]:
        """The numbers of photos with a position that are alike, the likest first."""
        numbers, bits = self._loaded()
        begin = int(np.searchsorted(numbers, after, "right"))
        if begin == len(numbers):
            return []
        some = numbers[begin:][least_different(bits[begin:], _signs(embedding[None]), COMPARED)]
        marks = ", ".join(map(str, some.tolist()))
        with self._lock:
            rows = self._db.execute(
                f"SELECT number, embedding FROM placed WHERE number IN ({marks})"
            ).fetchall()
        embeddings = np.frombuffer(b"".join(data for _, data in rows), np.int8)
        embeddings = embeddings.reshape(len(rows), -1)
        cosines = products_with(embeddings.astype(np.float32), embedding) / np.float32(SCALE)
        order = np.argsort(-cosines, kind="stable")[:most]
        return [rows[place][0] for place in order if cosines[place] >= least]

    def _loaded(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """The numbers of all photos with a position, rising, and the signs of their embeddings."""
        with self._lock:
            if self._known is None:
                (count,) = self._db.execute("SELECT count(*) FROM placed").fetchone()
                numbers = np.zeros(count, np.int64)
                bits = np.zeros((count, SIGNS // 8), np.uint8)
                rows = self._db.execute("SELECT number, embedding FROM placed ORDER BY number")
                begin = 0
                while begin < count and (some := rows.fetchmany(min(CHUNK, count - begin))):
                    end = begin + len(some)
                    numbers[begin:end] = [number for number, _ in some]
                    embeddings = np.frombuffer(b"".join(data for _, data in some), np.int8)
                    bits[begin:end] = _signs(embeddings.reshape(len(some), -1))
                    begin = end
                self._known = numbers[:begin], bits[:begin]
            return self._known

    def listing(self) -> Listing:
        """Notes what a run lists, to find what is gone."""
        return Listing(self.path, self._db, self._lock)


def _signs(embeddings: NDArray[np.generic]) -> NDArray[np.uint8]:
    packed = signs(embeddings[:, :SIGNS])
    wide = SIGNS // 8 - packed.shape[1]  # of a model with fewer numbers
    return np.pad(packed, ((0, 0), (0, wide))) if wide else packed


def _kept(row: tuple[object, ...]) -> KeptView:
    key, stamp, latitude, longitude, taken, *look = row
    assert isinstance(key, bytes)
    position = None if latitude is None else (latitude, longitude)
    return KeptView(key.decode("utf-8", "surrogateescape"), stamp, position, taken, *look)  # type: ignore[arg-type]


def views_beside(ledger: Path) -> Path:
    """Where the index of a ledger lies."""
    return ledger.with_name(f"{ledger.name}.views")
