"""Brightness and the side of detail in closed form, and what moves them."""

import numpy as np
import pytest

from edge.trust.brightness import brightness_features, centre_features
from edge.trust.fingerprint import flags_of, make_fingerprint
from imaging.scan import Scan


def scan_of(voxels):
    return Scan(np.asarray(voxels, np.float32)[..., None], np.eye(4))


def picture(seed=0, shape=(60, 80)):
    """Intensities spread evenly from 0 to 200 on the upper two thirds, and nothing below."""
    voxels = np.random.default_rng(seed).uniform(0, 200, shape)
    voxels[2 * shape[0] // 3 :] = 0
    return voxels


def test_brightness_is_a_share_of_the_range():
    features = brightness_features(scan_of([[0, 0, 50, 100], [0, 0, 99, 51]]))
    assert features == pytest.approx({"brightness": (50 + 100 + 99 + 51) / 400, "brightest": 2 / 8})
    assert brightness_features(scan_of(np.full((4, 5), 3))) == {}
    two = Scan(np.stack([picture(), 1 - picture()], -1).astype(np.float32), np.eye(4))
    assert {name.partition(" of ")[2] for name in brightness_features(two)} == {"channel 0", "channel 1"}


def test_neither_gain_nor_offset_changes_brightness():
    expected = brightness_features(scan_of(picture()))
    assert brightness_features(scan_of(1000 * picture() - 5000)) == pytest.approx(expected, abs=1e-4)


def test_voxels_that_are_no_numbers_count_as_what_they_stand_for():
    voxels = picture()
    holes = np.where(np.arange(60)[:, None] >= 40, np.nan, voxels)
    assert brightness_features(scan_of(holes), 0.0) == brightness_features(scan_of(voxels))


@pytest.mark.parametrize(
    ("name", "change", "kind"),
    [
        ("gamma", lambda v: 200 * (v / 200) ** 0.4, "brightness"),
        ("overdriven", lambda v: np.minimum(v, 60), "brightest"),
    ],
)
def test_a_curve_and_a_limit_over_the_intensities_are_flagged(name, change, kind):
    known = make_fingerprint([brightness_features(scan_of(picture(seed))) for seed in range(8)])
    assert flags_of(brightness_features(scan_of(picture(9))), known, False) == ()
    flags = flags_of(brightness_features(scan_of(change(picture(9)))), known, False)
    assert len(flags) == 1, name
    assert flags[0].startswith(f"unlike training: contrast ({kind})")


def test_centre_of_detail():
    """Stripes across an axis, twice as strong in its last quarter: the mean of the places, weighted by that."""
    stripes = np.tile([0.0, 1.0], 20)
    strength = np.where(np.arange(40) < 30, 1.0, 2.0)
    features = centre_features(scan_of(strength[:, None] * stripes))
    places = (np.arange(40) + 0.5) / 40
    assert features["centre of detail, axis 0"] == pytest.approx((strength @ places) / strength.sum())
    assert centre_features(scan_of(np.ones((5, 6)))) == {}
    assert centre_features(scan_of(np.ones((2, 2)))) == {}


@pytest.mark.parametrize("shape", [(40, 50), (24, 20, 22), (300, 320, 30)])
def test_a_scan_upside_down_is_flagged_where_detail_lies_on_one_side(shape):
    fading = np.linspace(2, 0.5, shape[-1])  # as in ultrasound, along its depth

    def scan(seed):
        return scan_of(np.random.default_rng(seed).normal(size=shape) * fading)

    known = make_fingerprint([centre_features(scan(seed)) for seed in range(6)])
    assert set(known.ranges) == {f"centre of detail, axis {axis}" for axis in range(len(shape))}
    assert flags_of(centre_features(scan(7)), known, False) == ()
    upside_down = scan_of(np.flip(scan(7).voxels[..., 0], -1))
    flags = flags_of(centre_features(upside_down), known, False)
    assert len(flags) == 1
    assert flags[0].startswith(f"unlike training: orientation (centre of detail, axis {len(shape) - 1})")
