"""Quantization-aware fine-tuning for Keras 3: a network that computes what its int8 artifact will, and can be trained.

>>> prepared = zoo.quantization.prepare(model)          # fake quantization where the converter quantizes
>>> zoo.quantization.calibrate(prepared, batches)       # ranges of the activations
>>> prepared.compile(...); prepared.fit(...)            # straight-through gradients
>>> zoo.quantization.release(prepared, model)           # the trained weights, in the plain float network
"""

from zoo.quantization.fake import fake_quantize, fake_quantize_kernel
from zoo.quantization.layers import FakeQuantize, FakeQuantizedNormalization, FakeQuantizedProduct
from zoo.quantization.network import calibrate, prepare, release
from zoo.quantization.targets import target

__all__ = [
    "FakeQuantize",
    "FakeQuantizedNormalization",
    "FakeQuantizedProduct",
    "calibrate",
    "fake_quantize",
    "fake_quantize_kernel",
    "prepare",
    "release",
    "target",
]
