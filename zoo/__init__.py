"""Segmentation networks, losses, metrics and weights for Keras 3; nothing heavy is imported before it is used."""

import importlib

from medseg.shadowing import guard

guard("zoo")

_REGISTRY = ("Entry", "Info", "get", "info", "list_models", "register", "unregister")
_MODULES = (
    "averaging", "blocks", "cost", "errors", "legacy", "losses", "metrics", "models", "registry", "user_code",
    "weights",
)  # fmt: skip

__all__ = [*_REGISTRY, *_MODULES, "load"]


def __getattr__(name):
    if name in _REGISTRY:
        return getattr(importlib.import_module("zoo.registry"), name)
    if name == "load":
        return importlib.import_module("zoo.legacy").load
    if name in _MODULES:
        return importlib.import_module(f"zoo.{name}")
    raise AttributeError(f"module 'zoo' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__():
    return sorted(__all__)
