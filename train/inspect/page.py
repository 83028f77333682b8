"""The page of ``zoo inspect``: a montage, histograms through the recipe, and every finding with its picture."""

import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import imaging
from imaging.recipe import Normalise, prepare
from medseg import page
from medseg.command import command_line
from medseg.errors import InputError
from medseg.record import write_text
from train.evaluation import figures
from train.evaluation.reference import read_case
from train.inspect.findings import KINDS, Finding
from train.inspect.looks import CaseLook
from train.planning.plan import Plan

MONTAGE = 24  # cases
PICTURES = 40  # findings that get a picture
HISTOGRAMS = 8  # cases
TILE = 180  # pixels


def write_page(
    path,
    dataset,
    looks: Sequence[CaseLook],
    suspicious: Sequence[Finding],
    plan: Plan | None,
    options: Sequence[str] = (),
) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        dataset: a ``train.data.dataset.Dataset``.
        looks: of its cases.
        suspicious: what sticks out.
        plan: whose recipe the histograms go through; None leaves them out.
        options: words that say how the folder is read, for the commands that are shown.
    """
    read = [look for look in looks if not look.problem]
    title = f"{dataset.name}: {len(looks)} cases"
    counts = Counter(finding.kind for finding in suspicious)
    shown = ", ".join(f"{counts[kind]} × {heading.lower()}" for kind, heading in KINDS.items() if counts[kind])
    parts = [
        f"<h1>{html.escape(title)}</h1><p>{html.escape(shown or 'Nothing sticks out.')}</p>",
        "<h2>Cases</h2>" + page.figure(montage(dataset, read), f"{min(MONTAGE, len(read))} cases, labels outlined"),
    ]
    if plan is not None and read:
        parts.append("<h2>Intensities, step by step</h2>" + page.figure(*histograms(dataset, read, plan)))
    left = PICTURES
    for kind, heading in KINDS.items():
        of_kind = [finding for finding in suspicious if finding.kind == kind]
        if not of_kind:
            continue
        parts.append(f"<h2>{html.escape(heading)}</h2>")
        for finding in of_kind:
            parts.append(f"<p><b>{html.escape(finding.case)}</b>: {html.escape(finding.message)}</p>")
            if left > 0 and kind != "unreadable":
                left -= 1
                parts.append(_pictures(dataset, finding))
        parts.append(page.text(command(dataset, kind, options)))
    parts.append("<h2>All cases</h2><p>Click a heading to sort.</p>" + _table(read))
    write_text(Path(path), page.page(title, parts))


def command(dataset, kind: str, options: Sequence[str] = ()) -> str:
    """What to type to mend findings of a kind; ``options`` say how the folder is read."""
    folder = Path(dataset.folder)
    if dataset.instances or dataset.regions:
        return command_line("zoo plan", folder, *options, "--check")
    out = f"{folder.resolve().name}-mended-{kind}"
    mend = command_line("zoo inspect", folder, *options, "--mend", out, "--only", kind)
    if kind == "spacing":
        return f"{mend}\n# or bring all to one: {command_line('zoo plan', folder, *options, '--explain')}"
    if kind == "near_duplicate":
        together = command_line("zoo plan", folder, *options, "-o", "plan.json")
        return f"{mend}\n# or keep them in one fold, as zoo plan does where it finds them alike: {together}"
    return mend


def montage(dataset, looks) -> str:
    """Pictures of cases spread over the dataset, with the outlines of their labels, as a data address."""
    import cv2

    chosen = [looks[i] for i in np.unique(np.linspace(0, len(looks) - 1, min(MONTAGE, len(looks))).astype(int))]
    tiles = [_tile(dataset, look.name) for look in chosen]
    columns = min(6, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * TILE, columns * TILE, 3), np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE] = tile
    return page.picture(cv2.imencode(".png", sheet[..., ::-1])[1].tobytes())


def _tile(dataset, name):
    """A case (TILE, TILE, 3): in 3D the slice with most of the labels."""
    import cv2

    scan, reference = _read(dataset, name)
    voxels, indices = scan.voxels, reference.voxels[..., 0]
    if scan.rank == 3:
        place = int(np.argmax((indices > 0).sum(axis=(0, 1))))
        voxels, indices = np.swapaxes(voxels[:, ::-1, place], 0, 1), indices[:, ::-1, place].T
    voxels = voxels if voxels.shape[-1] == 3 else np.repeat(voxels[..., :1], 3, axis=-1)
    low, high = np.percentile(voxels, (1, 99.5))
    image = np.clip((voxels - low) * (255 / max(high - low, 1e-9)), 0, 255).astype(np.uint8)
    scale = TILE / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    image = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)
    indices = cv2.resize(np.ascontiguousarray(indices).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    edge = cv2.morphologyEx(indices, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    image[edge] = (230, 159, 0)
    tile = np.zeros((TILE, TILE, 3), np.uint8)
    tile[: image.shape[0], : image.shape[1]] = image
    cv2.putText(tile, name[-22:], (4, TILE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (255, 255, 255), 1, cv2.LINE_AA)
    return tile


def histograms(dataset, looks, plan: Plan) -> tuple[str, str]:
    """Histograms of some cases before and after each step of the recipe: a picture, and its caption."""
    from matplotlib.figure import Figure

    chosen = [looks[i].name for i in np.unique(np.linspace(0, len(looks) - 1, HISTOGRAMS).astype(int))]
    steps = recipe_steps(plan.recipe)
    figure = Figure(figsize=(3.2 * len(steps), 2.8), layout="constrained")
    places = [figure.add_subplot(1, len(steps), number + 1) for number in range(len(steps))]
    for name in chosen:
        scan = _read(dataset, name)[0]
        for (title, recipe), axes in zip(steps, places, strict=True):
            values = (scan if recipe is None else prepare(scan, recipe)).voxels[..., 0].ravel()
            values = values[:: max(1, len(values) // 200_000)]
            low, high = np.percentile(values, (0.1, 99.9))
            heights, edges = np.histogram(values, 64, range=(low, high + 1e-6))
            axes.plot((edges[1:] + edges[:-1]) / 2, heights / max(heights.max(), 1), linewidth=0.9)
            axes.set_title(title, fontsize=9)
            axes.set_yticks([])
    return page.picture(figures.png(figure)), f"First channel of {len(chosen)} cases, a line each"


def recipe_steps(recipe):
    """The recipe as it grows, step by step: titles and recipes; None for the scan as read."""
    plain = Normalise("fixed", (0.0,) * recipe.channels, (1.0,) * recipe.channels)
    grown = replace(recipe, filters=(), clip=None, normalise=plain, spacing=None, size=None)
    steps = [("as read", None)]
    for number, step in enumerate(recipe.filters, 1):
        grown = replace(grown, filters=recipe.filters[:number])
        steps.append((step.name, grown))
    if recipe.clip is not None:
        grown = replace(grown, clip=recipe.clip)
        steps.append((f"clipped, {recipe.clip.kind}", grown))
    grown = replace(grown, normalise=recipe.normalise)
    steps.append((recipe.normalise.kind, grown))
    if recipe.spacing is not None or recipe.size is not None:
        steps.append(("on the new grid", recipe))
    return steps


def _pictures(dataset, finding: Finding) -> str:
    """The case of a finding, and the other one where two are alike."""
    names = [*(finding.of if finding.kind in ("duplicate", "near_duplicate") else ()), finding.case]
    labels = [label.name for label in dataset.labels]
    shown = []
    for name in names:
        try:
            scan, reference = _read(dataset, name)
        except InputError as error:
            return f"<p>{html.escape(str(error))}</p>"
        indices = reference.voxels[..., 0]
        indices[indices == len(labels)] = 0
        shown.append(page.figure(figures.overlay(scan, indices, indices, labels), name))
    return "".join(shown)


def _read(dataset, name):
    scan, reference = read_case(dataset.case(name), dataset.labels, len(dataset.channels), dataset.ignore)
    if scan.rank == 3:
        return imaging.reorient(scan, "RAS"), imaging.reorient(reference, "RAS")
    return scan, reference


def _table(looks) -> str:
    names = list(looks[0].classes) if looks else []
    heads = ("case", "voxels", "mm", "1 %", "50 %", "99 %", *names)
    rows = [
        (
            look.name,
            "×".join(map(str, look.shape)),
            "×".join(f"{s:.3g}" for s in look.spacing),
            *(f"{look.quantiles[k]:.4g}" for k in (0, 2, 4)),
            *(look.classes[name].voxels for name in names),
        )
        for look in looks
    ]
    return page.table(heads, rows)
