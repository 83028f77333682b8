"""Scans in the current folder, and what the command line must say of a mistake."""

import nibabel
import numpy as np

from edge.cli import main

AFFINE = np.array([[-1.0, 0, 0, 20], [0, 2.0, 0, -9], [0, 0, 1.5, 3], [0, 0, 0, 1]])


def save(path, voxels, affine=AFFINE):
    nibabel.save(nibabel.Nifti1Image(np.asarray(voxels, np.float32), affine), path)


def fails(capfd, arguments, status, *parts):
    """Require one line on standard error that holds every part, nothing on standard output, and the exit status."""
    assert main([str(a) for a in arguments]) == status
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("zoo-edge: error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err
