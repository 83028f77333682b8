"""Imports that go without an optional package, though it is installed."""

import contextlib
import importlib.abc
import sys
import threading
from collections.abc import Iterator


class _Refusing(importlib.abc.MetaPathFinder):
    """Finds nothing; raises for one package in the thread that made it, so that other threads import as ever."""

    def __init__(self, package: str):
        self.package = package
        self.thread = threading.get_ident()

    def find_spec(self, fullname, path=None, target=None):
        """None, or ``ModuleNotFoundError`` for the package."""
        if fullname.split(".")[0] == self.package and threading.get_ident() == self.thread:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@contextlib.contextmanager
def absent(package: str) -> Iterator[None]:
    """Inside, this thread cannot import ``package``; what is imported already stays, and later imports find it again.

    Args:
        package: top-level name.

    Example:
        >>> with absent("pydicom"):
        ...     import nibabel
    """
    finder = _Refusing(package)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
