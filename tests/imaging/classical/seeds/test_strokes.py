"""Strokes from JSON and on grids: what is drawn where, and what is refused."""

import json

import numpy as np
import pytest

from imaging import InputError, UsageError
from imaging.classical.seeds.drawing import as_seeds, seeds_on
from imaging.classical.seeds.markers import markers_on
from imaging.classical.seeds.strokes import Stroke, read_strokes, strokes_from
from imaging.geometry.orientation import reorient
from imaging.geometry.resampling import resample
from imaging.scan import Scan

AFFINE = np.array([[0, -2.0, 0, 10], [1.5, 0, 0, -20], [0, 0, 4.0, 5], [0, 0, 0, 1]])


def empty(shape=(12, 10, 8)):
    return Scan(np.zeros((*shape, 1), np.float32), AFFINE)


def test_a_file_is_read(tmp_path):
    path = tmp_path / "seeds.json"
    strokes = [
        {"point": [1, 2, 3], "label": 4},
        {"scribble": [[0, 0, 0], [3, 0, 0]], "label": 0, "radius_mm": 2},
        {"box": [[1, 1, 1], [5, 5, 5]], "label": 4},
    ]
    path.write_text(json.dumps({"space": "world", "strokes": strokes}))
    assert read_strokes(path) == (
        Stroke("point", 4, ((1.0, 2.0, 3.0),), "world"),
        Stroke("scribble", 0, ((0.0, 0.0, 0.0), (3.0, 0.0, 0.0)), "world", 2.0),
        Stroke("box", 4, ((1.0, 1.0, 1.0), (5.0, 5.0, 5.0)), "world"),
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "expected an object"),
        ({}, "expected a list with at least one stroke"),
        ({"strokes": []}, "expected a list with at least one stroke"),
        ({"strokes": [1]}, r"strokes\[0\]: expected an object"),
        ({"strokes": [{"point": [1, 2], "label": 1}], "space": "mm"}, "expected voxel or world"),
        ({"strokes": [{"point": [1, 2], "label": 1}], "spaces": "voxel"}, "unknown field 'spaces'"),
        ({"strokes": [{"point": [1, 2], "label": 1, "size": 2}]}, r"strokes\[0\]: unknown field 'size'"),
        ({"strokes": [{"label": 1}]}, "expected one of point, box, scribble, got none"),
        ({"strokes": [{"point": [1, 2], "box": [[1, 2], [3, 4]], "label": 1}]}, "got point and box"),
        ({"strokes": [{"point": [1, 2]}]}, "expected a whole number from 0"),
        ({"strokes": [{"point": [1, 2], "label": -1}]}, "expected a whole number from 0"),
        ({"strokes": [{"point": [1, 2], "label": True}]}, "expected a whole number from 0"),
        ({"strokes": [{"point": [1], "label": 1}]}, "expected 2 or 3 numbers"),
        ({"strokes": [{"point": [1, "a"], "label": 1}]}, "expected 2 or 3 numbers"),
        ({"strokes": [{"point": [1, float("nan")], "label": 1}]}, "expected 2 or 3 numbers"),
        ({"strokes": [{"box": [[1, 2]], "label": 1}]}, "expected two corners"),
        ({"strokes": [{"box": [[1, 2], [3, 4]], "label": 0}]}, "a box of label 0"),
        ({"strokes": [{"scribble": 3, "label": 1}]}, "expected a list of points"),
        ({"strokes": [{"point": [1, 2], "label": 1, "radius_mm": -1}]}, "expected mm from 0"),
    ],
)
def test_other_json_is_refused(data, message):
    with pytest.raises(InputError, match=message):
        strokes_from(data)


def test_a_file_is_named_in_its_errors(tmp_path):
    path = tmp_path / "seeds.json"
    path.write_text('{"strokes": [{"label": 1}]}')
    with pytest.raises(InputError, match=rf"^{path}: strokes\[0\]"):
        read_strokes(path)
    with pytest.raises(InputError, match=r"missing\.json"):
        read_strokes(tmp_path / "missing.json")


def test_voxel_and_world_are_the_same_place():
    index = np.array([3, 7, 2])
    world = (AFFINE @ [*index, 1])[:3]
    by_voxel = seeds_on(empty(), [Stroke("point", 5, (tuple(map(float, index)),))]).labels
    by_world = seeds_on(empty(), [Stroke("point", 5, (tuple(world),), "world")]).labels
    np.testing.assert_array_equal(by_voxel, by_world)
    assert np.argwhere(by_voxel == 5).tolist() == [index.tolist()]
    turned = reorient(empty(), "SPL")
    moved = seeds_on(turned, [Stroke("point", 5, (tuple(world),), "world")]).labels
    (place,) = np.argwhere(moved == 5)
    np.testing.assert_allclose((turned.affine @ [*place, 1])[:3], world)


