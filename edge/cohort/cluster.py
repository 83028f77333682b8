"""Tasks by Dask distributed: processes of this machine, or the workers of a scheduler."""

import contextlib
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from medseg.errors import InputError, UsageError

ATTEMPTS = 3  # a case is given up when so many workers ended while it was with them
_SECONDS = 60


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
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if scheduler is None:
        # With keys of its own, so that no other user of this machine can give it work. A death is told at once.
        options: dict[str, object] = {"n_workers": processes, "threads_per_worker": 1, "security": True}
        options |= dict.fromkeys(("dashboard_address", "worker_dashboard_address"), "127.0.0.1:0")
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": 0}),
            LocalCluster(silence_logs=logging.CRITICAL, **options) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    if not scheduler.startswith(("tcp://", "tls://")):
        raise UsageError(f"--scheduler {scheduler}: expected an address such as tcp://host:8786")
    try:
        client = Client(scheduler, timeout=_SECONDS)
    except (OSError, ValueError) as error:  # time-outs are of the first kind
        raise InputError(f"--scheduler {scheduler}: cannot be reached ({type(error).__name__})") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_SECONDS)
        except TimeoutError:
            raise InputError(
                f"--scheduler {scheduler}: has no workers; start some with: dask worker {scheduler}"
            ) from None
        yield client


def run_tasks(client, function: Callable, items: Sequence) -> Iterator[tuple[int, Any]]:
    """Call ``function`` for every item on some worker; one whose worker ends is done by another.

    Args:
        client: as ``connected`` yields it.
        function: of an item; what it raises is what comes of the item.
        items: that can be pickled.

    Yields:
        Number of an item and what came of it, a value or an exception, as they are done.
    """
    from distributed import KilledWorker, as_completed

    lost: Counter = Counter()
    numbers: dict = {}
    left = deque(range(len(items)))
    waiting = as_completed()

    def submit():
        """As many at a time as there are workers, so that one that ends has a single case with it."""
        while left and len(numbers) < max(1, sum(client.nthreads().values())):
            number = left.popleft()
            # Impure: equal items are not taken for one.
            future = client.submit(function, items[number], pure=False)
            numbers[future.key] = number
            waiting.add(future)

    submit()
    for future in waiting:
        number = numbers.pop(future.key)
        error = future.exception() if future.status == "error" else None
        if future.status in ("lost", "cancelled") or isinstance(error, KilledWorker):
            lost[number] += 1
            if lost[number] < ATTEMPTS:
                left.append(number)
                submit()
                continue
            error = InputError(f"its worker ended {ATTEMPTS} times while at it, for want of memory perhaps")
        submit()
        yield number, future.result() if error is None else error
