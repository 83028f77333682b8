"""The Keras network itself on TensorFlow, as a graph and by XLA; loaded in a worker, see ``export/bench/runtimes``."""

import keras
import numpy as np
import tensorflow as tf

import zoo.models  # noqa: F401  registers the layers that a saved network may hold


def prepare(job):
    """Both ways to run it."""
    return [{"how": how, "xla": xla, "files": [job["keras"]]} for how, xla in (("tf.function", False), ("XLA", True))]


def open_runner(job, variant):
    """A call that runs the patch."""
    tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = keras.saving.load_model(job["keras"], compile=False)
    patch = np.load(job["input"])[None]
    function = tf.function(lambda image: model(image, training=False), jit_compile=variant["xla"])
    concrete = function.get_concrete_function(tf.TensorSpec(patch.shape, tf.float32))
    return lambda: concrete(tf.constant(patch)).numpy()[0]


def describe():
    """The runtime and its version."""
    return f"TensorFlow {tf.__version__}"
