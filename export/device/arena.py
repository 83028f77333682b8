"""Memory that a TFLite file's activations need, planned from the file as LiteRT plans it."""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

from export.errors import FormatError
from medseg.errors import InputError

ALIGNMENT = 64
FOREVER = math.inf
# An output of these kinds is its input under another shape; of those, it may overwrite the input's last use.
SAME_DATA = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "BITCAST")
OVERWRITES = {"ADD": 2, "SUB": 2, "MUL": 2, "DIV": 2, "SOFTMAX": 1}
SIZES = {
    "FLOAT64": 8, "INT64": 8, "UINT64": 8, "COMPLEX64": 8, "FLOAT32": 4, "INT32": 4, "UINT32": 4, "FLOAT16": 2,
    "BFLOAT16": 2, "INT16": 2, "UINT16": 2, "INT8": 1, "UINT8": 1, "BOOL": 1,
}  # fmt: skip


class ArenaError(InputError):
    """An artifact's activations do not fit the memory of the device."""


@dataclass(frozen=True)
class Buffer:
    """A tensor that needs memory while the network runs.

    Attributes:
        name: the tensor.
        size: bytes.
        first: the operator that writes it; the network's inputs are there from operator 0.
        last: the last operator that reads it; infinity for inputs, outputs and what nobody reads.
    """

    name: str
    size: int
    first: int
    last: float

    def meets(self, buffer: "Buffer") -> bool:
        """Whether both are alive at some operator."""
        return self.first <= buffer.last and buffer.first <= self.last


@dataclass(frozen=True)
class Arena:
    """Memory for the activations of a file.

    Attributes:
        size: bytes of the plan.
        alive: most bytes alive at one operator, which no plan can go below.
        operator: where that is, in words.
    """

    size: int
    alive: int
    operator: str


def check_formats(formats: Sequence[str]) -> None:
    """Require a TFLite format: the memory of the others is not planned from their file.

    Raises:
        FormatError: if there is none.
    """
    if not any(name.startswith("tflite") for name in formats):
        raise FormatError(f"max-arena: holds for TFLite files, not for {', '.join(formats)}; add --format tflite-int8")


def measure(data: bytes) -> Arena:
    """The arena of a TFLite file, as LiteRT plans it without a delegate.

    The accumulators of quantized transposed convolutions are counted as LiteRT for Microcontrollers keeps them, in the
    arena; LiteRT keeps them beside it. A delegate such as XNNPACK plans its own memory.

    Args:
        data: the flatbuffer.
    """
    arenas = [_measure(buffers, names) for buffers, names in _subgraphs(data)]
    largest = max(arenas, key=lambda arena: arena.alive)
    # LiteRT keeps one arena for each subgraph.
    return Arena(sum(arena.size for arena in arenas), largest.alive, largest.operator)


def _measure(buffers, names):
    offsets = plan(buffers)
    size = max((offset + buffer.size for offset, buffer in zip(offsets, buffers, strict=True)), default=0)
    change = [0] * (len(names) + 1)
    for buffer in buffers:
        change[buffer.first] += buffer.size
        change[min(buffer.last, len(names) - 1) + 1] -= buffer.size
    alive, most, where = 0, 0, 0
    for i, difference in enumerate(change[:-1]):
        alive += difference
        if alive > most:
            most, where = alive, i
    return Arena(size, most, names[where] if names else "")


def plan(buffers: list[Buffer], alignment: int = ALIGNMENT) -> list[int]:
    """Offsets in one block of memory: the largest first, each into the tightest gap between those it meets.

    Greedy by size (Pisarchyk and Lee, arXiv:2001.03288), in LiteRT's variant: what lives all the time comes first.

    Args:
        buffers: what to place.
        alignment: of every offset, bytes.

    Returns:
        One offset a buffer; of two that meet none overlaps the other.
    """

    def urgency(i):
        buffer = buffers[i]
        always = buffer.first == 0 and buffer.last == FOREVER
        return (0, i) if always else (1, -buffer.size, buffer.first, i)

    offsets = [0] * len(buffers)
    placed: list[tuple[int, int]] = []  # (offset, index), ascending
    for i in sorted(range(len(buffers)), key=urgency):
        if buffers[i].size:
            offsets[i] = _tightest_gap(buffers[i], placed, buffers, alignment)
            bisect.insort(placed, (offsets[i], i))
    return offsets


