"""A Ray cluster for as long as a run needs it, and what its errors mean."""

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
import ray.data

from tagger.errors import RunError


@dataclass(frozen=True, slots=True)
class Cluster:
    """Which cluster, and how much of it: ``classifiers`` None takes what suits its size."""

    address: str = "auto"
    gpus_per_worker: float = 0.0
    classifiers: int | None = None


def explained(error: BaseException) -> RunError:
    """The error of a worker, or of Ray about the cluster."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, RunError):
            return RunError(str(getattr(cause, "cause", cause)))
        cause = cause.__cause__ or getattr(cause, "cause", None)
    line = str(error).strip().rpartition("\n")[2]
    return RunError(f"--engine ray: the cluster failed ({line}); see ray status, run again")


@contextmanager
def connected(options: Cluster) -> Iterator[None]:
    """The cluster, for as long as the block lasts; ``local`` starts one on this machine."""
    if options.address.startswith("ray://"):
        raise RunError(
            f"--ray-address {options.address}: the ledger has to lie on a node of the cluster; "
            "start the command there, with --ray-address auto"
        )
    here: dict[str, Any] = {"include_dashboard": False} if options.address == "local" else {}
    os.environ.setdefault(
        "RAY_USAGE_STATS_ENABLED", "0"
    )  # a cluster started here sends no usage data
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what matters comes as an exception
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        host, colon, port = options.address.rpartition(":")
        if colon:  # Ray itself would wait for minutes
            socket.create_connection((host, int(port)), timeout=10).close()
        with _hushed():
            ray.init(address=options.address, **quiet, **here)
    except (OSError, RuntimeError, ValueError) as error:
        raise RunError(
            f"--ray-address {options.address}: no cluster can be reached ({error}); start one with "
            "ray start --head, or give --ray-address local"
        ) from error
    for number, handler in handlers.items():  # Ray put its own in their place
        signal.signal(number, handler)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_options.preserve_order = True
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _hushed() -> Iterator[None]:
    """Hide what Ray's C++ part writes to the terminal when it starts."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
