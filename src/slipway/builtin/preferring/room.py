"""What the recipes that learn from others have in common: options, prompts as text, the adapter and its comparison."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from pydantic import Field

from slipway.builtin.causal.base import base_of, end_of_turn
from slipway.builtin.causal.base import load as load_model
from slipway.builtin.causal.options import CausalOptions
from slipway.builtin.engines.gguf_model import ModelHeader
from slipway.builtin.training.options import CausalTraining, Rank, TrainOptions, settled
from slipway.builtin.training.placing import Place
from slipway.core.artifact import ADAPTER, Made
from slipway.core.material import Example
from slipway.core.protocols import Job, Served
from slipway.errors import ConfigError
from slipway.i18n import t

_PARTS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")


class AdapterOptions(Rank, CausalTraining):
    """Options of recipes that make an adapter."""

    parity_examples: int = Field(default=20, ge=0, le=100_000)


OptionsT = TypeVar("OptionsT", bound=AdapterOptions)


class Learner(Generic[OptionsT]):
    """A tuner that makes an adapter for a GGUF model of the engine `llama`."""

    def __init__(self, config: OptionsT) -> None:
        self.config = config

    @classmethod
    def settled(cls, config: TrainOptions) -> Mapping[str, Any]:
        """Device, numbers and threads."""
        return settled(config)


class Base(NamedTuple):
    """A model in torch: `model` and `tokenizer` of transformers, the file they come from, and its header."""

    model: Any
    tokenizer: Any
    path: Path
    header: ModelHeader

    def prompts(self, served: Served, job: Job, examples: Sequence[Example]) -> list[str]:
        """What is sent for examples, as text that this tokenizer reads as the same tokens as serving does.

        Raises ConfigError for a model whose two tokenizers do not agree.
        """
        return [self._text(ids) for ids in served.prompts([job.messages(example) for example in examples])]

    def _text(self, ids: Sequence[int]) -> str:
        text = self.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        first = self.tokenizer.bos_token or ""
        for one in (text, text.removeprefix(first)):
            if list(self.tokenizer(one).input_ids) == list(ids):
                return one
        raise ConfigError(
            t("'{file}' is read otherwise by transformers than by the engine that serves it", file=self.path.name),
            t("use `tune: lora` or `tune: distill`, which take their tokens from the engine"),
        )


def open_base(job: Job) -> tuple[Path, ModelHeader, int]:
    """(file, header, token that ends an answer). Raises ConfigError for a base whose engine loads no adapters."""
    pin, path, header = base_of(job)
    if pin.engine != "llama":
        raise ConfigError(
            t("the engine '{engine}' loads no adapters", engine=pin.engine),
            t("name the same model with engine: llama"),
        )
    return path, header, end_of_turn(header)


def offline(folder: Path) -> None:
    """No library of the training room may ask the network, or keep a cache outside the job's folder."""
    os.environ.update(dict.fromkeys(_OFFLINE, "1"), WANDB_DISABLED="true", HF_DATASETS_CACHE=str(folder / "cache"))


def load(job: Job, path: Path, header: ModelHeader) -> Base:
    """The base as float32 weights, with its tokenizer."""
    offline(job.folder)
    from transformers import AutoTokenizer

    model = load_model(path)
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    return Base(model, tokenizer, path, header)


def peft_lora(options: AdapterOptions, task: Literal["CAUSAL_LM", "SEQ_CLS"] = "CAUSAL_LM") -> Any:
    """`peft.LoraConfig`: all seven matrices of a layer, no dropout."""
    from peft import LoraConfig

    alpha: Any = options.alpha  # whole numbers only, peft says, and multiplies by it
    return LoraConfig(r=options.r, lora_alpha=alpha, lora_dropout=0.0, target_modules=list(_PARTS), task_type=task)


def peft_learned(adapted: Any) -> dict[str, Any]:
    """`causal.lora.learned` of a `PeftModel`."""
    from slipway.builtin.causal.lora import Pair

    found: dict[str, Any] = {}
    for name, module in adapted.named_modules():
        if "default" in getattr(module, "lora_A", ()):
            pair = (module.lora_A["default"].weight, module.lora_B["default"].weight)
            found[name.removeprefix("base_model.model.")] = Pair(*(one.detach().float().cpu() for one in pair))
    return found


def write(job: Job, header: ModelHeader, learned: Mapping[str, Any], options: AdapterOptions) -> Made:
    """The adapter as an artifact."""
    from slipway.builtin.causal.exporting import write_adapter

    target = job.folder / f"adapter{ADAPTER}"
    write_adapter(header, learned, options.alpha, target)
    return Made(kind="adapter", files={target.name: target})


def compared(
    job: Job, made: Made, model: Any, header: ModelHeader, options: AdapterOptions, place: Place,
    examples: Sequence[Example],
) -> dict[str, float]:  # fmt: skip
    """Served beside trained, on some of `examples`; as `causal.parity.check`, which raises SlipwayError."""
    from slipway.builtin.causal import parity

    end = end_of_turn(header)
    ends = [end, *(token for token in header.ends if token != end)]
    step = max(1, len(examples) // max(1, options.parity_examples))
    given = CausalOptions(
        parity=options.parity, parity_examples=options.parity_examples, parity_tokens=options.parity_tokens,
        parity_margin=options.parity_margin,
    )  # fmt: skip
    return parity.judged(job, made, model, ends, given, place, examples[::step][: options.parity_examples])


def fits(base: Base, options: AdapterOptions, *texts: str) -> bool:
    """Whether texts together are short enough."""
    return sum(len(base.tokenizer(text, add_special_tokens=False).input_ids) for text in texts) < options.max_tokens


def leave_nothing(folder: Path) -> None:
    """Remove what only the training needed."""
    for name in ("trainer", "judge", "cache"):
        with contextlib.suppress(OSError):
            shutil.rmtree(folder / name)
