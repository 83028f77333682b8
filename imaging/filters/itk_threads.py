"""ITK on one thread, for what otherwise gives other digits on machines with other numbers of processors."""

import contextlib
import threading

_lock = threading.Lock()
_held = {"by": 0, "threads": 0}  # how many hold it to one thread, and the number to go back to


@contextlib.contextmanager
def one_thread(sitk):
    """Hold ITK's threads, which are one number for the whole process, to one while any thread is within."""
    with _lock:
        if _held["by"] == 0:
            _held["threads"] = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        _held["by"] += 1
    try:
        yield
    finally:
        with _lock:
            _held["by"] -= 1
            if _held["by"] == 0:
                sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(_held["threads"])
