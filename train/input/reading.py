"""Reading regions of preprocessed cases in TensorFlow operations, so that no Python runs in the input pipeline.

The files of the cache are mapped into memory anew for every region: only the pages that it touches are read, and memory
does not grow with the dataset.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from train.input.cache import CachedCase, mapped

_KINDS = {"image": tf.float32, "positions": tf.int32, "labelled": tf.int32, "prior": tf.uint16}


def reader(cases: Sequence[CachedCase], region, patch, foreground: float, slices: int = 0) -> Callable:
    """A function (index, draws) -> image (*region, C) float32 and label (*region) int32 of a random region of a case.

    Of cases with a prior it gives that too, (*region) int32.

    The patch in the region's middle is centred on a foreground voxel (class and voxel drawn uniformly) with chance
    ``foreground``, else it lies anywhere, or on a labelled voxel if the dataset ignores some, as in nnU-Net. Where the
    scan is smaller than the patch, it is put in the middle; beyond the scan all is zero.

    Args:
        cases: preprocessed cases of one rank and one number of channels.
        region: spatial size to read.
        patch: spatial size of the patch in its middle.
        foreground: the chance.
        slices: of the recipe: where it is not 0, region and patch are of a slice of the cases, which are volumes, and
            the image has the channels of so many slices (``imaging.slices``).

    Returns:
        The function; it takes the case's index (int32 scalar) and (3 + rank of the cases,) uniform draws from 0 to 1
        that decide.
    """
    if slices:
        region, patch = (slices, *region), (1, *patch)
    headers = {name: _headers(cases, name) for name in _names(cases)}
    label_kind = tf.as_dtype(headers["label"][0].dtype)
    channels = headers["image"][0].shape[-1]
    # Constants of the graph: a row for each case.
    shapes = np.array([case.shape for case in cases], np.int64)
    offsets = np.array([case.positions()[1] for case in cases], np.int64)
    begins = {
        n: np.array([h.offset // h.dtype.itemsize for h in of_cases], np.int64) for n, of_cases in headers.items()
    }
    labelled = np.array([len(h) for h in headers["labelled"]], np.int64) if "labelled" in headers else None
    files = _mapped_files(cases, {name: label_kind if name == "label" else _KINDS[name] for name in headers})
    read_of_each = [("image", channels), ("label", 1), *([("prior", 1)] if "prior" in headers else [])]
    rank, patch, region = len(patch), np.array(patch, np.int64), tuple(region)

    def read(index, draws):
        values = files(index)
        draws = tf.cast(draws, tf.float64)
        shape = tf.gather(shapes, index)

        def voxel(name, row):
            place = tf.gather(begins[name], index) + row * rank + tf.range(rank, dtype=tf.int64)
            return tf.cast(tf.gather(values[name], place), tf.int64)

        start = _share(draws[3 : 3 + rank], tf.maximum(shape - patch + 1, 1))
        if labelled is not None:
            count = tf.gather(labelled, index)
            middle = lambda: voxel("labelled", _share(draws[2], count)) - patch // 2  # noqa: E731
            start = tf.cond(count > 0, middle, lambda: start)
        bounds = tf.gather(offsets, index)
        present = tf.where(bounds[1:] > bounds[:-1])[:, 0]

        def centred():
            chosen = tf.gather(present, _share(draws[1], tf.size(present, tf.int64)))
            low, high = tf.gather(bounds, chosen), tf.gather(bounds, chosen + 1)
            return voxel("positions", low + _share(draws[2], high - low)) - patch // 2

        forced = (draws[0] < foreground) & (tf.size(present) > 0)
        before = start
        start = tf.cond(forced, centred, lambda: before)
        inner = tf.clip_by_value(start, 0, tf.maximum(shape - patch, 0))
        start = tf.where(shape > patch, inner, -((patch - shape) // 2)) - (np.array(region) - patch) // 2
        image, label, *prior = (
            _cut(values[name], tf.gather(begins[name], index), shape, start, region, depth, repeat=bool(slices))
            for name, depth in read_of_each
        )
        if slices:
            image, label = _stacked(image), label[slices // 2]
        return image, *(tf.cast(whole[..., 0], tf.int32) for whole in (label, *prior))

    return read


def _share(draw, count):
    """``draw`` (0 to 1) of ``count`` as an index below it."""
    return tf.minimum(tf.cast(draw * tf.cast(count, tf.float64), tf.int64), count - 1)


def _stacked(image):
    """Slices (D, H, W, C) as channels (H, W, D * C), in the order of ``imaging.slices``."""
    depth, *plane, channels = image.shape
    return tf.reshape(tf.transpose(image, (1, 2, 0, 3)), (*plane, depth * channels))


def _cut(values, begin, shape, start, region, channels, repeat=False):
    """The region (*region, C) at ``start`` of the scan (*shape, C) that begins at ``begin`` of a file.

    Beyond the scan it is 0, or along the first axis, with ``repeat``, the first and last slice again.

    The slices of the first axis are copied whole, which is one run of the file, and then cut: faster than to gather the
    voxels.
    """
    # Channels and last axis are one here: operations on short last axes are slow.
    unit = np.array([1] * (len(region) - 1) + [channels])
    shape, start, region = shape * unit, start * unit, np.array(region) * unit
    low = tf.clip_by_value(start, 0, shape)
    count = tf.clip_by_value(start + region, 0, shape) - low
    size = tf.reduce_prod(shape[1:])
    run = tf.slice(values, [begin + low[0] * size], [count[0] * size])
    block = tf.reshape(run, tf.concat([count[:1], shape[1:]], 0))
    block = tf.slice(block, tf.concat([[0], low[1:]], 0), count)
    before = low - start
    if repeat:
        rows = tf.clip_by_value(start[0] + np.arange(region[0]), 0, shape[0] - 1) - low[0]
        block = tf.gather(block, rows)
        before, count = (tf.concat([[first], sizes[1:]], 0) for first, sizes in ((0, before), (region[0], count)))
    cut = tf.pad(block, tf.stack([before, region - count - before], -1))
    return tf.reshape(cut, (*(region // unit), channels))


def _names(cases):
    names = ["image", "label", "positions"]
    names += ["prior"] if cases[0].prior is not None else []
    return [*names, "labelled"] if cases[0].labelled() is not None else names


def _headers(cases, name):
    """The memory maps of one file of each case, which know its shape, type and where its data begin."""
    return [mapped(case.file(name)) for case in cases]


def _mapped_files(cases, kinds):
    """A function from a case's index to its files, each as a flat memory-mapped tensor, its header included.

    TensorFlow's operation that maps a file takes the name as an attribute, so there is a branch for each case. They are
    written as one function with attributes and a node that names them: to trace hundreds would take long.
    """
    function = "_".join(["medseg_mapped_files", *kinds, *(kind.name for kind in kinds.values())])
    definition = {
        "signature": {
            "name": function,
            "output_arg": [{"name": name, "type": kind.as_datatype_enum} for name, kind in kinds.items()],
            "attr": [
                attribute
                for name in kinds
                for attribute in (
                    {"name": f"{name}_path", "type": "string"},
                    {"name": f"{name}_shape", "type": "shape"},
                )
            ],
        },
        "node_def": [
            {
                "name": name,
                "op": "ImmutableConst",
                "attr": {
                    "dtype": {"type": kind.as_datatype_enum},
                    "shape": {"placeholder": f"{name}_shape"},
                    "memory_region_name": {"placeholder": f"{name}_path"},
                },
            }
            for name, kind in kinds.items()
        ],
        "ret": {name: f"{name}:tensor:0" for name in kinds},
    }
    functions, graph = tf.compat.v1.GraphDef(library={"function": [definition]}), tf.compat.v1.GraphDef()
    index = graph.node.add(name="index", op="Placeholder")
    index.attr["dtype"].type = tf.int32.as_datatype_enum
    chosen = graph.node.add(name="chosen", op="StatelessCase", input=["index"])
    chosen.attr["Tin"].list.SetInParent()
    for kind in kinds.values():
        chosen.attr["Tout"].list.type.append(kind.as_datatype_enum)
        chosen.attr["output_shapes"].list.shape.add().dim.add(size=-1)
    for case in cases:
        branch = chosen.attr["branches"].list.func.add(name=function)
        for name, kind in kinds.items():
            path = Path(case.file(name)).resolve()
            branch.attr[f"{name}_path"].s = str(path).encode()
            branch.attr[f"{name}_shape"].shape.dim.add(size=path.stat().st_size // kind.size)
    with tf.init_scope():  # makes the function known to whatever runs afterwards
        tf.graph_util.import_graph_def(functions)

    def files(number):
        outputs = [f"chosen:{output}" for output in range(len(kinds))]
        given = {"index": tf.cast(number, tf.int32)}
        return dict(zip(kinds, tf.graph_util.import_graph_def(graph, given, outputs, name=""), strict=True))

    return files
