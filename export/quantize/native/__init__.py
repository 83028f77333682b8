"""Int8 of a network's own layers for OpenVINO: what is changed before and after ONNX Runtime's quantizer."""
