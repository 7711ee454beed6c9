"""The two ONNX graphs of an encoder-decoder of the T5 family, written from its weights. Runs nothing.

One text at a time, so there is no padding and no mask for it. The encoder's graph takes `input_ids` (int64, [1, n])
and gives what each layer of the decoder reads of it, `cross_key.i` and `cross_value.i` (float32, [1, heads, n, size]).
The decoder's graph takes these, `token_ids` (int64, [1, m]) and the keys and values of the tokens before
(`past_key.i`, `past_value.i`, [1, heads, p, size]); it gives `logits` ([1, m, vocabulary]) and `key.i`, `value.i` with
the new tokens, so each token is computed once.

Where two tokens stand to each other is a bias that depends on their distance, clipped: a table, whose last row in the
decoder says that a later token is not seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway.builtin.engines.seq2seq.shape import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.float32]]

_OPSET = 20
_IR_VERSION = 9


def encoder(shape: Shape, weights: Weights) -> bytes:
    """The graph's bytes. Raises KeyError for a weight that is not there, ValueError beyond protobuf's 2 GB."""
    graph = _Graph(shape, weights)
    x = graph.op("Gather", graph.weight("shared.weight"), "input_ids")
    bias = graph.bias("encoder", graph.length("input_ids"), graph.length("input_ids"))
    for layer in range(shape.encoder_layers):
        at = f"encoder.block.{layer}.layer"
        h = graph.norm(x, f"{at}.0.layer_norm.weight")
        q, k, v = (graph.heads(graph.matmul(h, f"{at}.0.SelfAttention.{one}.weight")) for one in "qkv")
        x = graph.attend(x, q, k, v, f"{at}.0.SelfAttention.o.weight", bias)
        x = graph.feed(x, f"{at}.1")
    x = graph.norm(x, "encoder.final_layer_norm.weight")
    outputs: list[str] = []
    for layer in range(shape.decoder_layers):
        at = f"decoder.block.{layer}.layer.1.EncDecAttention"
        for one, name in (("k", "cross_key"), ("v", "cross_value")):
            found = graph.heads(graph.matmul(x, f"{at}.{one}.weight"))
            outputs.append(graph.named(found, f"{name}.{layer}"))
    return graph.made([("input_ids", ("n",))], outputs)


def decoder(shape: Shape, weights: Weights) -> bytes:
    """The graph's bytes. Raises KeyError for a weight that is not there, ValueError beyond protobuf's 2 GB."""
    graph = _Graph(shape, weights)
    outputs: list[str] = []
    inputs: list[tuple[str, tuple[str, ...]]] = [("token_ids", ("m",))]
    x = graph.op("Gather", graph.weight("shared.weight"), "token_ids")
    new = graph.length("token_ids")
    seen = graph.op("Add", new, graph.length("past_key.0", 2))
    bias = graph.bias("decoder", new, seen)
    for layer in range(shape.decoder_layers):
        at = f"decoder.block.{layer}.layer"
        inputs += [(f"{name}.{layer}", ("p",)) for name in ("past_key", "past_value")]
        inputs += [(f"{name}.{layer}", ("n",)) for name in ("cross_key", "cross_value")]
        h = graph.norm(x, f"{at}.0.layer_norm.weight")
        q, k, v = (graph.heads(graph.matmul(h, f"{at}.0.SelfAttention.{one}.weight")) for one in "qkv")
        k = graph.named(graph.op("Concat", f"past_key.{layer}", k, axis=2), f"key.{layer}")
        v = graph.named(graph.op("Concat", f"past_value.{layer}", v, axis=2), f"value.{layer}")
        outputs += [k, v]
        x = graph.attend(x, q, k, v, f"{at}.0.SelfAttention.o.weight", bias)
        h = graph.norm(x, f"{at}.1.layer_norm.weight")
        q = graph.heads(graph.matmul(h, f"{at}.1.EncDecAttention.q.weight"))
        x = graph.attend(x, q, f"cross_key.{layer}", f"cross_value.{layer}", f"{at}.1.EncDecAttention.o.weight")
        x = graph.feed(x, f"{at}.2")
    x = graph.norm(x, "decoder.final_layer_norm.weight")
    if shape.scale != 1.0:
        x = graph.op("Mul", x, graph.numbers([shape.scale], ()))
    last = "lm_head.weight" if "lm_head.weight" in weights else "shared.weight"
    return graph.made(inputs, [graph.named(graph.matmul(x, last), "logits"), *outputs])


class _Graph:
    """Collects nodes and constants; each is called by its number, or by the name of the weight."""

    def __init__(self, shape: Shape, weights: Weights) -> None:
        self._shape, self._weights = shape, weights
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self._node(kind, inputs, f"v{len(self._nodes)}", attributes)

    def named(self, value: str, name: str) -> str:
        return self._node("Identity", (value,), name, {})

    def _node(self, kind: str, inputs: tuple[str, ...], output: str, attributes: Mapping[str, Any]) -> str:
        from onnx import helper

        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def numbers(self, values: Any, shape: tuple[int, ...] | None = None) -> str:
        """A constant: whole numbers as int64, others as float32."""
        import numpy as np

        array = np.asarray(values)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        return self._constant(array if shape is None else array.reshape(shape), f"c{len(self._constants)}")

    def _constant(self, array: NDArray[Any], name: str) -> str:
        import numpy as np
        from onnx import numpy_helper

        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def weight(self, name: str) -> str:
        return name if name in self._constants else self._constant(self._weights[name], name)

    def matmul(self, x: str, name: str) -> str:
        """With a matrix of torch, [out, in]."""
        turned = f"{name}.T"
        if turned not in self._constants:
            self._constant(self._weights[name].T, turned)
        return self.op("MatMul", x, turned)

    def length(self, name: str, axis: int = 1) -> str:
        return self.op("Gather", self.op("Shape", name), self.numbers(axis, ()))

    def norm(self, x: str, name: str) -> str:
        """Root mean square (Zhang and Sennrich 2019): nothing is subtracted."""
        mean = self.op("ReduceMean", self.op("Mul", x, x), self.numbers([-1]), keepdims=1)
        size = self.op("Sqrt", self.op("Add", mean, self.numbers([self._shape.epsilon])))
        return self.op("Mul", self.op("Div", x, size), self.weight(name))

    def heads(self, x: str) -> str:
        """[1, n, heads * size] -> [1, heads, n, size]."""
        split = self.op("Reshape", x, self.numbers([0, 0, self._shape.heads, self._shape.head_size]))
        return self.op("Transpose", split, perm=[0, 2, 1, 3])

    def attend(self, x: str, q: str, k: str, v: str, out: str, bias: str = "") -> str:
        """x, and what its tokens find; T5 scales no scores."""
        scores = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 1, 3, 2]))
        if bias:
            scores = self.op("Add", scores, bias)
        found = self.op("MatMul", self.op("Softmax", scores, axis=-1), v)
        joined = self.op("Reshape", self.op("Transpose", found, perm=[0, 2, 1, 3]), self.numbers([0, 0, -1]))
        return self.op("Add", x, self.matmul(joined, out))

    def feed(self, x: str, at: str) -> str:
        """x, and what the two layers make of each token."""
        h = self.norm(x, f"{at}.layer_norm.weight")
        if self._shape.activation == "relu":
            h = self.op("Relu", self.matmul(h, f"{at}.DenseReluDense.wi.weight"))
        else:
            gate, inner = (self.matmul(h, f"{at}.DenseReluDense.wi_{n}.weight") for n in (0, 1))
            gelu = self._shape.activation == "gated-gelu"
            h = self.op("Mul", self.op("Gelu", gate, approximate="tanh") if gelu else self.op("Relu", gate), inner)
        return self.op("Add", x, self.matmul(h, f"{at}.DenseReluDense.wo.weight"))

    def bias(self, side: str, new: str, seen: str) -> str:
        """[1, heads, new, seen], for the last `new` of `seen` tokens."""
        values = self._weights[f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
        table, low, high = _table(self._shape, values, both=side == "encoder")
        step, none = self.numbers(1, ()), self.numbers(0, ())
        keys = self.op("Unsqueeze", self.op("Range", none, seen, step), self.numbers([0]))
        queries = self.op("Unsqueeze", self.op("Range", self.op("Sub", seen, new), seen, step), self.numbers([1]))
        distance = self.op("Clip", self.op("Sub", keys, queries), self.numbers(low, ()), self.numbers(high, ()))
        found = self.op("Gather", self.numbers(table), self.op("Sub", distance, self.numbers(low, ())))
        return self.op("Unsqueeze", self.op("Transpose", found, perm=[2, 0, 1]), self.numbers([0]))

    def made(self, inputs: list[tuple[str, tuple[str, ...]]], outputs: list[str]) -> bytes:
        from onnx import TensorProto, helper

        size = (self._shape.heads, self._shape.head_size)
        given = [
            helper.make_tensor_value_info(name, TensorProto.INT64, [1, free[0]])
            if name.endswith("_ids")
            else helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size[0], free[0], size[1]])
            for name, free in inputs
        ]
        told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self._nodes, "seq2seq", given, told, list(self._constants.values()))
        opsets = [helper.make_opsetid("", _OPSET)]
        made = helper.make_model(graph, producer_name="slipway", opset_imports=opsets, ir_version=_IR_VERSION)
        return made.SerializeToString()


def _table(shape: Shape, values: NDArray[np.float32], both: bool) -> tuple[NDArray[np.float32], int, int]:
    """(a row for each distance from `low` to `high`, low, high). A distance is that of the token that is seen less that
    of the one that looks; `both`: it may lie on either side.
    """
    import numpy as np

    buckets, most = (shape.buckets // 2 if both else shape.buckets), shape.distance
    exact = buckets // 2

    def bucket(far: int) -> int:
        if far < exact:
            return far
        grown = np.float32(math.log(far / exact)) / np.float32(math.log(most / exact)) * (buckets - exact)
        return min(buckets - 1, exact + int(grown))

    before = [values[bucket(-at)] for at in range(-most, 1)]
    if both:
        after = [values[buckets + bucket(at)] for at in range(1, most + 1)]
        return np.stack([*before, *after]), -most, most
    return np.stack([*before, np.full(shape.heads, np.finfo(np.float32).min, np.float32)]), -most, 1
