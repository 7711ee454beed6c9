"""The shape of `slipway.yaml`. Owns names, types and defaults; does not read files (`load`) nor know what a stage does.

Units are written in the file (`8 s`, `0.10 CNY`, `200 MB`) and are plain numbers here: seconds, currency, bytes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from slipway.core.database import Address
from slipway.core.metrics import METRICS
from slipway.errors import ConfigError
from slipway.i18n import joined, t
from slipway.project.data import DataConfig
from slipway.project.fields import (
    SECONDS,
    Bound,
    Budget,
    Bytes,
    ChannelName,
    Kept,
    Money,
    Name,
    Range,
    Redact,
    Seconds,
    Strict,
    quantity,
)
from slipway.project.monitoring import MonitorConfig
from slipway.project.plugin_config import MetricConfig, PluginConfig
from slipway.project.telemetry import TelemetryConfig


class Price(Strict):
    """What a model costs: per hour of the machine it runs on, or per million tokens. Give one of the two."""

    per_hour: Money | None = None
    input_per_million: Money | None = None
    output_per_million: Money | None = None


class ModelConfig(BaseModel):
    """A model: which engine runs it and where its files come from. Further keys are the engine's own options."""

    model_config = ConfigDict(extra="allow", frozen=True)
    engine: str
    source: str = ""
    quantize: Literal["q8_0", "q4_0"] | None = None
    sha256: dict[str, str] = {}
    price: Price | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The engine's own keys, to be checked by the engine's Config."""
        return dict(self.model_extra or {})


class RetrieveConfig(Strict):
    """Which passages are put into the prompt, and the plug-ins that search vectors (`index`) and words (`lexical`)."""

    embedder: str | None = None  # a model; needed unless mode is lexical
    tune: PluginConfig | None = None  # make an embedder from it first, on questions and their passages
    top_k: int = Field(default=3, ge=1, le=100)
    mode: Literal["dense", "lexical", "fused"] = "fused"
    filters: dict[str, Any] = {}
    max_chars: int = Field(default=6000, ge=100)
    rerank: int | None = Field(default=None, ge=2, le=100)  # so many of the best, by their best sentence
    reranker: str | None = None  # or as this model orders them: a cross-encoder; 20 without `rerank`
    excerpt_chars: int | None = Field(default=None, ge=50)  # only the sentences nearest the question, this much in all
    index: PluginConfig = PluginConfig(name="faiss", options={})
    lexical: PluginConfig = PluginConfig(name="tantivy", options={})


class FewShotConfig(Strict):
    """Worked examples from the train split."""

    k: int = Field(default=3, ge=1, le=50)
    choose: Literal["fixed", "nearest"] = "fixed"
    embedder: str | None = None
    seed: int = 7


class SamplingConfig(Strict):
    """How tokens are drawn."""

    temperature: float = Field(default=0.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=128, ge=1, le=32768)
    stop: list[str] = Field(default=[], max_length=16)
    seed: int | None = 0
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)


class CandidateConfig(Strict):
    """One way to do the task. `extends` takes another candidate's keys as defaults."""

    model: str | None = None
    prompt: str | None = None  # a file relative to the project
    system: str = ""
    retrieve: RetrieveConfig | None = None
    few_shot: FewShotConfig | None = None
    sampling: SamplingConfig = SamplingConfig()
    answer_pattern: str = ""
    samples: int = Field(default=1, ge=1, le=64)
    json_schema: str | None = None  # a file
    choices: list[str] = []
    strategy: PluginConfig = PluginConfig(name="direct", options={})
    tools: list[PluginConfig] = []  # what the model may call; needs a strategy that does so, such as `agent`
    tune: PluginConfig | None = None  # make a model or an adapter from the candidate's model first
    extends: str | None = None


