"""Rules of batch 1 for what joins feature maps, and for ``keras.ops`` on each element."""

from functools import reduce

import keras
import numpy as np
from keras import layers, ops, tree

from export.rewrite.batch1 import slices
from export.rewrite.batch1.volume import Volume
from export.rewrite.registry import volume_rule
from export.rewrite.rules.operations import ELEMENTWISE
from zoo.internals.keras import numpy, unlinked

# Pixels of a plane from which on it saves memory to concatenate slice by slice.
LARGE = 512
# Which axes of (depth, height, width, channels) are one axis of the image.
_VIEWS = {"columns": ((0, 1), (2,), (3,)), "planes": ((0,), (1,), (2, 3)), "rows": ((0,), (1, 2), (3,))}


def combined(values, function, fold: str) -> Volume:
    """``function`` of feature maps, tensors and constants that broadcast, all read as images in the same way.

    Args:
        values: ``Volume``s; tensors of lower rank with batch 1; arrays and numbers.
        function: takes as many images and gives one.
        fold: the layout asked for.
    """
    given = [_with_shape(value) for value in values]
    full = np.broadcast_shapes(*(shape for _, shape in given))
    first = "planes" if fold == "channels" else "columns"
    for name in sorted(_VIEWS, key=lambda view: view != first):
        if all(_fits(shape, full, _VIEWS[name]) for _, shape in given):
            return Volume(full, [function([_image(value, shape, name) for value, shape in given])])
    raise ValueError(f"broadcasts {' with '.join(str(shape) for _, shape in given)}; a layout of batch 1 cannot")


def _with_shape(value):
    """A value with its shape as a feature map: Keras puts axes of 1 before those of a lower rank."""
    if isinstance(value, Volume):
        return value, value.shape
    shape = tuple(getattr(value, "shape", ()))
    if len(shape) > 4:
        value, shape = value[0], shape[1:]
    if keras.backend.is_keras_tensor(value):
        shape = shape[1:]  # the batch axis, which is 1
    return value, (1,) * (4 - len(shape)) + shape


def _fits(shape, full, groups) -> bool:
    """Whether all axes that are read as one broadcast, or none does."""
    for group in groups:
        axes = [axis for axis in group if full[axis] > 1]
        if len({shape[axis] == 1 for axis in axes}) > 1:
            return False
    return True


def _image(value, shape, name):
    if isinstance(value, Volume):
        return getattr(value, name)()
    if shape == (1, 1, 1, 1) and not keras.backend.is_keras_tensor(value):
        return value
    image = (1, *(int(np.prod([shape[axis] for axis in group])) for group in _VIEWS[name]))
    return (ops if keras.backend.is_keras_tensor(value) else np).reshape(value, image)


def _merging(merge):
    def rule(layer, args, kwargs, emission):
        return combined(args[0], merge, emission.layout.fold)

    return rule


volume_rule(layers.Add)(_merging(lambda images: reduce(ops.add, images)))
volume_rule(layers.Subtract)(_merging(lambda images: reduce(ops.subtract, images)))
volume_rule(layers.Multiply)(_merging(lambda images: reduce(ops.multiply, images)))
volume_rule(layers.Maximum)(_merging(lambda images: reduce(ops.maximum, images)))
volume_rule(layers.Minimum)(_merging(lambda images: reduce(ops.minimum, images)))
volume_rule(layers.Average)(_merging(lambda images: ops.multiply(reduce(ops.add, images), 1.0 / len(images))))


@volume_rule(*ELEMENTWISE)
def elementwise(operation, args, kwargs, emission):
    """An operation on each element."""
    leaves = tree.flatten((args, kwargs))
    if sum(isinstance(value, Volume) or np.ndim(value) > 0 for value in leaves if not _is_plain(value)) == 1:
        (volume,) = [value for value in leaves if isinstance(value, Volume)]
        args, kwargs = tree.map_structure(lambda v: v.joined if v is volume else v, (args, kwargs))
        return Volume(volume.shape, [unlinked(operation)(*args, **kwargs)])
    places = [i for i, value in enumerate(leaves) if not _is_plain(value)]

    def apply(images):
        filled = list(leaves)
        for i, image in zip(places, images, strict=True):
            filled[i] = image
        again_args, again_kwargs = tree.pack_sequence_as((args, kwargs), filled)
        return unlinked(operation)(*again_args, **again_kwargs)

    return combined([leaves[i] for i in places], apply, emission.layout.fold)


def _is_plain(value) -> bool:
    """Whether an argument broadcasts with anything, or is none of the operation's tensors."""
    return (
        value is None
        or isinstance(value, bool | int | float | str)
        or (not isinstance(value, Volume) and not keras.backend.is_keras_tensor(value) and np.ndim(value) == 0)
    )


@volume_rule(layers.PReLU)
def prelu(layer, args, kwargs, emission):
    """PReLU: max(x, 0) + slope × min(x, 0) where slopes differ by place, else the layer."""
    alpha = np.asarray(ops.convert_to_numpy(layer.alpha), np.float32)
    volume = args[0]
    if alpha.shape[:3] == (1, 1, 1):
        copy = emission.once((layer, "prelu"), lambda: layers.PReLU(shared_axes=[1, 2], dtype="float32"))
        y = copy(volume.columns())
        copy.set_weights([alpha[0]])
        return Volume(volume.shape, [y])
    return combined(
        [volume, alpha],
        lambda images: ops.add(ops.relu(images[0]), ops.multiply(ops.minimum(images[0], 0.0), images[1])),
        emission.layout.fold,
    )


@volume_rule(layers.Concatenate, numpy.Concatenate)
def concatenate(layer, args, kwargs, emission):
    """Concatenate along any axis but the batch."""
    axis, volumes = emission.axis(layer.axis), args[0]
    shape = list(volumes[0].shape)
    shape[axis] = sum(volume.shape[axis] for volume in volumes)
    if axis == 3 and emission.layout.fold == "channels" and shape[0] * shape[1] >= LARGE:
        return slices.side_by_side_of(volumes)
    if axis == 3:
        columns = [volume.columns() for volume in volumes]
        members = [member for volume in volumes for member in volume.members]
        return Volume(shape, columns, lambda images: ops.concatenate(images, axis=-1), members)
    images = [volume.rows() if axis < 2 else volume.columns() for volume in volumes]
    return Volume(shape, [ops.concatenate(images, axis=1 if axis == 0 else 2)])
