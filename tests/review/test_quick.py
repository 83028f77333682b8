"""The quick way reads what the slow way reads, and leaves everything else to it."""

import gzip

import nibabel
import numpy as np
import pytest
from review_phantoms import OBLIQUE, label_file

from imaging.scan import Scan, grid_of
from review.volumes.quick import quick_labels

SHAPE = (5, 6, 4)
PAGE = grid_of(Scan(np.zeros((*SHAPE, 1)), OBLIQUE))
VOXELS = np.random.default_rng(0).integers(0, 3, SHAPE)


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", ">i2"])
@pytest.mark.parametrize("packed", [True, False])
def test_plain_integers(kind, packed):
    image = nibabel.Nifti1Image(VOXELS.astype(kind), OBLIQUE)
    content = image.to_bytes()
    labels = quick_labels(gzip.compress(content) if packed else content, PAGE)
    assert np.array_equal(labels.voxels[..., 0], VOXELS)
    assert np.array_equal(labels.affine, PAGE.affine)


def _others():
    good = label_file(VOXELS)
    yield "cut", good[:-3]
    yield "more behind it", good + b"x"
    yield "longer", gzip.compress(gzip.decompress(good) + bytes(4))
    yield "shape", label_file(VOXELS[:4])
    yield "place", label_file(VOXELS, OBLIQUE + np.eye(4) * 0.01)
    yield "real numbers", nibabel.Nifti1Image(VOXELS.astype("f4"), OBLIQUE).to_bytes()
    yield "garbage", b"x" * 500
    yield "empty", b""
    scaled = nibabel.Nifti1Image(VOXELS.astype("i2"), OBLIQUE)
    scaled.header.set_slope_inter(2, 0)
    yield "scaled", scaled.header.binaryblock + bytes(4) + VOXELS.astype("i2").tobytes(order="F")


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in _others()])
def test_everything_else_is_left(content):
    assert quick_labels(content, PAGE) is None
