"""An artifact and a scan to a segmentation, on LiteRT, ONNX Runtime or OpenVINO."""