def _tightest_gap(buffer, placed, buffers, alignment):
    end, best, best_gap = 0, None, math.inf
    for offset, j in placed:
        if not buffer.meets(buffers[j]):
            continue
        start = -(-end // alignment) * alignment
        if start + buffer.size <= offset and offset - start < best_gap:
            best, best_gap = start, offset - end
        end = max(end, offset + buffers[j].size)
    return -(-end // alignment) * alignment if best is None else best


def _subgraphs(data) -> list[tuple[list[Buffer], list[str]]]:
    """For each subgraph its buffers, every tensor that needs memory and how long, and its operators in words.

    Reshapes share their input's memory, and additions and their kin overwrite an input that nobody reads after them.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(data), 0))
    kinds = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    sizes = {value: SIZES.get(name, 0) for name, value in vars(schema.TensorType).items()}
    codes = [kinds[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
    subgraphs = []
    for graph in model.subgraphs:
        operators = [
            (codes[op.opcodeIndex], [int(i) for i in op.inputs if i >= 0], [int(i) for i in op.outputs if i >= 0])
            for op in graph.operators or []
        ]
        names = [f"{kind} {graph.tensors[outputs[0]].name.decode()}" for kind, _, outputs in operators]
        subgraphs.append((_buffers(graph, operators, lambda tensor: _bytes(tensor, sizes)), names))
    return subgraphs


def _bytes(tensor, sizes) -> int:
    shape = () if tensor.shape is None else tensor.shape
    return math.prod(int(n) for n in shape) * sizes[tensor.type]


def _buffers(graph, operators, size_of) -> list[Buffer]:
    inputs, outputs = {int(i) for i in graph.inputs}, {int(i) for i in graph.outputs}
    kept = inputs | outputs | {i for i, tensor in enumerate(graph.tensors) if tensor.isVariable}
    sizes = {i: size_of(tensor) for i, tensor in enumerate(graph.tensors)}
    first = dict.fromkeys(sorted(kept - outputs | inputs), 0)
    for step, (kind, read, written) in enumerate(operators):
        # weights kept as float16 are made float32, and those kept without zeros filled up, once, for good
        if kind in ("DEQUANTIZE", "DENSIFY") and read[0] not in first:
            first[written[0]] = 0
            kept.add(written[0])
        for i in written:
            first.setdefault(i, step)
    owner = _owners(operators, sizes, first, kept, inputs, outputs)
    last: dict[int, float] = {owner.get(i, i): FOREVER for i in kept}
    for step, (_, read, _) in enumerate(operators):
        for i in read:
            i = owner.get(i, i)
            last[i] = max(last.get(i, 0), step)
    buffers = [
        Buffer(graph.tensors[i].name.decode(), sizes[i], start, last.get(i, FOREVER))
        for i, start in first.items()
        if i not in owner
    ]
    return buffers + [
        Buffer(f"scratch of {graph.tensors[written[0]].name.decode()}", size, step, step)
        for step, (kind, _, written) in enumerate(operators)
        if (size := _scratch(kind, graph.tensors[written[0]], sizes[written[0]]))
    ]


def _owners(operators, sizes, first, kept, inputs, outputs) -> dict[int, int]:
    """Output tensors that need no memory of their own: each with the tensor in whose memory it lies."""
    readers: dict[int, int] = dict.fromkeys(kept, 1)
    for _, read, _ in operators:
        for i in read:
            readers[i] = readers.get(i, 0) + 1
    owner: dict[int, int] = {}
    for kind, read, written in operators:
        same = kind in SAME_DATA
        for i in read[: 1 if same else OVERWRITES.get(kind, 0)]:
            target = written[0]
            if i not in first or i in inputs or target in outputs or sizes[i] != sizes[target]:
                continue
            root = owner.get(i, i)
            if same or (readers[i] == 1 and sizes[i] > 4):
                # LiteRT tries no other input after this one, even where what lies in its memory is read once more.
                if same or readers[root] == 1:
                    owner[target] = root
                break
    return owner


def _scratch(kind, output, size) -> int:
    """Bytes of the accumulators that the reference kernel of a quantized transposed convolution keeps."""
    if kind != "TRANSPOSE_CONV" or output.quantization is None or output.quantization.scale is None:
        return 0
    return 4 * size
