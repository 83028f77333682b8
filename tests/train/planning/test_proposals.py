"""Filters that a dataset gives reason for are proposed, and only those."""

import numpy as np
import pytest
from scipy import ndimage

from imaging.filters import FilterStep
from imaging.scan import Scan
from train.planning.proposals import measure_quality, propose, summarise

SHAPE = (40, 36, 24)


def scan_of(seed, noise=1.0, bias=0.0, bend=1.0):
    """Blobs in a body on 0, with noise, a field of that strength and a bent scale of intensities."""
    random = np.random.default_rng(seed)
    blobs = ndimage.gaussian_filter(random.normal(size=SHAPE), 3)
    blobs = (blobs - blobs.min()) / np.ptp(blobs)
    index = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    body = sum(axis**2 for axis in index) < 0.9
    voxels = 200 * (0.5 + 0.5 * blobs) ** bend * np.exp(bias * index[0])
    voxels = np.where(body, np.maximum(voxels + random.normal(0, noise, SHAPE), 1), 0)
    return Scan(voxels[..., None].astype(np.float32), np.eye(4))


def measured(scans, channels=("MRI",), has_spacing=True):
    return {
        "quality": summarise([measure_quality(scan) for scan in scans]),
        "channels": list(channels),
        "has_spacing": has_spacing,
    }


def test_good_scans_need_nothing():
    assert propose(measured([scan_of(n) for n in range(3)])) == {}
    assert propose({"channels": ["MRI"], "has_spacing": True}) == {}  # a fingerprint of an earlier version


def test_noise():
    proposed = propose(measured([scan_of(n, noise=30) for n in range(3)]))
    assert set(proposed) == {"nlm"}
    assert "% of its contrast, expected below 12%" in proposed["nlm"]


def test_a_bias_field_of_mr_only():
    scans = [scan_of(n, bias=0.6) for n in range(3)]
    proposed = propose(measured(scans))
    assert set(proposed) == {"n4"}
    assert "times as bright in one place as in another" in proposed["n4"]
    assert propose(measured(scans, ["CT"])) == {}
    assert propose(measured(scans, ["red"], has_spacing=False)) == {}


def test_histograms_of_several_shapes():
    scans = [scan_of(n, bend=bend) for n, bend in enumerate((0.2, 0.2, 12, 12))]
    proposed = propose(measured(scans))
    assert set(proposed) == {"nyul"}
    assert "histograms differ in shape" in proposed["nyul"]


@pytest.mark.parametrize(("noise", "step"), [(30, "nlm"), (30, "median")])
def test_what_the_user_chose_is_not_proposed_again(noise, step):
    facts = measured([scan_of(n, noise=noise) for n in range(3)])
    assert propose(facts, (FilterStep(step),)) == {}


def test_constant_and_tiny_scans_have_no_quality():
    for voxels in (np.zeros((4, 4, 4, 1)), np.full((30, 30, 30, 1), 7.0)):
        quality = measure_quality(Scan(voxels.astype(np.float32), np.eye(4)))
        assert (quality["noise"], quality["bias"]) == (0.0, 1.0)
    assert summarise([]) == {}
