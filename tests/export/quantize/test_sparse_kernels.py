"""Kernels stored without their zeros: a smaller file that computes the very same."""

import keras
import numpy as np
import pytest

import zoo
from export import convert
from export.conversion.operators import read_tflite
from export.quantize import tflite_int8 as tflite_integer

SHAPE = (8, 16, 16, 1)


@pytest.fixture(scope="module")
def files():
    """The same network's int8 file with kernels as they are, and without zeros."""
    keras.utils.set_random_seed(0)
    model = zoo.get("unet3d", SHAPE, classes=2, width=16, depth=2)
    random = np.random.default_rng(0)
    patches = [random.normal(size=SHAPE).astype(np.float32) for _ in range(2)]

    def made():
        return convert(model, "tflite-int8", calibration=patches, processor="amx").data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tflite_integer, "with_sparse_kernels", lambda model, kinds: model)
        whole = made()
    return whole, made()


def logits(data, xnnpack):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kind = OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    image = np.random.default_rng(1).integers(-128, 128, given["shape"]).astype(given["dtype"])
    interpreter.set_tensor(given["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_the_file_is_smaller(files):
    whole, without_zeros = files
    assert "DENSIFY" in {operator.kind for operator in read_tflite(without_zeros)}
    assert "DENSIFY" not in {operator.kind for operator in read_tflite(whole)}
    assert len(without_zeros) < len(whole)


@pytest.mark.parametrize("xnnpack", [True, False])
def test_every_logit_is_the_same(files, xnnpack):
    whole, without_zeros = (logits(data, xnnpack) for data in files)
    assert np.ptp(whole.astype(int)) > 0
    np.testing.assert_array_equal(without_zeros, whole)
