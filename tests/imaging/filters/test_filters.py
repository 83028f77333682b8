"""Every registered filter: the wrapped library called directly, millimetres, types, determinism."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK
from filter_harness import DIRECT, OWN, back, itk, scan_of
from scipy import ndimage
from skimage import exposure, restoration
from turned_scans import turned, turned_back, turns

import imaging
from imaging import InputError, Scan
from imaging.filters import FILTERS, FilterStep, apply, get, names
from imaging.filters.denoising.noise import noise_deviation
from imaging.filters.edge_preserving import diffusion_steps

GRIDS = [(1.0, 1.0), (0.7, 1.4), (1.0, 1.0, 1.0), (1.0, 0.8, 2.5)]
PLAIN = [entry for entry in FILTERS if not entry.learns]
# What a quick sweep calls slow filters with.
QUICK = {"n4": {"levels": 1, "iterations": 3}, "tv": {"iterations": 10}}


def test_the_sweep_is_over_every_filter():
    assert set(DIRECT) | OWN == set(names())


@pytest.mark.parametrize("spacing", GRIDS, ids=str)
@pytest.mark.parametrize("name", DIRECT)
def test_equals_the_library(name, spacing):
    if name == "tv" and spacing == (1.0, 0.8, 2.5):
        return  # slice by slice, below
    parameters, direct = DIRECT[name]
    scan = scan_of(spacing)
    expected = direct(scan.voxels[..., 0], scan.spacing)
    filtered = apply(scan, name, **parameters)
    np.testing.assert_allclose(filtered.voxels[..., 0], expected, rtol=2e-4, atol=2e-3)
    np.testing.assert_array_equal(filtered.affine, scan.affine)


@pytest.mark.parametrize("kind", ["perona_malik", "curvature"])
@pytest.mark.parametrize("spacing", GRIDS, ids=str)
def test_diffusion(kind, spacing):
    scan = scan_of(spacing)
    step, count = diffusion_steps(spacing, 1.5)
    assert step * count == pytest.approx(1.5**2 / 2)
    run = SimpleITK.GradientAnisotropicDiffusion if kind == "perona_malik" else SimpleITK.CurvatureAnisotropicDiffusion
    image = itk(scan.voxels[..., 0], spacing)
    expected = back(run(image, timeStep=step, conductanceParameter=2.0, numberOfIterations=count))
    filtered = apply(scan, "diffusion", kind=kind, sigma_mm=1.5, conductance=2.0)
    np.testing.assert_allclose(filtered.voxels[..., 0], expected, rtol=1e-5)
    with pytest.raises(InputError, match=r"sigma_mm 100 on voxels .* steps, expected at most 2000"):
        apply(scan, "diffusion", sigma_mm=100)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 1.0, 1.0)], ids=str)
def test_non_local_means(spacing):
    scan = scan_of(spacing, extent=16)
    channel = scan.voxels[..., 0]
    sigma = noise_deviation(channel, spacing)
    assert sigma == pytest.approx(3, rel=0.2)
    expected = restoration.denoise_nl_means(channel, 3, 4, h=0.8 * sigma, sigma=sigma, fast_mode=True)
    filtered = apply(scan, "nlm", patch_mm=3, distance_mm=4, strength=0.8)
    np.testing.assert_allclose(filtered.voxels[..., 0], expected, rtol=1e-4)


def test_thick_slices_are_denoised_one_by_one():
    scan = scan_of((1.0, 0.8, 2.5))
    filtered = apply(scan, "tv", weight=0.1, iterations=20).voxels[..., 0]
    channel = scan.voxels[..., 0]
    low, span = channel.min(), np.ptp(channel)
    middle = channel.shape[2] // 2
    slice_ = restoration.denoise_tv_chambolle((channel[..., middle] - low) / span, 0.1, max_num_iter=20) * span + low
    np.testing.assert_allclose(filtered[..., middle], slice_, rtol=1e-4)


@pytest.mark.parametrize("entry", PLAIN, ids=lambda entry: entry.name)
@pytest.mark.parametrize("spacing", [(0.7, 1.4), (1.0, 0.8, 2.5)], ids=["2D", "3D"])
def test_types_shapes_and_determinism(entry, spacing):
    scan = scan_of(spacing, extent=16, channels=2)
    before = scan.voxels.copy()
    first, second = (apply(scan, entry.name, **QUICK.get(entry.name, {})) for _ in range(2))
    np.testing.assert_array_equal(first.voxels, second.voxels)
    np.testing.assert_array_equal(scan.voxels, before)
    assert first.voxels.dtype == np.float32
    assert first.channels == 2
    assert entry.moves or (first.shape == scan.shape and (first.affine == scan.affine).all())
    whole = apply(replace(scan, voxels=np.rint(scan.voxels).astype(np.int16)), entry.name, **QUICK.get(entry.name, {}))
    assert whole.voxels.dtype == np.float32


@pytest.mark.parametrize("entry", PLAIN, ids=lambda entry: entry.name)
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 0.8, 2.5), (1.0, 1.0, 1.0)], ids=["2D", "thick", "3D"])
def test_how_a_scan_is_stored_does_not_matter(entry, spacing):
    """The same scan along other axes has the same result, of every voxel; sums in another order aside."""
    scan = scan_of(spacing, extent=17)
    given = {"frangi": {"scales": 1}, "resize": {"spacing_mm": 1.3}, **QUICK}.get(entry.name, {})
    expected = apply(scan, entry.name, **given)
    ways = turns(scan.rank)
    for order, flips in [ways[1], ways[-1], ways[len(ways) // 2 + 1]]:
        done = apply(turned(scan, order, flips), entry.name, **given)
        values = turned_back(done.voxels, order, flips)
        if entry.moves:
            np.testing.assert_allclose(values, expected.voxels, rtol=1e-5)
        else:
            np.testing.assert_array_equal(values, expected.voxels)
        np.testing.assert_allclose(turned(expected, order, flips).affine, done.affine, atol=1e-5)


@pytest.mark.parametrize("entry", PLAIN, ids=lambda entry: entry.name)
@pytest.mark.parametrize("value", [0, 5])
def test_a_constant_scan_stays_as_it_is(entry, value):
    scan = Scan(np.full((9, 8, 7, 1), value, np.float32), np.eye(4))
    assert (apply(scan, entry.name).voxels == value).all()


@pytest.mark.parametrize("name", ["gaussian", "median", "bilateral", "diffusion", "opening", "closing"])
def test_what_is_round_in_millimetres_stays_round(name):
    """The ball's widths along a fine and a coarse axis, as second moments in mm, agree after the filter as before."""
    spacing = (0.75, 1.0, 1.5)
    scan = scan_of(spacing, extent=40, noise=0)
    given = {"gaussian": {"sigma_mm": 3}, "bilateral": {"sigma_mm": 1.5, "range": 5}}
    voxels = apply(scan, name, **given.get(name, {"radius_mm": 3} if name != "diffusion" else {"sigma_mm": 1})).voxels
    weight = voxels[..., 0] - voxels.min()
    widths = []
    for axis, size in enumerate(spacing):
        profile = weight.sum(axis=tuple(across for across in range(3) if across != axis))
        place = (np.arange(len(profile)) - (len(profile) - 1) / 2) * size
        widths.append(np.sqrt((profile * place**2).sum() / profile.sum()))
    assert max(widths) / min(widths) < 1.06
    if name == "gaussian":  # variances add up
        np.testing.assert_allclose(widths, np.sqrt(6**2 + 3**2), rtol=0.03)


