"""Which cases trained a run, by the content of their files."""

import nibabel
import numpy as np

from imaging.io.cases import CaseFiles, Cases
from medseg import record
from train.evaluation.contents import trained_cases


def test_pairs_of_one_header_are_told_apart_by_their_voxels(tmp_path):
    files = {}
    for name, value in (("trained", 1), ("copy", 1), ("other", 2)):
        files[name] = tmp_path / f"{name}.hdr"
        nibabel.save(nibabel.Nifti1Pair(np.full((4, 4, 4), value, np.int16), np.eye(4)), files[name])
    trained, copy, unlike = (CaseFiles(name, (str(path),)) for name, path in files.items())
    record.save(tmp_path / "cases.json", Cases((trained,), ()))
    assert trained_cases([tmp_path / "cases.json"], [copy, unlike]) == {"copy"}
