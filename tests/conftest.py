"""What all tests share: quiet frameworks, no tests that hide behind the machine."""

import gc
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# As many processes run as there are cores: threads of each for every core would only wait for one another.
for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")
# How long an example takes is a matter of what else runs on the machine.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")


TESTS = Path(__file__).parent
# Each takes a minute or so, few of them for the number of their tests.
SLOWEST = (
    "train/hardware/test_devices.py",
    "test_end_to_end.py",
    "export/quantize/test_zoo_int8.py",
    "zoo/test_backends.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Long files begin first, then those of many tests: a long one that began last would leave a core idle."""
    gone = [name for name in SLOWEST if not (TESTS / name).is_file()]
    if gone:
        raise pytest.UsageError(f"{__file__}: SLOWEST names {', '.join(gone)}, expected files of {TESTS}")
    place = {TESTS / name: number for number, name in enumerate(SLOWEST)}
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (place.get(item.path, len(place)), -tests[item.path]))


def pytest_collection_finish():
    """Everything imported stays; collecting garbage between tests need not look through it again."""
    gc.collect()
    gc.freeze()
