"""What ``arm64.py`` runs under emulation: a model file on stored patches, by NumPy and a runtime alone.

python arm64_infer.py MODULE MODEL PATCHES ANSWERS
"""

import os
import sys

import numpy as np


def infer(module: str, model: str, given: str, answer: str) -> None:
    """Run a model file and store its answers; prints the machine and the runtime's version.

    Args:
        module: the runtime's, "onnxruntime", "openvino" or one with TFLite's interpreter.
        model: path of the model file.
        given: path of the patches as the model file stores them, .npy.
        answer: path that the answers get, .npy.
    """
    patches = np.load(given)
    if module == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        (name,) = (i.name for i in session.get_inputs())
        outputs = [session.run(None, {name: patch})[0] for patch in patches]
        version = onnxruntime.__version__
    elif module == "openvino":
        import openvino

        # One thread and float32 where it computes in float, as on this machine.
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
        compiled = openvino.Core().compile_model(model, "CPU", settings)
        outputs = [np.array(compiled([patch])[0]) for patch in patches]
        version = openvino.get_version().partition("-")[0]
    else:
        interpreter_module = __import__(f"{module}.interpreter", fromlist=["Interpreter"])
        interpreter = interpreter_module.Interpreter(model_path=model, num_threads=1)
        interpreter.allocate_tensors()
        source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
        outputs = []
        for patch in patches:
            interpreter.set_tensor(source, patch)
            interpreter.invoke()
            outputs.append(interpreter.get_tensor(target))
        version = __import__(module).__version__ if hasattr(__import__(module), "__version__") else ""
    np.save(answer, np.stack(outputs))
    print(os.uname().machine, version)


if __name__ == "__main__":
    infer(*sys.argv[1:])
