"""What the tensors within an ONNX model hold as it runs."""

from collections.abc import Iterator, Sequence

import numpy as np

from export.conversion.release_memory import give_back
from export.quantize.ranges import Histogram, Observer
from export.quantize.tensor_batches import tensor_groups


def session(model, fused: bool = False):
    """A model opened in ONNX Runtime.

    Args:
        model: ``onnx.ModelProto``.
        fused: with all of its own fusions, as a device runs it; else every tensor of the file is there to be read.
    """
    import onnxruntime

    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False  # the arena keeps what earlier runs needed
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # NumPy has the processor between runs
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if fused else levels.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def observed(
    model, names: Sequence[str], patches: Sequence[np.ndarray]
) -> tuple[dict[str, Histogram], list[np.ndarray]]:
    """Histograms of tensors over ``patches``, and the outputs.

    The extremes and the sample are taken within the graph, so that one run a patch gives those of all tensors and
    nothing large is kept.

    Args:
        model: float ``onnx.ModelProto`` of fixed shapes.
        names: of float tensors, its input may be among them.
        patches: inputs, float32.

    Returns:
        Histograms by tensor name, and the output for each patch.
    """
    from onnx import helper, numpy_helper

    sizes = activations(model)
    observers = {name: Observer(len(patches)) for name in names}
    watched = type(model)()
    watched.CopyFrom(model)
    graph, last = watched.graph, model.graph.output[0].name

    def constant(name, values):
        graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), f"watch_{name}"))
        return f"watch_{name}"

    flat, start, axis = constant("flat", [-1]), constant("start", [0]), constant("axis", [0])
    fetched = [last]
    for i, (name, observer) in enumerate(observers.items()):
        size = sizes[name] // 4
        end, step = constant(f"end_{i}", [size]), constant(f"step_{i}", [observer.step(size)])
        low, high, flattened, sample = (f"watch_{part}_{i}" for part in ("low", "high", "flattened", "sample"))
        graph.node.extend(
            (
                helper.make_node("ReduceMin", [name], [low], keepdims=0),
                helper.make_node("ReduceMax", [name], [high], keepdims=0),
                helper.make_node("Reshape", [name, flat], [flattened]),
                helper.make_node("Slice", [flattened, start, end, axis, step], [sample]),
            )
        )
        fetched += low, high, sample
    graph.output.extend(helper.make_empty_tensor_value_info(name) for name in fetched[1:])
    opened = session(watched)
    image, logits = opened.get_inputs()[0].name, []
    for patch in patches:
        output, *measured = opened.run(fetched, {image: np.asarray(patch, np.float32)})
        logits.append(output)
        for observer, low, high, sample in zip(
            observers.values(), measured[::3], measured[1::3], measured[2::3], strict=True
        ):
            observer.take(float(low), float(high), sample)
    del opened
    give_back()
    return {name: observer.histogram() for name, observer in observers.items()}, logits


def activations(model) -> dict[str, int]:
    """Sizes in bytes of the float tensors that a model computes, its input among them."""
    import onnx

    constant = {i.name for i in model.graph.initializer}
    values = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    return {
        value.name: 4 * int(np.prod([d.dim_value for d in value.type.tensor_type.shape.dim]))
        for value in values
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT and value.name not in constant
    }


def traced(model, sizes: dict[str, int], patches: Sequence[np.ndarray]) -> Iterator:
    """Run a model and read tensors from within it, as many at once as ``tensor_groups`` puts together.

    Args:
        model: ``onnx.ModelProto``.
        sizes: bytes by tensor name.
        patches: inputs, float32.

    Yields:
        (number of the patch, {tensor name: its values}).
    """
    import onnx

    inputs = {value.name for value in model.graph.input}
    known = {value.name for value in model.graph.output}
    traced_model = type(model)()
    traced_model.CopyFrom(model)
    traced_model.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in sizes if name not in known and name not in inputs
    )
    opened = session(traced_model)
    image = opened.get_inputs()[0].name
    for which, patch in enumerate(patches):
        feed = {image: np.asarray(patch, np.float32)}
        for group in tensor_groups({name: size for name, size in sizes.items() if name not in inputs}):
            yield which, dict(zip(group, opened.run(group, feed), strict=True))
        if image in sizes:
            yield which, {image: feed[image]}
