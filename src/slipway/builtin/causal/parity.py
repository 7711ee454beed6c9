"""Whether the file that will be served answers as the model that was trained. Imported only where torch is installed.

The served answers are greedy. The trained model reads each of them behind its prompt, and at every token it must prefer
what was served: then it would have written the same. A file rounds weights and an engine rounds what it multiplies, so
where the trained model is undecided between two tokens either may come; such an example counts as a tie, not as a
difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from slipway.builtin.causal.aside import AnswersAside
from slipway.builtin.causal.losses import Answers
from slipway.builtin.causal.options import CausalOptions
from slipway.builtin.causal.token_rows import Row
from slipway.builtin.training.options import CausalTraining
from slipway.builtin.training.placing import Place
from slipway.core.artifact import Made
from slipway.core.material import Example
from slipway.core.message import GenerateRequest, Sampling
from slipway.core.protocols import Job
from slipway.errors import SlipwayError
from slipway.i18n import joined, t
from slipway.text import visible

_NAMED = 3  # examples that an error names
_MOST = 0.98  # of the examples have a gap of `parity_gap` at most, which is told


class Compared(NamedTuple):
    """`served`: the text. `gap`: by how many nats the trained model preferred another token than was served, where it
    first did; 0 where it never did.
    """

    example: Example
    served: str
    gap: float


def check(
    job: Job, made: Made, model: Any, ends: Sequence[int], options: CausalTraining, place: Place
) -> dict[str, float]:
    """The shares of examples of dev (without any, of train) that agree. Raises SlipwayError, naming some that do not,
    where fewer than `options.parity` do.
    """
    examples = (list(job.examples("dev")) or list(job.examples("train")))[: options.parity_examples]
    return judged(job, made, model, ends, options, place, examples)


def judged(
    job: Job, made: Made, model: Any, ends: Sequence[int], options: CausalTraining, place: Place,
    examples: Sequence[Example],
) -> dict[str, float]:  # fmt: skip
    """`check` on these examples."""
    if not examples:
        return {}
    found = compare(job, made, model, ends, examples, options.parity_tokens, place)
    same = sum(one.gap == 0 for one in found) / len(found)
    agreed = sum(one.gap <= options.parity_margin for one in found) / len(found)
    if agreed < options.parity:
        wrong = sorted((one for one in found if one.gap > options.parity_margin), key=lambda one: -one.gap)
        names = joined(
            f"'{visible.line(job.text(one.example))[:60]}' -> '{visible.line(one.served)[:40]}'"
            for one in wrong[:_NAMED]
        )
        raise SlipwayError(
            t("only {share:.1%} of {n} examples are answered by the served file as by the trained model: {names}",
              share=agreed, n=len(found), names=names),
            t("file_type: f16 rounds less, and so does a base in q8_0 or f16; `parity` says how many must agree")
            if isinstance(options, CausalOptions)
            else t("that is a defect of the export; report it with the model's config.json"),
        )  # fmt: skip
    largest = sorted(one.gap for one in found)[math.ceil(_MOST * len(found)) - 1]  # inf where nothing was served
    told = {"parity": agreed, "parity_same": same, "parity_examples": float(len(found))}
    return told | ({"parity_gap": largest} if math.isfinite(largest) else {})


def compare(
    job: Job, made: Made, model: Any, ends: Sequence[int], examples: Sequence[Example], tokens: int, place: Place
) -> list[Compared]:
    """Each example answered by what will be served, and its answer read by the trained model."""
    sampling = Sampling(max_tokens=tokens, temperature=0.0)
    conversations = [job.messages(example) for example in examples]
    with job.serving(made) as served:
        prompts = served.prompts(conversations)
        said = served.answer_tokens([GenerateRequest(messages=turns, sampling=sampling) for turns in conversations])
        texts = served.texts([[token for token in ids if token not in ends] for ids in said])
    rows = [Row((*prompt, *ids), len(prompt)) for prompt, ids in zip(prompts, said, strict=True)]
    model.eval()
    gaps = [_gap(model, row, ends, place) for row in rows]
    return [Compared(*one) for one in zip(examples, texts, gaps, strict=True)]


def _gap(model: Any, row: Row, ends: Sequence[int], place: Place) -> float:
    """Where the trained model first prefers another token than was served: by how many nats. Any end is an end."""
    if len(row.ids) == row.start:
        return float("inf")
    with torch.no_grad(), place.autocast():
        kind = AnswersAside if model.config.is_encoder_decoder else Answers
        logits, served = kind(model, [row], place.device).logits(((0,),))
    scores = logits.float().log_softmax(-1)
    if int(served[-1]) in ends:
        served[-1] = max(ends, key=lambda end: float(scores[-1, end]))
    gaps = scores.max(-1).values - scores.gather(-1, served[:, None])[:, 0]
    differs = (gaps > 0).nonzero()
    return float(gaps[differs[0]]) if len(differs) else 0.0
