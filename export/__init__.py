"""Export: a trained Keras segmentation network to verified TFLite and ONNX artifacts."""

import importlib

from medseg.shadowing import guard

guard("export", "zoo", "imaging", "edge")

_NAMES = {
    "FORMATS": "formats",
    "convert": "conversion",
    "layer_errors": "conversion",
    "export_run": "artifact",
    "footprint": "trial",
    "open_model": "model_source",
    "open_source": "source",
    "pack": "shipping",
    "rule": "rewrite",
    "write_artifact": "artifact",
}

__all__ = sorted(_NAMES)


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"export.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'export' has no attribute {name!r}")


def __dir__():
    return __all__
