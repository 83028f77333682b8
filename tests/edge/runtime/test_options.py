"""Flips, ensembles, regions of interest, and what is kept beside the labels."""

import dataclasses
import threading

import numpy as np
import pytest
from edge_artifacts import LABELS, classes_of, graded_scan, values_of

import edge
from edge.runtime.ensemble import load_ensemble
from edge.runtime.options import Options, Outputs, parse_mirror, parse_outputs
from edge.runtime.patches import entropy, patch_scores, reuse_constant, softmax
from edge.runtime.region import Coarse, Threshold, parse_threshold
from edge.runtime.runner import Runner
from imaging.scan import Scan
from medseg.errors import InputError, UsageError
from medseg.progress import CancelledError

ALL = Outputs(probabilities=True, entropy=True)


class Leaning(Runner):
    """A network that adds to class 1 what a voxel's place along the first axis is, so that flips differ."""

    def __init__(self, slope):
        self.slope = slope

    def run(self, patch):
        place = np.broadcast_to(np.arange(len(patch))[:, None, None, None] * self.slope, patch.shape)
        return np.concatenate([np.zeros_like(patch), patch + place], axis=-1).astype(np.float32)


def test_probabilities_and_entropy_are_those_of_the_logits(artifacts):
    intensity = graded_scan((20, 18, 13))
    affine = np.diag([-1.0, 2.0, 1.5, 1])
    segmentation = edge.load(artifacts["native-float"]).predict(
        Scan(intensity[..., None], affine), options=Options(outputs=ALL)
    )
    logits = np.stack([0 * intensity, 4 * intensity - 2, 8 * intensity - 10], -1).astype(np.float64)
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(segmentation.probabilities.voxels, chances, atol=1e-5)
    expected = -(chances * np.log(chances)).sum(-1) / np.log(3)
    np.testing.assert_allclose(segmentation.uncertainty["entropy"].voxels[..., 0], expected, atol=1e-5)
    np.testing.assert_array_equal(segmentation.labels.voxels[..., 0], values_of(intensity))
    np.testing.assert_array_equal(segmentation.probabilities.affine, affine)


def test_what_was_cropped_away_is_certainly_background(artifacts):
    intensity = np.zeros((14, 20, 13), np.float32)
    intensity[3:12, 2:18, 1:12] = 3.0
    segmenter = edge.load(artifacts["native-float"])
    recipe = dataclasses.replace(segmenter.manifest.recipe, crop_nonzero=True)
    segmenter = dataclasses.replace(segmenter, manifest=dataclasses.replace(segmenter.manifest, recipe=recipe))
    segmentation = segmenter.predict(intensity, spacing=(1, 1, 1), options=Options(outputs=ALL))
    assert (segmentation.probabilities.voxels[0] == [1, 0, 0]).all()
    assert (segmentation.uncertainty["entropy"].voxels[0] == 0).all()


def test_entropy_goes_from_none_to_one():
    np.testing.assert_allclose(entropy(np.array([[1.0, 0, 0], [1 / 3] * 3], np.float32)), [0, 1], atol=1e-6)
    np.testing.assert_allclose(entropy(np.array([[1.0, 0.5]], np.float32), regions=True), [0.5], atol=1e-6)


def test_flips_are_averaged_and_turned_back():
    patch = np.random.default_rng(0).normal(size=(5, 4, 3, 1)).astype(np.float32)
    network = Leaning(0.5)
    expected = (softmax(network.run(patch)) + softmax(network.run(patch[::-1]))[::-1]) / 2
    np.testing.assert_allclose(patch_scores([network], (0,))(patch), expected, atol=1e-6)
    assert patch_scores([network], ())(patch).min() < 0  # logits, as they are
    both = patch_scores([network, Leaning(-1.0)], (0, 2), variance=True)(patch)
    runs = [
        np.flip(softmax(net.run(np.flip(patch, axes))), axes)
        for axes in [(), (0,), (2,), (0, 2)]
        for net in (network, Leaning(-1.0))
    ]
    np.testing.assert_allclose(both[..., :2], np.mean(runs, axis=0), atol=1e-6)
    np.testing.assert_allclose(both[..., 2], np.var(runs, axis=0).sum(-1), atol=1e-6)


