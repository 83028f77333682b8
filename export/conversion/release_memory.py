"""Memory that the converters are done with, given back to the system."""

import contextlib
import ctypes
import gc


def give_back() -> None:
    """Return freed memory to the system: glibc keeps what TensorFlow's converters freed, hundreds of megabytes of it.

    Where the C library is another, it does so on its own or not at all.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
