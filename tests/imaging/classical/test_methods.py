"""Every method of the registry: it finds a ball, in any geometry, and refuses what it cannot segment."""

import dataclasses
import re

import numpy as np
import pytest
from harness_methods import LEAST_DICE, ball, dice, run, strokes
from turned_scans import turned, turned_back, turns

import imaging
from imaging import InputError, UsageError
from imaging.classical import METHODS, get, names, segment
from imaging.classical.seeds.drawing import seeds_on
from imaging.classical.seeds.strokes import Stroke
from imaging.scan import Scan

RANKED = [(method.name, rank) for method in METHODS for rank in method.ranks]


@pytest.mark.parametrize(("name", "rank"), RANKED)
def test_finds_a_ball(name, rank):
    scan, mask = ball(rank)
    before = scan.voxels.copy()
    labels = run(name, scan)
    assert labels.voxels.shape == (*scan.shape, 1)
    assert labels.voxels.dtype == np.uint8
    np.testing.assert_array_equal(labels.affine, scan.affine)
    np.testing.assert_array_equal(scan.voxels, before)
    assert set(np.unique(labels.voxels)) <= {0, 1}
    assert dice(labels.voxels[..., 0] == 1, mask) > LEAST_DICE.get(name, 0.85)


@pytest.mark.parametrize(("name", "rank"), RANKED)
def test_how_a_scan_is_stored_does_not_matter(name, rank):
    """The same scan along other axes has the same labels, voxel for voxel; seeds lie between two voxels here."""
    scan, _ = ball(rank)
    expected = run(name, scan).voxels
    ways = turns(rank)
    chosen = np.random.default_rng(len(name)).choice(len(ways) - 1, size=2, replace=False) + 1
    for order, flips in (ways[int(number)] for number in chosen):
        stored = turned(scan, order, flips)
        segmented = run(name, stored)
        np.testing.assert_array_equal(segmented.affine, stored.affine)
        np.testing.assert_array_equal(turned_back(segmented.voxels, order, flips), expected)


@pytest.mark.parametrize("radius", [0.0, 3.0])
@pytest.mark.parametrize("kind", ["point", "scribble", "box"])
def test_seeds_between_two_voxels_are_one_place_of_the_world(kind, radius):
    scan, _ = ball(3)
    ends = ((6.0, -4.0, 2.0), (-3.0, 5.0, -4.0))
    strokes_ = [Stroke(kind, 1, ends[:1] if kind == "point" else ends, "world", 0.0 if kind == "box" else radius)]

    def marks(seeds):
        box = np.zeros(seeds.labels.shape, np.int32)
        if seeds.box is not None:
            box[seeds.box] = 1
        return np.stack([seeds.labels, box], -1)

    expected = marks(seeds_on(scan, strokes_))
    for order, flips in turns(3):
        stored = marks(seeds_on(turned(scan, order, flips), strokes_))
        np.testing.assert_array_equal(turned_back(stored, order, flips), expected)


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("name", ["chan-vese", "geodesic-contours"])
def test_contours_do_not_depend_on_those_before(name, rank):
    """An odd number of rounds of smoothing left scikit-image with the other of its two operators."""
    scan, _ = ball(rank, noise=25.0)
    first = run(name, scan, iterations=3).voxels
    for before in (1, 2, 3):
        run(name, scan, iterations=before)
        np.testing.assert_array_equal(run(name, scan, iterations=3).voxels, first)


@pytest.mark.parametrize("name", [method.name for method in METHODS if 3 in method.ranks and not method.atlases])
def test_sizes_are_millimetres(name):
    """A ball on thick slices has the volume of a ball on cubes."""
    thick, cubes = ball(3, (1.0, 1.0, 3.0)), ball(3, (1.0, 1.0, 1.0))
    volumes = [np.count_nonzero(run(name, scan).voxels) * float(np.prod(scan.spacing)) for scan, _ in (thick, cubes)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.35 if name in LEAST_DICE else 0.25)


@pytest.mark.parametrize("name", names())
def test_a_constant_scan_is_refused(name):
    scan, _ = ball(get(name).ranks[0])
    scan = dataclasses.replace(scan, voxels=np.full_like(scan.voxels, 7))
    with pytest.raises(InputError, match="every voxel of the scan is 7"):
        run(name, scan)


@pytest.mark.parametrize("name", names())
def test_unknown_parameters_are_refused(name):
    scan, _ = ball(get(name).ranks[0])
    with pytest.raises(UsageError, match=f"method {name}: unknown parameter 'colour'; expected"):
        run(name, scan, colour=3)


@pytest.mark.parametrize(
    ("name", "parameter"), [(method.name, parameter) for method in METHODS for parameter in method.parameters]
)
def test_parameters_are_checked(name, parameter):
    wrong = ["nonsense", None]
    if not isinstance(parameter.default, bool | str):
        wrong += [parameter.low - 1, parameter.high * 2 + 1, float("nan"), 10**400, True]
    if isinstance(parameter.default, int) and not isinstance(parameter.default, bool):
        wrong.append(parameter.default + 0.5)
    for value in wrong:
        with pytest.raises(UsageError, match=f"method {name}: {parameter.name} .*expected"):
            get(name).complete({parameter.name: value})
    if not isinstance(parameter.default, str):
        with pytest.raises(UsageError, match=f"method {name}: {parameter.name} '1x2', expected"):
            get(name).read([f"{parameter.name}=1x2"])
    for value in (parameter.default, *parameter.tune):
        assert get(name).complete({parameter.name: value})[parameter.name] == value
        text = str(value).lower() if isinstance(value, bool) else str(value)
        assert get(name).read([f"{parameter.name}={text}"]) == {parameter.name: value}


