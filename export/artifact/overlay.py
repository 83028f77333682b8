"""A picture of one case: reference, float network and artifact on top of each other, where the two differ most."""

import io

import numpy as np

from export.verify.fidelity import WorstCase
from imaging.geometry.flat import as_picture, drawn
from imaging.labels import Label
from imaging.scan import plane_axes

COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#0072b2")  # Okabe and Ito
ARTIFACT = "#d0006f"
MARGIN = 8


def draw(case: WorstCase, labels: tuple[Label, ...]) -> bytes:
    """Draw a case as PNG: one slice along each axis in 3D, cut to what is segmented.

    Shaded: reference. Solid line: float network. Dashed line: artifact.

    Args:
        case: scan and label values.
        labels: classes by class index.
    """
    from matplotlib.figure import Figure  # without pyplot there is no window system to choose

    flat = case.reference.ndim == 2
    views = [None] if flat else plane_axes(case.reference.shape)
    figure = Figure(figsize=(4.2 * len(views), 4.4), layout="constrained")
    for place, axis in enumerate(views, start=1):
        axes = figure.add_subplot(1, len(views), place)
        image, maps, size, where = _slice(case, axis)
        axes.imshow(np.swapaxes(_grey(image), 0, 1), cmap="gray", origin="upper" if flat else "lower")
        for index, label in enumerate(labels[1:]):
            _outline(axes, [values == label.value for values in maps], COLOURS[index % len(COLOURS)])
        axes.set_aspect(size[1] / size[0])
        axes.set_axis_off()
        if where is not None:
            axes.set_title(f"axis {axis}, slice {where}", fontsize=9)
    figure.legend(handles=_legend(labels), loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=90)
    return stream.getvalue()


def _slice(case, axis):
    """Image (a, b, C), three label maps (a, b), voxel sizes and the number of the slice.

    Of a flat scan a counts columns and b rows.
    """
    maps = (case.reference, case.network, case.artifact)
    image, size, where = case.scan.voxels, case.scan.spacing, None
    if axis is None:
        image, *maps = (view.swapaxes(0, 1) for view in drawn(case.scan, *maps))
        size = as_picture(case.scan).spacing[::-1]
    else:
        others = tuple(a for a in range(3) if a != axis)
        differ = (case.network != case.artifact).sum(others)
        where = int(np.argmax(differ if differ.any() else (case.reference != 0).sum(others)))
        image, *maps = (np.take(array, where, axis) for array in (image, *maps))
        size = tuple(size[a] for a in others)
    box = _box(np.any([values != 0 for values in maps], axis=0))
    return image[box], [values[box] for values in maps], size, where


def _box(mask) -> tuple[slice, slice]:
    """Around what a 2D mask holds, with a margin; all of it where it is empty."""
    if not mask.any():
        return slice(None), slice(None)
    spans = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return tuple(slice(max(0, span[0] - MARGIN), span[-1] + MARGIN + 1) for span in spans)


def _grey(image):
    low, high = np.percentile(image, (1, 99))
    shown = image if image.shape[-1] in (3, 4) else image[..., 0]
    return np.clip((shown - low) / max(high - low, 1e-9), 0, 1)


def _outline(axes, masks, colour):
    reference, network, artifact = (mask.T.astype(float) for mask in masks)
    if min(reference.shape) < 2:
        return  # a line has no outline
    if reference.any():
        axes.contourf(reference, [0.5, 1.5], colors=[colour], alpha=0.3)
    for mask, line, style, width in ((network, colour, "solid", 2.2), (artifact, ARTIFACT, "dashed", 1.1)):
        if mask.any() and not mask.all():
            axes.contour(mask, [0.5], colors=[line], linestyles=style, linewidths=width)


def _legend(labels):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    named = [Patch(color=COLOURS[i % len(COLOURS)], label=label.name) for i, label in enumerate(labels[1:])]
    return [
        *named,
        Patch(facecolor="#888", alpha=0.4, label="reference"),
        Line2D([], [], color="#888", label="float network"),
        Line2D([], [], color=ARTIFACT, linestyle="dashed", label="artifact"),
    ]
