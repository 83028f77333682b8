"""Small dataset folders for the tests."""

import json

import numpy as np

import imaging
from imaging.scan import Scan


def ball(shape, centre, radius, spacing=None):
    """Bool (*shape): voxels within ``radius`` of ``centre``."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    return (((grid - centre) * (spacing or 1)) ** 2).sum(axis=-1) <= radius**2


def scan_3d(seed=0, shape=(20, 24, 16), spacing=(1.0, 1.0, 2.0)):
    """An image with two balls, the second in front of the first, and its label map."""
    random = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    labels[ball(shape, (10, 7, 8), 4)] = 1
    labels[ball(shape, (10, 16, 8), 3)] = 2
    image = (random.normal(100, 10, shape) + 40 * labels).astype(np.float32)
    affine = np.diag([*spacing, 1.0])
    return Scan(image[..., None], affine), Scan(labels[..., None], affine)


def scan_of_slices(seed=0, shape=(36, 40, 6), spacing=(1.0, 1.0, 8.0)):
    """Thick slices with two rods through all but the outer ones, stored slice first and from left to right."""
    random = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    for value, centre in ((1, (18, 12)), (2, (18, 28))):
        labels[..., 1:-1][ball(shape[:2], np.array(centre) + random.integers(-2, 3, 2), 7)] = value
    image = (random.normal(100, 10, shape) + np.array([0, -60, 60])[labels]).astype(np.float32)
    affine = np.diag([-spacing[0], *spacing[1:], 1.0])[:, [2, 0, 1, 3]]
    affine[:3, 3] = random.uniform(-50, 50, 3)
    return tuple(Scan(voxels.transpose(2, 0, 1)[..., None].copy(), affine) for voxels in (image, labels))


def write_msd(folder, cases=6, labels=None, modality=None, make=scan_3d):
    """An MSD folder of ``cases`` scans made by ``make(seed)``."""
    listed = []
    for number in range(1, cases + 1):
        image, label = make(number)
        imaging.write(folder / "imagesTr" / f"case_{number:03d}.nii.gz", image)
        imaging.write(folder / "labelsTr" / f"case_{number:03d}.nii.gz", label)
        item = {"image": f"./imagesTr/case_{number:03d}.nii.gz", "label": f"./labelsTr/case_{number:03d}.nii.gz"}
        listed.append(item)
    description = {
        "name": "Balls",
        "modality": modality or {"0": "MRI"},
        "labels": labels or {"0": "background", "1": "back", "2": "front"},
        "numTraining": cases,
        "training": listed,
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def write_flat(folder, names, shape=(64, 48), mask="{}", labels_folder="labels", thick=True, seed=0):
    """A plain folder of grey PNG images with 0/255 masks: a disc, or lines 3 pixels wide."""
    random = np.random.default_rng(seed)
    for name in names:
        marked = np.zeros(shape, bool)
        if thick:
            marked[ball(shape, np.array(shape) / 2, min(shape) / 4)] = True
        else:
            marked[::12] = marked[1::12] = marked[2::12] = True
        image = np.clip(random.normal(90, 20, shape) + 60 * marked, 0, 255).astype(np.uint8)
        imaging.write(folder / "images" / f"{name}.png", Scan(image[..., None], np.eye(4)))
        label = Scan(np.where(marked, 255, 0).astype(np.uint8)[..., None], np.eye(4))
        imaging.write(folder / labels_folder / f"{mask.format(name)}.png", label)
    return folder
