"""Networks of different recipes and patches together: the mean of their probabilities on the scan's own grid."""

import dataclasses
import json
import shutil

import nibabel
import numpy as np
import pytest
from edge_artifacts import LABELS, PLAIN, graded_scan, values_of
from scipy.ndimage import map_coordinates
from scipy.special import expit, softmax

import edge
import imaging
from edge.cli import main
from edge.runtime.ensemble import Ensemble, load_ensemble
from edge.runtime.options import Options, Outputs
from edge.runtime.region import Threshold
from edge.runtime.segmenter import Segmenter
from edge.trust.fingerprint import Fingerprint, Quality, Range
from imaging import InputError, Scan, UsageError
from imaging.cleaning import ClassCleaning, Postprocessing
from imaging.labels import Region
from imaging.recipe import Recipe
from medseg import record

ALL = Outputs(probabilities=True, entropy=True, variance=True)
OBLIQUE = nibabel.affines.from_matvec(
    nibabel.eulerangles.euler2mat(0.2, -0.1, 0.3) @ np.diag([0.8, 1.2, 2.5]), [-31.5, 12.25, 7.0]
)


class Linear:
    """A network whose logits are linear in the intensity of the voxel itself, so that tiles and flips change nothing.

    Args:
        slopes, offsets: of each class.
    """

    def __init__(self, slopes, offsets):
        self.slopes, self.offsets = np.array(slopes, np.float32), np.array(offsets, np.float32)

    def run(self, patch):
        """Logits (*patch, K) of the channel in the middle of a patch (*patch, C)."""
        return patch[..., [patch.shape[-1] // 2]] * self.slopes + self.offsets


class Sloped(Linear):
    """One whose logits grow along the first axis of the patch, so that flips differ."""

    def run(self, patch):
        """Logits (*patch, K)."""
        along = np.arange(len(patch), dtype=np.float32).reshape(-1, *[1] * (patch.ndim - 1))
        return super().run(patch) + 0.1 * along * self.slopes


@pytest.fixture
def manifest(artifacts):
    """Of a 3D network that looks at all of a scan of 20 x 18 x 12 voxels at once."""
    return dataclasses.replace(edge.load_manifest(artifacts["native-float"]), patch=(20, 18, 12), overlap=0.0)


def sliced(manifest, slices=1, spacing=None):
    """The same of a 2D network on its slices."""
    recipe = Recipe(3, orientation="SRA", normalise=PLAIN, slices=slices, spacing=spacing)
    return dataclasses.replace(manifest, recipe=recipe, patch=(8, 8), overlap=0.5)


def on_grid(scores, prepared, scan):
    """Scores of a prepared scan at the voxels of the scan, by SciPy's linear interpolation."""
    places = np.stack(np.meshgrid(*map(np.arange, scan.shape), indexing="ij")).reshape(3, -1)
    matrix = np.linalg.inv(prepared.affine) @ scan.affine
    there = matrix[:3, :3] @ places + matrix[:3, 3:]
    values = [map_coordinates(scores[..., k], there, order=1, mode="nearest") for k in range(scores.shape[-1])]
    return np.stack(values, -1).reshape(*scan.shape, -1)


@pytest.mark.parametrize("spacing", [None, (2.5, 1.7, 2.0)], ids=["same grid", "resampled"])
def test_the_mean_is_that_of_the_probabilities_on_the_scans_grid(manifest, spacing):
    whole = Segmenter(manifest, Linear([0, 4, 8], [0, -2, -10]))
    flat = Segmenter(sliced(manifest, 3, spacing), Linear([0, -3, 2], [0.5, 1, -1]))
    scan = Scan(np.random.default_rng(0).uniform(-1, 3, (20, 18, 12, 1)).astype(np.float32), OBLIQUE)
    segmentation = Ensemble((whole, flat)).predict(scan, options=Options(outputs=ALL))
    prepared = imaging.prepare(scan, flat.manifest.recipe)
    first = softmax(scan.voxels * [0, 4, 8] + [0, -2, -10], axis=-1)
    second = softmax(on_grid(prepared.voxels * [0, -3, 2] + [0.5, 1, -1], prepared, scan), axis=-1)
    mean = (first + second) / 2
    np.testing.assert_allclose(segmentation.probabilities.voxels, mean, atol=2e-5)
    np.testing.assert_allclose(segmentation.probabilities.affine, OBLIQUE)
    sure = np.diff(np.sort(mean, axis=-1)[..., 1:], axis=-1)[..., 0] > 1e-4
    expected = np.array([label.value for label in LABELS])[mean.argmax(-1)]
    np.testing.assert_array_equal(segmentation.labels.voxels[..., 0][sure], expected[sure])
    assert len(np.unique(expected)) == 3
    np.testing.assert_allclose(
        segmentation.uncertainty["entropy"].voxels[..., 0], -(mean * np.log(mean)).sum(-1) / np.log(3), atol=1e-4
    )
    variance = (np.square(first - mean) + np.square(second - mean)).sum(-1) / 2
    np.testing.assert_allclose(segmentation.uncertainty["variance"].voxels[..., 0], variance, atol=1e-4)


def test_flips_are_those_of_each_network_and_every_network_counts_alike(manifest):
    slope = Sloped([0, 1, -2], [0, 0.2, 0.1])
    whole = Segmenter(manifest, slope)
    images = dataclasses.replace(sliced(manifest), patch=(20, 18))
    flat = Segmenter(images, Linear([0, 2, 1], [0, 0, 0]), (Linear([0, -1, 1], [1, 0, 0]),))
    scan = Scan(np.random.default_rng(1).uniform(-1, 3, (20, 18, 12, 1)).astype(np.float32), np.eye(4))
    segmentation = Ensemble((whole, flat)).predict(scan, options=Options((0, 1, 2), outputs=ALL))
    voxels = scan.voxels
    ways = [softmax(slope.run(voxels), -1), softmax(slope.run(voxels[::-1])[::-1], -1)]
    twos = [softmax(network.run(voxels), -1) for network in (flat.runner, *flat.others)]
    mean = (np.mean(ways, axis=0) + sum(twos)) / 3
    np.testing.assert_allclose(segmentation.probabilities.voxels, mean, atol=1e-5)
    squares = (np.mean(np.square(ways), axis=0) + sum(map(np.square, twos))) / 3
    np.testing.assert_allclose(
        segmentation.uncertainty["variance"].voxels[..., 0], (squares - np.square(mean)).sum(-1), atol=1e-5
    )
    with pytest.raises(UsageError, match="the networks have different axes"):
        Ensemble((whole, flat)).predict(scan, options=Options((0,)))


def test_regions_are_where_the_mean_probability_is_above_a_half(manifest):
    regions = (Region("all", (7, 300), 7), Region("rim", (300,), 300))
    both = dataclasses.replace(manifest, regions=regions), dataclasses.replace(sliced(manifest), regions=regions)
    networks = Linear([3, 2], [-2, -4]), Linear([-1, 4], [1, -5])
    scan = Scan(np.random.default_rng(2).uniform(-1, 3, (20, 18, 12, 1)).astype(np.float32), np.eye(4))
    segmentation = Ensemble(tuple(map(Segmenter, both, networks))).predict(scan, options=Options(outputs=ALL))
    mean = sum(expit(network.run(scan.voxels)) for network in networks) / 2
    np.testing.assert_allclose(segmentation.probabilities.voxels, mean, atol=1e-5)
    expected = np.where(mean[..., 1] > 0.5, 300, np.where(mean[..., 0] > 0.5, 7, 0))
    np.testing.assert_array_equal(segmentation.labels.voxels[..., 0], expected)
    assert set(np.unique(expected)) == {0, 7, 300}


def test_what_one_network_cropped_away_is_its_background(manifest):
    recipe = dataclasses.replace(manifest.recipe, crop_nonzero=True)
    cropping = Segmenter(dataclasses.replace(manifest, recipe=recipe), Linear([0, 0, 0], [0, 2, 0]))
    flat = Segmenter(sliced(manifest), Linear([0, 0, 0], [0, 0, 3]))
    voxels = np.zeros((20, 18, 12, 1), np.float32)
    voxels[4:, 2:, 3:] = 1
    segmentation = Ensemble((cropping, flat)).predict(Scan(voxels, np.eye(4)), options=Options(outputs=ALL))
    outside = (np.array([1, 0, 0]) + softmax([0, 0, 3])) / 2
    np.testing.assert_allclose(segmentation.probabilities.voxels[0, 0, 0], outside, atol=1e-6)
    np.testing.assert_allclose(
        segmentation.probabilities.voxels[9, 9, 9], (softmax([0, 2, 0]) + softmax([0, 0, 3])) / 2, atol=1e-6
    )


def test_flags_of_all_and_the_lowest_predicted_quality(manifest):
    def known(name, intercept):
        ranges = {name: Range(1000.0, 1001.0)}
        return Fingerprint(9, ranges, Quality(("confidence", "entropy", "unsure"), (0.0, 0.0, 0.0), intercept, 0.1, 9))

    whole = Segmenter(dataclasses.replace(manifest, training=known("detail", 0.9)), Linear([0, 4, 8], [0, -2, -10]))
    images = dataclasses.replace(sliced(manifest), training=known("volume of core", 0.4))
    flat = Segmenter(images, Linear([0, 4, 8], [0, -2, -10]))
    scan = Scan(graded_scan((20, 18, 12))[..., None], np.eye(4))
    segmentation = Ensemble((whole, flat)).predict(scan)
    assert [segmenter.predict(scan).flags for segmenter in (whole, flat)] == [
        segmentation.flags[:1],
        segmentation.flags[1:],
    ]
    assert (len(segmentation.flags), segmentation.quality.dice) == (2, 0.4)


@pytest.fixture
def pair(artifacts, tmp_path):
    """A 3D artifact, and the flat one as if it took volumes slice by slice."""
    folder = tmp_path / "slices"
    folder.mkdir()
    for path in artifacts["flat-int8"].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    recipe = Recipe(3, orientation="SRA", normalise=PLAIN, slices=1)
    record.save(folder / "manifest.json", dataclasses.replace(edge.load_manifest(folder), recipe=recipe))
    return artifacts["native-float"], folder


def test_artifacts_of_two_and_three_dimensions_on_the_command_line(pair, tmp_path, capfd):
    intensity = graded_scan((21, 18, 12))
    affine = np.diag([-1.0, 2.0, 1.5, 1])
    nibabel.save(nibabel.Nifti1Image(intensity, affine), tmp_path / "scan.nii.gz")
    joined, out = ",".join(map(str, pair)), tmp_path / "seg.nii.gz"
    words = [joined, str(tmp_path / "scan.nii.gz"), "-o", str(out)]
    assert main(["predict", *words, "--mirror", "--json", "--save", "probabilities,variance"]) == 0
    (reported,) = json.loads(capfd.readouterr().out)["scans"]
    written = nibabel.load(out)
    np.testing.assert_array_equal(np.asarray(written.dataobj), values_of(intensity))
    np.testing.assert_allclose(written.affine, affine)
    assert {"prepare", "network", "restore"} == set(reported["stages"])
    assert main(["predict", *words, "--mirror", "0"]) == 2
    assert "--mirror 0: the artifacts have different axes; give --mirror alone" in capfd.readouterr().err


def test_regions_of_interest_and_progress(pair):
    intensity = np.zeros((30, 26, 14), np.float32)
    intensity[12:20, 8:20, 3:9] = 3.0
    intensity[:2, :2, :2] = 3.0
    together = load_ensemble(pair)
    calls = []
    options = Options(region=Threshold(1.0, 2.0))
    labels = together.predict(intensity, lambda *now: calls.append(now), (1, 1, 1), options).labels.voxels[..., 0]
    expected = values_of(intensity)
    expected[:2, :2, :2] = 0
    np.testing.assert_array_equal(labels, expected)
    assert calls[-1][0] == calls[-1][1]
    assert all(done <= total for done, total in calls)
    outcomes = list(together.predict_many([Scan(intensity[..., None], np.eye(4))] * 3))
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert (outcomes[2].segmentation.labels.voxels[..., 0] == values_of(intensity)).all()


def test_artifacts_of_the_same_patch_are_averaged_patch_by_patch_still(artifacts, pair):
    together = load_ensemble([artifacts["folded-int8"], pair[1], artifacts["folded-uint8"]])
    assert [1 + len(member.others) for member in together.members] == [2, 1]
    assert len(together.others) == 2


def test_artifacts_that_cannot_be_averaged_are_named(artifacts, pair):
    with pytest.raises(InputError, match=r"flat-int8: recipe.rank differs from that of .*native-float"):
        load_ensemble([artifacts["native-float"], artifacts["flat-int8"]])
    manifest = edge.load_manifest(pair[1])
    labels = (*manifest.labels[:-1], dataclasses.replace(manifest.labels[-1], name="rind"))
    record.save(pair[1] / "manifest.json", dataclasses.replace(manifest, labels=labels))
    with pytest.raises(InputError, match="slices: labels differs"):
        load_ensemble(pair)


def test_what_all_networks_clean_up_alike_is_cleaned_up(pair, tmp_path):
    pair = [shutil.copytree(folder, tmp_path / f"own{number}") for number, folder in enumerate(pair)]
    core, rim = ClassCleaning("core", largest=True), ClassCleaning("rim", min_volume_mm3=3.0)
    for chosen, shared in (
        (((core, rim), (rim, core)), (core, rim)),
        (((core, rim), (core,)), (core,)),
        (((core,), ()), ()),
        (((rim,), (dataclasses.replace(rim, min_volume_mm3=4.0),)), ()),
    ):
        for folder, classes in zip(pair, chosen, strict=True):
            manifest = edge.load_manifest(folder)
            record.save(folder / "manifest.json", dataclasses.replace(manifest, postprocessing=Postprocessing(classes)))
        assert load_ensemble(pair).manifest.postprocessing == Postprocessing(shared)
