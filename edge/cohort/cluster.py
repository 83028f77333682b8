"""Tasks by Dask distributed: processes of this machine, or the workers of a scheduler."""

import asyncio
import contextlib
import functools
import logging
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any

from medseg.errors import InputError, UsageError
from medseg.untrusted import shown

ATTEMPTS = 3  # a case is given up when so many workers ended while it was with them
_SECONDS = 60  # that a scheduler or a worker has to answer
_RESTART_SECONDS = 300  # that a worker takes to start again at most: on a busy machine a minute is not enough
_LOOK_SECONDS = 5
_LOST, _NOT_YET = object(), object()


@contextlib.contextmanager
def connected(scheduler: str | None, processes: int):
    """A Dask client.

    Args:
        scheduler: address, as "tcp://host:8786"; None starts processes on this machine.
        processes: how many.

    Yields:
        The client.

    Raises:
        InputError: if Dask is not installed, or the scheduler cannot be reached or has no workers.
        UsageError: if the address is none.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise InputError(
            'a cohort needs distributed, which is not installed: pip install "medseg-zoo[cohort]"'
        ) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)  # it tells what a stranger sent by a traceback
    if scheduler is None:
        # With keys of its own, so that no other user of this machine can give it work. A death is told at once.
        options: dict[str, object] = {"n_workers": processes, "threads_per_worker": 1, "security": True}
        options |= dict.fromkeys(("dashboard_address", "worker_dashboard_address"), "127.0.0.1:0")
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": 0}),
            _started(functools.partial(LocalCluster, silence_logs=logging.CRITICAL, **options)) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    check_scheduler(scheduler)
    try:
        asyncio.run(_greet(scheduler))
        client = Client(scheduler, timeout=_SECONDS)
    except Exception as error:  # what a stranger's answer makes of Dask is of many types
        raise InputError(
            f"--scheduler {shown(scheduler)}: cannot be reached ({type(error).__name__}); is a Dask scheduler there?"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_SECONDS)
        except TimeoutError:
            raise InputError(
                f"--scheduler {scheduler}: has no workers; start some with: dask worker {scheduler}"
            ) from None
        yield client


async def _greet(scheduler) -> None:
    """Let a scheduler say who it is: the client itself waits for ever for whoever listens there and says nothing."""
    from distributed.comm import connect
    from distributed.security import Security

    greeting = connect(scheduler, timeout=_SECONDS, **Security().get_connection_args("client"))
    (await asyncio.wait_for(greeting, _SECONDS)).abort()


def check_scheduler(address: str) -> None:
    """Require the address of a scheduler to be one, without asking it.

    Raises:
        UsageError: if it is none.
    """
    if not re.fullmatch(r"(tcp|tls)://[^/\s]+:\d{1,5}", address):
        raise UsageError(f"--scheduler {address}: expected an address such as tcp://host:8786")


def _started(make: Callable):
    """The processes of this machine; started again where one of them ended before it was ready."""
    for _ in range(ATTEMPTS):
        try:
            return make()
        except RuntimeError as error:  # what Dask makes of any worker that does not start
            reason = type(error.__cause__ or error).__name__
    raise InputError(f"--jobs: the processes did not start ({reason}), {ATTEMPTS} times; is there memory for so many?")


def run_tasks(client, function: Callable, items: Sequence) -> Iterator[tuple[int, Any]]:
    """Call ``function`` for every item on some worker; one whose worker ends is done by another.

    Args:
        client: as ``connected`` yields it.
        function: of an item; what it raises is what comes of the item.
        items: that can be pickled.

    Yields:
        Number of an item and what came of it, a value or an exception, as they are done.

    Raises:
        InputError: if no worker is left, for longer than one takes to start.
    """
    left, lost, running = deque(range(len(items))), Counter(), {}
    alive = time.monotonic()
    while left or running:
        # As many at a time as there are workers, so that one that ends has a single case with it.
        while left and len(running) < max(1, sum(client.nthreads().values())):
            number = left.popleft()
            # Impure: equal items are not taken for one.
            running[client.submit(function, items[number], pure=False)] = number
        for future in _ended(running):
            outcome = _outcome(future)
            if outcome is _NOT_YET:
                continue
            number = running.pop(future)
            if outcome is _LOST:
                lost[number] += 1
                if lost[number] < ATTEMPTS:
                    left.append(number)
                    continue
                outcome = InputError(f"its worker ended {ATTEMPTS} times while at it, for want of memory perhaps")
            yield number, outcome
        alive = time.monotonic() if client.nthreads() else alive
        if time.monotonic() - alive > _RESTART_SECONDS:
            raise InputError("no worker is left; the same command goes on where this one stopped")


def _ended(running) -> list:
    """The tasks that are no longer running, after waiting for one for a while."""
    from distributed import wait

    with contextlib.suppress(TimeoutError, CancelledError):
        wait(list(running), timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED")
    return [future for future in running if future.status != "pending"]


def _outcome(future):
    """What came of a task: its value, what it raised, that its worker was lost, or that it is done again."""
    from distributed import KilledWorker

    if future.status == "finished":
        try:
            return future.result(timeout=_LOOK_SECONDS)
        except (TimeoutError, CancelledError):  # its worker ended before it gave the value away
            return _NOT_YET
    error = future.exception() if future.status == "error" else None
    return _LOST if error is None or isinstance(error, KilledWorker) else error
