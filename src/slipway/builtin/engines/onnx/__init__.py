"""Sentence encoders with ONNX Runtime."""
