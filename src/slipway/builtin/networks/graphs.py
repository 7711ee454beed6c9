"""The ONNX graphs of networks that are trained from scratch, written from their weights. Knows no torch; runs nothing.

Each takes `input_ids` (int64, [1, tokens]), one text without padding, and gives `scores` (float32, [1, labels]).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.float32]]

_OPSET = 20
_IR_VERSION = 9


def textcnn(weights: Weights) -> Any:
    """The `onnx.ModelProto` of `modules.TextCnn`: filters over the words, the most each finds, and a head."""
    graph = _Graph(weights)
    words = graph.node("Transpose", [graph.node("Gather", ["words.weight", "input_ids"], "vectors")], "columns",
                       perm=[0, 2, 1])  # fmt: skip
    found: list[str] = []
    for n in range(sum(name.startswith("filters.") and name.endswith(".bias") for name in weights)):
        name = f"filters.{n}"
        beyond = weights[f"{name}.weight"].shape[2] - 1
        inputs = [words, f"{name}.weight", f"{name}.bias"]
        seen = graph.node("Relu", [graph.node("Conv", inputs, f"{name}.sum", pads=[beyond, beyond])], f"{name}.seen")
        found.append(graph.node("ReduceMax", [seen, graph.constant(f"{name}.axes", [2])], f"{name}.most", keepdims=0))
    return graph.model(graph.node("Concat", found, "features", axis=1))


def bilstm(weights: Weights) -> Any:
    """The `onnx.ModelProto` of `modules.BiLstm`: both directions, the most that each cell says, and a head."""
    import numpy as np

    graph = _Graph(weights)
    size = weights["lstm.weight_hh_l0"].shape[1]

    def gates(array: NDArray[np.float32]) -> NDArray[np.float32]:
        """In the order of ONNX (input, output, forget, cell), of torch's (input, forget, cell, output)."""
        i, f, c, o = (array[n * size : (n + 1) * size] for n in range(4))
        return np.concatenate([i, o, f, c])

    def both(kind: str) -> NDArray[np.float32]:
        return np.stack([gates(weights[f"lstm.{kind}_l0{way}"]) for way in ("", "_reverse")])

    into, onto = graph.constant("lstm.into", both("weight_ih")), graph.constant("lstm.onto", both("weight_hh"))
    bias = graph.constant("lstm.bias", np.concatenate([both("bias_ih"), both("bias_hh")], axis=1))
    vectors = graph.node("Gather", ["words.weight", "input_ids"], "vectors")
    steps = graph.node("Transpose", [vectors], "steps", perm=[1, 0, 2])
    states = graph.node("LSTM", [steps, into, onto, bias], "states", hidden_size=size, direction="bidirectional")
    most = graph.node("ReduceMax", [states, graph.constant("axes", [0])], "most", keepdims=0)  # [2, 1, size]
    turned = graph.node("Transpose", [most], "turned", perm=[1, 0, 2])
    return graph.model(graph.node("Reshape", [turned, graph.constant("shape", [1, 2 * size])], "features"))


class _Graph:
    """Collects nodes and constants. Weights are constants under their own names, as far as they are used."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def constant(self, name: str, value: Any) -> str:
        import numpy as np
        from onnx import numpy_helper

        array = np.asarray(value, np.int64 if isinstance(value, list) else np.float32, order="C")
        self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        for name in inputs:
            if name in self._weights:
                self.constant(name, self._weights[name])
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def model(self, features: str) -> Any:
        """With the head over features [1, n]."""
        from onnx import TensorProto, helper

        self.node("Gemm", [features, "head.weight", "head.bias"], "scores", transB=1)
        count = len(self._weights["head.bias"])
        inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])]
        outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, count])]
        graph = helper.make_graph(self._nodes, "classifier", inputs, outputs, list(self._constants.values()))
        opsets = [helper.make_opsetid("", _OPSET)]
        return helper.make_model(graph, producer_name="slipway", opset_imports=opsets, ir_version=_IR_VERSION)
