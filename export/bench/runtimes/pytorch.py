"""The same network in PyTorch, built from its ONNX file; loaded in a worker, see ``export/bench/runtimes``.

Both memory layouts are tried, and torch.compile where the job asks for it.
"""

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last_3d": torch.channels_last_3d}
LAYOUTS_2D = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def prepare(job):
    """A variant for each memory layout."""
    onnx_model = onnx.load(job["onnx"])
    unknown = sorted({node.op_type for node in onnx_model.graph.node} - set(OPERATORS))
    if unknown:
        raise ValueError(f"operators that are not built in PyTorch here: {', '.join(unknown)}")
    rank = np.load(job["input"]).ndim - 1
    compiled = ", torch.compile" if job.get("compile") else ""
    return [
        {"how": layout + compiled, "layout": layout, "files": [job["onnx"]]}
        for layout in (LAYOUTS if rank == 3 else LAYOUTS_2D)
    ]


def open_runner(job, variant):
    """A call that runs the patch."""
    torch.set_num_threads(job["threads"])
    layout = {**LAYOUTS, **LAYOUTS_2D}[variant["layout"]]
    patch = np.load(job["input"])
    onnx_model = onnx.load(variant["files"][0])
    shape = [d.dim_value for d in onnx_model.graph.input[0].type.tensor_type.shape.dim]
    network = Network(onnx_model, layout, getattr(torch, job["precision"])).eval()
    if job.get("compile"):
        torch._inductor.config.freezing = True  # folds weights into the layout that the kernels want
        network = torch.compile(network)
    image = torch.from_numpy(patch.reshape(shape))

    def call():
        with torch.inference_mode() if not job.get("compile") else torch.no_grad():
            return network(image).numpy().reshape(*patch.shape[:-1], -1)

    return call


def describe():
    """The runtime and its version."""
    return f"PyTorch {torch.__version__}"


class Network(torch.nn.Module):
    """An ONNX graph, node by node, its weights as parameters in the given precision and memory layout."""

    def __init__(self, model, layout, precision):
        super().__init__()
        self.layout, self.precision = layout, precision
        graph = model.graph
        self.source, self.result = graph.input[0].name, graph.output[0].name
        self.nodes, self.constants, place = [], {}, {}
        for number, tensor in enumerate(graph.initializer):
            value = torch.from_numpy(numpy_helper.to_array(tensor).copy())
            if not value.is_floating_point():
                self.constants[tensor.name] = value.tolist()
                continue
            value = value.to(precision)
            if value.ndim == (5 if layout in (torch.channels_last_3d, torch.contiguous_format) else 4):
                value = value.contiguous(memory_format=layout)
            self.register_parameter(f"weight{number}", torch.nn.Parameter(value, requires_grad=False))
            place[tensor.name] = f"weight{number}"
        for node in graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                self.constants[node.output[0]] = torch.from_numpy(numpy_helper.to_array(attributes["value"]).copy())
                continue
            names = [(place.get(name), name) for name in node.input]
            self.nodes.append((OPERATORS[node.op_type], attributes, names, node.output[0]))

    def forward(self, image):
        """Logits float32 of an image in the ONNX file's shape."""
        values = {self.source: image.to(self.precision)}
        for operator, attributes, names, result in self.nodes:
            given = []
            for weight, name in names:
                if weight is not None:
                    given.append(getattr(self, weight))
                else:
                    given.append(values[name] if name in values else self.constants.get(name))
            if operator in (convolution, transposed_convolution):
                given[0] = given[0].contiguous(memory_format=self.layout)
            values[result] = operator(attributes, *given)
        return values[self.result].float()


def convolution(attributes, x, weight, bias=None):
    """ONNX Conv."""
    rank = x.ndim - 2
    pads = _pads(attributes, rank)
    if pads[:rank] != pads[rank:]:
        x = functional.pad(x, [n for i in reversed(range(rank)) for n in (pads[i], pads[rank + i])])
        pads = [0] * rank
    kernel = (functional.conv2d, functional.conv3d)[rank - 2]
    ones = [1] * rank
    strides, dilations = attributes.get("strides", ones), attributes.get("dilations", ones)
    return kernel(x, weight, bias, strides, pads[:rank], dilations, attributes.get("group", 1))


def transposed_convolution(attributes, x, weight, bias=None):
    """ONNX ConvTranspose without padding at the end of the output."""
    rank = x.ndim - 2
    pads = _pads(attributes, rank)
    if pads[:rank] != pads[rank:]:
        raise ValueError(f"ConvTranspose with uneven borders {pads} is not built in PyTorch here")
    kernel = (functional.conv_transpose2d, functional.conv_transpose3d)[rank - 2]
    ones = [1] * rank
    extra = attributes.get("output_padding", [0] * rank)
    strides, dilations = attributes.get("strides", ones), attributes.get("dilations", ones)
    return kernel(x, weight, bias, strides, pads[:rank], extra, attributes.get("group", 1), dilations)


def pool(attributes, x, kind):
    """ONNX MaxPool and AveragePool without uneven borders."""
    rank = x.ndim - 2
    pads = _pads(attributes, rank)
    if pads[:rank] != pads[rank:]:
        raise ValueError(f"pooling with uneven borders {pads} is not built in PyTorch here")
    strides = attributes.get("strides", [1] * rank)
    return getattr(functional, f"{kind}_pool{rank}d")(x, attributes["kernel_shape"], strides, pads[:rank])


def _pads(attributes, rank):
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise ValueError(f"borders {attributes['auto_pad'].decode()} are not built in PyTorch here")
    return list(attributes.get("pads", [0] * (2 * rank)))


OPERATORS = {
    "Add": lambda a, x, y: x + y,
    "AveragePool": lambda a, x: pool(a, x, "avg"),
    "Concat": lambda a, *parts: torch.cat(parts, a["axis"]),
    "Constant": None,
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "Div": lambda a, x, y: x / y,
    "GlobalAveragePool": lambda a, x: x.mean(tuple(range(2, x.ndim)), keepdim=True),
    "LeakyRelu": lambda a, x: functional.leaky_relu(x, a.get("alpha", 0.01)),
    "MaxPool": lambda a, x: pool(a, x, "max"),
    "Mul": lambda a, x, y: x * y,
    "Relu": lambda a, x: torch.relu(x),
    "Reshape": lambda a, x, shape: x.reshape(shape),
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "Sub": lambda a, x, y: x - y,
    "Transpose": lambda a, x: x.permute(a["perm"]),
}
