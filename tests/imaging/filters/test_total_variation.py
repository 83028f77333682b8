"""Total variation against scikit-image, which holds the whole volume many times."""

import tracemalloc

import numpy as np
import pytest
from skimage.restoration import denoise_tv_chambolle

from imaging.filters.denoising import total_variation


@pytest.mark.parametrize("shape", [(31, 23), (1, 9), (9, 1), (12, 11, 10), (1, 8, 8), (8, 8, 1)])
@pytest.mark.parametrize("voxels", [1, 300, 2**18], ids="{}_voxels_a_part".format)
@pytest.mark.parametrize("iterations", [1, 2, 200])
def test_equals_scikit_image(monkeypatch, shape, voxels, iterations):
    monkeypatch.setattr(total_variation, "_VOXELS", voxels)
    image = np.random.default_rng(0).random(shape, np.float32)
    before = image.copy()
    denoised = total_variation.denoise(image, 0.1, iterations)
    np.testing.assert_array_equal(denoised, denoise_tv_chambolle(image, 0.1, max_num_iter=iterations))
    np.testing.assert_array_equal(image, before)


def test_it_ends_where_little_changes():
    image = np.random.default_rng(0).random((20, 20), np.float32)
    ended = [total_variation.denoise(image, 0.1, count) for count in (200, 400)]
    np.testing.assert_array_equal(*ended)
    assert np.any(ended[0] != total_variation.denoise(image, 0.1, 400, tolerance=0.0))


def test_memory():
    """The dual field, the result and parts of a volume, not thirteen copies of it."""
    image = np.random.default_rng(0).random((256, 128, 128), np.float32)
    tracemalloc.start()
    total_variation.denoise(image, 0.1, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * image.nbytes
