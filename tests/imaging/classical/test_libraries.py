"""Every method of the registry against the function that it wraps, called directly, or against a closed form."""

import itertools

import cv2
import numpy as np
import pytest
import SimpleITK
import skimage.filters
import skimage.graph
import skimage.segmentation
import sklearn.cluster
import sklearn.mixture
from harness_methods import ball, dice
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from imaging.classical import Stroke, names, segment
from imaging.classical.graph_cut import cut
from imaging.classical.random_walker import walk
from imaging.classical.ridges import line_strength, ridge_strength
from imaging.scan import Scan

INNER = (slice(5, -5), slice(5, -5))  # libraries extend the border in other ways
SEEDS = np.full((48, 40), -1)
SEEDS[24, 20], SEEDS[4, 4] = 1, 0


def picture(noise=12.0):
    """A disc on 1 mm pixels whose intensities are 0 to 255, so that a histogram has a bin for each."""
    scan, mask = ball(2, noise=noise)
    voxels = np.rint(scan.voxels).clip(0, 255)
    voxels.flat[0], voxels.flat[1] = 0, 255
    return Scan(voxels, scan.affine), voxels[..., 0].astype(float), mask


def labels_of(name, **options):
    return segment(picture()[0], name, **options).voxels[..., 0]


def scaled(image):
    low, high = np.percentile(image, [1, 99])
    return ((image - low) / (high - low)).clip(0, 1).astype(np.float32)


def global_threshold(name):
    """The threshold lies in the same gap between two intensities, or in one beside it."""
    image = picture()[1]
    threshold = getattr(skimage.filters, f"threshold_{name}")(image.astype(np.uint8))
    labels = labels_of(name)
    differs = labels != (image > threshold)
    assert not differs[np.abs(image - threshold) >= 1.5].any()
    assert np.count_nonzero(differs) < 0.01 * labels.size


def multi_otsu():
    image = picture()[1]
    thresholds = skimage.filters.threshold_multiotsu(image, 3, nbins=128)
    np.testing.assert_array_equal(labels_of("multi-otsu"), np.digitize(image, thresholds))


def niblack():
    image = picture()[1]
    expected = image > skimage.filters.threshold_niblack(image, 9, -0.4)
    np.testing.assert_array_equal(labels_of("niblack", window_mm=9.0, k=0.4)[INNER], expected[INNER])


def sauvola():
    image = picture()[1]
    expected = image > skimage.filters.threshold_sauvola(image, 9, 0.1, np.ptp(image) / 2)
    np.testing.assert_array_equal(labels_of("sauvola", window_mm=9.0, k=0.1)[INNER], expected[INNER])


def hysteresis():
    image = picture()[1]
    expected = skimage.filters.apply_hysteresis_threshold(image, *np.percentile(image, [80, 95]))
    np.testing.assert_array_equal(labels_of("hysteresis", low=80.0, high=95.0), expected)


def ridges():
    """A line of Gaussian profile (width w): strength s² w / (w² + s²)^1.5 on it, in millimetres; a spot is no line."""
    x = (np.arange(64) - 32) * 0.5
    image = np.tile(np.exp(-(x**2) / (2 * 3.0**2))[:, None], (1, 20)).astype(np.float32)
    for sigma in (1.0, 2.0, 4.0):
        expected = pytest.approx(sigma**2 * 3.0 / (9 + sigma**2) ** 1.5, rel=0.02)
        assert ridge_strength(image, (0.5, 2.0), sigma)[32, 10] == expected
        assert line_strength(image, (0.5, 2.0), sigma, 6.0)[32, 10] == expected
    spot = np.exp(-(x[:, None] ** 2 + (np.arange(20) * 2.0 - 20) ** 2) / (2 * 3.0**2)).astype(np.float32)
    assert (
        line_strength(spot, (0.5, 2.0), 2.0, 12.0)[32, 10] < 0.6 * line_strength(image, (0.5, 2.0), 2.0, 12.0)[32, 10]
    )


