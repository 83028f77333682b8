"""Make the TFLite files that the edge tests run; a program of its own, so that the tests import no TensorFlow.

    python build_tflite.py FOLDER

Each network is a closed form of the intensity, so that a test knows the answer without a network.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

# Class by intensity: below 0.5 background, below 2 the first label, above the second; see edge_artifacts.classes_of.
KERNEL, BIAS = np.array([[0, 4, 8]], np.float32), np.array([0, -2, -10], np.float32)


def graded(shape):
    """Logits of three classes from one channel, per voxel."""

    def network(x):
        kernel = tf.constant(KERNEL.reshape(*[1] * (len(shape) - 2), 1, 3))
        convolve = tf.nn.conv3d if len(shape) == 5 else tf.nn.conv2d
        return convolve(x, kernel, [1] * len(shape), "VALID") + BIAS

    return network, shape


def next_slice(shape):
    """Two classes: whether the following slice of the folded axis is above one half."""

    def network(x):
        following = tf.concat([x[1:], tf.zeros_like(x[:1])], axis=0)
        return tf.concat([tf.zeros_like(x), following - 0.5], axis=-1)

    return network, shape


def graded_rows(shape):
    """The same as ``graded`` for an image that holds (depth, height, width × channels), as the form "channels" does."""
    rows, columns = shape[1] * shape[2], shape[3]

    def network(x):
        y = graded((1, rows, columns, 1))[0](tf.reshape(x, (1, rows, columns, 1)))
        return tf.reshape(y, (*shape[:3], 3 * columns))

    return network, shape


def larger_channel(shape):
    """Two classes: whether the second of two channels is the larger."""

    def network(x):
        return x + 1.0

    return network, shape


def convert(network, shape, dtype=None):
    """The TFLite file of a function; fully quantised, with ``dtype`` in and out, if one is given."""
    function = tf.function(network, input_signature=[tf.TensorSpec(shape, tf.float32)]).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if dtype is not None:
        random = np.random.default_rng(0)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: [[random.uniform(-1, 4, shape).astype(np.float32)] for _ in "ab"]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = dtype
    return converter.convert()


def main(folder):
    """Write all files."""
    files = {
        "folded-int8": convert(*graded((8, 16, 12, 1)), tf.int8),
        "folded-uint8": convert(*graded((8, 16, 12, 1)), tf.uint8),
        "height-int8": convert(*graded((1, 8 * 16, 12, 1)), tf.int8),
        "channels-int8": convert(*graded_rows((1, 8, 16, 12)), tf.int8),
        "native-float": convert(*graded((1, 8, 16, 12, 1))),
        "flat-int8": convert(*graded((1, 16, 24, 1)), tf.int8),
        "next-slice": convert(*next_slice((8, 16, 12, 1))),
        "two-channels": convert(*larger_channel((1, 16, 24, 2))),
    }
    for name, content in files.items():
        (Path(folder) / f"{name}.tflite").write_bytes(content)


if __name__ == "__main__":
    main(sys.argv[1])
