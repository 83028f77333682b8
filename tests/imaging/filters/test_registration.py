"""Registration: known movements are found again, results carried back, and what cannot be registered is told."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

import imaging
from imaging import InputError, Recipe, Scan, UsageError
from imaging.filters import FilterStep, apply, parse_step
from imaging.filters.registration import learn_register
from imaging.filters.steps import learn_steps
from imaging.geometry.warp import Warp

SHAPE = {2: (48, 44), 3: (36, 32, 24)}
SPACING = {2: (1.0, 1.1), 3: (1.0, 1.1, 1.5)}


def body(points):
    """Intensities at points in mm (rank, ...): an ellipsoid with two bright structures and one dark one in it."""
    rank = len(points)
    inside = sum((axis / length) ** 2 for axis, length in zip(points, (15, 12, 13), strict=False)) < 1
    values = 30.0 * inside
    for centre, radius, bright in (((5, 3, 2), 4, 60), ((-6, -2, -3), 3, 90), ((0, -6, 4), 3.5, -25)):
        far = sum((axis - c) ** 2 for axis, c in zip(points, centre, strict=False))
        values = values + bright * np.exp(-far / (2 * (radius / 2) ** 2)) * inside
    return ndimage.gaussian_filter(values, [0.7] * rank)


def scan_of(rank, transform=None, seed=0, shape=None, spacing=None):
    """The body, moved by ``transform`` (4, 4) in the world, and the mask of its first structure."""
    shape, spacing = shape or SHAPE[rank], spacing or SPACING[rank]
    affine = np.diag([*spacing, *[1.0] * (4 - rank)])
    affine[:rank, 3] = -(np.array(shape) - 1) / 2 * spacing
    index = np.indices(shape).reshape(rank, -1)
    world = affine[:rank, :rank] @ index + affine[:rank, 3:]
    back = np.linalg.inv(np.eye(4) if transform is None else transform)
    points = (back[:rank, :rank] @ world + back[:rank, 3:]).reshape(rank, *shape)
    noise = np.random.default_rng(seed).normal(0, 0.5, shape)
    mask = sum((axis - c) ** 2 for axis, c in zip(points, (5, 3, 2), strict=False)) < 16
    return Scan((body(points) + noise).astype(np.float32)[..., None], affine), mask


def moved_by(rank, degrees=12, shift=(3, -2, 2), stretch=1.0):
    transform = np.eye(4)
    if rank == 2:
        turn = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
    else:
        turn = Rotation.from_euler("xyz", [degrees / 2, -degrees / 3, degrees], degrees=True).as_matrix()
    transform[:3, :3] = turn
    transform[:rank, :rank] = transform[:rank, :rank] @ np.diag([stretch, 1 / stretch, 1.0][:rank])
    transform[:rank, 3] = shift[:rank]
    return transform


def step(tmp_path, rank, kind, reference=None, **parameters):
    reference = reference or scan_of(rank, seed=1)[0]
    imaging.write(tmp_path / "reference.nii.gz", reference)
    given = {"kind": kind, "reference": str(tmp_path / "reference.nii.gz")} | parameters
    (complete,) = learn_steps((FilterStep("register", given),), lambda steps: [])
    return complete


@pytest.mark.parametrize(("rank", "kind", "stretch"), [(2, "rigid", 1.0), (3, "rigid", 1.0), (3, "affine", 1.12)])
def test_a_known_movement_is_found(tmp_path, rank, kind, stretch):
    truth = moved_by(rank, stretch=stretch)
    scan, mask = scan_of(rank, truth)
    complete = step(tmp_path, rank, kind)
    done = apply(scan, "register", **complete.parameters)
    reference, expected_mask = scan_of(rank, seed=1)
    assert done.shape == reference.shape
    assert error_mm(done, reference, expected_mask, truth) < 0.5
    # Labels find the way there and back.
    labels = Scan(mask[..., None].astype(np.uint8), scan.affine)
    recipe = Recipe(rank, filters=(complete,))
    prepared = imaging.prepare(scan, recipe)
    there = imaging.prepare_labels(labels, prepared, recipe).voxels[..., 0] > 0
    assert dice(there, expected_mask) > 0.85
    scores = np.stack([~there, there], -1).astype(np.float32)
    back = imaging.restore_classes(scores, prepared, scan)
    assert back.shape == scan.shape
    assert dice(back > 0, mask) > 0.85


def error_mm(done, reference, mask, truth):
    """Largest distance in a mask between where the result says that a voxel lies in the scan's world and the truth."""
    rank, index = done.rank, np.argwhere(mask).T
    mapped, right = (
        affine[:rank, :rank] @ index + affine[:rank, 3:4] for affine in (done.affine, truth @ reference.affine)
    )
    return np.linalg.norm(mapped[:rank] - right[:rank], axis=0).max()


