"""Builds the ONNX graph of a sentence encoder from safetensors, without torch. Knows BERT and XLM-R; runs nothing.

The graph takes `input_ids` and `attention_mask` (int64 and int32, [batch, tokens]) and gives `embedding` (float32,
[batch, hidden]): the encoder of Devlin et al. 2019, mean or CLS pooling (Reimers and Gurevych 2019), and rows of unit
length. A cross-encoder gives a score instead, an encoder with a head of labels their scores. Attention is ONNX
Runtime's own operator (`com.microsoft.MultiHeadAttention`), which leaves out padding.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.errors import EngineError
from slipway.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.float32]]

REVISION = 2  # goes into the cache's keys: raise it when the same model would give another graph
POOLING = "slipway_pooling"  # in the config.json of an encoder that was tuned here: its files lie in one folder
HEAD = "head"  # what the weights of a head of labels are called: head.weight [labels, hidden], head.bias [labels]
_OPSET = 20
_INT8_LIMIT = 64
_IR_VERSION = 9
_POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert")
_ACTIVATIONS = {
    "gelu": ("Gelu", {"approximate": "none"}),
    "gelu_new": ("Gelu", {"approximate": "tanh"}),
    "gelu_pytorch_tanh": ("Gelu", {"approximate": "tanh"}),
    "relu": ("Relu", {}),
}
_MODULES = ("Transformer", "Pooling", "Normalize")
_TYPES = {"F32": ("<f4", 4), "F16": ("<f2", 2), "BF16": ("<u2", 2)}  # safetensors dtype -> (numpy dtype, bytes)


@dataclass(frozen=True)
class Encoder:
    """What `config.json` and its companions say. `first_position`: index of the first token's position embedding.

    Encoders made by Slipway say under the key `slipway` what is usual no longer: `head_size` where heads were removed,
    `pooling` because they have no companions.
    """

    layers: int
    heads: int
    hidden: int
    epsilon: float
    activation: str
    first_position: int
    max_tokens: int
    pooling: str  # mean | cls
    pad: int
    head_size: int = 0  # numbers of a head


def read_config(files: Mapping[str, Path]) -> Encoder:
    """The shape of the encoder. Raises EngineError for another architecture or for modules not known here."""
    try:
        return _read_config(files)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise _unsupported(t("its config.json is damaged: {why}", why=repr(error)[:200])) from error


def _read_config(files: Mapping[str, Path]) -> Encoder:
    config = _json(files, "config.json")
    kind = str(config.get("model_type", ""))
    if kind != "bert" and kind not in _POSITIONS_AFTER_PADDING:
        raise _unsupported(t("its architecture is '{kind}'", kind=kind or "?"))
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise _unsupported(t("its positions are relative"))
    activation = str(config.get("hidden_act", "gelu"))
    if activation not in _ACTIVATIONS:
        raise _unsupported(t("its activation is '{kind}'", kind=activation))
    pad = int(config.get("pad_token_id") or 0)
    first = pad + 1 if kind in _POSITIONS_AFTER_PADDING else 0
    own = config.get("slipway", {})
    return Encoder(
        layers=int(config["num_hidden_layers"]),
        heads=int(config["num_attention_heads"]),
        hidden=int(config["hidden_size"]),
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
        activation=activation,
        first_position=first,
        max_tokens=int(config["max_position_embeddings"]) - first,
        pooling=_pooling(files) if own.get("pooling") is None else str(own["pooling"]),
        pad=pad,
        head_size=int(own.get("head_size") or int(config["hidden_size"]) // int(config["num_attention_heads"])),
    )


def _pooling(files: Mapping[str, Path]) -> str:
    if "modules.json" in files:
        for module in json.loads(files["modules.json"].read_text("utf-8")):
            kind = str(module.get("type", "")).rsplit(".", 1)[-1]
            if kind not in _MODULES:
                raise _unsupported(t("it has a module of the kind '{kind}'", kind=kind))
    if own := _json(files, "config.json").get(POOLING):
        return str(own)
    config = _json(files, "1_Pooling/config.json") if "1_Pooling/config.json" in files else {}
    if config.get("pooling_mode_cls_token"):
        return "cls"
    if config and not config.get("pooling_mode_mean_tokens"):
        raise _unsupported(t("it pools neither by mean nor by its first token"))
    return "mean"


def _json(files: Mapping[str, Path], name: str) -> dict[str, Any]:
    try:
        return json.loads(files[name].read_text("utf-8"))
    except (KeyError, OSError, ValueError, RecursionError) as error:
        raise EngineError(
            t("the model has no usable {file}", file=name),
            t("a sentence encoder needs its config.json and tokenizer.json"),
        ) from error


def _unsupported(why: str) -> EngineError:
    return EngineError(
        t("this sentence encoder cannot be run: {why}", why=why),
        t("BERT and XLM-RoBERTa encoders with mean or CLS pooling can; serve others by the openai engine"),
        status=500,
    )


def read_weights(paths: list[Path]) -> dict[str, NDArray[np.float32]]:
    """All floating-point tensors of safetensors files, as float32 (bfloat16 and float16 are widened)."""
    import numpy as np

    weights: dict[str, NDArray[np.float32]] = {}
    for path in paths:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header: dict[str, Any] = json.loads(file.read(length))
        for name, entry in header.items():
            if name == "__metadata__" or entry["dtype"] not in _TYPES:
                continue
            form, width = _TYPES[entry["dtype"]]
            start, end = entry["data_offsets"]
            raw = np.fromfile(path, form, (end - start) // width, offset=8 + length + start)
            if entry["dtype"] == "BF16":
                raw = (raw.astype("<u4") << 16).view("<f4")
            weights[name] = raw.astype(np.float32, copy=False).reshape(entry["shape"])
    return weights


def build(encoder: Encoder, weights: Weights, *, int8: bool = False, pairs: bool = False, labels: bool = False) -> Any:
    """The `onnx.ModelProto`. Raises EngineError when a weight is missing.

    `labels`: the graph gives `scores` (float32, [batch, labels]) as well, by the head `HEAD` over the embedding.

    `pairs`: a cross-encoder (Nogueira and Cho 2019), which takes `token_type_ids` (int64, 1 for the second text of a
    pair) as well, and gives `score` (float32, [batch, 1]) by its classification head instead of `embedding`.

    `int8`: the matrices are signed 8-bit, one scale for each output channel, in 7 bits' range (AVX2 adds pairs of
    products in 16 bits, which the full range overflows); activations are quantised as they come, one range for each
    run. Word embeddings stay float32: they are looked up, not multiplied.
    """
    return _Builder(encoder, weights, int8, pairs, labels).model()


def quantized(kernel: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A matrix [in, out] as (int8 in -64..64, scale [out]), symmetric around zero, one scale for each column."""
    import numpy as np

    scale = np.abs(kernel).max(axis=0) / _INT8_LIMIT
    scale[scale == 0] = 1.0
    return np.clip(np.rint(kernel / scale), -_INT8_LIMIT, _INT8_LIMIT).astype(np.int8), scale.astype(np.float32)