def test_mean_logits_of_regions():
    patch = np.random.default_rng(0).normal(size=(5, 4, 3, 1)).astype(np.float32)
    networks = [Leaning(0.5), Leaning(1.5)]
    expected = np.mean([network.run(patch) for network in networks], axis=0)
    np.testing.assert_allclose(patch_scores(networks, regions=True)(patch), expected, atol=1e-6)


def test_an_ensemble_of_one_artifact_twice_answers_as_that(artifacts):
    intensity = graded_scan((11, 18, 12))
    ensemble = load_ensemble([artifacts["folded-int8"], artifacts["folded-uint8"]])
    segmentation = ensemble.predict(
        intensity, spacing=(1, 1, 1), options=Options((0, 1), outputs=Outputs(variance=True, probabilities=True))
    )
    np.testing.assert_array_equal(segmentation.labels.voxels[..., 0], values_of(intensity))
    np.testing.assert_allclose(segmentation.probabilities.voxels.sum(-1), 1, atol=1e-5)
    assert segmentation.uncertainty["variance"].voxels.max() < 0.01  # the networks agree but for rounding


def test_artifacts_that_differ_are_no_ensemble(artifacts):
    with pytest.raises(InputError, match=r"recipe.rank differs from that of"):
        load_ensemble([artifacts["folded-int8"], artifacts["flat-int8"]])


def test_a_patch_of_one_value_is_computed_once_in_a_row():
    seen = []
    run = reuse_constant(lambda patch: seen.append(patch) or patch + 1)
    air, tissue, mixed = np.zeros((2, 2, 1)), np.full((2, 2, 1), 3.0), np.arange(4.0).reshape(2, 2, 1)
    for patch in (air, air, tissue, mixed, tissue, air, air):
        np.testing.assert_array_equal(run(patch.copy()), patch + 1)
    assert len(seen) == 4


def test_a_region_of_interest_hides_what_lies_elsewhere(artifacts):
    intensity = np.zeros((40, 40, 30), np.float32)
    intensity[20:32, 10:30, 8:22] = 3.0
    intensity[1:3, 1:3, 1:3] = 3.0  # smaller, far away
    segmenter = edge.load(artifacts["folded-int8"])
    scan = Scan(intensity[..., None], np.array([[0, 0, -2.0, 40], [1.5, 0, 0, -9], [0, -1.0, 0, 3], [0, 0, 0, 1]]))
    expected = values_of(intensity)
    expected[1:3, 1:3, 1:3] = 0
    calls = []
    whole = segmenter.predict(scan, lambda *now: calls.append(now)).labels.voxels[..., 0]
    everywhere = calls[-1][1]
    np.testing.assert_array_equal(whole, values_of(intensity))
    for region in (Threshold(1.0, 2.0), Coarse(segmenter, 2.0)):
        wide = region.find(scan)
        assert all(s.start >= 0 and s.stop <= n for s, n in zip(wide, scan.shape, strict=True))
    segmentation = segmenter.predict(scan, lambda *now: calls.append(now), options=Options(region=Threshold(1.0, 2.0)))
    np.testing.assert_array_equal(segmentation.labels.voxels[..., 0], expected)
    assert calls[-1][1] < everywhere


@pytest.mark.parametrize("step", [1, 3])
def test_the_box_of_a_threshold_holds_all_of_its_part(step):
    shape = (128 * step, 20, 10)
    voxels = np.zeros((*shape, 1), np.float32)
    voxels[20 * step : 40 * step, 4:9, 2:7] = 1
    box = Threshold(0.5, 0.0).find(Scan(voxels, np.eye(4)))
    assert box[0].start <= 20 * step
    assert box[0].stop >= 40 * step
    assert box[0].stop - box[0].start <= 20 * step + 2 * step
    assert box[1:] == (slice(4, 9), slice(2, 7))


def test_a_threshold_finds_what_lies_between_the_voxels_that_are_looked_at_first():
    voxels = np.zeros((300, 20, 10, 1), np.float32)
    voxels[100:102, 7:9, 3] = 1  # of every third
    assert Threshold(0.5, 0.0).find(Scan(voxels, np.eye(4))) == (slice(100, 102), slice(7, 9), slice(3, 4))