def test_scribbles_are_connected_lines_of_a_width_in_mm():
    from scipy import ndimage

    labels = seeds_on(empty(), [Stroke("scribble", 1, ((0.0, 0.0, 0.0), (11.0, 9.0, 7.0), (0.0, 9.0, 7.0)))]).labels
    assert ndimage.label(labels == 1, np.ones((3, 3, 3)))[1] == 1
    assert labels[0, 0, 0] == labels[11, 9, 7] == labels[0, 9, 7] == 1
    ball = seeds_on(empty(), [Stroke("point", 1, ((6.0, 5.0, 4.0),), "voxel", 4.0)]).labels == 1
    grid = np.argwhere(np.ones(ball.shape, bool)) - [6, 5, 4]
    expected = np.linalg.norm(grid * np.array(empty().spacing), axis=1) <= 4.0
    np.testing.assert_array_equal(ball.ravel(), expected)


def test_boxes():
    seeds = seeds_on(empty(), [Stroke("box", 2, ((8.0, 1.0, 2.0), (3.0, 6.0, 4.0)))])
    assert seeds.box == (slice(3, 9), slice(1, 7), slice(2, 5))
    assert seeds.values == (2,)
    with pytest.raises(InputError, match="outside the box"):
        seeds_on(empty(), [Stroke("box", 2, ((1.0,) * 3, (3.0,) * 3)), Stroke("point", 2, ((6.0,) * 3,))])
    with pytest.raises(InputError, match="boxes of labels 1, 2"):
        seeds_on(empty(), [Stroke("box", k, ((1.0,) * 3, (3.0,) * 3)) for k in (1, 2)])
    corners = tuple(tuple((AFFINE @ [*index, 1])[:3]) for index in ((3, 1, 2), (8, 6, 4)))
    assert seeds_on(empty(), [Stroke("box", 2, corners, "world")]).box == seeds.box


def test_what_does_not_fit_the_scan_is_refused():
    with pytest.raises(InputError, match=r"strokes\[0\]: \(12, 0, 0\) lies outside the scan of shape \(12, 10, 8\)"):
        seeds_on(empty(), [Stroke("point", 1, ((12.0, 0.0, 0.0),))])
    with pytest.raises(UsageError, match="2 voxel coordinates, expected 3"):
        seeds_on(empty(), [Stroke("point", 1, ((1.0, 0.0),))])
    with pytest.raises(InputError, match=r"strokes\[1\]: voxel \(1, 1, 1\) is marked as 1 and as 2"):
        seeds_on(empty(), [Stroke("point", k, ((1.0,) * 3,)) for k in (1, 2)])
    with pytest.raises(InputError, match="no strokes"):
        seeds_on(empty(), [])
    with pytest.raises(InputError, match="seeds of shape"):
        as_seeds(empty(), np.zeros((2, 2, 2), int))
    with pytest.raises(InputError, match="nothing is marked"):
        as_seeds(empty(), np.full((12, 10, 8), -1))
    with pytest.raises(InputError, match="expected whole numbers"):
        as_seeds(empty(), np.zeros((12, 10, 8)))


def test_seeds_find_their_place_on_a_coarser_grid():
    scan = empty((24, 20, 16))
    labels = np.full(scan.shape, -1)
    labels[3:5, 3, 3], labels[20, 15, 12] = 7, 0
    coarse = resample(scan, spacing=[size * 2 for size in scan.spacing])
    markers, values = markers_on(coarse, scan, as_seeds(scan, labels))
    assert values == (0, 7)
    for value, index in ((1, (3, 3, 3)), (0, (20, 15, 12))):
        world = scan.affine @ [*index, 1]
        place = np.rint(np.linalg.solve(coarse.affine, world)[:3]).astype(int)
        assert markers[tuple(place)] == value
    with pytest.raises(InputError, match="only label 7 is marked"):
        markers_on(coarse, scan, as_seeds(scan, np.where(labels == 0, -1, labels)))


def test_most_seeds_win_a_coarse_voxel_however_many_there_are():
    labels = np.ones((300, 300), np.int32)
    labels[:67] = 0
    scan = Scan(np.zeros((300, 300, 1), np.float32), np.eye(4))
    coarse = Scan(np.zeros((1, 1, 1), np.float32), np.diag([300.0, 300.0, 1.0, 1.0]))
    assert markers_on(coarse, scan, as_seeds(scan, labels))[0].item() == 1
