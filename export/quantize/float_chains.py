"""Activations that TFLite makes of several operators: a function of one tensor, value by value.

mish is x · tanh(log(1 + exp(x))): rounded to int8 after every operator, exp(x) covers all that is large and nothing
that is small, and what follows computes with the rest. Such a chain stays in float between the int8 layers, where only
its input and its result are rounded, as with an activation that has a table of its own.
"""

import math
from dataclasses import dataclass

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
    found = []
    for origin, chain in chains.items():
        names = {kinds[number] for number in chain}
        if len(chain) > 1 and (_LOSSY & names or {"TANH", "SUB"} <= names):
            inner = tuple(i for i in chain.values() if readers.get(i) and readers[i] <= set(chain))
            found.append(Chain(origin, tuple(chain.values()), inner))
    return found
