"""Scores of a prepared scan back on the grid of its source, slab by slab as they become known."""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from imaging.geometry.affine import AxisMap, axis_map, index_map, moved
from imaging.geometry.interpolation import apply_axis, axis_weights
from imaging.geometry.resampling import inside, interpolated, onto, picked
from imaging.geometry.warp import through
from imaging.regions import UNSETTLED, classes_of, settled
from imaging.scan import Scan

# Flat scores that take no more than this on their new grid are interpolated at once, by OpenCV where it can.
AT_ONCE_BYTES = 2**28
# Sides of the boxes in which classes are found, by the number of axes: their scores stay in a processor's cache.
BOX = {2: 1024, 3: 32}


def restore_slabs(
    slabs: Iterable[tuple[int, np.ndarray]], prepared: Scan, source: Scan, slab: int = 16
) -> Iterator[tuple[tuple[slice | np.ndarray, ...], np.ndarray]]:
    """Restore scores in the order in which they come along the first axis of a prepared scan.

    Exact where preparing only flipped, permuted and cropped; linear interpolation where it resampled. The values are
    those of ``imaging.restore`` bit for bit, however the slabs are cut (flat scores of more than ``AT_ONCE_BYTES``
    excepted, which OpenCV does not interpolate at once).

    Args:
        slabs: index of the first slice and float32 (slices, *rest, K), without gaps, as
            ``imaging.tiling.predict_slabs`` gives them.
        prepared: what ``prepare`` made of ``source``; its shape and affine count.
        source: the scan as read; its shape and affine count.
        slab: slices of the source that are restored at once.

    Yields:
        Place in the source and the values there: slices and float32 (*sizes, K) or, of a grid that is turned or warped,
        indices (n,) along each axis and float32 (n, K). Places do not overlap. What no place covers lies outside the
        prepared grid: the network never saw it, and it is background.
    """
    yield from _restored(slabs, prepared, source, slab, _whole)


def restore_class_slabs(
    slabs: Iterable[tuple[int, np.ndarray]],
    prepared: Scan,
    source: Scan,
    written: Sequence[int] | None = None,
    slab: int = 16,
) -> Iterator[tuple[tuple[slice | np.ndarray, ...], np.ndarray]]:
    """``restore_slabs`` and ``imaging.regions.classes_of`` in one, bit for bit, in a part of the time and memory.

    Between voxels that one class has by far, every interpolated voxel has it too: nothing is interpolated there.

    Args:
        slabs, prepared, source, slab: as for ``restore_slabs``.
        written: of the logits of regions, the class index that each writes; None for classes.

    Yields:
        Place in the source, and its classes: uint8, an array of the place's size or one number for all of it.
    """
    parts = functools.partial(_class_boxes, written=written)
    for place, values in _restored(slabs, prepared, source, slab, parts):
        yield place, values if values.dtype == np.uint8 else classes_of(values, written)


def _restored(slabs, prepared, source, slab, parts):
    """``restore_slabs``; what is interpolated comes in ``parts``."""
    aligned = axis_map(*index_map(prepared.affine, source.affine, source.rank), source.shape)
    if aligned is None or prepared.warp is not None:  # a registered scan
        yield from _turned(slabs, prepared, source, slab)
        return
    box = inside(aligned, prepared.shape, source.shape)
    sizes = tuple(s.stop - s.start for s in box)
    if 0 in sizes:
        return
    offsets = zip(aligned.offset, aligned.scale, box, strict=True)
    aligned = replace(aligned, offset=tuple(offset + scale * s.start for offset, scale, s in offsets))
    if aligned.exact:
        placed = _exact(slabs, aligned, sizes)
    else:
        placed = _resampled(slabs, aligned, prepared.shape, sizes, slab, parts)
    for place, values in placed:
        yield tuple(slice(b.start + p.start, b.start + p.stop) for b, p in zip(box, place, strict=True)), values


