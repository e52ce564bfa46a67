"""The options for a cluster, and the choice of the engine that a run goes through."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from tagger.errors import RunError

if TYPE_CHECKING:
    from tagger.records import Outcome

Command = Callable[..., Any]
# A cluster has many processors that each wait for a few photos, one machine has few.
THREADS = 8


def options(command: Command) -> Command:
    """The options of tagging for the engine and its cluster."""
    for option in (
        click.option(
            "--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True,
            help="Run on this machine, or on a Ray cluster (extra cluster).",
        ),
        click.option(
            "--ray-address", metavar="ADDRESS", default="auto", show_default=True,
            help="HOST:PORT of the cluster; auto: the one this machine is in; local: a new one.",
        ),
        click.option(
            "--ray-gpus-per-worker", type=click.FloatRange(0, 64), default=0.0,
            show_default="0, the processor",
            help="Share of a GPU for each classifier of the cluster: 0.25 puts four on one GPU.",
        ),
        click.option(
            "--ray-classifiers", type=click.IntRange(1, 100_000), default=None,
            show_default="what the GPUs hold; one for 4 processors",
            help="Use at most this many classifiers on the cluster.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def runner(
    engine: str,
    device: str,
    ray_address: str,
    ray_gpus_per_worker: float,
    ray_classifiers: int | None,
) -> "Callable[..., Iterator[Outcome]]":
    """What runs the stages: :func:`tagger.run.pipeline.run`, or the same on a cluster.

    Raises:
        RunError: Ray is missing, or the options do not fit together.
    """
    if engine == "local":
        from tagger.run.pipeline import run

        return run
    if device != "auto":
        raise RunError(
            f"--device {device}: is for --engine local; --ray-gpus-per-worker gives classifiers of "
            "a cluster their GPUs"
        )
    try:
        from tagger.run import ray_engine
        from tagger.run.ray_connection import Cluster
    except ModuleNotFoundError as error:
        raise RunError(
            f"--engine ray: needs {error.name}; pip install 'landmark-tag[cluster]'"
        ) from error
    chosen = Cluster(ray_address, ray_gpus_per_worker, ray_classifiers)
    return lambda storage, classifier, recorder, settings, *rest: ray_engine.run(
        storage, classifier, recorder, settings, chosen, *rest
    )