def region_growing():
    image = picture()[1]
    span = np.subtract(*np.percentile(image, [99, 1]))
    seeds = np.where(SEEDS == 1, 1, -1)
    expected = skimage.segmentation.flood(image, (24, 20), connectivity=1, tolerance=0.3 * span)
    np.testing.assert_array_equal(labels_of("region-growing", seeds=seeds, tolerance=0.3), expected)


def confidence_connected():
    expected = SimpleITK.ConfidenceConnected(
        SimpleITK.GetImageFromArray(picture()[1].T.astype(np.float32)), [[24, 20]], 3, 2.5, 1, 1
    )
    expected = SimpleITK.GetArrayFromImage(expected).T
    np.testing.assert_array_equal(labels_of("confidence-connected", seeds=np.where(SEEDS == 1, 1, -1)), expected)


def watershed():
    smooth = ndimage.gaussian_filter(picture()[1].astype(np.float32), 2.0)
    slope = np.hypot(*(ndimage.correlate1d(smooth, (-0.5, 0, 0.5), axis, mode="nearest") for axis in (0, 1)))
    expected = skimage.segmentation.watershed(slope, SEEDS + 1) - 1
    assert np.mean(labels_of("watershed", seeds=SEEDS, gradient_mm=2.0) == expected) > 0.99


def grabcut():
    image = picture()[1]
    low, high = np.percentile(image, [1, 99])
    grey = np.rint(((image - low) / (high - low)).clip(0, 1) * 255).astype(np.uint8)
    mask = np.full(grey.shape, cv2.GC_BGD, np.uint8)
    mask[12:37, 8:33] = cv2.GC_PR_FGD
    cv2.setRNGSeed(0)
    models = np.zeros((2, 1, 65))
    cv2.grabCut(np.stack([grey] * 3, -1), mask, None, models[0], models[1], 5, cv2.GC_INIT_WITH_MASK)
    box = [Stroke("box", 1, ((12.0, 8.0), (36.0, 32.0)))]
    np.testing.assert_array_equal(labels_of("grabcut", seeds=box), np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)))


def random_walker():
    """Without edges and prior, the harmonic function between the seeds; scikit-image solves it too."""
    flat = np.zeros((12, 10), np.float32)
    uneven = flat + np.arange(10)  # its deviation is divided by, and then multiplied by beta
    markers = np.full(flat.shape, -1)
    markers[2, 3], markers[9, 7], markers[1, 8] = 0, 1, 2
    expected = skimage.segmentation.random_walker(uneven, markers + 1, beta=0, mode="bf", return_full_prob=True)
    ours = walk(flat, (1.0, 1.0), markers, np.full((12, 10, 3), 1 / 3), 0.0, 0.0)
    np.testing.assert_allclose(np.moveaxis(ours, -1, 0), expected, atol=0.02)


def clusters(name, model):
    image = picture()[1]
    numbers = model.fit_predict(image.reshape(-1, 1))
    order = np.argsort([image.ravel()[numbers == k].mean() for k in range(2)])
    expected = np.argsort(order)[numbers].reshape(image.shape)
    assert np.mean(labels_of(name, classes=2) == expected) > 0.995


def slic():
    expected = skimage.segmentation.slic(
        scaled(picture()[1]), 30, 0.1, max_num_iter=5, channel_axis=None, spacing=(1.0, 1.0), start_label=1
    )
    np.testing.assert_array_equal(labels_of("slic", size_mm=8.0, merge="none"), expected)


def chan_vese():
    image = scaled(picture()[1])
    start = image > skimage.filters.threshold_otsu(image, nbins=1024)
    expected = skimage.segmentation.morphological_chan_vese(image, 40, start.astype(np.int8))
    np.testing.assert_array_equal(labels_of("chan-vese"), expected)


