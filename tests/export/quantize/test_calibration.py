"""The representative dataset: which cases, which patches, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from export_runs import LABELS, write_run

import imaging
from export.quantize import calibration as calibrate
from export.source.source import open_source
from imaging import tiling
from imaging.recipe import prepare
from medseg.errors import InputError


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """What an export knows of a run on 3D scans of 12 × 10 × 9 voxels."""
    return open_source(write_run(tmp_path_factory.mktemp("run"), training=3))


def tiles(source, case):
    """Prepared tiles of a case, as the device makes them."""
    prepared = prepare(imaging.read(case.images[0]), source.recipe).voxels
    return [prepared[place] for place in tiling.tiles(prepared.shape[:-1], source.patch, source.overlap)]


def test_cases_are_spread_over_the_list():
    cases = tuple(range(100))
    assert calibrate.choose(cases, 3) == (0, 50, 99)
    assert calibrate.choose(cases, 1) == (0,)
    assert calibrate.choose(cases[:2], 32) == (0, 1)
    assert len(set(calibrate.choose(cases))) == calibrate.CASES
    with pytest.raises(InputError, match="the run lists no training cases; int8 needs at least one"):
        calibrate.choose(())


def test_patches_are_the_devices_tiles(source):
    (case,) = source.training[:1]
    patches = calibrate.patches(source, (case,), most=1000)
    expected = tiles(source, case)
    assert len(patches) == len(expected) == 8
    assert all(
        patch.shape == (8, 8, 8, 1) and patch.dtype == np.float32 and patch.flags.c_contiguous for patch in patches
    )
    assert {patch.tobytes() for patch in patches} == {np.ascontiguousarray(tile).tobytes() for tile in expected}


def test_patches_with_contrast_come_first_and_no_more_than_asked(source):
    patches = calibrate.patches(source, source.training, most=6)
    assert len(patches) == 6
    for case, start in zip(source.training, (0, 2, 4), strict=True):
        most = sorted((np.var(tile) for tile in tiles(source, case)), reverse=True)[:2]
        np.testing.assert_allclose([np.var(patch) for patch in patches[start : start + 2]], most)
    assert len(calibrate.patches(source, source.training, most=1)) == 3  # one of each case at least


def test_a_scan_smaller_than_the_patch_is_padded(source):
    large = replace(source, patch=(16, 16, 16))
    (patch,) = calibrate.patches(large, source.training[:1])
    assert patch.shape == (16, 16, 16, 1)
    inner = prepare(imaging.read(source.training[0].images[0]), source.recipe).voxels
    assert patch.sum() == pytest.approx(inner.sum(), rel=1e-5)


@pytest.mark.parametrize(("rank", "channels"), [(2, 1), (3, 2)])
def test_colour_images_and_a_channel_axis_have_the_runs_channels(tmp_path, rank, channels):
    made = open_source(write_run(tmp_path, rank, channels, training=1))
    patches = calibrate.patches(made, made.training)
    assert {patch.shape for patch in patches} == {(*made.patch, channels)}


def test_a_scan_of_other_channels_names_its_file(tmp_path, source):
    two = replace(source, channels=("one", "two"), recipe=replace(source.recipe, channels=2))
    with pytest.raises(InputError, match=r"training_0\.nii\.gz: expected 2 channels, got 1"):
        calibrate.patches(two, source.training)


def test_patches_given_by_hand():
    checked = calibrate.check_patches([np.zeros((2, 3, 1)), [[[1], [2], [3]], [[4], [5], [6]]]], (2, 3, 1))
    assert [patch.dtype for patch in checked] == [np.float32, np.float32]
    assert checked[1][1, 2, 0] == 6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "expected at least one patch for int8, better 20 or more, got none"),
        ([np.zeros((2, 3, 2))], r"patch 0 has shape \(2, 3, 2\); expected \(2, 3, 1\)"),
        ([np.zeros((2, 3, 1)), np.zeros((2, 3))], r"patch 1 has shape \(2, 3\)"),
        ([np.full((2, 3, 1), np.nan)], "patch 0 holds NaN or infinite values; leave that case out or mend it"),
        ([np.full((2, 3, 1), 1e39)], "patch 0 holds NaN or infinite values"),
        ([np.zeros((2, 3, 1)), np.full((2, 3, 1), 7.0)], "all 2 patches are constant; give patches of real scans"),
        (
            [np.arange(6).reshape(2, 3, 1), 3e4 * np.arange(6).reshape(2, 3, 1), np.arange(6).reshape(2, 3, 1)],
            "patch 1 holds values up to 150000, the others up to about 5; prepare all of them as in training",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_patches_that_cannot_be_used(given, message):
    with pytest.raises(InputError, match=message):
        calibrate.check_patches(given, (2, 3, 1))


def test_labels_of_the_run(source):
    assert source.labels == LABELS