class EvaluateConfig(Strict):
    """What is measured, and with how many requests at once."""

    metrics: list[MetricConfig] = [
        MetricConfig(name=name, scorer=name) for name in ("token_f1", "latency_p95", "cost_per_query")
    ]
    parallel: int = Field(default=2, ge=1, le=256)
    timeout: Seconds = 120.0  # for one example
    repeats: int = Field(default=1, ge=1, le=64)  # answers an example, where the temperature is above 0
    folds: int | None = Field(default=None, ge=2, le=20)  # train and dev, each fold by what was fitted without it

    @model_validator(mode="after")
    def _once(self) -> EvaluateConfig:
        names = self.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(t("metrics: '{name}' is listed twice", name=twice[0]))
        if not names:
            raise ValueError(t("metrics: name at least one"))
        if names[0] in METRICS and METRICS[names[0]].kind == "likelihood":
            raise ValueError(
                t("metrics: '{name}' is reported and decides nothing: put a metric of answers first", name=names[0])
            )
        return self

    @property
    def names(self) -> list[str]:
        """What the metrics are called."""
        return [metric.name for metric in self.metrics]

    @property
    def likelihoods(self) -> bool:
        """Whether a metric asks how likely the references are."""
        return any(name in METRICS and METRICS[name].kind == "likelihood" for name in self.names)


class GateRule(Strict):
    """One rule about one metric. See docs: gate."""

    min: Bound = None
    max: Bound = None
    against: ChannelName | None = None  # a channel: compare with the release it points at
    margin: Bound = Field(default=None, ge=0)  # non-inferiority: at most this much worse
    better: bool = False  # superiority: shown to be better
    limit: Bound = Field(default=None, gt=0)  # the highest value of one example, for a mean without an upper end
    slices: list[str] = []  # `language` or keys of the examples' meta: the rule must hold in each part, too
    confidence: Literal["interval", "point"] = "interval"

    @model_validator(mode="before")
    @classmethod
    def _units(cls, value: Any) -> Any:
        if isinstance(value, dict):
            units = {**SECONDS, "%": 0.01}
            return {k: _plain(v, units) if k in ("min", "max", "margin", "limit") else v for k, v in value.items()}
        return value

    @model_validator(mode="after")
    def _something(self) -> GateRule:
        if self.min is None and self.max is None and self.against is None:
            raise ValueError(t("a rule needs at least one of min, max, against"))
        if self.against is None and (self.margin is not None or self.better):
            raise ValueError(t("margin and better need against: the channel to compare with"))
        if self.slices and self.min is None and self.max is None and self.margin is None:
            raise ValueError(t("slices need a min, a max or a margin that must hold in each of them"))
        return self


def _plain(value: Any, units: dict[str, float]) -> Any:
    if isinstance(value, str) and re.search(r"[A-Z]{3}\s*$", value):
        return Money.model_validate(value).amount
    return quantity(value, units)


class ServeConfig(Strict):
    """The gateway."""

    channel: ChannelName = "production"
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    queue: int = Field(default=64, ge=0)  # requests that may wait
    parallel: int = Field(default=4, ge=1, le=4096)  # requests answered at once
    deadline: Seconds = 120.0
    drain: Seconds = 30.0
    max_body: Bytes = 1e6
    connections: int = Field(
        default=1000, ge=1, le=65536
    )  # open at once; one that asks nothing makes room for a new one
    durability: Literal["strict", "relaxed"] = "strict"
    redact: Redact = "off"  # personal data in traces and feedback that are kept; secrets never are
    bodies: float = Field(default=1.0, ge=0, le=1)  # share of requests whose question, answer and passages are kept
    telemetry: TelemetryConfig = TelemetryConfig()
    allowed_hosts: list[str] = []
    allowed_origins: list[str] = []


Proposals = Literal["retrain", "few-shot", "prompt", "written", "retrieval"]


class ImproveConfig(Strict):
    """What `slipway improve` tries, and when it stops. Docs: improving."""

    recipes: list[Proposals] = ["retrain", "few-shot", "prompt", "written", "retrieval"]
    writer: str | None = None  # the model that writes prompts; default that of the candidate
    budget: Budget = Budget(seconds=600.0)  # of a turn: time, such as 10m, or money, such as 5 CNY
    most: int = Field(default=27, ge=1, le=1000)  # recipes that are tried in a turn
    min_gain: float = Field(default=0.0, ge=0, le=1)  # by which dev must show that one is better than what serves
    power: float = Field(default=0.5, ge=0, lt=1)  # the least chance that gate shows the gain, for a look to be spent
    seed: int = 7


