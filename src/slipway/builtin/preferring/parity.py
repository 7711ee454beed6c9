"""Whether an adapter says the same as it is served and as it was trained."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slipway.builtin.engines.llama.engine import LlamaConfig, LlamaEngine
from slipway.builtin.preferring.room import Base
from slipway.core.artifact import ADAPTER
from slipway.core.message import GenerateRequest, Sampling
from slipway.errors import SlipwayError
from slipway.i18n import t
from slipway.text.visible import line

MOST = 20  # prompts
_TOKENS = 8  # of each answer


def check(base: Base, adapted: Any, adapter: Path, prompts: Sequence[str], difference: float) -> dict[str, float]:
    """Served greedy answers, token by token, beside what the trained model thinks of the same tokens.

    `prompts`: as they are sent. Returns the mean difference of log-probabilities. Raises SlipwayError, naming prompts,
    where it is more than `difference`; without `xllamacpp` nothing is compared and nothing returned.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        return {}
    prompts = [one for one in prompts if one][:: max(1, len(prompts) // MOST)][:MOST]
    served = asyncio.run(_served(base.path, adapter, prompts))
    gaps = [(_gap(base, adapted, prompt, said), prompt) for prompt, said in zip(prompts, served, strict=True)]
    mean = sum(gap for gap, _ in gaps) / max(1, len(gaps))
    if not mean <= difference:
        worst = [f"'{line(prompt[-80:])}' ({gap:.2f})" for gap, prompt in sorted(gaps, reverse=True)[:3]]
        raise SlipwayError(
            t("the adapter that would be served and the trained one differ by {gap:.2f} a token: {examples}",
              gap=mean, examples="; ".join(worst)),
            t("train on a base of more bits, or allow it: difference: {gap:.2f}", gap=mean + 0.01),
        )  # fmt: skip
    return {"parity_prompts": float(len(gaps)), "parity_difference": float(f"{mean:.3g}")}


async def _served(base: Path, adapter: Path, prompts: Sequence[str]) -> list[tuple[str, list[float]]]:
    """For each prompt the greedy answer and the log-probabilities of its tokens."""
    config = LlamaConfig(context=_context(base), parallel=1, measure=False, second_child=False, cache_mb=0)
    name = adapter.name.removesuffix(ADAPTER)
    engine = LlamaEngine(config, name=name, files={base.name: base, adapter.name: adapter})
    found: list[tuple[str, list[float]]] = []
    try:
        await engine.start()
        for prompt in prompts:
            sampling = Sampling(max_tokens=_TOKENS, temperature=0.0)
            request = GenerateRequest(prompt=prompt, sampling=sampling, adapters={name: 1.0}, logprobs=1)
            answer = await engine.complete(request)
            found.append((answer.text, [one.logprob for one in answer.logprobs]))
    finally:
        await engine.close()
    return found


def _context(base: Path) -> int:
    from slipway.builtin.engines.gguf_model import read_header

    return min(read_header(base).context or 2048, 2048)


def _gap(base: Base, adapted: Any, prompt: str, said: tuple[str, list[float]]) -> float:
    """Mean difference over the tokens of an answer; an answer whose tokens cannot be told from its text has none."""
    import torch

    text, served = said
    begin = base.tokenizer(prompt, add_special_tokens=False).input_ids
    ids = base.tokenizer(text, add_special_tokens=False).input_ids[: len(served)]
    if not ids or len(ids) > len(served) or base.tokenizer.decode(ids) != text:
        return 0.0
    adapted.eval()
    with torch.no_grad():
        logits = adapted(torch.tensor([begin + ids], device=adapted.device)).logits[0].float()
    trained = logits.log_softmax(-1)[len(begin) - 1 : len(begin) + len(ids) - 1]
    own = trained[range(len(ids)), ids].tolist()
    return sum(abs(a - b) for a, b in zip(own, served, strict=False)) / len(ids)
