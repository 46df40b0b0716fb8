"""Blocks on Dask workers: a cluster of one's own, or one that a scheduler's address leads to.

The work is handed out a few blocks at a time. A block whose worker dies is given to another; which worker does it makes no difference
to its pixels. Everything that schedules and restarts is Dask's.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from superlens.errors import SuperlensError

__all__ = ["Workers", "on_cluster"]

_AHEAD = 3  # blocks in hand for each worker, so that none waits for the next
_RETRIES = 1  # of a block that failed on a living worker; those of dead ones are Dask's own matter
_PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class Workers:
    """Who does the blocks.

    Attributes
    ----------
    scheduler : str, optional
        Address of a Dask scheduler, like ``tcp://HOST:8786``.
    number : int, optional
        Processes of a cluster on this machine, when no scheduler is given.
    """

    scheduler: str | None = None
    number: int | None = None


def on_cluster(work: Callable[[int], int], numbers: Iterable[int], workers: Workers) -> Iterator[int]:
    """Do numbered pieces of work on Dask workers.

    Parameters
    ----------
    work : callable
        Can be pickled; returns the number it was given. It may be called twice with one number.
    numbers : iterable of int
    workers : Workers

    Yields
    ------
    int
        Numbers whose work is done, in the order in which it ends.

    Raises
    ------
    SuperlensError
        If Dask is missing, the scheduler cannot be reached, or workers die again and again.
    """
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise SuperlensError(
            "`scheduler` and `workers` need Dask; install it with: pip install superlens[dask]"
        ) from error
    with _client(workers) as client:
        left = iter(numbers)
        hands = max(1, len(client.nthreads()))
        run = uuid.uuid4().hex  # on a scheduler that others use too
        futures = [_submit(client, work, run, number) for number in itertools.islice(left, _AHEAD * hands)]
        finished = distributed.as_completed(futures)
        for future in finished:
            try:
                number = future.result()
            except distributed.KilledWorker as error:
                raise SuperlensError(
                    f"block {future.key.rpartition('-')[2]} ended {error.allowed_failures + 1} workers, most likely for want of "
                    "memory. Give a smaller `memory_gb` with `restart`, or workers with more; finished blocks are kept."
                ) from error
            yield number
            for following in itertools.islice(left, 1):
                finished.add(_submit(client, work, run, following))


def _submit(client: Any, work: Callable[[int], int], run: str, number: int) -> Any:
    return client.submit(work, number, key=f"superlens-{run}-{number}", pure=False, retries=_RETRIES)


@contextlib.contextmanager
def _client(workers: Workers) -> Iterator[Any]:
    distributed: Any = importlib.import_module("distributed")
    with contextlib.ExitStack() as stack:
        address: Any = workers.scheduler
        if address is None:
            address = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=workers.number,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,  # which listens at the dashboard's port all the same, unless it is any port
                    scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                    memory_limit=None,
                )
            )
        try:
            client = stack.enter_context(distributed.Client(address, timeout=_PATIENCE_S))
            client.wait_for_workers(1, timeout=_PATIENCE_S)
        except (OSError, TimeoutError, ValueError) as error:
            raise SuperlensError(
                f"no Dask worker answers at {workers.scheduler or 'this machine'} ({error}); "
                "check the address, and that `dask worker` runs."
            ) from error
        yield client
