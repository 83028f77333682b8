"""Export: a trained Keras segmentation network to verified TFLite and ONNX artifacts."""

import importlib

from medseg.shadowing import guard

guard("export", "zoo", "imaging", "edge")

_NAMES = {
    "FORMATS": "formats",
    "convert": "conversion.convert",
    "layer_errors": "conversion.convert",
    "export_run": "artifact.folder",
    "footprint": "device.footprint",
    "open_model": "source.model_file",
    "open_source": "source.source",
    "pack": "release.weight_set",
    "rule": "rewrite",
    "write_artifact": "artifact.folder",
}

__all__ = sorted(_NAMES)


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"export.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'export' has no attribute {name!r}")


def __dir__():
    return __all__
