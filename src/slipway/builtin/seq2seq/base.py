"""What is trained: the candidate's model, or a small T5 made here from nothing. Imports torch inside functions only.

A small one has a tokenizer of its own: pieces of bytes (byte-level BPE, Radford et al. 2019) learned from what train
asks and answers, so no text is unknown to it. Both are folders in Hugging Face's format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slipway.builtin.causal.base import quiet
from slipway.builtin.engines.seq2seq.engine import written
from slipway.builtin.engines.seq2seq.loaded import weights_of
from slipway.builtin.engines.seq2seq.shape import KINDS
from slipway.builtin.seq2seq.options import SIZES, Seq2SeqOptions
from slipway.builtin.training.failures import check_weights
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.i18n import t

CONFIG, TOKENIZER, WEIGHTS = FILES = ("config.json", "tokenizer.json", "model.safetensors")
SPECIAL = ("<pad>", "</s>", "<unk>")  # places 0, 1 and 2, as T5 has them
_MOST_TEXTS = 200_000  # that a vocabulary is learned from


def base_files(job: Job, options: Seq2SeqOptions) -> Mapping[str, Path]:
    """Of the candidate's model, or of one that is made now. Raises ConfigError for a model of another kind."""
    if job.base is None:
        return _small(job, options)
    if job.base.engine != "seq2seq" or not job.files:
        raise ConfigError(
            t("'{name}' is no encoder-decoder, so `tune: seq2seq` cannot train it", name=job.base.name),
            t("name a model of engine seq2seq, or none: then a small one is made from the examples"),
        )
    if chosen := [name for name in SIZES if name in options.model_fields_set]:
        raise ConfigError(
            t("{names}: these are sizes of a model that is made from nothing, and '{name}' has its own",
              names=", ".join(chosen), name=job.base.name),
            t("leave them out, or name no model"),
        )  # fmt: skip
    return job.files


def load(files: Mapping[str, Path], dropout: float | None) -> Any:
    """A model of `transformers` with the weights of these files, in float32. Raises ConfigError where some are missing,
    IntegrityError where some are no numbers.

    The last matrix is one of its own where the file has one, as engines see it, whatever the configuration says.
    """
    quiet()
    import torch
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    given = json.loads(files[CONFIG].read_text("utf-8"))
    if dropout is not None:
        given["dropout_rate"] = dropout
    config = AutoConfig.for_model(**given)
    model: Any = AutoModelForSeq2SeqLM.from_config(config, dtype=torch.float32)
    weights = weights_of(files[WEIGHTS].name if WEIGHTS in files else "", files)
    check_weights(WEIGHTS, weights.items())
    if "lm_head.weight" in weights:
        model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.lm_head.weight))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            found = weights.get(name)
            if found is None or found.shape != tuple(parameter.shape):
                raise ConfigError(
                    t("the model cannot be trained: its tensor '{name}' is missing or has another size", name=name),
                    t("fetch it again, or use another model of the T5 family ({kinds})", kinds=", ".join(KINDS)),
                )
            parameter.copy_(torch.from_numpy(found))
    return model


def write(model: Any, files: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """The trained model's files, in `folder`: its weights, and the base's tokenizer and configuration as they are."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    made = {name: folder / name for name in FILES}
    for name in (CONFIG, TOKENIZER):
        made[name].write_bytes(files[name].read_bytes())
    kept = {name: one.detach().float().cpu().numpy().copy() for name, one in sorted(model.named_parameters())}
    save_file(kept, made[WEIGHTS])
    return made


def _small(job: Job, options: Seq2SeqOptions) -> dict[str, Path]:
    """A T5 1.1 with random weights that the seed determines, and a tokenizer that train determines."""
    quiet()
    from transformers import T5Config, T5ForConditionalGeneration

    folder = job.folder / "base"
    folder.mkdir(parents=True, exist_ok=True)
    examples = [one for one in job.examples("train") if job.reference(one)]
    texts = [text for one in examples for text in (written(job.messages(one)), job.reference(one))]
    tokenizer = _tokenizer(texts[:_MOST_TEXTS], options.vocabulary)
    files = {name: folder / name for name in FILES}
    tokenizer.save(str(files[TOKENIZER]))
    shape: dict[str, Any] = {
        "vocab_size": tokenizer.get_vocab_size(), "d_model": options.width, "d_kv": options.width // options.heads,
        "d_ff": 2 * options.width, "num_layers": options.layers, "num_decoder_layers": options.layers,
        "num_heads": options.heads, "feed_forward_proj": "gated-gelu", "dropout_rate": 0.1, "pad_token_id": 0,
        "eos_token_id": 1, "decoder_start_token_id": 0,
    }  # fmt: skip
    model: Any = T5ForConditionalGeneration(T5Config(**shape))
    told = {"architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "is_encoder_decoder": True, **shape}
    files[CONFIG].write_text(json.dumps(told, indent=1, sort_keys=True), "utf-8")
    return write(model, files, folder)


def _tokenizer(texts: Sequence[str], size: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE(unk_token=SPECIAL[2]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False, min_frequency=2,
    )  # fmt: skip
    made.train_from_iterator(texts, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return made
