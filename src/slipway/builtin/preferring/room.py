"""A GGUF base in torch with a LoRA adapter on it, the prompt that serving uses, and the adapter as a GGUF file.

LoRA: Hu et al. 2021. The file is what llama.cpp's `convert_lora_to_gguf.py` writes: `NAME.lora_a` [rank, in] and
`NAME.lora_b` [out, rank] in float32. The architecture `llama` keeps the rows of queries and keys in another order than
transformers, and so does its `lora_b`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from slipway.builtin.compressing.files import gguf_of
from slipway.builtin.engines.gguf_model import read_header
from slipway.builtin.training.options import TrainOptions
from slipway.builtin.training.packages import require
from slipway.core.artifact import ADAPTER, Made
from slipway.core.message import Message
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PARTS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_NAMES = {
    "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output",
    "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down",
}  # fmt: skip
_OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")


class AdapterOptions(TrainOptions):
    """Options of recipes that make an adapter. `rank`, `alpha`: of LoRA. `max_tokens`: longer examples are left out.
    `difference`: by how much the log-probability of a token may differ on average between the adapter as it is served
    and as it was trained; beyond it the step fails.
    """

    rank: int = Field(default=8, ge=1, le=1024)
    alpha: float = Field(default=16.0, gt=0, le=10_000)
    max_tokens: int = Field(default=512, ge=16, le=131_072)
    difference: float = Field(default=0.1, gt=0, le=10)


def offline(folder: Path) -> None:
    """No library of the training room may ask the network, or keep a cache outside the job's folder."""
    os.environ.update(dict.fromkeys(_OFFLINE, "1"), WANDB_DISABLED="true", HF_DATASETS_CACHE=str(folder / "cache"))


class Base(NamedTuple):
    """A model in torch: `model` and `tokenizer` of transformers, and the file they come from."""

    model: Any
    tokenizer: Any
    path: Path

    def prompt(self, messages: Sequence[Message]) -> str:
        """What is sent: the model's chat template, control tokens that the content spells out broken up."""
        armed = read_header(self.path).disarm(messages)
        return self.tokenizer.apply_chat_template(armed, tokenize=False, add_generation_prompt=True)


def load(job: Job, path: Path, kind: str = "AutoModelForCausalLM", **more: Any) -> Base:
    """A GGUF file as float32 weights; `kind` and `more` are of transformers. Raises ConfigError for one that it does
    not read.
    """
    require("torch", "transformers", "peft", "trl", "gguf")
    offline(job.folder)
    import torch
    import transformers
    from transformers import AutoTokenizer, GgufConfig

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    folder, name = str(path.parent), path.name
    try:
        plain = GgufConfig(dequantize=True)
        model = getattr(transformers, kind).from_pretrained(
            folder, gguf_file=name, quantization_config=plain, dtype=torch.float32, local_files_only=True, **more
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name, local_files_only=True)
    except (ValueError, KeyError, NotImplementedError, OSError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ConfigError(
            t("{file} cannot be trained on: {why}", file=name, why=why),
            t("models like Llama, Qwen2 and Mistral can, with their chat template in the file"),
        ) from error
    if not tokenizer.chat_template:
        raise ConfigError(
            t("{file} has no chat template, so there is no prompt to train on", file=name),
            t("use an instruction-tuned model"),
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    return Base(model, tokenizer, path)


def base_of(job: Job) -> Base:
    """The candidate's model. Raises ConfigError for one whose engine loads no adapters."""
    pin, path = gguf_of(job)
    if pin.engine != "llama":
        raise ConfigError(
            t("the engine '{engine}' of '{name}' loads no adapters", engine=pin.engine, name=pin.name),
            t("name the same model with engine: llama"),
        )
    return load(job, path)


def lora(options: AdapterOptions, task: Literal["CAUSAL_LM", "SEQ_CLS"] = "CAUSAL_LM") -> Any:
    """`peft.LoraConfig`: all seven matrices of a layer, no dropout."""
    from peft import LoraConfig

    return LoraConfig(
        r=options.rank, lora_alpha=options.alpha, lora_dropout=0.0, target_modules=list(PARTS), task_type=task
    )


def made(job: Job, base: Base, adapted: Any, options: AdapterOptions, measured: Mapping[str, float]) -> Made:
    """The adapter as an artifact."""
    target = job.folder / f"{job.base.name if job.base else 'model'}{ADAPTER}"
    export(adapted, base.path, target, options.alpha)
    return Made(kind="adapter", files={target.name: target}, measured=dict(measured))


def export(adapted: Any, base: Path, target: Path, alpha: float) -> None:
    """Write the adapter of a `PeftModel` to a GGUF file. Raises ConfigError for a model whose layers are named else."""
    import gguf

    header = read_header(base)
    writer = gguf.GGUFWriter(target, header.architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(alpha))
    known = {tensor.name for tensor in header.header.tensors}
    for name, value in sorted(_matrices(adapted).items()):
        layer, part, which = name
        tensor = f"blk.{layer}.{_NAMES[part]}.weight"
        if tensor not in known:
            raise ConfigError(
                t("an adapter for '{file}' cannot be written: it has no tensor '{name}'", file=base.name, name=tensor),
                t("models like Llama, Qwen2 and Mistral can have one"),
            )
        if which == "b" and header.architecture == "llama" and part in ("q_proj", "k_proj"):
            value = _permuted(value, _heads(header, part))
        writer.add_tensor(f"{tensor}.lora_{which}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _matrices(adapted: Any) -> dict[tuple[int, str, str], NDArray[np.float32]]:
    """(layer, part, a or b) -> the trained matrix."""
    found: dict[tuple[int, str, str], Any] = {}
    for name, value in adapted.named_parameters():
        if ".lora_" in name:
            names = name.split(".")
            layer = int(names[names.index("layers") + 1])
            which = next(n for n in names if n.startswith("lora_"))[-1].lower()
            part = names[names.index(f"lora_{which.upper()}") - 1]
            found[layer, part, which] = value.detach().float().cpu().numpy()
    return found


def _permuted(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of heads as the architecture `llama` keeps them: pairs that rotate together lie beside each other."""
    import numpy as np

    split = rows.reshape(heads, 2, len(rows) // heads // 2, -1)
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(rows.shape))


def _heads(header: Any, part: str) -> int:
    scalars = header.header.scalars
    heads = int(scalars[f"{header.architecture}.attention.head_count"])
    return heads if part == "q_proj" else int(scalars.get(f"{header.architecture}.attention.head_count_kv", heads))


def fits(base: Base, options: AdapterOptions, *texts: str) -> bool:
    """Whether texts together are short enough."""
    return sum(len(base.tokenizer(text, add_special_tokens=False).input_ids) for text in texts) < options.max_tokens


def leave_nothing(folder: Path) -> None:
    """Remove what only the training needed."""
    import shutil

    for name in ("trainer", "judge", "cache"):
        with contextlib.suppress(OSError):
            shutil.rmtree(folder / name)