def test_a_vessel_is_found_at_its_width_on_any_voxels():
    peaks = []
    for spacing in ((1.0, 1.0, 1.0), (0.5, 1.0, 2.0)):
        shape = tuple(round(32 / size) for size in spacing)
        places = [(np.arange(n) - (n - 1) / 2) * size for n, size in zip(shape, spacing, strict=True)]
        y, z = np.meshgrid(*places[1:], indexing="ij")
        tube = np.broadcast_to(100 * np.exp(-(y**2 + z**2) / (2 * 2.5**2)), shape)
        scan = Scan(np.ascontiguousarray(tube, np.float32)[..., None], np.diag([*spacing, 1.0]))
        peaks.append(apply(scan, "frangi", smallest_mm=2.5, largest_mm=2.5, scales=1).voxels[shape[0] // 2].max())
    assert peaks[0] > 0.5
    assert peaks[1] == pytest.approx(peaks[0], rel=0.1)


def test_slabs_change_nothing(monkeypatch):
    from imaging.filters import vessels

    scan = scan_of((1.0, 1.0, 1.0))
    whole = apply(scan, "frangi").voxels
    monkeypatch.setattr(vessels, "_SLAB_VOXELS", 30 * 30 * 4)
    np.testing.assert_array_equal(apply(scan, "frangi").voxels, whole)


def test_n4_gives_the_same_digits_on_any_number_of_threads():
    scan = scan_of((1.0, 1.0, 1.0))
    results = []
    before = SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads()
    try:
        for threads in (1, 3):
            SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
            results.append(apply(scan, "n4", levels=1, iterations=3).voxels)
            assert SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads() == threads
    finally:
        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    np.testing.assert_array_equal(*results)


def test_n4_takes_a_bias_field_away():
    scan = scan_of((1.5, 1.5, 1.5), noise=0.5)
    flat = np.where(scan.voxels > 60, 120.0, 60.0).astype(np.float32)
    field = np.exp(np.linspace(-0.5, 0.5, 20))[:, None, None, None].astype(np.float32)
    filtered = apply(replace(scan, voxels=flat * field), "n4", iterations=30).voxels
    inside = flat == 60

    def unevenness(voxels):
        return voxels[inside].std() / voxels[inside].mean()

    assert unevenness(filtered) < unevenness(flat * field) / 3


def test_resize_and_crop_keep_places():
    scan = scan_of((1.0, 1.0, 2.0), extent=44)
    small = apply(scan, "resize", spacing_mm=(2, 2, 2))
    np.testing.assert_allclose(small.spacing, (2, 2, 2))
    expected = imaging.resample(scan, (2, 2, 2))
    np.testing.assert_array_equal(small.voxels, expected.voxels)
    np.testing.assert_array_equal(small.affine, expected.affine)
    box = apply(scan, "crop_body", margin_mm=2)
    start = np.rint(np.linalg.solve(scan.affine, box.affine)[:3, 3]).astype(int)
    part = tuple(slice(a, a + n) for a, n in zip(start, box.shape, strict=True))
    np.testing.assert_array_equal(box.voxels, scan.voxels[part])
    assert np.prod(box.shape) < np.prod(scan.shape) / 2
    bright = np.argwhere(ndimage.gaussian_filter(scan.voxels[..., 0], 1) > 90)
    assert (bright.min(0) >= start).all()
    assert (bright.max(0) < start + box.shape).all()


def test_matching_equals_scikit_image():
    from imaging.filters.steps import learn_steps

    scans = [scan_of((1.0, 1.0), noise=2.0 + n) for n in range(3)]
    (step,) = learn_steps((FilterStep("match", {"points": 64}),), lambda steps: scans)
    table = np.mean([np.percentile(s.voxels, np.linspace(0, 100, 64)) for s in scans], axis=0)
    np.testing.assert_allclose(step.parameters["quantiles"][0], table, rtol=1e-5)
    matched = apply(scans[0], "match", **step.parameters)
    reference = np.asarray(step.parameters["quantiles"][0], np.float32)[:, None]
    expected = exposure.match_histograms(scans[0].voxels[..., 0], reference)
    np.testing.assert_allclose(matched.voxels[..., 0], expected, rtol=1e-5)


def test_nyul_brings_one_scan_under_two_scales_together():
    from imaging.filters.steps import learn_steps

    scan = scan_of((1.0, 1.0, 1.0))
    bent = replace(scan, voxels=scan.voxels**1.5 * 3 + 7)
    (step,) = learn_steps((FilterStep("nyul"),), lambda steps: [scan])
    body = scan.voxels[scan.voxels > scan.voxels.min()]
    own = np.percentile(body, [1, *range(10, 100, 10), 99])
    np.testing.assert_allclose(step.parameters["landmarks"][0], (own - own[0]) / (own[-1] - own[0]) * 100, rtol=1e-4)
    first, second = (apply(each, "nyul", **step.parameters).voxels for each in (scan, bent))
    np.testing.assert_allclose(first, (scan.voxels - own[0]) / (own[-1] - own[0]) * 100, rtol=1e-3, atol=1e-3)
    assert np.abs(first - second).mean() < 1.0  # of 100, where the scans themselves are far apart
    assert get("nyul").learns


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 0.8, 2.5), (0.7, 1.4)], ids=str)
@pytest.mark.parametrize("extent", [40, 43, 47])
def test_slabs_of_adaptive_equalisation_change_nothing(monkeypatch, spacing, extent):
    from imaging.filters import contrast

    scan = scan_of(spacing, extent)
    whole = apply(scan, "clahe", tile_mm=7).voxels
    monkeypatch.setattr(contrast, "_SLAB_VOXELS", scan.voxels.size // 5)
    np.testing.assert_array_equal(apply(scan, "clahe", tile_mm=7).voxels, whole)


def test_channels_that_cancel_are_not_cropped():
    voxels = np.random.default_rng(0).random((20, 16, 1)).astype(np.float32)
    scan = Scan(np.concatenate([voxels, 1 - voxels], -1), np.eye(4))
    assert apply(scan, "crop_body").shape == scan.shape


def test_few_slices_are_no_colours():
    scan = Scan(np.random.default_rng(0).random((8, 7, 3, 1)).astype(np.float32), np.eye(4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        apply(scan, "equalise")
