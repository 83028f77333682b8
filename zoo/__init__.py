"""Segmentation networks, losses, metrics and weights for Keras 3; nothing heavy is imported before it is used."""

import importlib

from medseg.shadowing import guard

guard("zoo")

_PLACES = {
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

__all__ = [*_PLACES, *_MODULES]


def __getattr__(name):
    if name in _PLACES:
        return getattr(importlib.import_module(f"zoo.{_PLACES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"zoo.{name}")
    raise AttributeError(f"module 'zoo' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__():
    return sorted(__all__)
