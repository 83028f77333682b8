"""Programs of Debian that tests run against: a scanner, an archive, a validator, a converter, a browser.

``make servers`` installs them where it may. Elsewhere a test that needs one is skipped with a line that names the
package; where MEDSEG_REQUIRE_SERVERS is set, as in ``.ci/run``, it fails instead.
"""

import os
import shutil
from pathlib import Path

import pytest

PACKAGES = {
    "storescu": "dcmtk",
    "dciodvfy": "dicom3tools",
    "dcm2niix": "dcm2niix",
    "Orthanc": "orthanc",
    "chromium": "chromium",
}
REQUIRED = "MEDSEG_REQUIRE_SERVERS"


def program(name: str) -> Path:
    """The path of a program; the test that asks for it is skipped, or fails, where it is missing."""
    place = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if place is not None:
        return Path(place)
    reason = f"{name} is missing: apt-get install {PACKAGES[name]}, or make servers"
    if os.environ.get(REQUIRED):
        pytest.fail(reason)
    pytest.skip(reason)
