"""The doctor's side: a list of cases, corrections, their provenance, and the network's next version.

    zoo review scans/ --artifact artifacts/hippo/tflite-int8

Names are loaded when first used, so that ``import review`` costs next to nothing.
"""

from medseg.packages.lazy import lazy_names
from medseg.packages.shadowing import guard

guard("review", "imaging", "edge")

_NAMES = {
    "Settings": "server.settings",
    "open_workspace": "store.workspace",
    "create_app": "server.app",
    "need": "worklist",
    "open_service": "service",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