def geodesic_contours():
    smooth = ndimage.gaussian_filter(scaled(picture()[1]), 2.5)
    slope = np.hypot(*(ndimage.correlate1d(smooth, (-0.5, 0, 0.5), axis, mode="nearest") for axis in (0, 1)))
    edges = 1 / np.sqrt(1 + 10 * (slope / (np.percentile(slope, 99.5) / 2)) ** 2)
    edges[4, 4] = 0
    start = ndimage.distance_transform_edt(SEEDS != 1) <= 3
    expected = skimage.segmentation.morphological_geodesic_active_contour(
        edges, 60, start.astype(np.int8), threshold=0.5, balloon=1
    )
    assert np.mean(labels_of("geodesic-contours", seeds=SEEDS) == expected) > 0.99


def atlas():
    """The scan itself, moved, turned and scaled by a known transform, carries its labels back."""
    scan, _, mask = picture(noise=4.0)
    affine = np.eye(4)
    affine[:2, :2] = 1.1 * np.array([[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]])
    affine[:2, 3] = 30.0, -12.0
    moved = [Scan(voxels, affine @ scan.affine) for voxels in (scan.voxels, mask[..., None].astype(np.uint8))]
    labels = labels_of("atlas", atlases=[tuple(moved)], registration="affine")
    assert dice(labels == 1, mask) > 0.95


def graph_cut():
    """A cheap boundary parts two flat halves where the edge is."""
    scan, _ = ball(2, noise=1.0)
    voxels = scan.voxels.copy()
    voxels[:20], voxels[20:] = 10, 90
    voxels += np.random.default_rng(0).normal(0, 2, voxels.shape)
    seeds = np.full(scan.shape, -1)
    seeds[5, 20], seeds[40, 20] = 0, 1
    labels = segment(Scan(voxels.astype(np.float32), scan.affine), "graph-cut", seeds=seeds, prior=0.0).voxels[..., 0]
    assert np.mean(labels == (np.arange(48) >= 20)[:, None]) > 0.97


CHECKS = {
    "otsu": lambda: global_threshold("otsu"),
    "multi-otsu": multi_otsu,
    "li": lambda: global_threshold("li"),
    "triangle": lambda: global_threshold("triangle"),
    "sauvola": sauvola,
    "niblack": niblack,
    "hysteresis": hysteresis,
    "ridges": ridges,
    "region-growing": region_growing,
    "confidence-connected": confidence_connected,
    "watershed": watershed,
    "graph-cut": graph_cut,
    "grabcut": grabcut,
    "random-walker": random_walker,
    "k-means": lambda: clusters("k-means", sklearn.cluster.KMeans(2, n_init=3, random_state=0)),
    "gaussian-mixture": lambda: clusters("gaussian-mixture", sklearn.mixture.GaussianMixture(2, random_state=0)),
    "slic": slic,
    "chan-vese": chan_vese,
    "geodesic-contours": geodesic_contours,
    "atlas": atlas,
}


@pytest.mark.parametrize("name", names())
def test_equals_the_library(name):
    CHECKS[name]()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 7))
def test_the_cut_is_minimal(seed, nodes):
    """Against all ways to part a small graph."""
    random = np.random.default_rng(seed)
    logit = random.normal(0, 2, nodes).round(3)
    inside, outside = np.zeros((2, nodes), bool)
    inside[0], outside[-1] = True, True
    pairs = np.array(list(itertools.combinations(range(nodes), 2)))
    weights = random.uniform(0, 2, len(pairs)).round(3)

    def energy(chosen):
        unary = np.where(chosen, np.maximum(-logit, 0), np.maximum(logit, 0))
        return unary[1:-1].sum() + weights[chosen[pairs[:, 0]] != chosen[pairs[:, 1]]].sum()

    ways = [np.array([True, *way, False]) for way in itertools.product((False, True), repeat=nodes - 2)]
    chosen_nodes = cut(logit, inside, outside, pairs, weights)
    assert chosen_nodes[0]
    assert not chosen_nodes[-1]
    assert energy(chosen_nodes) == pytest.approx(min(map(energy, ways)), abs=0.01)
