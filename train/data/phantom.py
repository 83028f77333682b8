"""Phantoms: 3D scans made by code, with known geometry, for which a threshold is no answer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import imaging
from imaging.labels import Label
from imaging.scan import Scan
from medseg import record
from medseg.errors import InputError, UsageError
from medseg.progress import track

LABELS = (Label("background", 0), Label("body", 1), Label("cap", 2))
NOISE = 1.0  # standard deviation; the intensities below are in units of it
BODY, CAP, DISTRACTORS = 3.2, 2.0, (1.5, 4.0)
TEXTURE = 0.5  # deviation of the smooth variation of the surroundings
BIAS = 0.15  # largest relative change of intensity by the bias field
FINE = 3  # sub-voxels per axis from which partial volume is averaged; odd, so that no half voxel is a tie
ORIENTATIONS = ("RAS", "LAS", "LPS")


@dataclass(frozen=True)
class Phantom:
    """A scan, its label map and what is known of it.

    Attributes:
        image: int16 voxels (X, Y, Z, 1).
        labels: uint8 label values on the same grid.
        volumes_mm3: exact volume of each structure by name, from its closed form.
    """

    image: Scan
    labels: Scan
    volumes_mm3: dict[str, float]


def phantom(seed: int) -> Phantom:
    """Make a phantom.

    An ellipsoid, tilted at random, is cut by a plane into a large ``body`` and a small ``cap``, which touch. Their
    intensities overlap with each other, with the noise, and with those of the ellipsoids and tubes scattered around
    them. A bias field, partial volume, slices thicker than the pixels and a gain that differs between scans come on
    top; scans are stored in different orientations.

    Args:
        seed: the same number makes the same phantom.
    """
    random = np.random.default_rng(seed)
    spacing = np.array([*([random.uniform(0.9, 1.1)] * 2), random.uniform(1.45, 1.75)])
    shape = tuple(int(n) for n in random.integers((38, 46, 28), (46, 54, 35)))
    axes = _axes(shape, spacing)

    radii = random.uniform((6.5, 11.0, 6.5), (9.0, 15.0, 9.0))
    turn = _rotation(random.uniform(-0.45, 0.45, 3))
    centre = random.uniform(-3.0, 3.0, 3)
    height = random.uniform(0.55, 0.8)  # of the cap, in radii along the long axis, whose end is at 1
    box = _box(axes, centre, radii.max())
    local = _local([axis[part] for axis, part in zip(axes, box, strict=True)], centre, turn, radii)
    inside = sum(u**2 for u in local) <= 1
    cap, body = np.zeros((2, *(len(axis) for axis in axes)), bool)
    cap[box] = inside & (local[1] > 1 - height)
    body[box] = inside & ~cap[box]

    fine = _surroundings(random, axes, centre, turn, radii)
    fine[body], fine[cap] = BODY, CAP
    intensity = _coarse(fine) + TEXTURE * _smooth_noise(random, shape, sigma=3.0)
    intensity = 10.0 + intensity  # the surroundings are tissue, not air, so that the bias shows in them too
    intensity *= 1 + BIAS * np.tanh(_smooth_noise(random, shape, sigma=14.0))
    intensity += NOISE * random.standard_normal(shape)

    share_body, share_cap = _coarse(body), _coarse(cap)
    values = np.where(share_body >= share_cap, 1, 2) * (share_body + share_cap >= 0.5)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = random.uniform(-40, 40, 3)
    codes = ORIENTATIONS[random.integers(len(ORIENTATIONS))]
    stored = np.clip(np.rint(intensity * random.uniform(30, 90)), 0, 32767).astype(np.int16)
    ball = 4 / 3 * np.pi * float(radii.prod())
    share = height**2 * (3 - height) / 4  # of a ball's volume in a cap; the plane cut keeps it for an ellipsoid
    return Phantom(
        imaging.reorient(Scan(stored[..., None], affine), codes),
        imaging.reorient(Scan(values.astype(np.uint8)[..., None], affine), codes),
        {"body": ball * (1 - share), "cap": ball * share},
    )


def make_phantoms(folder, cases: int = 30, seed: int = 0, unseen: int = 0) -> Path:
    """Write phantoms as a dataset folder in the MSD layout.

    Args:
        folder: where to; it must not hold a dataset yet.
        cases: labelled training cases.
        seed: of the whole set.
        unseen: further cases in ``imagesTs/`` and ``labelsTs/``, which training never sees.

    Returns:
        The folder.

    Raises:
        InputError: if it holds a dataset already or cannot be written.
    """
    folder = Path(folder)
    if cases < 1 or unseen < 0:
        raise UsageError(f"{cases} cases and {unseen} unseen: expected at least 1 and 0")
    if (folder / "dataset.json").exists():
        raise InputError(f"{folder}: holds a dataset already; choose another folder or delete it")
    width = len(str(cases + unseen))
    names = [f"phantom_{number:0{max(3, width)}d}" for number in range(1, cases + unseen + 1)]
    seeds = np.random.SeedSequence(seed).generate_state(len(names))
    for number, (name, state) in enumerate(zip(track(names, "phantoms"), seeds, strict=True)):
        part = "Tr" if number < cases else "Ts"
        made = phantom(int(state))
        imaging.write(folder / f"images{part}" / f"{name}.nii.gz", made.image)
        imaging.write(folder / f"labels{part}" / f"{name}.nii.gz", made.labels)
    description = {
        "name": "Phantoms",
        "description": f"Made by code: {len(names)} phantoms, seed {seed}. An ellipsoid cut into body and cap.",
        "licence": "CC0",
        "tensorImageSize": "3D",
        "modality": {"0": "phantom"},
        "labels": {str(label.value): label.name for label in LABELS},
        "numTraining": cases,
        "numTest": unseen,
        "training": [
            {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in names[:cases]
        ],
        "test": [f"./imagesTs/{name}.nii.gz" for name in names[cases:]],
    }
    # Written last: a folder without it is an unfinished one and can be made again.
    record.write_text(folder / "dataset.json", json.dumps(description, indent=1) + "\n")
    return folder


def best_threshold_dice(dataset, bins: int = 128) -> dict[str, float]:
    """The best that thresholds can do: for each class the intensity interval with the highest mean Dice over the cases.

    Intensities are z-scored per scan and channel; the interval (open on either side or not) and the channel are chosen
    with the reference in hand, so no automatic threshold does better than this, up to the width of a bin.

    Args:
        dataset: a ``train.data.dataset.Dataset``; its labelled cases count.
        bins: of the intensities from -4 to 4 standard deviations, the outer two taking the rest.

    Returns:
        Name of each foreground class to its mean Dice.
    """
    from train.evaluation.reference import read_case

    edges = np.linspace(-4, 4, bins - 1)
    tables = []  # per case (channels, classes + 1, bins): how many voxels of each class, and of all
    for case in dataset.cases:
        if case.label is None:
            continue
        image, reference = read_case(case, dataset.labels, len(dataset.channels))
        image, classes = image.voxels, reference.voxels[..., 0].ravel()
        tables.append(
            [_histograms(image[..., c].ravel(), classes, len(dataset.labels), edges) for c in range(image.shape[-1])]
        )
    counts = np.array(tables, np.float64)
    scores = {}
    for k, label in enumerate(dataset.labels[1:], start=1):
        scores[label.name] = max(_best_interval(counts[:, c, k], counts[:, c, -1]) for c in range(counts.shape[1]))
    return scores


def _histograms(values, classes, count, edges):
    deviation = values.std()
    place = np.digitize((values - values.mean()) / (deviation or 1.0), edges)
    rows = [np.bincount(place[classes == k], minlength=len(edges) + 1) for k in range(count)]
    return [*rows, np.bincount(place, minlength=len(edges) + 1)]


def _best_interval(hits, everything):
    """Highest mean Dice over intervals of bins; (cases, bins) counts of the class and of all voxels."""
    total = hits.sum(axis=1)
    hits = np.pad(np.cumsum(hits, axis=1), ((0, 0), (1, 0)))
    everything = np.pad(np.cumsum(everything, axis=1), ((0, 0), (1, 0)))
    best = 0.0
    for first in range(hits.shape[1] - 1):
        inside = hits[:, first + 1 :] - hits[:, first : first + 1]
        marked = everything[:, first + 1 :] - everything[:, first : first + 1]
        both = marked + total[:, None]
        dice = np.where(both > 0, 2 * inside / np.maximum(both, 1), 1.0)
        best = max(best, float(dice.mean(axis=0).max()))
    return best


def _axes(shape, spacing):
    """Position of the sub-voxel centres along each axis, mm from the middle."""
    lines = [(np.arange(n * FINE) + 0.5 - n * FINE / 2) * s / FINE for n, s in zip(shape, spacing, strict=True)]
    return [line.astype(np.float32) for line in lines]


def _box(axes, centre, reach):
    """The slices of the grid that lie within ``reach`` of ``centre`` along every axis."""
    return tuple(
        slice(*np.searchsorted(axis, (c - reach, c + reach)).tolist()) for axis, c in zip(axes, centre, strict=True)
    )


def _local(axes, centre, turn, radii):
    """The coordinates of every sub-voxel in the frame of an ellipsoid, whose surface is at distance 1."""
    offset = np.ix_(*(axis - np.float32(c) for axis, c in zip(axes, centre, strict=True)))
    turn = (turn / radii).astype(np.float32)
    return [sum(o * turn[j, i] for j, o in enumerate(offset)) for i in range(3)]


def _coarse(fine):
    """Average of the sub-voxels of every voxel."""
    x, y, z = (n // FINE for n in fine.shape)
    return fine.reshape(x, FINE, y, FINE, z, FINE).mean(axis=(1, 3, 5), dtype=np.float64)


def _rotation(angles: Sequence[float]):
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = (a for a in range(3) if a != axis)
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


def _smooth_noise(random, shape, sigma):
    """A random field of mean 0 and deviation 1 that varies over about ``sigma`` voxels."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(random.standard_normal(shape), sigma, mode="wrap")
    return (field - field.mean()) / field.std()


