"""Activations that TFLite makes of several operators: a function of one tensor, value by value.

mish is x · tanh(log(1 + exp(x))): rounded to int8 after every operator, exp(x) covers all that is large and nothing
that is small, and what follows computes with the rest. Such a chain stays in float between the int8 layers, where only
its input and its result are rounded, as with an activation that has a table of its own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from export.quantize.tflite_file import operators_of, packed, unpacked

UNARY = frozenset({
    "ABS", "ELU", "EXP", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "LOGICAL_NOT", "NEG", "RELU", "RELU6",
    "RELU_0_TO_1", "RELU_N1_TO_1", "RSQRT", "SIGN", "SQRT", "SQUARE", "TANH", "CAST",
})  # fmt: skip
BINARY = frozenset({
    "ADD", "SUB", "MUL", "DIV", "POW", "MAXIMUM", "MINIMUM", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "EQUAL",
    "NOT_EQUAL", "LOGICAL_AND", "LOGICAL_OR", "SELECT", "SELECT_V2", "SQUARED_DIFFERENCE", "FLOOR_MOD",
})  # fmt: skip
# What loses its argument's small values, cancels them or jumps between two results. Rectifiers, sigmoids and products
# of those (swish) are exact enough in steps of 8 bits, and the square roots of normalisation belong to few values.
_LOSSY = frozenset({"EXP", "LOG", "DIV", "POW", "SQRT", "SELECT", "SELECT_V2"})
CHOICES = frozenset({"MINIMUM", "MAXIMUM", "SELECT", "SELECT_V2"})


@dataclass(frozen=True)
class Chain:
    """The operators of one activation, by the tensors that they write.

    Attributes:
        origin: the tensor that it is a function of.
        outputs: of all operators, in the order of execution.
        inner: those of them that only operators of the chain read.
    """

    origin: int
    outputs: tuple[int, ...]
    inner: tuple[int, ...]


def lossy_chains(kinds, operators, shapes, constants) -> list[Chain]:
    """The chains of operators that must stay float.

    Args:
        kinds: type of each operator.
        operators: (inputs, outputs) of each, tensor numbers, in the order of execution.
        shapes: of each tensor.
        constants: numbers of the tensors that hold constants.
    """
    origins, chains, readers = {}, {}, {}
    for number, (kind, (inputs, outputs)) in enumerate(zip(kinds, operators, strict=True)):
        read = [i for i in inputs if i >= 0]
        for i in read:
            readers.setdefault(i, set()).add(number)
        free = {origins.get(i, i) for i in read if i not in constants}
        single = all(math.prod(shapes[i]) == 1 for i in read if i in constants)
        if kind in UNARY | BINARY and len(free) == 1 and single:
            (origin,) = free
            origins[outputs[0]] = origin
            chains.setdefault(origin, {})[number] = outputs[0]
    spoiled = []
    for origin, chain in chains.items():
        names = {kinds[number] for number in chain}
        if len(chain) > 1 and (_LOSSY & names or {"TANH", "SUB"} <= names):
            inner = tuple(i for i in chain.values() if readers.get(i) and readers[i] <= set(chain))
            spoiled.append(Chain(origin, tuple(chain.values()), inner))
    return spoiled


def float_chains(calibrated: bytes) -> list[Chain]:
    """The activations of a calibrated file that int8 would spoil, see above."""
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
    chosen.min = [min(float(known.min[0]) for known in ranges)]
    chosen.max = [max(float(known.max[0]) for known in ranges)]
