"""One way to do the task, pinned: everything that can change its answers is in here or is named by digest."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from slipway.core.message import Sampling
from slipway.core.ref import Noun, Ref


class ModelPin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model as an engine will load it. `files`: name -> sha256, empty for a remote model.

    `options` are the engine's own (typed by its Config), without secrets. What it costs is no part of it: prices
    change, answers do not.
    """

    name: str  # as the project file calls it
    engine: str
    source: str
    quantize: str = ""
    files: dict[str, str] = {}
    options: dict[str, Any] = {}


class Retrieval(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which passages are fetched for an input, and how.

    `mode`: `dense`, `lexical` or `fused` (reciprocal rank fusion of both, Cormack et al. 2009). `filters`: metadata
    equalities that a passage must meet, e.g. `{"language": "zh"}`. `chunks` pins the indexed dataset. `index` and
    `lexical` name the plug-ins that search vectors and words, each with its own options.
    """

    chunks: Ref
    embedder: ModelPin | None
    artifact: Ref | None = None  # what the embedder was made as, where it was tuned
    top_k: int = 3
    mode: Literal["dense", "lexical", "fused"] = "fused"
    filters: dict[str, Any] = {}
    max_chars: int = 6000  # of all passages together; later ones are left out
    rerank: int | None = None  # put so many of the best passages in another order: of their best statements
    reranker: ModelPin | None = None  # or as this model orders them, which reads question and passage together
    excerpt_chars: int | None = None  # show the sentences nearest the question instead, so many weighted characters
    index: str = "faiss"
    index_options: dict[str, Any] = {}
    lexical: str = "tantivy"
    lexical_options: dict[str, Any] = {}


class FewShot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Worked examples shown in the prompt, from the train split only.

    `fixed`: the same for all inputs (they stand in the constant part of the prompt); `nearest`: by the embedder.
    """

    examples: tuple[dict[str, Any], ...]  # fields of input and reference: the fixed ones, or the pool of the nearest
    choose: Literal["fixed", "nearest"] = "fixed"
    k: int = 3
    embedder: ModelPin | None = None


class ToolPin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tool that the model may call, and its options."""

    tool: str
    options: dict[str, Any] = {}


class Candidate(Noun, frozen=True, kw_only=True):
    """Prompt + model + retriever + parameters. `task` and `strategy` name plug-ins: what is asked, and how it is done.

    `model` is None, and `prompt` empty, where the strategy asks no model (`Strategy`). `prompt` is the template's text
    (Jinja2, sandboxed); what is in front of its first variable is constant and is cached by engines. `answer_pattern`:
    regular expression whose first group is the answer (chain of thought). `samples` > 1: self-consistency (Wang et al.
    2022), the majority of normalised answers wins. `files`: what its strategy reads, name -> sha256 of a blob;
    `encoder`: the model whose vectors the strategy asks for.
    """

    name: str
    task: str
    model: ModelPin | None = None
    prompt: str = ""
    system: str = ""
    kind: Literal["prompt"] = "prompt"
    retrieve: Retrieval | None = None
    few_shot: FewShot | None = None
    sampling: Sampling = Sampling()
    answer_pattern: str = ""
    samples: int = 1
    json_schema: dict[str, Any] | None = None
    choices: tuple[str, ...] = ()
    adapters: dict[str, float] = {}
    adapter_files: dict[str, str] = {}  # adapter -> sha256 of its file, of those that the model does not bring
    artifact: Ref | None = None  # what the model, an adapter or the files were made as
    files: dict[str, str] = {}
    encoder: ModelPin | None = None
    task_options: dict[str, Any] = {}
    strategy: str = "direct"
    strategy_options: dict[str, Any] = {}
    tools: tuple[ToolPin, ...] = ()

    @property
    def ref(self) -> Ref:
        """How others point at it."""
        return Ref("candidate", self.name, self.digest)
