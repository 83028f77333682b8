"""How far strokes that contradict a proposal reach into it: geodesic distances over the image."""

from dataclasses import dataclass, replace

import numpy as np

from imaging.classical.grid import coarsened
from imaging.classical.seeds.drawing import Seeds
from imaging.classical.segmentation import check_installed, image_of, mean_of
from imaging.classical.watershed import gradient
from imaging.geometry.affine import index_map, moved
from imaging.geometry.resampling import onto
from imaging.scan import Scan

_MAX_VOXELS = 60_000
_FREE_MM = 30.0  # reach at most where the proposal has the background: nothing there says how large a structure is
_LEAST = 4.0  # voxels (of the finest axis) that a stroke reaches at least
_POINTS = 100_000  # voxels of a label that the nearest is looked for among
_NOISE = 2.0  # median gradients; what is less is no edge
_SMOOTH = 0.7  # voxels (of the finest axis) of the Gaussian derivative


@dataclass(frozen=True)
class Correction:
    """What strokes make of a proposal.

    Attributes:
        label: int32 (*spatial), what the strokes say of a voxel.
        share: float32 (*spatial), how much that counts against the proposal: 1 at the stroke, 0 out of its reach.
    """

    label: np.ndarray
    share: np.ndarray


def correction(scan: Scan, seeds: Seeds, labels: np.ndarray, reach: float, edges: float) -> Correction:
    """How far each stroke that contradicts a proposal counts.

    A stroke at a distance d from where the proposal has the stroke's label already marks an error of about that size:
    it reaches ``reach`` times d. It stays within the connected part of the proposal's label that it lies in. Its
    influence falls evenly with the geodesic distance, which edges of the image make longer, and ends where a stroke
    that agrees with the proposal is nearer.

    Args:
        scan: 2D or 3D.
        seeds: strokes on its grid.
        labels: int32 (*spatial), the proposal's.
        reach: in distances d.
        edges: how much longer edges make the way; 0 leaves the plain distance.
    """
    check_installed("correcting a proposal by strokes", ("skimage",))
    out = Correction(labels.copy(), np.zeros(labels.shape, np.float32))
    wrong = (seeds.labels >= 0) & (seeds.labels != labels)
    places = np.argwhere(wrong)
    given, proposed = seeds.labels[wrong], labels[wrong]
    pairs = sorted(set(zip(given.tolist(), proposed.tolist(), strict=True)))
    for value, replaced in pairs:
        chosen = places[(given == value) & (proposed == replaced)]
        for reach_mm, group in _by_reach(_reach(chosen, labels, value, replaced, scan.spacing, reach)):
            _add(out, scan, seeds, labels, (value, replaced), chosen[group], reach_mm, edges)
    return out


def _reach(places, labels, value, replaced, spacing, reach):
    """Reach in mm of each place, (N,)."""
    from scipy.spatial import cKDTree

    size = np.asarray(spacing)
    right = np.argwhere(labels == value)
    limit = _FREE_MM if replaced == 0 else float(np.linalg.norm(size * labels.shape))
    if not len(right):
        return np.full(len(places), limit)
    right = right[:: len(right) // _POINTS + 1]
    distance = reach * cKDTree(right * size).query(places * size)[0]
    return np.clip(distance, _LEAST * size.min(), max(limit, _LEAST * size.min()))


def _by_reach(reach_mm):
    """Places of about the same reach together: pairs of the largest, and bool (N,)."""
    steps = np.rint(2 * np.log2(reach_mm))
    return [(float(reach_mm[steps == step].max()), steps == step) for step in np.unique(steps)]


def _add(out, scan, seeds, labels, pair, places, reach_mm, edges):
    """Enter the strokes of one label on one label of the proposal into ``out``, where they count most."""
    value, replaced = pair
    box = _surroundings(places, reach_mm, scan)
    affine = moved(scan.affine, [part.start for part in box])
    part = Scan(scan.voxels[box], affine, has_spacing=scan.has_spacing)
    coarse = coarsened(part, _MAX_VOXELS)
    inside = onto((labels[box] == replaced)[..., None].astype(np.float32), affine, coarse, antialias=True)[..., 0] > 0.5
    starts = _marks(coarse, part, _within(places, box, part.shape))
    holds = _marks(coarse, part, (seeds.labels[box] == replaced) & (labels[box] == replaced))
    cost = 1 / reach_mm + edges * _edges(mean_of(image_of(_finite(coarse), {})), coarse.spacing)
    distance = geodesic(cost, coarse.spacing, starts, inside | starts, reach_mm)
    if holds.any():
        held = geodesic(cost, coarse.spacing, holds, inside | holds, reach_mm)
        distance = np.where(held <= distance, np.inf, distance)
    share = np.clip(1 - distance, 0, 1).astype(np.float32)
    share = onto(share[..., None], coarse.affine, part)[..., 0] * (labels[box] == replaced)
    wins = share > out.share[box]
    out.share[box][wins] = share[wins]
    out.label[box][wins] = value


def geodesic(cost: np.ndarray, spacing, starts: np.ndarray, inside: np.ndarray, reach_mm: float) -> np.ndarray:
    """The cheapest way from the starts to each voxel, float64 (*spatial); infinite where there is none.

    Args:
        cost: of a millimetre at each voxel.
        spacing: voxel size in mm per axis.
        starts: bool (*spatial).
        inside: bool (*spatial), voxels that a way may lead through.
        reach_mm: voxels farther from the starts are left out.
    """
    from scipy.ndimage import distance_transform_edt
    from skimage.graph import MCP_Geometric

    near = inside & (distance_transform_edt(~starts, spacing) <= reach_mm)
    walk = MCP_Geometric(np.where(near, cost, -1.0), sampling=tuple(spacing))
    return walk.find_costs(np.argwhere(starts).tolist())[0]


def _within(places, box, shape):
    """Bool (*shape): places of the whole scan within a box."""
    mask = np.zeros(shape, bool)
    mask[tuple((places - [part.start for part in box]).T)] = True
    return mask


def _marks(coarse, part, mask):
    """A mask of few voxels on the coarse grid: every coarse voxel that holds one."""
    out = np.zeros(coarse.shape, bool)
    places = np.argwhere(mask)
    if len(places):
        matrix, offset = index_map(coarse.affine, part.affine, part.rank)
        inside = np.clip(np.rint(places @ matrix.T + offset).astype(int), 0, np.array(coarse.shape) - 1)
        out[tuple(inside.T)] = True
    return out


def _finite(scan):
    """A scan whose NaN, as outside a field of view, are as dark as its darkest voxel, so that they end in an edge."""
    finite = np.isfinite(scan.voxels)
    if finite.all():
        return scan
    values = scan.voxels[finite]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    return replace(scan, voxels=np.nan_to_num(scan.voxels, nan=low, neginf=low, posinf=high))


def _edges(image, spacing):
    """How much of the image's contrast a millimetre crosses, (*spatial): noise counts as none."""
    slopes = gradient(image, spacing, _SMOOTH * min(spacing)) / max(float(image.std()), np.finfo(np.float32).tiny)
    return np.maximum(slopes - _NOISE * np.median(slopes), 0)


def _surroundings(places, reach_mm, scan):
    margin = np.ceil(reach_mm / np.asarray(scan.spacing)).astype(int)
    low = np.maximum(places.min(axis=0) - margin, 0)
    high = np.minimum(places.max(axis=0) + margin + 1, scan.shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
