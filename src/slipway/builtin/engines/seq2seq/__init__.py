"""Encoder-decoders of the T5 family, run by ONNX Runtime: their graphs, and how they write."""