def onto_prepared(labels: np.ndarray, affine: np.ndarray, prepared: Scan, antialias: bool = False) -> np.ndarray:
    """Label values (*spatial, 1), which lie by ``affine`` in the source's world, on the grid of a prepared scan."""
    if prepared.warp is None:
        return onto(labels, affine, prepared, 0, is_label=True, antialias=antialias)
    warp = prepared.warp
    return through(labels, affine, prepared.shape, prepared.affine, warp.field, warp, 0, is_label=True)


def onto_source(scores: np.ndarray, prepared: Scan, source: Scan, fill) -> np.ndarray:
    """Scores (*prepared.shape, K) on the grid of the source, (*source.shape, K); ``fill`` where they do not reach."""
    if prepared.warp is None:
        return onto(scores, prepared.affine, source, fill)
    warp = prepared.warp
    return through(scores, prepared.affine, source.shape, source.affine, warp.inverse, warp, fill)


def _turned(slabs, prepared, source, slab):
    """Of a grid that is turned by any angle, or warped, any slice may be needed next: all are held."""
    scores = np.concatenate([np.asarray(scores, np.float32) for _, scores in slabs])
    for start in range(0, source.shape[0], slab):
        stop = min(start + slab, source.shape[0])
        part = Scan(source.voxels[start:stop], moved(source.affine, [start] + [0] * (source.rank - 1)))
        # No score is that small in every channel, so these are the voxels that lie in none of the grid.
        values = onto_source(scores, prepared, part, -np.inf)
        within = np.nonzero(~np.isneginf(values).all(axis=-1))
        if len(within[0]):
            yield (within[0] + start, *within[1:]), values[within]


def _exact(slabs, aligned, sizes):
    """Slabs whose voxels are voxels of the source: views with their axes in its order."""
    lead = aligned.axes.index(0)
    step, offset = int(aligned.scale[lead]), round(aligned.offset[lead])
    for start, scores in slabs:
        ends = sorted(((start - offset) * step, (start + len(scores) - 1 - offset) * step))
        first, stop = max(0, ends[0]), min(sizes[lead], ends[1] + 1)
        if first < stop:
            shape = tuple(stop - first if axis == lead else size for axis, size in enumerate(sizes))
            here = _along(aligned, lead, offset + step * first - start)
            place = tuple(slice(first, stop) if axis == lead else slice(0, n) for axis, n in enumerate(sizes))
            yield place, picked(scores, here, shape)


def _resampled(slabs, aligned, length, sizes, slab, parts: Callable):
    """Slabs interpolated at the voxels of the source, some slices at a time, and of these part by part."""
    lead = aligned.axes.index(0)
    index, weight = axis_weights(sizes[lead], length[0], aligned.scale[lead], aligned.offset[lead], False)
    lowest, highest = index.min(axis=0), index.max(axis=0)
    interpolation = _Interpolation(aligned, length, sizes, lead)
    left, first, held = np.arange(sizes[lead]), 0, None
    for start, scores in _gathered(slabs, length, sizes):
        if len(scores) == length[0] and _at_once(sizes, scores):
            yield tuple(slice(0, n) for n in sizes), interpolated(scores, aligned, sizes)
            return
        held = scores if held is None else np.concatenate([held, scores])
        ready = left[highest[left] < start + len(scores)]
        for at in range(0, len(ready), slab):
            some = slice(int(ready[at]), int(ready[min(at + slab, len(ready)) - 1]) + 1)
            low, high = int(lowest[some].min()), int(highest[some].max()) + 1
            block = held[low - first : high - first]
            for box, values in parts(interpolation, block, index[:, some] - low, weight[:, some]):
                yield tuple(some if axis == lead else part for axis, part in enumerate(box)), values
        left = left[highest[left] >= start + len(scores)]
        if len(left):
            kept = min(int(lowest[left].min()), start + len(scores))
            held, first = held[kept - first :].copy(), kept


def _gathered(slabs, length, sizes):
    """Flat slabs that are restored at once are first put together; all others pass."""
    if len(length) == 3:
        yield from slabs
        return
    whole = None
    for start, scores in slabs:
        if len(scores) == length[0] or not _at_once(sizes, scores):
            yield start, scores
            continue
        if whole is None:
            whole = np.empty((*length, scores.shape[-1]), np.float32)
        whole[start : start + len(scores)] = scores
    if whole is not None:
        yield 0, whole


