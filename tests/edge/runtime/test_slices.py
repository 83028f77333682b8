"""Volumes through 2D networks on the device, slice by slice, back in the scan's own geometry."""

import dataclasses

import nibabel
import numpy as np
import pytest
from dicom_files import write_series
from edge_artifacts import LABELS, PLAIN, graded_scan, values_of

import edge
import imaging
from edge.cli import main
from edge.runtime.ensemble import Ensemble
from edge.runtime.litert import LiteRTRunner
from edge.runtime.options import Options, Outputs
from edge.runtime.region import Threshold
from edge.runtime.segmenter import Segmenter
from edge.trust import vector
from imaging import InputError, Scan, UsageError
from imaging.recipe import Recipe
from medseg import record
from zoo.commands.evaluate import open_artifact

SLICES = Recipe(3, orientation="SRA", normalise=PLAIN, slices=1)
OBLIQUE = nibabel.affines.from_matvec(
    nibabel.eulerangles.euler2mat(0.2, -0.1, 0.3) @ np.diag([0.8, 1.2, 9.5]), [-31.5, 12.25, 7.0]
)
PERMUTED = np.array([[0, 0, -2.0, 40], [9.5, 0, 0, -9], [0, -1.0, 0, 3], [0, 0, 0, 1]])


@pytest.fixture
def sliced(artifacts, tmp_path):
    """A copy of the flat int8 artifact, whose manifest says that it takes volumes slice by slice."""
    folder = tmp_path / "sliced"
    folder.mkdir()
    for path in artifacts["flat-int8"].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    record.save(folder / "manifest.json", dataclasses.replace(edge.load_manifest(folder), recipe=SLICES))
    return folder


class Neighbours:
    """A network of three slices and two classes: whether the slice before (S) is brighter than the one after."""

    def run(self, patch):
        """Logits (H, W, 2) of a patch (H, W, 3)."""
        return np.stack([patch[..., 2], patch[..., 0]], axis=-1)


@pytest.mark.parametrize(
    ("shape", "affine"),
    [((16, 24, 5), np.eye(4)), ((20, 41, 18), PERMUTED), ((9, 7, 1), OBLIQUE), ((40, 13, 4), OBLIQUE)],
    ids=["one patch", "flipped and permuted", "one slice", "tiles and padding"],
)
def test_every_voxel_is_where_it_was(sliced, shape, affine):
    intensity = graded_scan(shape)
    segmentation = edge.load(sliced).predict(Scan(intensity[..., None], affine))
    np.testing.assert_array_equal(segmentation.labels.voxels[..., 0], values_of(intensity))
    np.testing.assert_array_equal(segmentation.labels.affine, affine)
    assert segmentation.volumes_ml
    assert not segmentation.areas_mm2


def test_a_volume_is_its_slices_one_by_one(sliced, artifacts):
    intensity = np.random.default_rng(1).uniform(-1, 4, (30, 40, 6)).astype(np.float32)
    labels = edge.load(sliced).predict(intensity, spacing=(0.7, 0.8, 9.0)).labels.voxels[..., 0]
    flat = edge.load(artifacts["flat-int8"])
    for index in range(6):
        alone = flat.predict(intensity[:, :, index]).labels.voxels[..., 0]
        np.testing.assert_array_equal(labels[:, :, index], alone)


def test_neighbours_are_those_of_the_scan(sliced):
    manifest = edge.load_manifest(sliced)
    shape = (1, *manifest.patch, 3)
    manifest = dataclasses.replace(
        manifest,
        recipe=dataclasses.replace(SLICES, slices=3),
        labels=LABELS[:2],
        input=dataclasses.replace(manifest.input, shape=shape),
        output=dataclasses.replace(manifest.output, shape=(*shape[:-1], 2)),
    )
    intensity = np.random.default_rng(0).permutation(20 * 30 * 4).reshape(20, 30, 4).astype(np.float32)
    segmenter = Segmenter(manifest, Neighbours())
    labels = segmenter.predict(Scan(intensity[..., None], OBLIQUE)).labels.voxels[..., 0]
    padded = np.pad(intensity, ((0, 0), (0, 0), (1, 1)), mode="edge")
    np.testing.assert_array_equal(labels, np.where(padded[..., :-2] > padded[..., 2:], LABELS[1].value, 0))


