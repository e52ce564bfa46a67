"""The index of a library's photos by what they look like, an SQLite table beside the ledger."""

import sqlite3
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagger.evidence.cache_file import as_stored, opened, unusable
from tagger.model.local_features.matching import Features
from tagger.model.local_features.quantisation import Codebook
from tagger.model.local_features.references import packed, unpacked
from tagger.model.local_features.same_view import SMALL, Described, PhotoView
from tagger.model.local_features.sift import Floats

# A cache, as that of capture times: it can be deleted, and photos are looked at again. About 5 kB a
# photo, most of it points.
TABLE = """
CREATE TABLE IF NOT EXISTS views (
    key BLOB PRIMARY KEY, stamp TEXT NOT NULL, encoder TEXT NOT NULL, latitude REAL,
    longitude REAL, taken REAL, embedding BLOB NOT NULL, width INTEGER NOT NULL,
    height INTEGER NOT NULL, places BLOB NOT NULL, codes BLOB NOT NULL, small BLOB NOT NULL)
"""
FORMAT = 1
CALLED = "the index of views"
POINTS = 200  # of a photo, the strongest
SCALE = 127  # of an embedding's numbers: a byte each
CHUNK = 65_536  # embeddings that are compared at once


class Kept(NamedTuple):
    """A photo of the library: where and when it was taken, and what it looks like."""

    key: str
    latitude: float
    longitude: float
    taken: float | None
    view: PhotoView


class ViewsIndex:
    """Photos by embedding, points and small picture; several threads may use it.

    Args:
        path: its file; None for a temporary one.
        encoder: what made the embeddings: those of another are not compared.
        codebook: what descriptors are kept by.

    Raises:
        RunError: the file cannot be used.
    """

    def __init__(self, path: Path | None, encoder: str, codebook: Codebook) -> None:
        self._path, self._encoder, self._codebook = path, encoder, codebook
        self._lock = threading.RLock()
        self._rows: NDArray[np.int64] | None = None
        self._embeddings: NDArray[np.int8] | None = None
        self._db = opened(path, TABLE, FORMAT, CALLED)
        # What an earlier model made is of no use to this one.
        self._run("DELETE FROM views WHERE encoder <> ?", (encoder,))

    def _run(self, statement: str, values: tuple[object, ...]) -> None:
        with self._lock:
            try:
                self._db.execute(statement, values)
            except sqlite3.Error as error:
                raise unusable(self._path, CALLED, error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def known(self, key: str, stamp: str) -> bool:
        """Whether this very version of the photo is in the index."""
        with self._lock:
            row = self._db.execute(
                "SELECT stamp FROM views WHERE key = ?", (as_stored(key),)
            ).fetchone()
        return row is not None and row[0] == stamp

    def add(
        self,
        key: str,
        stamp: str,
        seen: Described,
        position: tuple[float, float] | None,
        taken: float | None,
    ) -> None:
        """Keep a photo.

        Args:
            key, stamp: the photo and its version.
            seen: what it looks like.
            position: degrees, where it was taken; None where that is not known.
            taken: seconds since 1970, by whatever clock.
        """
        places = packed(seen.view.features.places[:POINTS])
        codes = self._codebook.codes(seen.view.features.descriptors[:POINTS])
        latitude, longitude = position or (None, None)
        row = (
            as_stored(key), stamp, self._encoder, latitude, longitude, taken,
            np.round(seen.embedding * SCALE).astype(np.int8).tobytes(),
            seen.view.width, seen.view.height,
            places.tobytes(), codes.tobytes(), seen.view.small.tobytes(),
        )  # fmt: skip
        self._run(f"INSERT OR REPLACE INTO views VALUES ({', '.join('?' * len(row))})", row)

    def ready(self) -> None:
        """From here on, compare with what was added until now."""
        with self._lock:
            self._rows = self._embeddings = None

    def view(self, key: str) -> Described | None:
        """A photo as it was kept, with or without a position."""
        with self._lock:
            row = self._db.execute(
                "SELECT embedding, width, height, places, codes, small FROM views WHERE key = ?",
                (as_stored(key),),
            ).fetchone()
        if row is None:
            return None
        embedding = np.frombuffer(row[0], np.int8).astype(np.float32) / np.float32(SCALE)
        return Described(embedding, self._view(*row[1:]))

    def likest(self, embedding: Floats, most: int, least: float, but: str) -> list[Kept]:
        """Photos with a position, the likest first.

        Args:
            embedding: float32 [E], of length 1.
            most: how many.
            least: cosine that they have at least.
            but: a photo that is left out.
        """
        rows, embeddings = self._loaded()
        if not len(rows):
            return []
        cosines = np.concatenate(
            [
                embeddings[start : start + CHUNK].astype(np.float32) @ embedding
                for start in range(0, len(rows), CHUNK)
            ]
        )
        first = np.argsort(-cosines)[: most + 1]
        kept = []
        with self._lock:
            for number in first[cosines[first] >= least * SCALE]:
                found = self._db.execute(
                    "SELECT key, latitude, longitude, taken, width, height, places, codes, small"
                    " FROM views WHERE rowid = ?",
                    (int(rows[number]),),
                ).fetchone()
                name, latitude, longitude, taken, *look = found
                key = name.decode("utf-8", "surrogateescape")
                if key != but:
                    kept.append(Kept(key, latitude, longitude, taken, self._view(*look)))
        return kept[:most]

    def _loaded(self) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
        with self._lock:
            if self._rows is None or self._embeddings is None:
                found = self._db.execute(
                    "SELECT rowid, embedding FROM views WHERE latitude IS NOT NULL"
                ).fetchall()
                self._rows = np.array([row for row, _ in found], np.int64)
                whole = b"".join(data for _, data in found)
                wide = len(whole) // max(1, len(found))
                self._embeddings = np.frombuffer(whole, np.int8).reshape(len(found), wide)
            return self._rows, self._embeddings

    def _view(
        self, width: int, height: int, places: bytes, codes: bytes, small: bytes
    ) -> PhotoView:
        points = np.frombuffer(places, np.uint8).reshape(-1, 3)
        parts = len(self._codebook.centres)
        descriptors = self._codebook.descriptors(np.frombuffer(codes, np.uint8).reshape(-1, parts))
        features = Features(unpacked(points), descriptors)
        return PhotoView(
            features, width, height, np.frombuffer(small, np.uint8).reshape(SMALL, SMALL)
        )


def views_beside(ledger: Path) -> Path:
    """Where the index of a ledger lies."""
    return ledger.with_name(f"{ledger.name}.views")
