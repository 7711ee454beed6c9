"""A stack of dense layers as a LiteRT file (`.tflite`), written by the schema that comes with `ai-edge-litert`.

Knows no Keras and no training. Equal layers make equal bytes. A file is a flatbuffer: buffers with the weights, tensors
that name them, and one operator FULLY_CONNECTED for each layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_VERSION = 3  # of the schema
_IDENTIFIER = b"TFL3"
_ALIGNED = 16  # bytes; what the schema asks of weights, and Python's flatbuffers does not do by itself


class Layer(NamedTuple):
    """`kernel` [in, out], `bias` [out]; `relu`: what is below zero becomes zero."""

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    relu: bool


def tflite(layers: Sequence[Layer]) -> bytes:
    """The file. Input: [1, in of the first layer], output: [1, out of the last one], both float32."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    file = _File(schema)
    at = first = file.tensor("features", (1, len(layers[0].kernel)))
    for n, layer in enumerate(layers):
        kernel = file.tensor(f"kernel.{n}", layer.kernel.T.shape, layer.kernel.T)
        bias = file.tensor(f"bias.{n}", layer.bias.shape, layer.bias)
        out = file.tensor(f"layer.{n}", (1, len(layer.bias)))
        file.connect([at, kernel, bias], out, layer.relu)
        at = out
    builder: Any = flatbuffers.Builder(1024)
    builder.Finish(file.model(first, at).Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


class _File:
    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._buffers = [schema.BufferT()]  # the first one is empty, for what is computed
        self._tensors: list[Any] = []
        self._operators: list[Any] = []

    def tensor(self, name: str, shape: Sequence[int], values: NDArray[np.float32] | None = None) -> int:
        import numpy as np

        made = self._schema.TensorT()
        made.name, made.shape, made.type = name, list(shape), self._schema.TensorType.FLOAT32
        made.buffer = 0
        if values is not None:
            made.buffer = len(self._buffers)
            raw = np.frombuffer(np.ascontiguousarray(values, "<f4").tobytes(), np.uint8)
            self._buffers.append(_aligned(self._schema, raw))
        self._tensors.append(made)
        return len(self._tensors) - 1

    def connect(self, inputs: list[int], output: int, relu: bool) -> None:
        kinds = self._schema.ActivationFunctionType
        made, options = self._schema.OperatorT(), self._schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = kinds.RELU if relu else kinds.NONE
        made.opcodeIndex, made.inputs, made.outputs = 0, inputs, [output]
        made.builtinOptionsType, made.builtinOptions = self._schema.BuiltinOptions.FullyConnectedOptions, options
        self._operators.append(made)

    def model(self, first: int, last: int) -> Any:
        code = self._schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = self._schema.BuiltinOperator.FULLY_CONNECTED
        code.version = 1
        graph = self._schema.SubGraphT()
        graph.name, graph.inputs, graph.outputs = "main", [first], [last]
        graph.tensors, graph.operators = self._tensors, self._operators
        made = self._schema.ModelT()
        made.version, made.description = _VERSION, "slipway"
        made.operatorCodes, made.subgraphs, made.buffers = [code], [graph], self._buffers
        return made


def _aligned(schema: Any, raw: NDArray[np.uint8]) -> Any:
    """A buffer whose bytes begin where the schema wants them."""

    class Aligned(schema.BufferT):
        def Pack(self, builder: Any) -> Any:  # noqa: N802  # what the generated class calls it
            builder.Prep(_ALIGNED, len(raw))
            return super().Pack(builder)

    made = Aligned()
    made.data = raw
    return made
