"""The node: a DICOM service that takes series in, segments them and sends the results on; HTTP beside it.

    config = read_config("node.toml")
    with Node(config) as node:
        node.wait()

Every received instance is on disk before the sender is told so; all work is rows of a database that outlives the
process. Names are loaded when first used.
"""

import importlib

_NAMES = {"Config": "config", "Node": "service", "read_config": "config"}

__all__ = sorted(_NAMES)


def __getattr__(name):
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)


def __dir__():
    return __all__
