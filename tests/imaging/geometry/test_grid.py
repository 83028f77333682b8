import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imaging
from imaging import InputError, Scan
from imaging.geometry.affine import moved
from imaging.geometry.grid import grid_distance

AFFINE = np.array([[0, 2, 0, 10], [3, 0, 0, -20], [0, 0, -4, 30], [0, 0, 0, 1]], float)
CODES = [
    "".join(pair[flip] for pair, flip in zip(order, flips, strict=True))
    for order in (("RL", "AP", "SI"), ("AP", "SI", "RL"), ("SI", "RL", "AP"), ("AP", "RL", "SI"))
    for flips in ((0, 0, 0), (1, 1, 0), (0, 1, 1))
]


def scan(shape=(4, 5, 6), affine=AFFINE):
    return Scan(np.arange(np.prod(shape)).reshape(*shape, 1), affine)


@pytest.mark.parametrize("codes", CODES)
def test_a_label_in_another_order_of_axes_comes_back_exactly(codes):
    """nibabel writes the order, for an oblique image; we find the way back."""
    turned = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0.2, -0.1, 0.3) @ np.diag([1, 2, 3]), [5, 6, 7])
    image = scan(affine=turned)
    stored = nibabel.Nifti1Image(image.voxels[..., 0].astype(np.int32), turned)
    change = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(turned), nibabel.orientations.axcodes2ornt(codes)
    )
    stored = stored.as_reoriented(change)
    label = Scan(np.asarray(stored.dataobj)[..., None], stored.affine)
    aligned = imaging.align(label, image, "label", "image")
    np.testing.assert_array_equal(aligned.voxels, image.voxels)
    np.testing.assert_array_equal(aligned.affine, image.affine)


def test_what_is_on_the_grid_already_is_not_copied():
    label = scan()
    assert imaging.align(label, scan(), "b", "a").voxels is label.voxels
    flat = Scan(np.zeros((4, 5, 1)), np.eye(4))
    assert imaging.align(flat, flat, "b", "a").voxels is flat.voxels


def test_real_mismatches_are_refused_with_their_distance():
    shifted = AFFINE.copy()
    shifted[0, 3] += 1  # half a voxel: the second axis runs along x in steps of 2 mm
    assert grid_distance(scan(), scan(affine=shifted)) == (pytest.approx(0.5), pytest.approx(1))
    with pytest.raises(InputError, match=r"b: lies up to 1 mm \(0\.5 voxels\) away from a, expected at most 0\.1"):
        imaging.align(scan(affine=shifted), scan(), "b", "a")
    with pytest.raises(InputError, match=r"b: shape \(4, 5, 7\), but a has shape \(4, 5, 6\)"):
        imaging.align(scan((4, 5, 7)), scan(), "b", "a")
    with pytest.raises(InputError, match=r"b: shape \(4, 5\), but a has shape \(4, 5, 6\)"):
        imaging.align(Scan(np.zeros((4, 5, 1)), np.eye(4)), scan(), "b", "a")
    rotated = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0.7) @ np.eye(3))
    with pytest.raises(InputError, match="resample one onto the other"):
        imaging.align(scan(affine=rotated), scan(affine=np.eye(4)), "b", "a")
    with pytest.raises(InputError, match="nan voxels"):
        imaging.align(scan(affine=np.full((4, 4), np.nan)), scan(), "b", "a")


def test_rounding_of_headers_is_no_mismatch():
    near = AFFINE + np.array([[1e-4, 0, 0, 0.01]] * 3 + [[0, 0, 0, 0]])
    aligned = imaging.align(scan(affine=near), scan(), "b", "a")
    np.testing.assert_array_equal(aligned.affine, AFFINE)


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(3)), st.tuples(*[st.booleans()] * 3), st.floats(-0.09, 0.09), st.floats(0.15, 5))
def test_any_flip_and_order_by_closed_form(order, flips, near, far):
    """A permutation matrix made by hand: the offset decides alone whether it is the same grid."""
    image = scan()
    voxels, change = image.voxels.transpose(*order, 3), np.zeros((4, 4))
    change[3, 3] = 1
    for new, old in enumerate(order):
        change[old, new] = -1 if flips[new] else 1
        change[old, 3] = image.shape[old] - 1 if flips[new] else 0
    voxels = voxels[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    aligned = imaging.align(Scan(voxels, moved(AFFINE, (near, 0, 0)) @ change), image, "b", "a")
    np.testing.assert_array_equal(aligned.voxels, image.voxels)
    with pytest.raises(InputError, match="away from a"):
        imaging.align(Scan(voxels, moved(AFFINE, (far, 0, 0)) @ change), image, "b", "a")