def test_thick_slices_keep_the_detail_of_their_plane(tmp_path):
    grid = {"shape": (36, 32, 9), "spacing": (1.0, 1.1, 4.0)}
    truth = moved_by(3)
    reference, mask = scan_of(3, seed=1, **grid)
    complete = step(tmp_path, 3, "rigid", reference)
    done = apply(scan_of(3, truth, **grid)[0], "register", **complete.parameters)
    assert error_mm(done, reference, mask, truth) < 1.0  # a quarter of a slice


def test_a_scan_of_micrometres_is_registered_like_one_of_millimetres(tmp_path):
    small = np.diag([1e-3, 1e-3, 1e-3, 1.0])
    truth = moved_by(2)
    given = [scan_of(2, seed=1), scan_of(2, truth)]
    reference, scan = (Scan(scan.voxels, small @ scan.affine) for scan, _ in given)
    done = apply(scan, "register", **step(tmp_path, 2, "affine", reference).parameters)
    assert 1e3 * error_mm(done, reference, given[0][1], small @ truth @ np.linalg.inv(small)) < 0.5


def stored_otherwise(scan, order, flips):
    """The same scan with its axes in another order and direction."""
    local = np.zeros((4, 4))
    local[3, 3] = 1
    for new, (old, flip) in enumerate(zip(order, flips, strict=True)):
        local[old, new] = -1 if flip else 1
        local[old, 3] = scan.shape[old] - 1 if flip else 0
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    return Scan(np.ascontiguousarray(scan.voxels.transpose(*order, 3)[steps]), scan.affine @ local)


def test_how_a_scan_is_stored_and_how_many_threads_there_are_do_not_count(tmp_path):
    import SimpleITK

    complete = step(tmp_path, 3, "deformable", iterations=6)
    scan, mask = scan_of(3, moved_by(3, 4))
    scan = Scan(np.concatenate([scan.voxels, 3 * scan.voxels], -1), scan.affine)  # the second channel goes along
    labels = Scan(mask[..., None].astype(np.uint8), scan.affine)
    recipe = Recipe(3, 2, filters=(complete,))
    usual = imaging.prepare(scan, recipe)
    there = imaging.prepare_labels(labels, usual, recipe).voxels[..., 0] > 0
    scores = np.stack([~there, there], -1).astype(np.float32)
    back = Scan(imaging.restore_classes(scores, usual, scan)[..., None], scan.affine)
    np.testing.assert_allclose(usual.voxels[..., 0], usual.voxels[..., 1], atol=1e-4)  # both normalised
    way = (2, 0, 1), (True, False, False)  # left-handed
    threads = SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads()
    try:
        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(3)
        turned_back = imaging.prepare(stored_otherwise(scan, *way), recipe)
    finally:
        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    np.testing.assert_allclose(turned_back.voxels, usual.voxels, atol=1e-3)
    np.testing.assert_array_equal(
        imaging.restore_classes(scores, turned_back, stored_otherwise(scan, *way)),
        stored_otherwise(back, *way).voxels[..., 0],
    )


def test_the_atlas_gives_the_same_labels_again_and_however_it_is_stored():
    given, mask = scan_of(3, seed=1)
    scan, _ = scan_of(3, moved_by(3, 6))
    pair = given, Scan(mask[..., None].astype(np.uint8), given.affine)
    turned = tuple(stored_otherwise(part, (2, 0, 1), (True, False, False)) for part in pair)
    first, again, turned_back = (
        imaging.classical.segment(scan, "atlas", atlases=[atlas], registration="affine").voxels
        for atlas in (pair, pair, turned)
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, turned_back)


