"""Segmentation networks, losses, metrics and weights for Keras 3; nothing heavy is imported before it is used."""

from medseg.packages.lazy import lazy_names
from medseg.packages.shadowing import guard

guard("zoo")

_NAMES = {
    "Entry": "entry",
    "Info": "information",
    "get": "building",
    "info": "information",
    "list_models": "registry",
    "load": "legacy",
    "register": "registry",
    "unregister": "registry",
}
_MODULES = (
    "averaging", "blocks", "cost", "errors", "legacy", "losses", "metrics", "models", "registry", "user_code",
    "weights",
)  # fmt: skip

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES, _MODULES)
