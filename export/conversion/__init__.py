"""A Keras model to the bytes of a TFLite or ONNX file, with its operators and precision read back."""
