"""Smaller sentence encoders: int8 graphs (dynamic and static), and encoders without some neurons, heads or weights.

Int8 is made by `onnxruntime.quantization`: matrices signed, one scale for each output channel, in 7 bits' range, which
AVX2 needs; activations unsigned, with ranges of each text (dynamic) or found once on texts of train (static). A pruned
encoder stays safetensors and a config.json, from which the engine `onnx` builds its graph.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from slipway.builtin.compressing import beside
from slipway.builtin.compressing.base_files import encoder_of
from slipway.builtin.engines.onnx import graph
from slipway.builtin.engines.onnx.engine import PROBES, Loaded, OnnxConfig, load, read_tokenizer, require_packages
from slipway.builtin.engines.onnx.sessions import READY, open_session
from slipway.core.artifact import Made
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.files import replace_file
from slipway.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Weights = dict[str, NDArray[np.float32]]

Method = Literal["neurons", "heads", "magnitude"]
_LINEAR = ("query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense")


def quantized(job: Job, static: bool, texts: Sequence[str], calibrate: int, measure: bool) -> Made:
    """The base as an int8 graph. `static`: calibrated on so many of `texts`. Raises ConfigError without them."""
    require_packages()
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

    base, encoder = encoder_of(job), graph.read_config(job.files)
    if static and not texts:
        raise ConfigError(
            t("static int8 is calibrated on texts of train, and there are none"),
            t("add data.examples, or choose {names}", names="type: int8"),
        )
    whole, target = job.folder / "fp32.onnx", job.folder / READY
    weights = graph.read_weights(_weight_files(job))
    onnx.save(_typed(graph.build(encoder, weights)), str(whole))
    job.progress(1, 2)
    common: dict[str, Any] = {
        "op_types_to_quantize": ["MatMul"], "per_channel": True, "reduce_range": True, "weight_type": QuantType.QInt8,
        "extra_options": {"DefaultTensorType": onnx.TensorProto.FLOAT},
    }  # fmt: skip
    with _quiet():
        if static:
            rows = _rows(job, base.options, encoder, texts[:: max(1, len(texts) // calibrate)][:calibrate])
            common |= {"quant_format": QuantFormat.QDQ, "activation_type": QuantType.QUInt8}
            quantize_static(str(whole), str(target), _reader(rows), **common)
        else:
            quantize_dynamic(str(whole), str(target), **common)
    files = {READY: target, **_companions(job, encoder, {})}
    made = _made(job, files, [whole.stat().st_size, target.stat().st_size], texts, measure, exact=True)
    job.progress(2, 2)
    whole.unlink()
    return made


def pruned(job: Job, method: Method, share: float, activations: bool, texts: Sequence[str], measure: bool) -> Made:
    """The base without a `share` of its neurons, heads or weights. `activations`: neurons are judged on `texts`."""
    encoder_of(job)
    encoder, weights = graph.read_config(job.files), graph.read_weights(_weight_files(job))
    graph.build(encoder, weights)  # says what is missing
    root = _root(weights)
    changed: dict[str, int] = {}
    measured: dict[str, float] = {}
    if method == "neurons":
        told = _activations(job, encoder, weights, texts) if activations else None
        count, width = _prune_neurons(encoder, weights, root, share, told, job)
        changed = {"intermediate_size": count}
        measured = {"neurons": float(count), "parent_neurons": float(width)}
    elif method == "heads":
        count = _prune_heads(encoder, weights, root, share)
        changed = {"num_attention_heads": count}
        measured = {"heads": float(count), "parent_heads": float(encoder.heads)}
    else:
        measured = {"zero_share": _prune_weights(weights, root, share)}
    target = job.folder / "model.safetensors"
    replace_file(target, _safetensors(weights))
    files = {target.name: target, **_companions(job, encoder, changed)}
    before = sum(path.stat().st_size for path in _weight_files(job))
    made = _made(job, files, [before, target.stat().st_size], texts, measure, False, **measured)
    job.progress(encoder.layers, encoder.layers)
    return made


def _made(
    job: Job, files: Mapping[str, Path], sizes: Sequence[int], texts: Sequence[str], measure: bool,
    exact: bool = False, **found: float,
) -> Made:  # fmt: skip
    """`exact`: the parent is what it is in float32; else both have the precision of the base's options."""
    base = encoder_of(job)
    measured = {"bytes": float(sizes[1]), "parent_bytes": float(sizes[0]), "share": sizes[1] / sizes[0], **found}
    observed: dict[str, float] = {}
    if measure:
        config = OnnxConfig.model_validate(base.options)
        whole = config.model_copy(update={"precision": "fp32"}) if exact else config
        parent, made = load(whole, "parent", job.files, _nobody), load(config, "made", files, _nobody)
        asked = list(texts[:: max(1, len(texts) // 64)][:64]) or list(PROBES)
        observed = beside.compare_encoders(parent, made, asked)
    return Made(
        kind="model", files=dict(files), engine=base.engine, options=base.options, measured=beside.rounded(measured),
        observed=beside.rounded(observed),
    )  # fmt: skip


def _typed(model: Any) -> Any:
    """The graph with the type of each number in it: behind ONNX Runtime's own operators none is inferred."""
    from onnx import TensorProto, helper

    floats = ("MatMul", "Add", "LayerNormalization", "Gelu", "Relu", "MultiHeadAttention", "Split")
    names = [name for node in model.graph.node if node.op_type in floats for name in node.output]
    model.graph.value_info.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    return model


@contextmanager
def _quiet() -> Generator[None]:
    """Without onnxruntime's advice on how to prepare a graph, which it gives in the root logger."""

    def none(_: logging.LogRecord) -> bool:
        return False

    root = logging.getLogger()
    root.addFilter(none)
    try:
        yield
    finally:
        root.removeFilter(none)


def _nobody(event: str, details: Mapping[str, Any]) -> None:
    """No one listens."""


def _weight_files(job: Job) -> list[Path]:
    return sorted(path for name, path in job.files.items() if name.endswith(".safetensors") and "/" not in name)


def _companions(job: Job, encoder: graph.Encoder, changed: Mapping[str, int]) -> dict[str, Path]:
    """Configuration and tokenizer, in the job's folder. What companions said of pooling, the configuration says."""
    config = json.loads(job.files["config.json"].read_text("utf-8"))
    config |= {**changed, "slipway": {"pooling": encoder.pooling, "head_size": encoder.head_size}}
    made = {"config.json": job.folder / "config.json", "tokenizer.json": job.folder / "tokenizer.json"}
    replace_file(made["config.json"], json.dumps(config, indent=2, sort_keys=True).encode())
    replace_file(made["tokenizer.json"], job.files["tokenizer.json"].read_bytes())
    return made


def _reader(rows: Iterator[dict[str, Any]]) -> Any:
    """Calibration: one text at a time, as the engine runs int8."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def get_next(self) -> Any:
            return next(rows, None)

    return Reader()


def _rows(
    job: Job, options: Mapping[str, Any], encoder: graph.Encoder, texts: Sequence[str]
) -> Iterator[dict[str, Any]]:
    import numpy as np

    config = OnnxConfig.model_validate(dict(options))
    reader = Loaded(config, encoder, None, read_tokenizer(job.files))
    for ids in reader.tokens(texts, config.prefix)[0]:
        yield {"input_ids": np.array([ids], np.int64), "attention_mask": np.ones((1, len(ids)), np.int32)}


def _root(weights: Mapping[str, Any]) -> str:
    last = "embeddings.word_embeddings.weight"
    return next((name.removesuffix(last) for name in weights if name.endswith(last)), "")


def _layer(root: str, layer: int) -> str:
    return f"{root}encoder.layer.{layer}"


def _activations(job: Job, encoder: graph.Encoder, weights: Weights, texts: Sequence[str]) -> list[NDArray[np.float64]]:
    """For each layer the mean size of each neuron's output over the tokens of texts."""
    import numpy as np
    from onnx import TensorProto, helper

    if not texts:
        raise ConfigError(
            t("activations are seen on texts of train, and there are none"),
            t("add data.examples, or choose {names}", names="by: weights"),
        )
    model = graph.build(encoder, weights)
    names = [f"encoder.layer.{layer}.activated" for layer in range(encoder.layers)]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = open_session(model.SerializeToString())
    base = encoder_of(job)
    sums: list[Any] = [0.0] * len(names)
    for row in _rows(job, base.options, encoder, texts):
        for at, values in enumerate(session.run(names, row)):
            sums[at] = sums[at] + np.abs(values[0]).sum(axis=0, dtype=np.float64)
    return sums


def _prune_neurons(
    encoder: graph.Encoder, weights: Weights, root: str, share: float, told: list[NDArray[np.float64]] | None, job: Job
) -> tuple[int, int]:
    """(neurons that stay in each layer, that there were)."""
    import numpy as np

    width = len(weights[f"{_layer(root, 0)}.intermediate.dense.bias"])
    count = max(1, round((1 - share) * width))
    _check_count(count, width, share)
    for layer in range(encoder.layers):
        inner, outer = (f"{_layer(root, layer)}.{part}.dense" for part in ("intermediate", "output"))
        out = np.linalg.norm(weights[f"{outer}.weight"], axis=0)
        says = told[layer] if told else np.linalg.norm(weights[f"{inner}.weight"], axis=1)
        best = np.sort(np.argsort(-(says * out), kind="stable")[:count])
        for name, axis in ((f"{inner}.weight", 0), (f"{inner}.bias", 0), (f"{outer}.weight", 1)):
            weights[name] = np.ascontiguousarray(weights[name].take(best, axis=axis))
        job.progress(layer, encoder.layers)
    return count, width


def _prune_heads(encoder: graph.Encoder, weights: Weights, root: str, share: float) -> int:
    """Heads that stay in each layer: those with the largest weights of values and outputs."""
    import numpy as np

    heads, size = encoder.heads, encoder.head_size
    count = max(1, round((1 - share) * heads))
    _check_count(count, heads, share)
    for layer in range(encoder.layers):
        name = f"{_layer(root, layer)}.attention"
        value, out = weights[f"{name}.self.value.weight"], weights[f"{name}.output.dense.weight"]
        values = np.square(value).reshape(heads, -1).sum(axis=1)
        outputs = np.square(out).T.reshape(heads, -1).sum(axis=1)
        best = np.sort(np.argsort(-(values * outputs), kind="stable")[:count])
        rows = (best[:, None] * size + np.arange(size)).reshape(-1)
        for part in ("query", "key", "value"):
            for kind in ("weight", "bias"):
                weights[f"{name}.self.{part}.{kind}"] = np.ascontiguousarray(
                    weights[f"{name}.self.{part}.{kind}"][rows]
                )
        weights[f"{name}.output.dense.weight"] = np.ascontiguousarray(out[:, rows])
    return count


def _prune_weights(weights: Weights, root: str, share: float) -> float:
    """Zero the smallest of each matrix of the layers (Han et al. 2015); the share of zeros."""
    import numpy as np

    zeros, total = 0, 0
    for name in [n for n in weights if n.startswith(f"{root}encoder.layer.") and n.endswith(".weight")]:
        if not name.removesuffix(".weight").endswith(_LINEAR):
            continue
        made, smallest = weights[name].copy(), int(share * weights[name].size)
        if smallest:
            made.reshape(-1)[np.argpartition(np.abs(made), smallest - 1, axis=None)[:smallest]] = 0
        weights[name] = made
        zeros, total = zeros + int((made == 0).sum()), total + made.size
    return zeros / max(1, total)


def _check_count(count: int, width: int, share: float) -> None:
    if count >= width:
        raise ConfigError(
            t("a share of {share} removes nothing: of {n} all would stay", share=share, n=width),
            t("name a larger share"),
        )


def _safetensors(weights: Mapping[str, NDArray[np.float32]]) -> bytes:
    """A safetensors file (github.com/huggingface/safetensors): the length of a JSON header, the header, the numbers."""
    header: dict[str, Any] = {}
    at = 0
    for name, value in sorted(weights.items()):
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [at, at + value.nbytes]}
        at += value.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(value.astype("<f4").tobytes() for _, value in sorted(weights.items()))
    return len(text).to_bytes(8, "little") + text + body
