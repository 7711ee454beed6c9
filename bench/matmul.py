"""What a core of this processor multiplies a second, in fp32 and in int8: the ceiling that a local engine runs under.

    python bench/matmul.py

A prompt of a small model is matrix products of some hundred rows; an answer is products of one row a request. Measured
with ONNX Runtime's kernels, one thread, processor seconds, the best of seven: fp32, int8 weights with activations
quantised on the fly (DynamicQuantizeMatMul), and weights of 4 and 8 bits in blocks of 32 (MatMulNBits, accuracy level
4). GMAC/s: 10^9 multiplications with addition a second. SmolLM2-135M takes 0.106 GMAC a token, and attention.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

INNER, OUTER = 576, 1536  # of the largest matrix of SmolLM2-135M
ROWS = (256, 4, 1)
_draw = np.random.default_rng(0)


def session(rows: int, node: Any, weights: list[Any]) -> onnxruntime.InferenceSession:
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, INNER])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, OUTER])],
        weights,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def fp32() -> tuple[Any, list[Any]]:
    weights = _draw.standard_normal((INNER, OUTER)).astype(np.float32)
    return helper.make_node("MatMul", ["x", "w"], ["y"]), [numpy_helper.from_array(weights, "w")]


def int8() -> tuple[Any, list[Any]]:
    weights = _draw.integers(-127, 127, (INNER, OUTER)).astype(np.int8)
    scales, zeros = np.full(OUTER, 0.01, np.float32), np.zeros(OUTER, np.int8)
    node = helper.make_node("DynamicQuantizeMatMul", ["x", "w", "s", "z"], ["y"], domain="com.microsoft")
    return node, [numpy_helper.from_array(v, n) for v, n in ((weights, "w"), (scales, "s"), (zeros, "z"))]


def blocks(bits: int) -> tuple[Any, list[Any]]:
    many = INNER // 32
    weights = _draw.integers(0, 255, (OUTER, many, 32 * bits // 8)).astype(np.uint8)
    scales = np.full(OUTER * many, 0.01, np.float32)
    node = helper.make_node(
        "MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft",
        K=INNER, N=OUTER, bits=bits, block_size=32, accuracy_level=4,
    )  # fmt: skip
    return node, [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(scales, "s")]


def speed(rows: int, node: Any, weights: list[Any]) -> float:
    """GMAC/s of one thread."""
    made = session(rows, node, weights)
    x = _draw.standard_normal((rows, INNER)).astype(np.float32)
    seconds = []
    for _ in range(7):
        begin = time.process_time()
        for _ in range(20):
            made.run(None, {"x": x})
        seconds.append((time.process_time() - begin) / 20)
    return rows * INNER * OUTER / min(seconds) / 1e9


def main() -> None:
    info = Path("/proc/cpuinfo").read_text()
    flags = next((line for line in info.splitlines() if line.startswith("flags")), "").split()
    name = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    print(name, " ".join(sorted(f for f in flags if f.startswith("avx"))))
    print(f"{'rows':>5} {'fp32':>7} {'int8':>7} {'4 bits':>7} {'8 bits':>7}   GMAC/s")
    for rows in ROWS:
        figures = [speed(rows, *made) for made in (fp32(), int8(), blocks(4), blocks(8))]
        print(f"{rows:>5} " + " ".join(f"{figure:7.1f}" for figure in figures))


if __name__ == "__main__":
    main()
