"""How much each feed-forward neuron of a language model says on texts of train. Needs torch; trains nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.builtin.causal.base import base_of, load
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TOKENS = 256  # of each text


def importance(job: Job, path: Path, texts: int) -> dict[int, NDArray[np.float64]]:
    """Layer -> for each neuron the mean size of its output times the length of what it is multiplied with (the idea of
    Sun et al. 2023, for whole neurons).

    Seen on so many prompts with their references, in the tokens that the engine reads. Raises ConfigError without
    examples or for a model that cannot be run in torch, MissingPrerequisite without the extra `train`.
    """
    base_of(job)
    import torch

    rows = _rows(job, texts)
    if not rows:
        raise ConfigError(
            t("activations are seen on texts of train, and there are none"),
            t("add data.examples, or choose {names}", names="by: weights"),
        )
    model = load(path).eval()
    sums: dict[int, Any] = {}

    def watch(layer: int) -> Any:
        def seen(module: Any, given: tuple[Any, ...]) -> None:
            sums[layer] = sums.get(layer, 0) + given[0].abs().double().sum(dim=(0, 1))

        return seen

    maps = [one.mlp.down_proj for one in model.get_decoder().layers]
    hooks = [one.register_forward_pre_hook(watch(layer)) for layer, one in enumerate(maps)]
    with torch.no_grad():
        for done, ids in enumerate(rows):
            model.get_decoder()(input_ids=torch.tensor([ids]), use_cache=False)
            job.progress(0, None, texts=float(done + 1))
        for hook in hooks:
            hook.remove()
        return {layer: (sums[layer] * one.weight.double().norm(dim=0)).numpy() for layer, one in enumerate(maps)}


def _rows(job: Job, texts: int) -> list[list[int]]:
    examples = list(job.examples("train"))
    examples = examples[:: max(1, len(examples) // texts)][:texts]
    with job.serving() as served:
        prompts = served.prompts([job.messages(example) for example in examples])
        answers = served.tokens([job.reference(example) for example in examples])
    rows = [[*prompt, *answer][-_TOKENS:] for prompt, answer in zip(prompts, answers, strict=True)]
    return [row for row in rows if row]
