"""Whether a network can be converted: its weights are numbers, and it takes the patch; or the nearest that it takes."""

import keras
import numpy as np
from keras import layers, ops

from export.rewrite.emission import RewriteError
from medseg.errors import InputError
from zoo.internals.keras import is_functional, run_graph

MULTIPLES = (2, 4, 8, 16, 32, 64)


def check_fit(model, patch) -> None:
    """Require a network to take a patch: its strides divide it, its input is not fixed to another size.

    Args:
        model: functional or sequential model of one input (batch, *spatial, channels).
        patch: spatial size, voxels.

    Raises:
        RewriteError: naming what does not fit, and a patch that does if one is found.
    """
    patch = tuple(patch)
    fixed = tuple(model.inputs[0].shape[1:-1])
    if len(fixed) != len(patch):
        raise RewriteError(f"{model.name}: its input has {len(fixed)} spatial axes, patch {patch} has {len(patch)}")
    if any(own not in (None, size) for own, size in zip(fixed, patch, strict=True)):
        raise RewriteError(f"{model.name} does not take patch {patch}: its input is fixed to {fixed}; use that")
    if min(patch) < 1:
        raise RewriteError(f"patch {patch}: expected sizes of at least 1 voxel")
    problem = _misfit(model, patch)
    if problem is None:
        return
    larger = [tuple(-(-size // multiple) * multiple for size in patch) for multiple in MULTIPLES]
    fits = next(
        (f"use {candidate}" for candidate in larger if candidate != patch and _misfit(model, candidate) is None), None
    )
    raise RewriteError(f"{model.name} does not take patch {patch} ({problem}); {fits or 'give another'}")


def check_weights(model) -> None:
    """Require the weights of a network to be numbers: one NaN among them makes all of its answer one class.

    Args:
        model: any Keras model.

    Raises:
        InputError: naming the weights that are not.
    """
    broken = [weight.path for weight in model.weights if not np.isfinite(weight.numpy()).all()]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise InputError(
            f"{model.name}: {broken[0]}{more} holds NaN or infinite values, expected numbers; take weights from before "
            "its training went astray"
        )


def _misfit(model, patch) -> str | None:
    """Why a patch does not go through, or None."""
    image = keras.KerasTensor((1, *patch, model.inputs[0].shape[-1]))
    try:
        run_graph(model, image, operation_fn=_shapes)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        return str(error).strip().splitlines()[0]
    return None


def _shapes(operation):
    """The shape inference of a layer, with what Keras leaves unchecked."""

    def infer(*args, **kwargs):
        if is_functional(operation):
            return run_graph(operation, *args, operation_fn=_shapes)
        try:
            if type(operation) is layers.Concatenate:
                return ops.concatenate(args[0], axis=operation.axis)
            result = operation.compute_output_spec(*args, **kwargs)
        except ValueError as error:
            shapes = dict.fromkeys(tuple(t.shape[1:-1]) for t in keras.tree.flatten(args) if hasattr(t, "shape"))
            if len(shapes) > 1:
                raise ValueError(f"layer {operation.name} joins {' and '.join(map(str, shapes))}") from None
            raise ValueError(f"layer {operation.name}: {str(error).strip().splitlines()[0]}") from None
        if any(size == 0 for t in keras.tree.flatten(result) for size in t.shape):
            raise ValueError(f"layer {operation.name} leaves nothing of {tuple(args[0].shape[1:-1])}")
        return result

    return infer