class _Builder:
    """Collects nodes and initialisers; each method adds a part of the graph and returns the name of its output."""

    def __init__(self, encoder: Encoder, weights: Weights, int8: bool, pairs: bool, labels: bool) -> None:
        self.encoder, self.weights, self.int8, self.pairs, self.labels = encoder, weights, int8, pairs, labels
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        root = [name for name in weights if name.endswith("embeddings.word_embeddings.weight")]
        if not root:
            raise _unsupported(t("it has no word embeddings"))
        self.root = root[0].removesuffix("embeddings.word_embeddings.weight")

    def model(self) -> Any:
        from onnx import TensorProto, helper

        hidden = self.embeddings()
        for layer in range(self.encoder.layers):
            hidden = self.layer(f"encoder.layer.{layer}", hidden)
        output, width = (self.scored(hidden), 1) if self.pairs else (self.pooled(hidden), self.encoder.hidden)
        shape = ["batch", "tokens"]
        inputs = [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, shape),
            helper.make_tensor_value_info("attention_mask", TensorProto.INT32, shape),
        ]
        if self.pairs:
            inputs.append(helper.make_tensor_value_info("token_type_ids", TensorProto.INT64, shape))
        outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", width])]
        if self.labels:
            scores = self.node("Identity", [self.linear(HEAD, output, exact=True)], "scores")
            count = len(self.weight(f"{HEAD}.bias"))
            outputs.append(helper.make_tensor_value_info(scores, TensorProto.FLOAT, ["batch", count]))
        graph = helper.make_graph(self.nodes, "sentence-encoder", inputs, outputs, self.initializers)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, producer_name="slipway", opset_imports=opsets, ir_version=_IR_VERSION)

    def weight(self, name: str) -> NDArray[np.float32]:
        for known in (self.root + name, name):  # the head of a cross-encoder stands beside the encoder
            if known in self.weights:
                return self.weights[known]
        raise _unsupported(t("the weight '{name}' is missing", name=name))

    def constant(self, name: str, value: Any) -> str:
        import numpy as np
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def embeddings(self) -> str:
        import numpy as np

        words = self.constant("words", self.weight("embeddings.word_embeddings.weight"))
        first, count = self.encoder.first_position, self.encoder.max_tokens
        table = self.weight("embeddings.position_embeddings.weight")[first : first + count]
        types = self.weight("embeddings.token_type_embeddings.weight")
        # The type of most tokens is 0: its embedding is added to the positions beforehand.
        self.constant("positions", table + types[0])
        self.node("Gather", [words, "input_ids"], "word_vectors")
        self.node("Shape", ["input_ids"], "token_count", start=1, end=2)
        self.constant("zero", np.zeros(1, np.int64))
        self.node("Slice", ["positions", "zero", "token_count", "zero"], "position_vectors")
        embedded = self.node("Add", ["word_vectors", "position_vectors"], "embedded")
        if self.pairs:  # XLM-R knows one type only
            more = self.constant("types", np.stack([types[0], types[min(1, len(types) - 1)]]) - types[0])
            self.node("Gather", [more, "token_type_ids"], "type_vectors")
            embedded = self.node("Add", [embedded, "type_vectors"], "typed")
        return self.norm("embeddings.LayerNorm", embedded)

    def norm(self, name: str, hidden: str) -> str:
        scale = self.constant(f"{name}.weight", self.weight(f"{name}.weight"))
        bias = self.constant(f"{name}.bias", self.weight(f"{name}.bias"))
        return self.node(
            "LayerNormalization", [hidden, scale, bias], f"{name}.out", axis=-1, epsilon=self.encoder.epsilon
        )

    def linear(self, name: str, hidden: str, parts: tuple[str, ...] = ("",), exact: bool = False) -> str:
        """Hidden @ W.T + b; several layers of the same input become one product. `exact`: never in int8."""
        import numpy as np

        kernel = np.concatenate([self.weight(f"{name}{part}.weight") for part in parts]).T
        bias = np.concatenate([self.weight(f"{name}{part}.bias") for part in parts])
        biased = self.constant(f"{name}.bias", bias)
        if self.int8 and not exact:
            whole, scale = quantized(kernel)
            inputs = [hidden, self.constant(f"{name}.int8", whole), self.constant(f"{name}.scale", scale), "", biased]
            return self.node("DynamicQuantizeMatMul", inputs, f"{name}.sum", domain="com.microsoft")
        product = self.node("MatMul", [hidden, self.constant(f"{name}.kernel", kernel)], f"{name}.product")
        return self.node("Add", [product, biased], f"{name}.sum")

    def layer(self, name: str, hidden: str) -> str:
        from onnx import helper

        together = self.linear(f"{name}.attention.self", hidden, (".query", ".key", ".value"))
        split = [f"{name}.{part}" for part in ("query", "key", "value")]
        self.nodes.append(helper.make_node("Split", [together], split, name=f"{name}.split", axis=-1, num_outputs=3))
        attended = self.node(
            "MultiHeadAttention", [*split, "", "attention_mask"], f"{name}.attended", domain="com.microsoft",
            num_heads=self.encoder.heads, scale=1 / math.sqrt(self.encoder.head_size),
        )  # fmt: skip
        attended = self.linear(f"{name}.attention.output.dense", attended)
        hidden = self.node("Add", [attended, hidden], f"{name}.attention.residual")
        hidden = self.norm(f"{name}.attention.output.LayerNorm", hidden)
        kind, attributes = _ACTIVATIONS[self.encoder.activation]
        wide = self.node(kind, [self.linear(f"{name}.intermediate.dense", hidden)], f"{name}.activated", **attributes)
        out = self.node("Add", [self.linear(f"{name}.output.dense", wide), hidden], f"{name}.residual")
        return self.norm(f"{name}.output.LayerNorm", out)

    def scored(self, hidden: str) -> str:
        """The head of a cross-encoder over the first token: a dense layer, tanh, and one number."""
        import numpy as np

        inner, outer = "pooler.dense", "classifier"
        if "classifier.out_proj.weight" in self.weights:
            inner, outer = "classifier.dense", "classifier.out_proj"
        if f"{outer}.weight" not in self.weights or len(self.weights[f"{outer}.weight"]) != 1:
            raise _unsupported(t("it has no head that gives a pair of texts one number"))
        first = self.node("Gather", [hidden, self.constant("first", np.array(0, np.int64))], "first_token", axis=1)
        dense = self.node("Tanh", [self.linear(inner, first, exact=True)], "head")
        return self.node("Identity", [self.linear(outer, dense, exact=True)], "score")

    def pooled(self, hidden: str) -> str:
        import numpy as np
        from onnx import TensorProto

        if self.encoder.pooling == "cls":
            pooled = self.node("Gather", [hidden, self.constant("first", np.array(0, np.int64))], "pooled", axis=1)
        else:
            # The mean's divisor is left out: rows are brought to unit length anyway.
            self.constant("last_axis", np.array([2], np.int64))
            self.constant("token_axis", np.array([1], np.int64))
            self.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
            self.node("Unsqueeze", ["mask", "last_axis"], "mask_column")
            self.node("Mul", [hidden, "mask_column"], "unpadded")
            pooled = self.node("ReduceSum", ["unpadded", "token_axis"], "pooled", keepdims=0)
        return self.node("LpNormalization", [pooled], "embedding", axis=-1, p=2)
