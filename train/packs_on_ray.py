"""The parts of a big pack learned on a Ray cluster, a task for each."""

import functools
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from tqdm import tqdm

from tagger.model import DEFAULT_MODEL
from tagger.model.classifier import Classifier
from tagger.model.lazy import LazyClassifier
from tagger.run.ray_connection import Cluster, connected, explained
from tagger.run.ray_tasks import classifier_of, files_of
from train.packs import Part, build


def build_all(parts: Sequence[Part], model: Path | None, licence: str, cluster: Cluster) -> None:
    """Learn the parts that are not there; the nodes read the photos at the same paths.

    Raises:
        RunError: there is no such cluster, or its work failed.
    """
    missing = {part.path: part for part in parts if not part.path.exists()}
    share = cluster.gpus_per_worker
    with connected(cluster):
        files = ray.put(files_of(LazyClassifier(model or DEFAULT_MODEL)))
        task: Any = ray.remote(num_cpus=1, num_gpus=share, max_calls=0)(_learned)
        # References in a list are not looked up before a task starts: its worker does, once.
        running = {
            task.remote(part, [files], licence, "cuda" if share else "cpu"): part
            for part in missing.values()
        }
        try:
            with tqdm(desc="places", unit="part", total=len(running)) as bar:
                while running:
                    (done,), _ = ray.wait(list(running))
                    path = running.pop(done).path
                    made = path.with_suffix(".partly")
                    made.write_bytes(ray.get(done))
                    made.replace(path)
                    bar.update()
        except RayError as error:
            raise explained(error) from error


def _learned(part: Part, files: list[Any], licence: str, device: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        here = replace(part, path=Path(folder) / part.path.name)
        build(here, _classifier(files[0], device), licence)
        return here.path.read_bytes()


@functools.cache
def _classifier(files: Any, device: str) -> Classifier:
    """The model, loaded once by each worker."""
    with tempfile.TemporaryDirectory() as folder:
        return classifier_of(ray.get(files), Path(folder), device).load()
