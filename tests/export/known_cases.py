"""Cases and answers of a network whose scores are known in closed form."""

import numpy as np

import imaging
from imaging.io.cases import CaseFiles
from imaging.labels import Label
from imaging.scan import Scan

LABELS = (Label("background", 0), Label("one", 1), Label("five", 5))
SIZE = 1000


def write_case(folder, name, labels):
    """A flat scan that holds its own label values, so that a "network" can read the reference off the scan."""
    volume = np.asarray(labels, "uint8").reshape(10, 10, -1, 1)
    paths = folder / f"{name}.nii.gz", folder / f"{name}_label.nii.gz"
    imaging.write(paths[0], Scan(volume.astype("float32"), np.eye(4)))
    imaging.write(paths[1], Scan(volume, np.eye(4)))
    return CaseFiles(name, (str(paths[0]),), str(paths[1]))


def values(near, five=0):
    """Label values of SIZE voxels, the first ``one`` of class 1, the last ``five`` of class 5."""
    volume = np.zeros(SIZE, "uint8")
    volume[:near] = 1
    volume[SIZE - five :] = 5
    return volume


def answer(*volumes):
    """A network that gives these label values for one case after the other."""
    rest = iter(volumes)
    return lambda scan: next(rest).reshape(scan.shape)
