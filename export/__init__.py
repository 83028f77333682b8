"""Export: a trained Keras segmentation network to verified TFLite and ONNX artifacts."""

from medseg.packages.lazy import lazy_names
from medseg.packages.shadowing import guard

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

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
