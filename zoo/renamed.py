"""Options that had another name once: still accepted, with a line that says the new one."""

import warnings

from zoo.errors import ZooError


def renamed(where: str, old: str, new: str, old_value, new_value):
    """The value of option ``new``, which used to be called ``old``; None for not given.

    Raises:
        ZooError: if both are given.
    """
    if old_value is None:
        return new_value
    if new_value is not None:
        raise ZooError(f"{where}: {old} is the former name of {new}; give {new} alone")
    warnings.warn(f"{where}: {old} is called {new} now, as in Keras; use {new}={old_value!r}", FutureWarning, 3)
    return old_value
