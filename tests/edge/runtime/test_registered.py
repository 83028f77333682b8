"""Scans that the recipe registers: what lies outside the reference's grid is background in every output."""

import dataclasses

import numpy as np
import pytest
from edge_artifacts import PLAIN
from scipy import ndimage
from scipy.spatial.transform import Rotation
from scipy.special import expit, softmax

import edge
import imaging
from edge.runtime.ensemble import Ensemble
from edge.runtime.options import Options, Outputs
from edge.runtime.segmenter import Segmenter
from imaging import Scan
from imaging.filters import FilterStep
from imaging.filters.steps import learn_steps
from imaging.instances import Decoding
from imaging.labels import Region
from imaging.recipe import Recipe

MAPS = Outputs(probabilities=True, entropy=True)
ALL = Outputs(probabilities=True, entropy=True, variance=True)
SHAPE, INNER = (32, 30, 24), (20, 18, 14)


class Linear:
    """Logits that are linear in the intensity of the voxel itself."""

    def __init__(self, slopes, offsets):
        self.slopes, self.offsets = np.array(slopes, np.float32), np.array(offsets, np.float32)

    def run(self, patch):
        """(*patch, K) of (*patch, C)."""
        return patch * self.slopes + self.offsets


def scan_of(shape, turn=0.0):
    """Three bright balls around the world's origin, turned by degrees, in a grid of 1 mm that is centred there."""
    grid = np.moveaxis(np.indices(shape), 0, -1) - (np.array(shape) - 1) / 2
    points = grid @ Rotation.from_euler("zx", [turn, turn / 2], degrees=True).as_matrix()
    voxels = sum(
        bright * np.exp(-np.square(points - centre).sum(-1) / 18)
        for centre, bright in (((4, 3, 2), 2.0), ((-5, -2, -3), 3.0), ((0, -5, 3), 1.5))
    )
    affine = np.eye(4)
    affine[:3, 3] = -(np.array(shape) - 1) / 2
    return Scan(voxels[..., None].astype(np.float32), affine)


@pytest.fixture(params=["rigid", "deformable"])
def registered(request, artifacts, tmp_path):
    """A manifest whose recipe registers a scan to a smaller reference; the scan; what lies far outside and inside."""
    imaging.write(tmp_path / "reference.nii.gz", scan_of(INNER))
    parameters = {"kind": request.param, "reference": str(tmp_path / "reference.nii.gz")}
    if request.param == "deformable":
        parameters["iterations"] = 5
    steps = learn_steps((FilterStep("register", parameters),), lambda steps: [])
    recipe = Recipe(3, normalise=PLAIN, filters=steps)
    manifest = dataclasses.replace(edge.load_manifest(artifacts["native-float"]), recipe=recipe, patch=INNER, overlap=0)
    scan = scan_of(SHAPE, turn=14)
    prepared = imaging.prepare(scan, recipe)
    assert prepared.shape == INNER
    assert (prepared.warp is not None) == (request.param == "deformable")
    world = np.moveaxis(np.indices(SHAPE), 0, -1) @ scan.affine[:3, :3].T + scan.affine[:3, 3]
    back = np.linalg.inv(prepared.affine)
    place = world @ back[:3, :3].T + back[:3, 3]
    beyond = np.maximum(-place, place - (np.array(INNER) - 1)).max(-1)  # voxels; a deformation adds less than 3
    outside, inside = beyond > 3.5, beyond < -3
    assert outside.sum() > 1000
    assert inside.sum() > 500
    return manifest, scan, outside, inside


def test_classes(registered):
    manifest, scan, outside, inside = registered
    # What a score of -1 or below everywhere would make class 2, which has the largest score of dark voxels.
    done = Segmenter(manifest, Linear([8, 4, 0], [-9, -5, -1])).predict(scan, options=Options(outputs=MAPS))
    assert (done.probabilities.voxels[outside] == [1, 0, 0]).all()
    assert (done.uncertainty["entropy"].voxels[outside] == 0).all()
    assert (done.labels.voxels[outside] == 0).all()
    chances = done.probabilities.voxels
    np.testing.assert_allclose(chances.sum(-1), 1, atol=1e-5)
    values = np.array([label.value for label in manifest.labels])
    np.testing.assert_array_equal(done.labels.voxels[..., 0], values[chances.argmax(-1)])
    assert len(np.unique(done.labels.voxels[inside])) > 1
    # Inside they are the network's own of the scan that was turned there and back.
    whole = softmax(scan.voxels * [8, 4, 0] + [-9, -5, -1], axis=-1)
    assert np.abs(chances - whole)[inside].mean() < 0.1


def test_flips_and_several_networks(registered):
    """Probabilities are averaged patch by patch then, and a score is one already."""
    manifest, scan, outside, _ = registered
    networks = Linear([8, 4, 0], [-9, -5, -1]), Linear([0, 4, 8], [0, -2, -10])
    done = Segmenter(manifest, networks[0], networks[1:]).predict(scan, options=Options((0,), outputs=ALL))
    assert (done.probabilities.voxels[outside] == [1, 0, 0]).all()
    for name in ("entropy", "variance"):
        assert (done.uncertainty[name].voxels[outside] == 0).all()
        assert done.uncertainty[name].voxels.min() >= 0
    np.testing.assert_allclose(done.probabilities.voxels.sum(-1), 1, atol=1e-5)
    assert (done.labels.voxels[outside] == 0).all()


def test_regions(registered):
    manifest, scan, outside, inside = registered
    manifest = dataclasses.replace(manifest, regions=(Region("all", (7, 300), 7), Region("rim", (300,), 300)))
    network = Linear([3, 2], [-2, -4])
    done = Segmenter(manifest, network).predict(scan, options=Options(outputs=MAPS))
    assert (done.probabilities.voxels[outside] == 0).all()
    assert (done.uncertainty["entropy"].voxels[outside] == 0).all()
    assert (done.labels.voxels[outside] == 0).all()
    assert np.abs(done.probabilities.voxels - expit(network.run(scan.voxels)))[inside].mean() < 0.1


def test_ensemble_with_a_network_that_registers_nothing(registered):
    manifest, scan, outside, _ = registered
    plain = dataclasses.replace(manifest, recipe=Recipe(3, normalise=PLAIN), patch=SHAPE)
    second = Linear([0, 1, 2], [0, 1, 0])
    together = Ensemble((Segmenter(manifest, Linear([8, 4, 0], [-9, -5, -1])), Segmenter(plain, second)))
    done = together.predict(scan, options=Options(outputs=ALL))
    expected = (np.array([1, 0, 0]) + softmax(second.run(scan.voxels), axis=-1)) / 2
    np.testing.assert_allclose(done.probabilities.voxels[outside], expected[outside], atol=1e-5)


def test_instances(registered):
    """Foreground and distance; a network that sees an object in every voxel sees none where it did not look."""
    manifest, scan, outside, inside = registered
    manifest = dataclasses.replace(manifest, instances=Decoding(), labels=manifest.labels[:2])
    done = Segmenter(manifest, Linear([1, 1], [4, 4])).predict(scan)
    labels = done.labels.voxels[..., 0]
    assert (labels[outside] == 0).all()
    assert labels[inside].any()
    assert not ndimage.binary_dilation(labels > 0)[outside].all()
