"""What all tests share: quiet frameworks, no tests that hide behind the machine."""

import gc
import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# As many processes run as there are cores: threads of each for every core would only wait for one another.
for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")
# How long an example takes is a matter of what else runs on the machine.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")


def pytest_collection_finish():
    """Everything imported stays; collecting garbage between tests need not look through it again."""
    gc.collect()
    gc.freeze()