def _at_once(sizes, scores):
    return len(sizes) == 2 and 4 * sizes[0] * sizes[1] * scores.shape[-1] <= AT_ONCE_BYTES


def _whole(interpolation, block, index, weight):
    """Values of all voxels of some slices of the source."""
    yield tuple(slice(0, n) for n in interpolation.sizes), interpolation(block, index, weight)


def _class_boxes(interpolation, block, index, weight, written):
    """Classes of some slices of the source, box by box."""
    numbers = settled(block, written).transpose(interpolation.axes)
    class_of = np.arange(UNSETTLED, dtype=np.uint8) if written is None else np.array([0, *written], np.uint8)
    for box in interpolation.boxes():
        near = numbers[tuple(part.read for part in box)]
        number = near.flat[0]
        if number != UNSETTLED and (near == number).all():
            values = class_of[number]
        else:
            values = classes_of(interpolation(block, index, weight, box), written)
        yield tuple(part.place for part in box), values


@dataclass(frozen=True)
class _Part:
    """A part of the source along one axis.

    Attributes:
        place: in the source.
        read: where in the scores it is interpolated from.
        taps: index and weight, as for ``apply_axis``; None where it is that place itself.
    """

    place: slice
    read: slice
    taps: tuple[np.ndarray, np.ndarray] | None


class _Interpolation:
    """``interpolation.interpolate`` for a part of the slices: its order of axes, its weights, computed once."""

    def __init__(self, aligned: AxisMap, length, sizes, lead):
        lengths = [length[axis] for axis in aligned.axes]
        self.axes, self.lead, self.sizes = aligned.axes, lead, sizes
        self.order = sorted(range(len(sizes)), key=lambda a: sizes[a] / lengths[a])
        self.weights = {
            axis: axis_weights(sizes[axis], lengths[axis], aligned.scale[axis], aligned.offset[axis], False)
            for axis in self.order
            if axis != lead and (sizes[axis] != lengths[axis] or aligned.scale[axis] != 1 or aligned.offset[axis] != 0)
        }
        self.parts = [self._parts(axis) for axis in range(len(sizes))]

    def __call__(self, block, index, weight, box: Sequence[_Part] | None = None):
        """Values float32 (*sizes, K) of a block (slices, *rest, K), with the weights along its first axis.

        Of ``box`` only, where it is given: a part along each axis, all of it along the first of the block.
        """
        array = block.transpose(*self.axes, block.ndim - 1)
        taps = self.weights
        if box is not None:
            array = array[tuple(part.read for part in box)]
            taps = {axis: part.taps for axis, part in enumerate(box) if part.taps is not None}
        for axis in self.order:
            if axis == self.lead:
                array = apply_axis(array, axis, index, weight)
            elif axis in taps:
                array = apply_axis(array, axis, *taps[axis])
        return array

    def boxes(self):
        """All parts of the source, of ``BOX`` voxels along each axis but the block's first."""
        return itertools.product(*self.parts)

    def _parts(self, axis):
        size = self.sizes[axis]
        if axis == self.lead:
            return [_Part(slice(None), slice(None), None)]
        step = BOX[len(self.sizes)]
        places = [slice(start, min(start + step, size)) for start in range(0, size, step)]
        if axis not in self.weights:
            return [_Part(place, place, None) for place in places]
        index, weight = self.weights[axis]
        reads = [slice(int(index[:, p].min()), int(index[:, p].max()) + 1) for p in places]
        taps = [(index[:, p] - read.start, weight[:, p]) for p, read in zip(places, reads, strict=True)]
        return list(map(_Part, places, reads, taps))


def _along(aligned, lead, offset):
    """The same map with another offset along one axis."""
    return replace(aligned, offset=tuple(float(offset) if a == lead else o for a, o in enumerate(aligned.offset)))
