"""Which activations of a calibrated TFLite file stay float, and the ranges that its quantizer is given for that."""

from collections.abc import Sequence

from export.quantize.float_chains import Chain, lossy_chains
from export.quantize.tflite_file import operators_of, packed, unpacked

CHOICES = frozenset({"MINIMUM", "MAXIMUM", "SELECT", "SELECT_V2"})


def float_chains(calibrated: bytes) -> list[Chain]:
    """The activations of a calibrated file that int8 would spoil, see ``export.quantize.float_chains``."""
    model = unpacked(calibrated)
    tensors = model.subgraphs[0].tensors
    constants = {i for i, tensor in enumerate(tensors) if model.buffers[tensor.buffer].data is not None}
    kinds, inputs, outputs = zip(*operators_of(calibrated), strict=True)
    shapes = [tuple(tensor.shape) if tensor.shape is not None else () for tensor in tensors]
    return lossy_chains(kinds, list(zip(inputs, outputs, strict=True)), shapes, constants)


def with_ranges_to_quantize(calibrated: bytes, chains: Sequence[Chain] = ()) -> bytes:
    """A calibrated file whose ranges TensorFlow 2.21's quantizer does not mistake.

    Some get none: behind average pooling, and where padding is reshaped, which keep a scale; with one of its own there
    the quantizer leaves what follows in float if that scale is also bound elsewhere, by a strided convolution beside a
    pooling, or by the padded tensor's other users. Nor do tensors within a chain that stays float.

    Others are widened to what they are chosen from: the quantizer gives the range of a minimum, maximum or selection to
    what that reads, which would lose all that lies beyond it.
    """
    model = unpacked(calibrated)
    operators, stored = operators_of(calibrated), [t.quantization for t in model.subgraphs[0].tensors]
    origins = {i: chain.origin for chain in chains for i in chain.outputs}
    padded = {outputs[0] for kind, _, outputs in operators if kind == "PAD"}
    for kind, inputs, (output, *_) in operators:
        if kind in CHOICES:
            _widen(stored[output], [stored[origins.get(output, i)] for i in inputs if i >= 0])
    for kind, inputs, (output, *_) in operators:
        if kind == "AVERAGE_POOL_2D" or (kind == "RESHAPE" and inputs[0] in padded):
            model.subgraphs[0].tensors[output].quantization = None
    for chain in chains:
        for i in chain.inner:
            model.subgraphs[0].tensors[i].quantization = None
    return packed(model)


def _widen(chosen, sources) -> None:
    """Let a range hold those of ``sources``; constants and truth values have none."""
    if chosen is None or chosen.min is None:
        return
    ranges = [source for source in (chosen, *sources) if source is not None and source.min is not None]
    chosen.min = [min(float(found.min[0]) for found in ranges)]
    chosen.max = [max(float(found.max[0]) for found in ranges)]
