"""The source ``library`` on Ray: one index beside the command, photos compared on the nodes."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tagger.errors import RunError
from tagger.evidence.kept_view import KeptView
from tagger.evidence.library import LibrarySource
from tagger.evidence.views import ViewsIndex
from tagger.model.local_features.sift import Floats

TOGETHER = 4  # photos that the album answers for at once


def ask(method: Any, *words: Any) -> Any:
    """What an actor answers.

    Raises:
        RunError: raised by the actor, or the actor is gone.
    """
    try:
        return ray.get(method.remote(*words))
    except RayActorError as error:
        raise RunError(
            "--engine ray: the command that began this run is gone; run again"
        ) from error


class Album:
    """The index of views as an actor beside the command."""

    def __init__(self, path: Path, encoder: str) -> None:
        self._index = ViewsIndex(path, encoder)
        self._saw: list[tuple[str, Sequence[str]]] = []

    def add(self, photo: KeptView) -> None:
        self._index.add(photo)

    def likest(self, embedding: Floats, most: int, least: float, but: str) -> list[KeptView]:
        return self._index.likest(embedding, most, least, but)

    def note_unlike(self, key: str) -> None:
        self._index.note_unlike(key)

    def saw(self, key: str, others: Sequence[str]) -> None:
        self._saw.append((key, others))

    def close(self) -> list[tuple[str, Sequence[str]]]:
        """Close the index; returns the photos that show the same."""
        self._index.close()
        return self._saw


class RemoteIndex:
    """The index of views for a worker."""

    def __init__(self, album: Any) -> None:
        self._album = album

    def add(self, photo: KeptView) -> None:
        ask(self._album.add, photo)

    def likest(self, embedding: Floats, most: int, least: float, but: str) -> list[KeptView]:
        likest: list[KeptView] = ask(self._album.likest, embedding, most, least, but)
        return likest

    def note_unlike(self, key: str) -> None:
        ask(self._album.note_unlike, key)

    def saw(self, key: str, others: Sequence[str]) -> None:
        ask(self._album.saw, key, others)


@contextmanager
def album_of(
    views: ViewsIndex | None, library: LibrarySource | None
) -> Iterator[Callable[[], Any]]:
    """Starts the album when it is first asked for: by then, the index is ready."""
    started: list[Any] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:

        def album() -> Any:
            if views is not None and not started:
                path = views.path
                if path is None:
                    path = Path(folder) / "views"
                    views.copied_to(path)
                here = NodeAffinitySchedulingStrategy(
                    ray.get_runtime_context().get_node_id(), soft=False
                )
                actor: Any = ray.remote(Album)
                started.append(
                    actor.options(
                        num_cpus=0, max_concurrency=TOGETHER, scheduling_strategy=here
                    ).remote(path.absolute(), views.encoder)
                )
            return started[0] if started else None

        yield album
        for one in started:
            for key, others in ask(one.close):
                if library is not None:
                    library.saw(key, others)
