"""``zoo train`` of the tiny network as a process of its own.

MEDSEG_TEST_DEVICES makes so many devices of the processor; Keras' backend and, for workers, their cluster come from
the environment as well.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

devices = int(os.environ.get("MEDSEG_TEST_DEVICES", "1"))
if devices > 1 and os.environ["KERAS_BACKEND"] == "jax":
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
elif devices > 1:
    import tensorflow as tf

    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * devices)

import tiny  # noqa: E402

import zoo  # noqa: E402
from train.cli import main  # noqa: E402

zoo.register("tiny", tiny.tiny_network, rank=3, replace=True)
sys.exit(main(sys.argv[1:]))
