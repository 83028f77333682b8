"""Tensors that are joined channel by channel get one scale, so that OpenVINO joins their bytes as they are."""

from collections.abc import Iterator

import numpy as np

from export.quantize.native.graph import PRODUCTS, attributes, constants, consumers, producers, set_constant, shapes
from export.quantize.onnx_data_movement import MOVES
from export.quantize.ranges import Histogram, cover

Range = tuple[float, float]
# A narrower tensor is not given the range of what it is joined with: that would cost it more than one bit.
NARROWEST = 0.5
# A range that begins this far below zero is made symmetric: int8 then needs no zero point, which AMX multiplies slower.
SIGNED = 0.25


def fit(model, histograms: dict[str, Histogram]) -> int:
    """Scale what is joined so that its values reach as far as those beside it, in place; the network stays the same.

    A convolution or transposed convolution whose result, maybe behind a ReLU, is only joined gives it divided by a
    factor, and the convolutions that read what is joined multiply by it.

    Args:
        model: from ``float_graph.fuller``.
        histograms: of its tensors, scaled alike.

    Returns:
        Number of tensors that were scaled.
    """
    values, users, made, sizes = constants(model), consumers(model), producers(model), shapes(model)
    scaled = 0
    for join in _joins(model, sizes):
        readers = users.get(join.output[0], [])
        if not readers or not all(_is_single(reader, "Conv", values, users) for reader in readers):
            continue
        sources = {name: _source(name, made) for name in join.input}
        reaches = {name: _reach(histograms[source]) for name, source in sources.items() if source in histograms}
        free = {name: chain for name in reaches if (chain := _chain(name, values, users, made, model))}
        if not free or len(reaches) < len(join.input):
            continue
        goal = max([reach for name, reach in reaches.items() if name not in free] or reaches.values())
        start = 0
        for name in join.input:
            channels = slice(start, start + sizes[name][1])
            start = channels.stop
            factor = reaches[name] / goal if name in free and goal > 0 else 1.0
            if factor in (0.0, 1.0):
                continue
            for constant in free[name][0].input[1:]:
                values[constant] = values[constant] / np.float32(factor)
                set_constant(model, constant, values[constant])
            for reader in readers:
                kernel = values[reader.input[1]].copy()
                kernel[:, channels] *= np.float32(factor)
                values[reader.input[1]] = kernel
                set_constant(model, reader.input[1], kernel)
            for tensor in free[name][1] & set(histograms):
                histograms[tensor].low /= factor
                histograms[tensor].high /= factor
            scaled += 1
    return scaled


def shared(model, ranges: dict[str, Range]) -> dict[str, Range]:
    """Ranges in which tensors that are joined, and reach about as far, have the same.

    Args:
        model: from ``fit``.
        ranges: by tensor name.
    """
    made = producers(model)
    common = dict(ranges)
    joins = [[_source(name, made) for name in join.input] for join in _joins(model, shapes(model))]
    for _ in joins:  # one after another may be joined with what was joined before
        for sources in joins:
            if not all(name in common for name in sources):
                continue
            parts = [common[name] for name in sources]
            low, high = min(low for low, _ in parts), max(high for _, high in parts)
            reach = max(-low, high)
            if min(max(-low, high) for low, high in parts) < NARROWEST * reach:
                continue
            if low < -SIGNED * high:
                high = max(high, -low * 127 / 128)
                low = -high * 128 / 127
            common |= dict.fromkeys(sources, (low, high))
    return common


def _joins(model, sizes) -> Iterator:
    """The nodes that put channels side by side."""
    for node in model.graph.node:
        if node.op_type == "Concat" and attributes(node)["axis"] in (1, 1 - len(sizes.get(node.output[0], ()))):
            yield node


def _source(name, made) -> str:
    """The tensor whose values a tensor holds, maybe moved."""
    while name in made and made[name].op_type in MOVES and made[name].op_type != "Concat":
        name = made[name].input[0]
    return name


def _chain(name, values, users, made, model):
    """(product, tensors) of a tensor that is only joined and may be scaled: what computes it, and those on the way."""
    tensors = {name}
    node = made.get(name)
    if node is not None and node.op_type == "Relu":
        name = node.input[0]
        tensors.add(name)
        node = made.get(name)
    if node is None or not any(_is_single(node, kind, values, users) for kind in PRODUCTS):
        return None
    results = {output.name for output in model.graph.output}
    if tensors & results or any(len(users.get(tensor, [])) != 1 for tensor in tensors):
        return None
    return node, tensors


def _is_single(node, kind, values, users) -> bool:
    """Whether a node is a product of one group with constants that no other node reads."""
    return (
        node.op_type == kind
        and attributes(node).get("group", 1) == 1
        and all(name in values and len(users[name]) == 1 for name in node.input[1:])
    )


def _reach(histogram: Histogram) -> float:
    return max(map(abs, cover(histogram, "percentile")))
