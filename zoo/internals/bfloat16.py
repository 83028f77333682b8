"""What TensorFlow computes wrongly in bfloat16 is computed in float32."""

import keras

from zoo.internals.keras import flat_layers, uses


def keep_narrow_in_float32(model) -> None:
    """Let convolutions whose kernel is wider than what they look at compute in float32.

    On processors with AVX512_BF16, oneDNN leaves parts of the gradient of such a kernel unwritten in bfloat16: what lay
    in memory before becomes the gradient (seen with TensorFlow 2.21, for example 3 × 3 × 3 on an input of 2 × 4 × 4).
    These layers lie at the bottom of a network, on few voxels, and cost no time. Sizes that are None are not judged.

    Args:
        model: a network that has just been built; its layers' policies change.
    """
    if keras.backend.backend() != "tensorflow":
        return
    for layer in flat_layers(model, include_self=False):
        if getattr(layer, "compute_dtype", None) == "bfloat16" and _is_wider_than_input(layer):
            layer.dtype_policy = "float32"


def _is_wider_than_input(layer) -> bool:
    kernel = getattr(layer, "kernel_size", None)
    if not isinstance(kernel, tuple):
        return False
    calls, _ = uses(layer)
    shapes = [call.input_tensors[0].shape[1:-1] for call in calls]
    return any(size is not None and width > size for shape in shapes for width, size in zip(kernel, shape, strict=True))
