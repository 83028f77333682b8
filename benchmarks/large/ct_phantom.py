"""CT-like phantoms of any number of voxels: a trunk with liver, heart and spleen, and what could be taken for them.

Organs differ in intensity by a few deviations of the noise, their surfaces undulate, voxels on them are mixed, and
places, sizes and intensities differ between patients. Aorta, stomach, spine, lungs and fat are there and have no label;
the aorta is as bright as the heart. The noise is correlated in the plane of a slice, as a reconstruction's is.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imaging.io.files import write
from imaging.scan import Scan
from medseg import record
from medseg.progress import track

ORGANS = ("liver", "heart", "spleen")
EXTENT = (409.6, 409.6, 300.0)  # mm along right, front and head
NOISE = 20.0  # HU, after the correlation
AIR = -1000.0
SLAB = 16  # slices that are computed at once


@dataclass(frozen=True)
class Part:
    """An ellipsoid, or a cylinder along the body where a radius is infinite.

    Attributes:
        centre, radii: mm, right, front and head; the middle of the scan is 0.
        hounsfield: intensity.
        label: value in the label map; None leaves what is there.
    """

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    hounsfield: float
    label: int | None = None


# Each is painted over those before.
ANATOMY = (
    Part((0, 0, 0), (168, 128, np.inf), -100, 0),  # skin and fat
    Part((0, -4, 0), (150, 110, np.inf), 50, 0),  # muscle
    Part((82, 6, 95), (56, 74, 90), -820, 0),
    Part((-82, 6, 95), (56, 74, 90), -820, 0),
    Part((-52, 38, -45), (36, 34, 42), 15, 0),  # stomach
    Part((0, -82, 0), (21, 19, np.inf), 380, 0),  # spine
    Part((-10, -54, 0), (12, 12, np.inf), 190, 0),  # aorta
    Part((62, 10, -45), (74, 72, 66), 110, 1),
    Part((-14, 24, 72), (54, 48, 52), 190, 2),
    Part((-92, -38, -42), (38, 44, 54), 150, 3),
)


def make_dataset(folder: Path, cases: int, test: int, shape: tuple[int, int, int], seed: int = 0) -> None:
    """Write phantoms as a dataset folder in the MSD layout, those of ``test`` in imagesTs/ and labelsTs/.

    Args:
        folder: where to.
        cases: labelled scans.
        test: further ones, with labels that training does not see.
        shape: voxels along each axis; the extent stays the same.
        seed: of the whole set.
    """
    names = [f"ct_{number:02d}.nii.gz" for number in range(1, cases + test + 1)]
    states = np.random.SeedSequence(seed).generate_state(len(names))
    for number, (name, state) in enumerate(zip(track(names, "phantoms"), states, strict=True)):
        part = "Tr" if number < cases else "Ts"
        image, labels = phantom(int(state), shape)
        write(folder / f"images{part}" / name, image)
        write(folder / f"labels{part}" / name, labels)
    described = {
        "name": "CT phantoms",
        "modality": {"0": "CT"},
        "labels": {"0": "background"} | {str(value): organ for value, organ in enumerate(ORGANS, 1)},
        "training": [{"image": f"./imagesTr/{n}", "label": f"./labelsTr/{n}"} for n in names[:cases]],
        "test": [f"./imagesTs/{n}" for n in names[cases:]],
    }
    record.write_text(folder / "dataset.json", json.dumps(described, indent=1))  # last: without it the set is not whole


def phantom(seed: int, shape: tuple[int, int, int]) -> tuple[Scan, Scan]:
    """A patient: int16 Hounsfield units and uint8 labels (X, Y, Z, 1), stored as LAS.

    Args:
        seed: the same number makes the same patient.
        shape: voxels along each axis.
    """
    random = np.random.default_rng(seed)
    spacing = np.array(EXTENT) / shape
    affine = np.diag([-spacing[0], spacing[1], spacing[2], 1.0])
    affine[:3, 3] = (spacing * (np.array(shape) - 1) / 2) * (1, -1, -1)
    x, y, z = ((affine[a, 3] + affine[a, a] * np.arange(n)).astype(np.float32) for a, n in enumerate(shape))
    parts = [varied(part, random) for part in ANATOMY]
    waves = random.uniform((2, 55, 0), (4, 120, 2 * np.pi), (3, 2, 3)).astype(np.float32)
    image, labels = np.empty(shape[::-1], np.int16), np.empty(shape[::-1], np.uint8)
    for start in range(0, shape[2], SLAB):
        some = slice(start, start + SLAB)
        grid = np.ix_(z[some], y, x)[::-1]
        values, marked = painted(parts, displaced(grid, waves), float(spacing.mean()))
        values += correlated(random, values.shape)
        np.rint(values, out=values)
        image[some], labels[some] = np.clip(values, -1024, 3000), marked
    return Scan(image.T[..., None], affine), Scan(labels.T[..., None], affine)


def varied(part: Part, random) -> Part:
    """The same part of another patient."""
    centre = tuple(float(c + d) for c, d in zip(part.centre, random.uniform(-7, 7, 3), strict=True))
    radii = tuple(float(r * f) for r, f in zip(part.radii, random.uniform(0.92, 1.08, 3), strict=True))
    return Part(centre, radii, part.hounsfield + float(random.uniform(-8, 8)), part.label)


def displaced(grid, waves) -> list[np.ndarray]:
    """Coordinates in mm, moved along each axis by waves along the two others, so that no surface is an ellipsoid's."""
    moved = []
    for axis in range(3):
        others = (grid[a] for a in range(3) if a != axis)
        shifts = [w[0] * np.sin(2 * np.pi / w[1] * o + w[2]) for w, o in zip(waves[axis], others, strict=True)]
        moved.append(grid[axis] + shifts[0] + shifts[1])
    return moved


