"""The package as a device meets it: names load on use, and only what is used."""

import subprocess
import sys

import imaging

HEAVY = ("nibabel", "scipy.ndimage", "scipy.spatial", "cv2", "tensorflow", "keras")

DEVICE = """
import os, sys
import numpy as np
import imaging
from imaging import Recipe, Scan
assert not {heavy} & set(sys.modules), sorted({heavy} & set(sys.modules))
scan = imaging.read({path!r})
prepared = imaging.prepare(scan, Recipe(3, orientation="RAS", spacing=(1.5, 1.5, 1.5)))
scores = imaging.tiling.predict_tiled(prepared.voxels, (16, 16, 16), 0.5, lambda p: np.concatenate([-p, p], -1))
classes = imaging.restore_classes(scores, prepared, scan)
imaging.write({out!r}, Scan(classes[..., None], scan.affine))
assert not ({heavy} - {{"nibabel"}}) & set(sys.modules), sorted({heavy} & set(sys.modules))
status = open("/proc/self/status").read() if os.path.exists("/proc/self/status") else ""
print(int(status.partition("VmHWM:")[2].split()[0]) // 1024 if "VmHWM:" in status else 0)
"""


def test_every_name_exists():
    for name in imaging.__all__:
        assert getattr(imaging, name) is not None
    assert set(dir(imaging)) == set(imaging.__all__)
    assert callable(imaging.prepare)
    assert not hasattr(imaging, "nothing")


def test_a_device_loads_neither_scipy_nor_opencv_for_a_volume(tmp_path):
    import nibabel
    import numpy as np

    path, out = tmp_path / "a.nii.gz", tmp_path / "seg.nii.gz"
    data = np.random.default_rng(0).normal(size=(35, 51, 35)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(data, np.diag([-1.0, 1, 1, 1])), path)
    code = DEVICE.format(heavy=set(HEAVY), path=str(path), out=str(out))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=_root())
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 120, "MB of memory"
    assert imaging.read_labels(out).shape == (35, 51, 35)


def _root():
    return imaging.__path__[0].rpartition("imaging")[0]