def test_a_deformation_is_found_and_carried_back(tmp_path):
    straight, expected = scan_of(3)
    place = np.indices(straight.shape).astype(float)
    place[0] += 2 * np.sin(place[1] / straight.shape[1] * 2 * np.pi)
    voxels = ndimage.map_coordinates(straight.voxels[..., 0], place, order=1)
    mask = ndimage.map_coordinates(expected.astype(float), place, order=1) > 0.5
    scan = Scan(voxels[..., None].astype(np.float32), straight.affine)
    labels = Scan(mask[..., None].astype(np.uint8), scan.affine)
    complete = step(tmp_path, 3, "deformable", iterations=60)
    there = {}
    for kind in ("rigid", "deformable"):
        recipe = Recipe(3, filters=(FilterStep("register", {**complete.parameters, "kind": kind}),))
        prepared = imaging.prepare(scan, recipe)
        assert (prepared.warp is None) == (kind == "rigid")
        there[kind] = imaging.prepare_labels(labels, prepared, recipe).voxels[..., 0] > 0
    assert dice(there["deformable"], expected) > dice(there["rigid"], expected) + 0.1
    deformed = there["deformable"]
    back = imaging.restore_classes(np.stack([~deformed, deformed], -1).astype(np.float32), prepared, scan)
    assert dice(back > 0, mask) > 0.95


def dice(first, second):
    return 2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second))


def test_the_reference_travels_as_text(tmp_path):
    import json

    complete = step(tmp_path, 3, "rigid", iterations=5)
    (tmp_path / "reference.nii.gz").unlink()
    again = json.loads(json.dumps(complete.parameters))
    assert len(again["reference"]["voxels"]) < 40_000
    scan, _ = scan_of(3, moved_by(3, 4))
    first, second = (apply(scan, "register", **given).voxels for given in (complete.parameters, again))
    np.testing.assert_array_equal(first, second)


def unlike(kind):
    scan, _ = scan_of(3)
    if kind == "warped":
        return replace(scan, warp=Warp(*[np.zeros((2, 2, 2, 3), np.float32)] * 2, np.eye(4)))
    if kind == "constant":
        return Scan(np.full_like(scan.voxels, 3), scan.affine)
    if kind == "noise":
        return Scan(np.random.default_rng(3).normal(size=scan.voxels.shape).astype(np.float32), scan.affine)
    return Scan(scan.voxels[:3, :3, :3], scan.affine)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("constant", "filter register: the scan is constant, so it cannot be registered"),
        ("noise", "filter register: the registration failed"),
        ("warped", "filter register: the scan went through a deformable registration"),
        ("tiny", "filter register: "),
    ],
)
def test_what_cannot_be_registered_is_told(tmp_path, kind, message):
    complete = step(tmp_path, 3, "rigid", iterations=10)
    with pytest.raises(InputError, match=message) as raised:
        apply(unlike(kind), "register", **complete.parameters)
    assert "\n" not in str(raised.value)


def test_bad_references(tmp_path):
    with pytest.raises(InputError, match="filter register: needs a reference scan: register=reference:FILE"):
        learn_steps((parse_step("register"),), lambda steps: [])
    with pytest.raises(InputError, match=r"none\.nii\.gz: no such file"):
        learn_steps((parse_step(f"register=reference:{tmp_path / 'none.nii.gz'}"),), lambda steps: [])
    imaging.write(tmp_path / "flat.nii.gz", Scan(np.ones((8, 8, 8, 1)), np.eye(4)))
    with pytest.raises(InputError, match=r"flat\.nii\.gz: is constant"):
        learn_register(None, "rigid", 3.0, 10, str(tmp_path / "flat.nii.gz"))
    good = step(tmp_path, 3, "rigid").parameters["reference"]
    scan, _ = scan_of(3)
    for name, value, message in (
        ("voxels", "AAAA", "voxels are damaged"),
        ("shape", [10**6, 10**6, 10**6], "shape is no shape of 3 axes"),
        ("grid_shape", [60000, 60000, 60000], "would take"),
        ("affine", [0.0] * 12, "affine is no affine"),
        ("grid_affine", ["x"] * 12, "grid_affine is no affine"),
    ):
        with pytest.raises((InputError, UsageError), match=message):
            apply(scan, "register", kind="rigid", reference={**good, name: value})
    with pytest.raises(UsageError, match="shape is no shape of 2 axes"):
        apply(Scan(scan.voxels[:, :, 0], np.eye(4)), "register", kind="rigid", reference=good)
