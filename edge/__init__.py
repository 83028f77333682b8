"""The device: artifact folder and scan in, segmentation in the scan's own geometry out. No TensorFlow, no Keras.

    segmenter = edge.load("artifacts/hippo/tflite-int8")
    segmentation = segmenter.predict(imaging.read("scan.nii.gz"))

Names are loaded when first used, so that ``import edge`` costs next to nothing.
"""

from medseg.packages.lazy import lazy_names
from medseg.packages.shadowing import guard

guard("edge", "imaging")

_NAMES = {
    "Coarse": "runtime.region",
    "Ensemble": "runtime.ensemble",
    "Frame": "runtime.stream",
    "Options": "runtime.options",
    "Outcome": "runtime.many",
    "Outputs": "runtime.options",
    "StreamOptions": "runtime.stream",
    "Threshold": "runtime.region",
    "load_ensemble": "runtime.ensemble",
    "Manifest": "manifest",
    "Segmentation": "segmentation",
    "Segmenter": "runtime.segmenter",
    "Tensor": "manifest",
    "areas_mm2": "measure",
    "check_artifact": "trust.verification",
    "check_signature": "trust.signature",
    "compare": "runtime.benchmark",
    "interleave": "runtime.benchmark",
    "load": "runtime.segmenter",
    "load_manifest": "manifest",
    "open_runner": "runtime.runner",
    "sign": "trust.signature",
    "volumes_ml": "measure",
}
_MODULES = ("annotate", "cases", "manifest", "measure", "runtime", "shipped")

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES, _MODULES)
