"""ONNX graphs: onnxruntime runs them, every intermediate result is read, and each node goes through the same rows."""
