"""The doctor's side: a list of cases, corrections, their provenance, and the network's next version.

    zoo review scans/ --artifact artifacts/hippo/tflite-int8

Names are loaded when first used, so that ``import review`` costs next to nothing.
"""

import importlib

from medseg.shadowing import guard

guard("review", "imaging", "edge")

_NAMES = {
    "Settings": "server.settings",
    "open_workspace": "store.workspace",
    "create_app": "server.app",
    "need": "worklist",
    "open_service": "service",
}

__all__ = sorted(_NAMES)


def __getattr__(name):
    if name not in _NAMES:
        raise AttributeError(f"module 'review' has no attribute {name!r}")
    return getattr(importlib.import_module(f"review.{_NAMES[name]}"), name)


def __dir__():
    return __all__