def test_flips_are_of_the_plane(sliced):
    segmenter, intensity = edge.load(sliced), graded_scan((20, 41, 5))
    options = Options(mirror=(0, 1), outputs=Outputs(probabilities=True, variance=True))
    segmentation = segmenter.predict(Scan(intensity[..., None], OBLIQUE), options=options)
    np.testing.assert_array_equal(segmentation.labels.voxels[..., 0], values_of(intensity))
    assert segmentation.probabilities.voxels.shape == (20, 41, 5, 3)
    with pytest.raises(UsageError, match="expected axes from 0 to 1"):
        segmenter.predict(Scan(intensity[..., None], OBLIQUE), options=Options(mirror=(2,)))


class Leaning:
    """A network that finds a class more likely the further along the first axis a pixel lies."""

    def run(self, patch):
        """Logits (H, W, 3) of a patch (H, W, 1)."""
        along = np.arange(len(patch), dtype=np.float32)[:, None]
        return np.stack([0 * patch[..., 0], patch[..., 0] + 0.2 * along - 2, 0 * patch[..., 0] - 9], axis=-1)


def test_an_artifact_averages_over_its_own_flips(sliced):
    scan = Scan(graded_scan((20, 41, 5))[..., None], OBLIQUE)
    plain = Segmenter(edge.load_manifest(sliced), Leaning())
    averaging = Segmenter(dataclasses.replace(plain.manifest, mirror=(0,)), Leaning())
    outputs = Outputs(probabilities=True)

    def chances(segmenter, mirror):
        options = Options(mirror=mirror, outputs=outputs)
        return segmenter.predict(scan, options=options).probabilities.voxels

    asked, own, none = chances(plain, (0,)), chances(averaging, None), chances(averaging, ())
    np.testing.assert_array_equal(own, asked)
    np.testing.assert_array_equal(none, chances(plain, None))
    assert np.abs(own - none).max() > 0.1
    both = Ensemble((averaging, plain)).predict(scan, options=Options(outputs=outputs)).probabilities.voxels
    np.testing.assert_allclose(both, (own + none) / 2, atol=1e-6)  # each its own
    neither = Ensemble((averaging, plain)).predict(scan, options=Options((), outputs=outputs)).probabilities.voxels
    np.testing.assert_allclose(neither, none, atol=1e-6)
    averaging.predict(scan, options=Options(outputs=Outputs(variance=True)))  # there are flips to vary over
    with pytest.raises(UsageError, match="variance: is over flips"):
        averaging.predict(scan, options=Options((), outputs=Outputs(variance=True)))


def test_flips_on_the_command_line(sliced, tmp_path, capsys):
    manifest = edge.load_manifest(sliced)
    record.save(sliced / "manifest.json", dataclasses.replace(manifest, mirror=(0, 1)))
    intensity = graded_scan((20, 31, 4))
    nibabel.save(nibabel.Nifti1Image(intensity, OBLIQUE), tmp_path / "scan.nii.gz")
    words = ["predict", str(sliced), str(tmp_path / "scan.nii.gz"), "-o", str(tmp_path / "out.nii.gz")]
    assert main([*words, "--save", "variance"]) == 0
    assert main([*words, "--save", "variance", "--no-mirror"]) == 2
    assert "variance: is over flips or networks" in capsys.readouterr().err
    assert main(["info", str(sliced)]) == 0
    assert "averaged along axes 0, 1 of the patch" in capsys.readouterr().out


def test_an_external_test_averages_as_the_artifact_does(sliced):
    scan = Scan(graded_scan((20, 31, 4))[..., None], OBLIQUE)
    with pytest.raises(UsageError, match=r"--mirror: .* was exported without flips"):
        open_artifact(sliced, mirror=True)
    one_pass = open_artifact(sliced)
    record.save(sliced / "manifest.json", dataclasses.replace(edge.load_manifest(sliced), mirror=(0,)))
    averaged = [open_artifact(sliced, mirror=mirror) for mirror in (None, True)]
    assert {candidate.kind for candidate in averaged} == {"artifact, tflite-int8, averaged over flips"}
    assert open_artifact(sliced, mirror=False).kind == one_pass.kind == "artifact, tflite-int8"
    passes = []

    def counted(segmenter, patch, run=LiteRTRunner.run):
        passes.append(patch.shape)
        return run(segmenter, patch)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(LiteRTRunner, "run", counted)
        counts = []
        for candidate in (*averaged, open_artifact(sliced, mirror=False)):
            passes.clear()
            candidate.segment(scan)
            counts.append(len(passes))
    assert counts[0] == counts[1] == 2 * counts[2] > 0


