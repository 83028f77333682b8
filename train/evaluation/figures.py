"""Pictures of a run as data addresses (PNG in base64) that an HTML page can hold."""

import base64
import io

import numpy as np

from imaging.geometry.flat import as_picture, drawn
from imaging.scan import plane_axes

COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#42d4f4", "#f032e6", "#bfef45")


def curves(history) -> str:
    """Losses and learning rate of ``train.fitting.curves.load_history`` over the epochs."""
    from train.fitting.curves import draw_curves

    return _address(draw_curves(history))


def boxes(cases: dict) -> str:
    """Dice and HD95 of every label over the cases: a box and the cases as dots. Infinite distances are left out."""
    figure = _figure(9, 3.5)
    labels = list(next(iter(cases.values())))
    for place, (metric, name) in enumerate((("dice", "Dice"), ("hd95", "HD95 (mm or pixels)")), start=1):
        axes = figure.add_subplot(1, 2, place)
        values = [np.array([case[label][metric] for case in cases.values()]) for label in labels]
        values = [v[np.isfinite(v)] for v in values]
        axes.boxplot(values, tick_labels=labels, showfliers=False)
        for position, scores in enumerate(values, start=1):
            spread = np.linspace(-0.15, 0.15, len(scores)) if len(scores) > 1 else np.zeros(len(scores))
            axes.plot(position + spread, scores, ".", color=COLOURS[(position - 1) % len(COLOURS)], alpha=0.5, ms=4)
        axes.set_ylabel(name)
        axes.grid(axis="y", alpha=0.3)
    return _address(figure)


def fold_boxes(cases: dict, fold_of: dict) -> str:
    """Dice of every label over the cases of each fold: a box and the cases as dots, a panel for each label."""
    labels = list(next(iter(cases.values())))
    folds = sorted(set(fold_of.values()))
    columns = min(3, len(labels))
    rows = -(-len(labels) // columns)
    figure = _figure(3 * columns, 3 * rows)
    for place, label in enumerate(labels, start=1):
        axes = figure.add_subplot(rows, columns, place)
        values = [np.array([cases[name][label]["dice"] for name in cases if fold_of[name] == fold]) for fold in folds]
        axes.boxplot(values, tick_labels=[f"fold {fold}" for fold in folds], showfliers=False)
        for position, scores in enumerate(values, start=1):
            spread = np.linspace(-0.15, 0.15, len(scores)) if len(scores) > 1 else np.zeros(len(scores))
            axes.plot(position + spread, scores, ".", color=COLOURS[(place - 1) % len(COLOURS)], alpha=0.5, ms=4)
        axes.set_title(label)
        axes.set_ylabel("Dice")
        axes.grid(axis="y", alpha=0.3)
    return _address(figure)


def calibration(result: dict, errors: dict) -> str:
    """A reliability diagram: frequency against probability of each class, and how many voxels have which.

    Args:
        result: of ``train.evaluation.reliability.Reliability``.
        errors: expected calibration error of each class.
    """
    figure = _figure(9, 4)
    curve, counts = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    curve.plot([0, 1], [0, 1], color="grey", lw=1, ls=":")
    for place, (label, table) in enumerate(result.items()):
        count, probability, frequency = np.array(table).T
        colour, full = COLOURS[place % len(COLOURS)], count > 0
        name = f"{label} ({errors[label]:.4f})"
        curve.plot(probability[full], frequency[full], "o-", color=colour, ms=4, lw=1.2, label=name)
        edges = np.linspace(0, 1, len(count) + 1)
        counts.stairs(np.where(full, count, np.nan), edges, color=colour, lw=1.2)
    curve.set_xlabel("probability of the class")
    curve.set_ylabel("share of the voxels that are of it")
    curve.legend(loc="upper left", fontsize=8, title="expected calibration error", title_fontsize=8)
    curve.grid(alpha=0.3)
    counts.set_yscale("log")
    counts.set_xlabel("probability of the class")
    counts.set_ylabel("voxels")
    counts.grid(alpha=0.3)
    return _address(figure)


def overlay(scan, reference: np.ndarray, prediction: np.ndarray, names) -> str:
    """``draw_overlay`` as a picture."""
    return _address(draw_overlay(scan, reference, prediction, names))


def draw_overlay(scan, reference: np.ndarray, prediction: np.ndarray, names):
    """A matplotlib ``Figure``: a scan with the outlines of reference (solid) and prediction (dashed), one slice along
    each axis (3D).

    Args:
        scan: the ``imaging.Scan`` as read.
        reference: (*spatial) class indices.
        prediction: (*spatial) class indices.
        names: of the classes, background first.
    """
    views = [None] if reference.ndim == 2 else plane_axes(reference.shape)
    figure = _figure(4.2 * len(views), 4.2)
    for place, axis in enumerate(views, start=1):
        axes = figure.add_subplot(1, len(views), place)
        image, true, predicted, size = _slice(scan, reference, prediction, axis)
        low, high = np.percentile(image, (1, 99))
        shown = image if image.shape[-1] in (3, 4) else image[..., 0]
        shown = np.clip((shown - low) / max(high - low, 1e-9), 0, 1)
        axes.imshow(np.swapaxes(shown, 0, 1), cmap="gray", origin="upper" if axis is None else "lower")
        for index in range(1, len(names)):
            colour = COLOURS[(index - 1) % len(COLOURS)]
            for mask, style in ((true == index, "solid"), (predicted == index, "dashed")):
                if mask.any() and not mask.all() and min(mask.shape) > 1:
                    axes.contour(mask.T.astype(float), [0.5], colors=[colour], linestyles=style, linewidths=1.2)
        axes.set_aspect(size[1] / size[0])
        axes.set_axis_off()
    handles = [_line(COLOURS[(i - 1) % len(COLOURS)], name) for i, name in enumerate(names) if i]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6), frameon=False)
    return figure


def png(figure) -> bytes:
    """A matplotlib ``Figure`` as a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=90)
    return stream.getvalue()


def _slice(scan, reference, prediction, axis):
    """Image (a, b, C), both label slices (a, b) and their voxel sizes, where the reference has most voxels.

    Of a flat scan a counts columns and b rows.
    """
    if axis is None:
        maps = (view.swapaxes(0, 1) for view in drawn(scan, reference, prediction))
        return *maps, as_picture(scan).spacing[::-1]
    others = tuple(a for a in range(3) if a != axis)
    place = int(np.argmax((reference > 0).sum(others)))
    pick = [np.take(array, place, axis) for array in (scan.voxels, reference, prediction)]
    return *pick, tuple(scan.spacing[a] for a in others)


def _figure(width, height):
    from matplotlib.figure import Figure  # without pyplot there is no window system to choose

    return Figure(figsize=(width, height), layout="constrained")


def _line(colour, name):
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, label=name)


def _address(figure) -> str:
    return "data:image/png;base64," + base64.b64encode(png(figure)).decode()