class ReleaseConfig(Strict):
    """Who wins among those that pass, and whether it is promoted by itself."""

    prefer: Literal["cost", "latency", "quality"] = "cost"
    metric: str | None = None  # what `quality` means; default the first of evaluate.metrics
    tolerance: float = Field(default=0.05, ge=0, lt=1)  # costs and latencies that differ by this share are equal
    looks: int = Field(default=10, ge=1, le=1000)  # how often the same gate examples may be looked at
    promote: bool = True


class MachineConfig(Strict):
    """What an hour of this machine costs; local models are priced by it."""

    per_hour: Money | None = None


class ValueConfig(Strict):
    """What answers are worth to the customer. Docs: evaluation. Amounts are in the currency of `per_hour`."""

    volume: float = Field(gt=0)  # inputs a month
    minutes_saved: Range  # of a person, by a right answer: a number, or a range such as `4 to 6`
    per_hour: Money  # what an hour of that person costs
    loss_per_wrong: Range = (0.0, 0.0)  # what a wrong answer costs on average: a number, or a range
    price: float = Field(default=0.0, ge=0)  # a month, beside what answers cost: licences, people
    build: float = Field(default=0.0, ge=0)  # once
    metric: str | None = None  # which quality metric says how right an answer is; default the first of evaluate.metrics


class CardConfig(Strict):
    """What only people know of the service; stands in the cards of each release. Docs: releases."""

    use: str = ""  # what it is for, and for whom
    not_for: str = ""  # what it must not be used for
    owner: str = ""  # who answers for it
    data: str = ""  # where documents and examples come from, under which licence, with whose consent


class RetentionConfig(Strict):
    """How long what was recorded is kept, such as `90d`; without a time, without limit. Docs: operations."""

    traces: Kept = None
    feedback: Kept = None  # default: as long as traces; longer while its release serves
    answers: Kept = None  # what evaluation remembers of candidates' answers
    steps: Kept = None  # executed steps, and what they remember: parsed documents, vectors nothing needs
    size: Annotated[Bytes, Field(gt=0)] | None = None  # of all traces, such as `2 GB`; beyond it the oldest go


class StoreConfig(Strict):
    """Where the catalog lies: by default an SQLite file in `.slipway`; with `url` a PostgreSQL database of its own."""

    url: str = ""  # postgresql+psycopg://USER@HOST/DATABASE, without the password
    password_env: str = ""  # the environment variable that holds it
    password_file: str = ""  # the file that holds it, relative to the project
    retention: RetentionConfig = RetentionConfig()

    def address(self, root: Path) -> Address:
        """The server; its URL is empty when there is none. `root`: the project's folder."""
        file = str(root / Path(self.password_file).expanduser()) if self.password_file else ""
        return Address(self.url, self.password_env, file)

    @model_validator(mode="after")
    def _server(self) -> StoreConfig:
        try:
            Address(self.url).check()
        except ConfigError as error:
            raise ValueError(joined([error.message, error.hint])) from error
        return self


class Project(Strict):
    """A whole project file."""

    slipway: Literal[1]
    name: Name
    task: PluginConfig = PluginConfig(name="answer", options={})
    models: dict[Name, ModelConfig] = {}
    data: DataConfig = DataConfig()
    candidates: dict[Name, CandidateConfig] = {}
    evaluate: EvaluateConfig = EvaluateConfig()
    gate: dict[str, GateRule] = {}
    release: ReleaseConfig = ReleaseConfig()
    improve: ImproveConfig = ImproveConfig()
    serve: ServeConfig = ServeConfig()
    monitor: MonitorConfig = MonitorConfig()
    machine: MachineConfig = MachineConfig()
    value: ValueConfig | None = None
    card: CardConfig = CardConfig()
    store: StoreConfig = StoreConfig()