def painted(parts, places, voxel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Hounsfield units, voxels on a surface mixed of both sides, and labels of a slab (Z, Y, X)."""
    shape = np.broadcast_shapes(*(place.shape for place in places))
    values, labels = np.full(shape, AIR, np.float32), np.zeros(shape, np.uint8)
    for part in parts:
        box = tuple(_box(places, part))
        near = [np.broadcast_to(place, shape)[box] for place in places]
        if 0 in near[0].shape:
            continue
        squares = (np.square((n - c) / r) for n, c, r in zip(near, part.centre, part.radii, strict=True))
        level = np.sqrt(sum(squares))
        share = np.clip((1 - level) * (min(part.radii) / voxel_mm) + 0.5, 0, 1)
        here = values[box]
        here += share * (np.float32(part.hounsfield) - here)
        labels[box][level <= 1] = part.label
    return values, labels


def _box(places, part) -> Iterator[slice]:
    """Slices (Z, Y, X) beyond which a part does not reach; ``places`` run along X, Y and Z in that order."""
    for axis, array_axis in ((2, 0), (1, 1), (0, 2)):
        place, reach = places[axis], part.radii[axis] * 1.1
        others = tuple(a for a in range(3) if a != array_axis)
        low, high = place.min(axis=others), place.max(axis=others)
        hit = np.flatnonzero((high >= part.centre[axis] - reach) & (low <= part.centre[axis] + reach))
        yield slice(int(hit[0]), int(hit[-1]) + 1) if len(hit) else slice(0, 0)


def correlated(random, shape) -> np.ndarray:
    """Noise float32 (Z, Y, X) of deviation ``NOISE``, smooth over some pixels of a slice and none between slices."""
    noise = random.standard_normal((shape[0], shape[1] + 2, shape[2] + 2), np.float32)
    noise = 0.5 * noise[:, :-2] + noise[:, 1:-1] + 0.5 * noise[:, 2:]
    noise = 0.5 * noise[..., :-2] + noise[..., 1:-1] + 0.5 * noise[..., 2:]
    return noise * np.float32(NOISE / 1.5)
