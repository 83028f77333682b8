"""The manifest: what a device must know of an artifact before it runs it."""

from dataclasses import dataclass, field

from imaging.labels import Label
from imaging.recipe import Recipe

SCHEMA = 1


@dataclass(frozen=True)
class Tensor:
    """An input or output tensor of the model file.

    Attributes:
        name: the tensor's name in the file.
        shape: its shape; a folded 3D network has (depth, height, width, channels), others carry a batch axis of 1.
        dtype: NumPy name: "float32", "int8", "uint8", ...
        scale: real value of one step, 0.0 when the tensor is float.
        zero_point: stored value of real zero.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` holds.

    Attributes:
        name: what the artifact is called.
        format: "tflite-float32", "tflite-float16", "tflite-int8", "onnx-float32", "onnx-int8".
        model: file name of the model, beside the manifest.
        sha256: of the model file, hexadecimal.
        recipe: preprocessing of a scan.
        patch: spatial size of the network's input, voxels.
        overlap: share of a patch that neighbouring tiles overlap by.
        labels: classes by class index, background first.
        channels: names of the input channels.
        folded: the first spatial axis is the batch axis of the file's input and output (rewritten 3D network).
        input: the input tensor.
        output: the output tensor: logits, channel last.
        source: what it was made from: network, run, parameters, MACs, versions.
        calibration: names of the training cases that it was calibrated with.
        operators: operator type to precision to count, read back from the file.
        fidelity: what was verified, and against what.
    """

    name: str
    format: str
    model: str
    sha256: str
    recipe: Recipe
    patch: tuple[int, ...]
    overlap: float
    labels: tuple[Label, ...]
    channels: tuple[str, ...]
    folded: bool
    input: Tensor
    output: Tensor
    source: dict = field(default_factory=dict)
    calibration: tuple[str, ...] = ()
    operators: dict = field(default_factory=dict)
    fidelity: dict = field(default_factory=dict)
    schema: int = SCHEMA