def test_a_manifest_of_strange_flips(sliced):
    for mirror in ((2,), (0, 0), (-1,)):
        manifest = dataclasses.replace(edge.load_manifest(sliced, verify=False), mirror=())
        record.save(sliced / "manifest.json", dataclasses.replace(manifest, mirror=mirror))
        with pytest.raises(InputError, match=r"manifest.json: mirror .*: expected different axes from 0 to 1"):
            edge.load_manifest(sliced)
        record.save(sliced / "manifest.json", manifest)


def test_a_region_of_some_slices(sliced):
    intensity = np.zeros((40, 60, 9), np.float32)
    intensity[12:20, 30:44, 4:6] = 3
    options, calls = Options(region=Threshold(2.0, 1.0)), []
    segmenter = edge.load(sliced)
    scan = Scan(intensity[..., None], np.diag([1, 1, 8.0, 1]))
    segmentation = segmenter.predict(scan, lambda done, count: calls.append(count), options=options)
    np.testing.assert_array_equal(segmentation.labels.voxels[..., 0], values_of(intensity))
    assert calls[0] <= 4 * 4 < 9 * 4  # slices and tiles of the box alone


def test_files(sliced, tmp_path, capsys):
    intensity = graded_scan((20, 31, 4))
    nibabel.save(nibabel.Nifti1Image(intensity, OBLIQUE), tmp_path / "scan.nii.gz")
    out = tmp_path / "out.nii.gz"
    assert main(["predict", str(sliced), str(tmp_path / "scan.nii.gz"), "-o", str(out)]) == 0
    written = nibabel.load(out)
    np.testing.assert_allclose(written.affine, OBLIQUE, atol=1e-5)
    np.testing.assert_array_equal(written.get_fdata(), values_of(intensity))
    assert main(["info", str(sliced)]) == 0
    assert "3D, slice by slice, SRA" in capsys.readouterr().out
    imaging.write(tmp_path / "flat.png", Scan(np.zeros((8, 8, 1), np.uint8), np.eye(4)))
    assert main(["predict", str(sliced), str(tmp_path / "flat.png"), "-o", str(out)]) == 1
    assert "has 2 spatial axes, flat-int8 takes 3; give a 3D scan" in capsys.readouterr().err


def test_the_test_vector_is_of_several_slices(sliced, tmp_path):
    segmenter = edge.load(sliced)
    made = vector.make(segmenter)
    assert made.prepared.shape[0] > 1
    assert made.prepared.shape[1] > segmenter.manifest.patch[0]
    assert made.prepared.shape[2] < segmenter.manifest.patch[1]
    vector.write(tmp_path / vector.NAME, made)
    assert vector.compare(segmenter, vector.read(tmp_path / vector.NAME)).equal


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch": (16, 24, 1)}, r"patch \(16, 24, 1\): expected 2 positive numbers, as the recipe has slices 1"),
        ({"recipe": dataclasses.replace(SLICES, slices=2)}, "recipe slices 2: expected an odd number"),
        ({"recipe": dataclasses.replace(SLICES, slices=3)}, r"input.shape \(1, 16, 24, 1\): .* it is \(1, 16, 24, 3\)"),
        ({"folded": True}, "folded: expected networks of rank 3 only, this one has rank 2"),
        ({"form": "height"}, "form 'height': expected networks of rank 3"),
    ],
)
def test_manifests_that_contradict_themselves(sliced, changes, message):
    record.save(sliced / "manifest.json", dataclasses.replace(edge.load_manifest(sliced), **changes))
    with pytest.raises(InputError, match=message):
        edge.load_manifest(sliced)


def test_a_dicom_series_is_a_volume(sliced, tmp_path):
    intensity = graded_scan((20, 31, 4))
    series = write_series(tmp_path / "series", intensity.astype(np.int16), step=9.0)
    out = tmp_path / "out.nii.gz"
    assert main(["predict", str(sliced), str(series), "-o", str(out)]) == 0
    scan = imaging.read(series)
    written = imaging.read_labels(out)
    np.testing.assert_allclose(written.affine, scan.affine, atol=1e-5)
    np.testing.assert_array_equal(written.voxels, values_of(scan.voxels))