@pytest.mark.parametrize("method", METHODS, ids=names())
def test_entries_say_what_they_are(method):
    assert method.summary
    assert method.wraps
    assert re.search(r"\d{4}|Guide", method.paper)
    assert len({parameter.name for parameter in method.parameters}) == len(method.parameters)
    assert all(parameter.help for parameter in method.parameters)


def test_unknown_method():
    with pytest.raises(UsageError, match="did you mean otsu"):
        segment(ball(2)[0], "otzu")


@pytest.mark.parametrize("name", [method.name for method in METHODS if method.seeds == "needed"])
def test_seeds_are_needed_and_kept(name):
    scan, _ = ball(get(name).ranks[0])
    with pytest.raises(UsageError, match="needs seeds"):
        segment(scan, name)
    with pytest.raises(InputError, match="lies outside the scan"):
        segment(scan, name, seeds=[Stroke("point", 1, ((500.0,) * scan.rank,))])
    with pytest.raises(InputError, match="marked as 1 and as 0"):
        segment(scan, name, seeds=[Stroke("point", value, ((5.0,) * scan.rank,)) for value in (1, 0)])
    labels = run(name, scan).voxels[..., 0]
    marked = imaging.classical.seeds.drawing.seeds_on(scan, strokes(scan.rank)).labels
    np.testing.assert_array_equal(labels[marked >= 0], marked[marked >= 0])


def test_seeds_where_there_are_none():
    with pytest.raises(UsageError, match="takes no seeds"):
        segment(ball(2)[0], "otsu", seeds=strokes(2))
    with pytest.raises(UsageError, match="takes no atlases"):
        segment(ball(2)[0], "otsu", atlases=[ball(2)])


@pytest.mark.parametrize("name", ["random-walker", "graph-cut", "watershed"])
def test_several_labels(name):
    scan, mask = ball(3)
    halves = np.where(np.indices(mask.shape)[0] < mask.shape[0] / 2, 3, 8) * mask
    scan = dataclasses.replace(scan, voxels=(scan.voxels + 60 * (halves == 8)[..., None]))
    line = ((2.5, -6.0, -3.0), (6.0, 0.0, 0.0), (2.5, 6.0, 3.0), (2.5, 0.0, -6.0), (2.5, 0.0, 6.0))
    scribbles = (
        Stroke("scribble", label, tuple((side * x, y, z) for x, y, z in line), "world", 1.5)
        for label, side in ((3, -1), (8, 1))
    )
    seeds = [*(stroke for stroke in strokes(3) if stroke.label == 0), *scribbles]
    segmented = segment(scan, name, seeds=seeds).voxels[..., 0]
    assert set(np.unique(segmented)) == {0, 3, 8}
    assert dice(segmented == 3, halves == 3) > 0.7
    assert dice(segmented == 8, halves == 8) > 0.7


def test_channels():
    scan, mask = ball(2)
    scan = Scan(np.concatenate([np.full_like(scan.voxels, 5), scan.voxels], -1), scan.affine)
    assert dice(segment(scan, "otsu", channel=1).voxels[..., 0] == 1, mask) > 0.95
    with pytest.raises(InputError, match="every voxel of the scan is 5"):
        segment(scan, "otsu", channel=0)
    with pytest.raises(InputError, match="channel 2 of a scan of 2"):
        segment(scan, "otsu", channel=2)


def test_large_scans_are_computed_on_a_coarser_grid():
    scan, mask = ball(3, (0.5, 0.5, 1.0))
    for name in ("watershed", "chan-vese", "graph-cut"):
        assert dice(run(name, scan, max_voxels=8000).voxels[..., 0] == 1, mask) > 0.8


def test_clean_up():
    scan, _ = ball(2, noise=0.0)
    voxels = scan.voxels.copy()
    voxels[2:4, 2:4] = 160  # a speck of 4 mm2
    voxels[24, 20] = 100  # a hole
    scan = Scan(voxels, scan.affine)
    plain = segment(scan, "otsu").voxels[..., 0]
    assert plain[2, 2] == 1
    assert plain[24, 20] == 0
    assert segment(scan, "otsu", largest=True).voxels[2, 2, 0] == 0
    assert segment(scan, "otsu", fill=True).voxels[24, 20, 0] == 1
    assert segment(scan, "otsu", min_mm3=4.0).voxels[2, 2, 0] == 1
    assert segment(scan, "otsu", min_mm3=4.5).voxels[2, 2, 0] == 0
    assert segment(scan, "otsu", open_mm=2.0).voxels[2, 2, 0] == 0


def test_atlas_that_fits_nothing():
    scan, mask = ball(2)
    with pytest.raises(UsageError, match="needs labelled scans"):
        segment(scan, "atlas")
    with pytest.raises(InputError, match="atlas 0: its labels are empty"):
        segment(scan, "atlas", atlases=[(scan, Scan(np.zeros((*scan.shape, 1), np.uint8), scan.affine))])
    with pytest.raises(InputError, match="atlas 0: labels of shape"):
        segment(scan, "atlas", atlases=[(scan, Scan(np.ones((3, 3, 1), np.uint8), scan.affine))])
    far = scan.affine.copy()
    far[:2, 3] += 1e5
    labels = Scan(mask[..., None].astype(np.uint8), scan.affine)
    moved = segment(
        Scan(scan.voxels, far), "atlas", atlases=[(scan, labels)], iterations=2
    )  # centres are matched first
    assert dice(moved.voxels[..., 0] == 1, mask) > 0.9


def test_progress_is_told():
    calls = []
    segment(ball(2)[0], "ridges", progress=lambda done, total: calls.append((done, total)))
    assert calls
    assert calls[-1][0] == calls[-1][1]
