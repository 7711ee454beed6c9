"""Opens graphs in ONNX Runtime: built ones, and those that `tune: quantize` made. Knows nothing of texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.errors import EngineError
from slipway.i18n import t

READY = "model.onnx"  # a graph that was made beforehand, instead of weights
_INPUTS, _OUTPUTS = ["input_ids", "attention_mask"], ["embedding"]


def open_session(content: Any) -> Any:
    """An inference session of a graph's bytes: one thread, no memory kept."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # it would keep the memory of the longest text ever seen, for each thread
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own types, derived from Exception only
        raise EngineError(
            t("the sentence encoder could not be loaded: {error}", error=str(error)[:300]),
            t("check the model with: slipway models pull SOURCE"),
            status=500,
        ) from error


def open_ready(path: Path) -> Any:
    """A session of a graph that was made beforehand. Raises EngineError for one with other inputs or outputs."""
    session = open_session(path.read_bytes())
    inputs, outputs = ([one.name for one in found] for found in (session.get_inputs(), session.get_outputs()))
    if (inputs, outputs) != (_INPUTS, _OUTPUTS):
        raise EngineError(
            t("{file} is no graph of a sentence encoder made by Slipway", file=path.name),
            t("name a model with safetensors weights, and quantise it by `tune: quantize`"),
            status=500,
        )
    return session
