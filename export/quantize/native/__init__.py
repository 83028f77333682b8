"""ONNX graphs before and after ONNX Runtime's quantizer, most of it for OpenVINO: a network's own layers in int8."""
