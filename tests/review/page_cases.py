"""The scans that the page is tested on, and what the server holds of them."""

import gzip

import nibabel
import numpy as np
import requests
from page_browser import phantom
from review_phantoms import read_nifti

SHAPE = (48, 56, 24)
# The file's axes run to the back, to the left and upside down, and are turned by 20 and 12 degrees: a drawing that is
# saved without its geometry comes back in another place.
AXES = np.array([[0.0, -1.2, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -2.0]])
OBLIQUE = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0.35, 0.2, 0.0) @ AXES, [12.0, 31.0, -8.0])
VALUES = np.array([0, 7, 300])


def save_case(folder, name):
    """Write a scan: "case_a", "case_b" and so on are volumes of one shape, "flat" a slice, "whole" one of integers."""
    if name == "flat":
        image = nibabel.Nifti1Image(phantom((40, 48, 1), 9), np.diag([-1, -1, 3, 1]))
    elif name == "whole":
        image = nibabel.Nifti1Image((100 * phantom(SHAPE, 8)).astype(np.int16) - 150, OBLIQUE)
    else:
        image = nibabel.Nifti1Image(phantom(SHAPE, ord(name[-1]) - ord("a")), OBLIQUE)
    nibabel.save(image, folder / f"{name}.nii.gz")


def counts(server):
    """How many cases are in each state."""
    return requests.get(f"{server.address}api/cases", timeout=10).json()["counts"]


def label(server, case):
    """A case's newest label on the server: values in right-anterior-superior order, affine as it is in the file."""
    answer = requests.get(f"{server.address}api/cases/{case}/label.nii", timeout=10)
    image = nibabel.Nifti1Image.from_bytes(answer.content)
    return np.asarray(nibabel.as_closest_canonical(image).dataobj), image.affine


def disc(shape, spacing, centres, radius, axis):
    """The voxels whose centres lie within a radius of one of the centres, in its slice."""
    grid = np.moveaxis(np.indices(shape), 0, -1)
    inside = np.zeros(shape, bool)
    for centre in centres:
        away = (grid - centre) * spacing
        inside |= (np.square(away).sum(-1) <= radius**2 + 1e-6) & (away[..., axis] == 0)
    return inside


def ras(content):
    """The values of a NIfTI file in right-anterior-superior order."""
    voxels, affine = read_nifti(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
    return np.asarray(nibabel.as_closest_canonical(nibabel.Nifti1Image(voxels, affine)).dataobj)