def test_a_region_where_nothing_is(artifacts):
    segmenter = edge.load(artifacts["folded-int8"])
    scan = Scan(np.zeros((20, 20, 20, 1), np.float32), np.eye(4))
    with pytest.raises(InputError, match=r"threshold:1: no voxel is above it \(the largest is 0\); lower it"):
        segmenter.predict(scan, options=Options(region=Threshold(1.0)))
    with pytest.raises(InputError, match="folded-int8: found nothing in the scan"):
        segmenter.predict(scan, options=Options(region=Coarse(segmenter)))


def test_cancelled_in_mid_flight(artifacts):
    segmenter, stop = edge.load(artifacts["folded-int8"]), threading.Event()
    scan = Scan(graded_scan((20, 40, 30))[..., None], np.eye(4))
    seen = []

    def progress(done, total):
        seen.append(done)
        if done == 2:
            stop.set()

    with pytest.raises(CancelledError, match="folded-int8: cancelled"):
        segmenter.predict(scan, progress, cancel=stop)
    assert seen == [1, 2]
    with pytest.raises(CancelledError):
        segmenter.predict(scan, cancel=lambda: True)


def test_names_of_options():
    assert parse_outputs("entropy, boxes") == Outputs(entropy=True, boxes=True)
    assert parse_outputs("") == Outputs()
    assert parse_mirror("all", 3) == (0, 1, 2)
    assert parse_mirror("2,0", 3) == (0, 2)
    assert parse_mirror("none", 3) == ()
    assert parse_threshold("threshold:-300", 5) == Threshold(-300.0, 5)
    assert parse_threshold("artifacts/coarse") is None


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: parse_outputs("heat"), "--save heat: expected some of probabilities, entropy"),
        (lambda: parse_mirror("3", 3), "expected all, none, or axes from 0 to 2"),
        (lambda: parse_mirror("x", 3), "expected all"),
        (lambda: parse_mirror("0,0", 3), "expected all"),
        (lambda: parse_threshold("threshold:high"), "expected a number after threshold:"),
        (lambda: parse_threshold("threshold:nan"), "expected a number"),
    ],
)
def test_wrong_names(ask, message):
    with pytest.raises(UsageError, match=message):
        ask()


def test_options_that_do_not_fit(artifacts):
    segmenter = edge.load(artifacts["folded-int8"])
    with pytest.raises(UsageError, match="variance: is over flips or networks"):
        segmenter.predict(np.zeros((9, 9, 9)), spacing=(1, 1, 1), options=Options(outputs=Outputs(variance=True)))
    with pytest.raises(UsageError, match="expected axes from 0 to 2"):
        segmenter.predict(np.zeros((9, 9, 9)), spacing=(1, 1, 1), options=Options(mirror=(3,)))


def test_many_scans_in_order_with_errors_as_values(artifacts):
    segmenter, drawn = edge.load(artifacts["folded-int8"]), []

    def scans():
        for seed in range(7):
            drawn.append(seed)
            voxels = graded_scan((9, 17, 12), seed)
            yield Scan(np.full((9, 9, 9, 1), np.nan) if seed == 3 else voxels[..., None], np.eye(4))

    outcomes = segmenter.predict_many(scans(), workers=2)
    first = next(outcomes)
    assert len(drawn) <= 4  # no more than twice the workers
    in_order = [first, *outcomes]
    for seed, outcome in enumerate(in_order):
        if seed == 3:
            assert outcome.segmentation is None
            assert "NaN or infinite" in str(outcome.error)
            continue
        assert outcome.error is None
        expected = np.array([label.value for label in LABELS])[classes_of(graded_scan((9, 17, 12), seed))]
        np.testing.assert_array_equal(outcome.segmentation.labels.voxels[..., 0], expected)


def test_many_scans_stop_when_nobody_takes_more(artifacts):
    segmenter, drawn = edge.load(artifacts["folded-int8"]), []
    scans = (drawn.append(n) or np.zeros((9, 9)) for n in range(1000))
    outcomes = segmenter.predict_many(scans, workers=2)
    next(outcomes)
    outcomes.close()
    assert len(drawn) <= 5
    with pytest.raises(UsageError, match="workers 0"):
        segmenter.predict_many([], workers=0)
    with pytest.raises(CancelledError):
        list(segmenter.predict_many([Scan(np.zeros((9, 9, 9, 1)), np.eye(4))], cancel=lambda: True))