def _surroundings(random, axes, centre, turn, radii):
    """Intensity of everything but the structures, on the sub-voxels: distractors of like brightness, smaller or
    of another shape, some of them close by.
    """
    extent = np.array([axis.max() for axis in axes])
    fine = np.zeros([len(axis) for axis in axes], np.float32)
    for _ in range(random.integers(5, 9)):
        middle = random.uniform(-extent, extent)
        size = random.uniform(2.0, 5.0, 3)
        angles, brightness = random.uniform(-1, 1, 3), random.uniform(*DISTRACTORS)
        if np.linalg.norm((middle - centre) @ turn / radii) < 1.1 + size.max() / radii.min():
            continue  # it would reach into the structures
        box = _box(axes, middle, size.max())
        near = [axis[part] for axis, part in zip(axes, box, strict=True)]
        fine[box][sum(u**2 for u in _local(near, middle, _rotation(angles), size)) <= 1] = brightness
    for _ in range(random.integers(1, 4)):
        start, along = random.uniform(-extent, extent), random.standard_normal(3)
        frame = np.linalg.qr(np.column_stack([along, np.eye(3)[:, :2]]))[0]
        _, u, v = _local(axes, start, frame, np.full(3, random.uniform(1.0, 2.2)))
        fine[u**2 + v**2 <= 1] = random.uniform(*DISTRACTORS)
    return fine
