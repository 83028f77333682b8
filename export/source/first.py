"""The first network of a cascade as a function, before there is an artifact of it."""

from collections.abc import Callable

import numpy as np

import imaging
from export.source.source import Source, network_of
from imaging.regions import written_classes
from imaging.tiling import predict_tiled


def open_first(source: Source) -> Callable[[imaging.Scan], np.ndarray] | None:
    """A function from a scan as read to the class indices (*scan.shape) that the first network finds, in float.

    Args:
        source: of a cascade; of any other None is returned.
    """
    first = source.first
    if first is None:
        return None
    model = network_of(first)
    written = written_classes(first.labels, first.regions)

    def segment(scan):
        prepared = imaging.prepare(scan, first.recipe)
        scores = predict_tiled(
            prepared.voxels,
            first.patch,
            first.overlap,
            lambda patch: np.asarray(model.predict_on_batch(patch[None])[0]),
        )
        return imaging.restore_classes(scores, prepared, scan, written=written)

    return segment
