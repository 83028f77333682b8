"""The picture and the HTML page that ``zoo demo`` ends with."""

import base64
import html
from pathlib import Path

import numpy as np

import imaging
from medseg.record import write_text

COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7")  # Okabe and Ito, distinguishable without colour vision


def overview(scan, reference, segmentations: dict[str, Path], out) -> Path:
    """Draw three slices of a scan with the outlines of its reference and of each segmentation.

    Args:
        scan: path of the scan.
        reference: path of its label file.
        segmentations: name to path of a segmentation of the scan.
        out: the PNG to write.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    image = imaging.reorient(imaging.read(scan), "RAS")
    masks = {
        name: imaging.reorient(imaging.read_labels(path), "RAS").voxels[..., 0]
        for name, path in {"reference": reference, **segmentations}.items()
    }
    depth = np.flatnonzero(masks["reference"].any((0, 1)))
    slices = [int(depth[round(share * (len(depth) - 1))]) for share in (0.25, 0.5, 0.75)]
    figure, axes = pyplot.subplots(len(slices), len(masks) + 1, figsize=(2.5 * (len(masks) + 1), 2.6 * len(slices)))
    low, high = np.percentile(image.voxels, (1, 99))
    ratio = image.spacing[1] / image.spacing[0]
    for row, z in zip(axes, slices, strict=True):
        for axis, (name, mask) in zip(row, {"scan": None, **masks}.items(), strict=True):
            axis.imshow(image.voxels[:, :, z, 0].T, cmap="gray", vmin=low, vmax=high, origin="lower", aspect=ratio)
            for value in () if mask is None else np.unique(mask)[1:]:
                outline = (mask[:, :, z] == value).T
                if outline.any():
                    axis.contour(outline, levels=[0.5], colors=COLOURS[int(value) - 1], linewidths=1.6)
            axis.set_xticks([])
            axis.set_yticks([])
            if z == slices[0]:
                axis.set_title(name, fontsize=10)
        row[0].set_ylabel(f"slice {z}", fontsize=9)
    figure.tight_layout()
    figure.savefig(out, dpi=90)
    pyplot.close(figure)
    return Path(out)


def report(rows, picture, run, artifacts, seconds: float, out) -> Path:
    """Write the page: table, pictures, training curve, the artifacts' cards.

    Args:
        rows: of the final table, see ``zoo.commands.demo.Row``.
        picture: PNG of the unseen scan.
        run: run folder.
        artifacts: folder of artifact folders.
        seconds: how long all of it took.
        out: the HTML file to write.
    """
    labels = list(rows[0].dice)
    head = "".join(f"<th>Dice {html.escape(name)}</th>" for name in labels)
    body = "".join(_row(row, labels) for row in rows)
    cards = "".join(
        f"<details><summary>{card.parent.name}</summary><pre>{html.escape(card.read_text(encoding='utf-8'))}</pre></details>"
        for card in sorted(Path(artifacts).glob("*/CARD.md"))
    )
    page = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>medseg-zoo demo</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse }}
td, th {{ padding: .3rem .8rem; border-bottom: 1px solid #ccc; text-align: right }}
td:first-child, th:first-child {{ text-align: left }} img {{ max-width: 100% }} pre {{ overflow-x: auto }}
</style>
<h1>From labelled scans to an int8 network on the device</h1>
<p>Phantoms made by code, a 3D U-Net trained on them, exported and verified, and a scan that it never saw segmented in
a process without TensorFlow. All of it took {seconds / 60:.1f} minutes on this machine.</p>
<h2>What it reached on the validation cases</h2>
<table><tr><th></th>{head}<th>MB</th><th>ms a patch</th></tr>{body}</table>
<h2>The unseen scan</h2>
<img alt="Slices of the unseen scan with outlines" src="{_embedded(picture)}">
<h2>The training</h2>
<img alt="Loss by epoch" src="{_embedded(Path(run) / "progress.png")}">
<h2>The artifacts</h2>
{cards}
</html>
"""
    write_text(out, page)
    return Path(out)


def _row(row, labels) -> str:
    dice = "".join(f"<td>{row.dice[name]:.4f}</td>" for name in labels)
    size = "" if row.megabytes is None else f"{row.megabytes:.2f}"
    spent = "" if row.milliseconds is None else f"{row.milliseconds:.1f}"
    return f"<tr><td>{html.escape(row.label)}</td>{dice}<td>{size}</td><td>{spent}</td></tr>"


def _embedded(path) -> str:
    return f"data:image/png;base64,{base64.b64encode(Path(path).read_bytes()).decode()}"
