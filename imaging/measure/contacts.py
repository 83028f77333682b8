"""How much of each class's surface lies against each other class."""

import numpy as np


def contacts(indices: np.ndarray, classes: int, spacing) -> np.ndarray:
    """Areas over which classes touch: of the faces that voxels of two classes share.

    Args:
        indices: (*spatial) class indices, 2 or 3 axes.
        classes: K, their number.
        spacing: mm per axis.

    Returns:
        (K, K) mm² (in 2D lengths in mm), symmetrical, with zeros on the diagonal. What lies on the array's border
        touches nothing there.
    """
    spacing = np.asarray(spacing, float)
    faces = spacing.prod() / spacing
    areas = np.zeros((classes, classes))
    before = None
    for slab in indices:  # slab by slab, so that a large scan is not copied
        neighbours = [] if before is None else [(before, slab, faces[0])]
        for axis in range(slab.ndim):
            lines = np.moveaxis(slab, axis, 0)
            neighbours.append((lines[:-1], lines[1:], faces[axis + 1]))
        for first, second, face in neighbours:
            differ = first != second
            pairs = first[differ].astype(np.intp) * classes + second[differ]
            areas += face * np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
        before = slab
    return areas + areas.T
