"""The shape of `slipway.yaml`. Owns names, types and defaults; does not read files (`load`) nor know what a stage does.

Units are written in the file (`8 s`, `0.10 CNY`, `200 MB`) and are plain numbers here: seconds, currency, bytes.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from slipway.core.metrics import METRICS
from slipway.core.release import check_channel
from slipway.errors import ConfigError
from slipway.i18n import t

_SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_QUANTITY = re.compile(r"\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*([A-Za-z%]*)\s*")
NAME = r"^[a-z0-9][a-z0-9_.-]{0,62}$"


def quantity(value: Any, units: dict[str, float]) -> Any:
    """A number with one of `units` as a plain number; plain numbers pass; raises ValueError with the known units."""
    if not isinstance(value, str):
        return value
    found = _QUANTITY.fullmatch(value)
    if not found or (found[2] and found[2] not in units):
        raise ValueError(
            t("'{value}' is not a number with one of the units {units}", value=value, units=", ".join(units))
        )
    return float(found[1]) * (units[found[2]] if found[2] else 1.0)


def _written(pattern: str, *more: dict[str, Any]) -> WithJsonSchema:
    """The JSON schema of a number that may be written with a unit."""
    number = r"^\s*[-+]?\d+(\.\d+)?([eE][-+]?\d+)?\s*"
    return WithJsonSchema(
        {"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"{number}({pattern})?$"}, *more]}
    )


Seconds = Annotated[float, BeforeValidator(lambda v: quantity(v, _SECONDS)), _written("|".join(_SECONDS))]
Bytes = Annotated[
    float, BeforeValidator(lambda v: quantity(v, {k: float(n) for k, n in _BYTES.items()})), _written("|".join(_BYTES))
]
Bound = Annotated[float | None, _written("ms|s|min|h|d|%|[A-Z]{3}", {"type": "null"})]
Name = Annotated[str, Field(pattern=NAME)]
Redact = Annotated[
    Literal["off", "mask", "hash"],
    BeforeValidator(lambda v: "off" if v is False else v),  # YAML reads a bare `off` as false
]


def _channel(value: str) -> str:
    try:
        return check_channel(value)
    except ConfigError as error:
        raise ValueError(f"{error.message}; {error.hint}") from error


ChannelName = Annotated[str, AfterValidator(_channel), WithJsonSchema({"type": "string", "pattern": NAME})]


class Money(BaseModel):
    """An amount and its ISO 4217 currency, written `0.10 CNY`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    amount: float = Field(ge=0)
    currency: str = Field(pattern=r"^[A-Z]{3}$")

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """A string such as `0.10 CNY`, or the two fields."""
        return {"anyOf": [{"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*[A-Z]{3}\s*$"}, handler(core_schema)]}

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = _QUANTITY.fullmatch(value)
        if not found or not re.fullmatch(r"[A-Z]{3}", found[2]):
            raise ValueError(t("'{value}' is not an amount with a currency, such as '0.10 CNY'", value=value))
        return {"amount": float(found[1]), "currency": found[2]}


class Strict(BaseModel):
    """Unknown keys are refused; values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


class DocumentSource(Strict):
    """Files that become documents: a path or glob relative to the project; `**` crosses folders."""

    path: str
    exclude: list[str] = []
    language: str | None = None  # given, not guessed
    base: str = ""  # what sources are named relative to; default the project folder


class ExampleSource(Strict):
    """Files of examples: JSONL, CSV or Parquet. `fields` maps our names to the file's columns."""

    path: str
    fields: dict[Literal["question", "answer", "source", "language", "group"], str] = {}


class CleanConfig(Strict):
    """How documents are cleaned; what is dropped or changed is counted with its reason."""

    boilerplate: bool = True  # drop navigation, footers, cookie banners of HTML
    min_chars: int = Field(default=20, ge=0)
    near_duplicates: float | None = Field(default=0.9, gt=0, le=1)  # Jaccard similarity of word 5-shingles; None: keep
    languages: list[str] = []  # keep only these; empty: all
    outliers: bool = True  # flag (never drop) documents whose length or character mix is far from the rest


class ParseLimits(Strict):
    """What one document may take; beyond it the document is refused and the rest goes on."""

    max_file: Bytes = 50e6
    max_text: Bytes = 20e6  # characters of text after parsing
    max_memory: Bytes = 1.5e9
    timeout: Seconds = 60.0


class ChunkConfig(Strict):
    """Heading-aware passages: sizes in characters (a CJK character counts as 2.5: it carries that much)."""

    max_chars: int = Field(default=900, ge=100, le=20000)
    min_chars: int = Field(default=200, ge=0)
    overlap: int = Field(default=0, ge=0)


class SplitConfig(Strict):
    """Shares of the three splits; groups never straddle them."""

    train: float = Field(default=0.4, ge=0, le=1)
    dev: float = Field(default=0.3, ge=0, le=1)
    gate: float = Field(default=0.3, ge=0, le=1)
    seed: int = 7
    group_by: str | None = None  # an example field or meta key; None: each example its own group

    @model_validator(mode="after")
    def _sum(self) -> SplitConfig:
        if abs(self.train + self.dev + self.gate - 1) > 1e-6:
            raise ValueError(t("train + dev + gate must be 1, not {sum:g}", sum=self.train + self.dev + self.gate))
        return self


class DataConfig(Strict):
    """What goes in, and how it is cleaned, cut and split."""

    roots: list[str] = []  # folders outside the project that documents and examples may lie in
    documents: list[DocumentSource] = []
    examples: list[ExampleSource] = []
    clean: CleanConfig = CleanConfig()
    limits: ParseLimits = ParseLimits()
    chunk: ChunkConfig = ChunkConfig()
    split: SplitConfig = SplitConfig()


class PluginConfig(Strict):
    """A plug-in by its name, or with options of its own: `faiss`, or `faiss: {type: flat}`."""

    name: str
    options: dict[str, Any] = {}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """A name, or a mapping of one name to its options."""
        return _NAMED

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.keys() == {"name", "options"}:
            return value
        name, options = _named(value)
        return {"name": name, "options": options}

    def __repr__(self) -> str:
        return repr({self.name: self.options} if self.options else self.name)


_NAMED: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": {"anyOf": [{"type": "object"}, {"type": "null"}]},
        },
    ]
}


def _named(value: Any) -> tuple[str, dict[str, Any]]:
    """A name and its options, from `name` or `{name: {option: value}}`."""
    if isinstance(value, str):
        return value, {}
    if isinstance(value, dict) and len(value) == 1:
        ((name, options),) = value.items()
        if isinstance(name, str) and (options is None or isinstance(options, dict)):
            return name, dict(options or {})
    raise ValueError(t("write a name, or one name with its options: {example}", example="name: {option: value}"))


class MetricConfig(Strict):
    """A metric by its name; with options of its scorer; or under a name of yours: `short: {scorer: ./my.py:Short}`."""

    name: str
    scorer: str
    options: dict[str, Any] = {}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """A name, or a mapping of one name to `scorer` and its options."""
        return _NAMED

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, dict) and {"name", "scorer"} <= value.keys() <= {"name", "scorer", "options"}:
            return value
        name, options = _named(value)
        scorer = options.pop("scorer", name)
        if scorer != name and name in METRICS:
            raise ValueError(t("'{name}' is a metric of Slipway's own; give yours another name", name=name))
        return {"name": name, "scorer": scorer, "options": options}

    def __repr__(self) -> str:
        more = {} if self.scorer == self.name else {"scorer": self.scorer}
        return repr({self.name: more | self.options} if more or self.options else self.name)


class RetrieveConfig(Strict):
    """Which passages are put into the prompt, and the plug-ins that search vectors (`index`) and words (`lexical`)."""

    embedder: str | None = None  # a model; needed unless mode is lexical
    top_k: int = Field(default=3, ge=1, le=100)
    mode: Literal["dense", "lexical", "fused"] = "fused"
    filters: dict[str, Any] = {}
    max_chars: int = Field(default=6000, ge=100)
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
    extends: str | None = None


class EvaluateConfig(Strict):
    """What is measured, and with how many requests at once."""

    metrics: list[MetricConfig] = [
        MetricConfig(name=name, scorer=name) for name in ("token_f1", "latency_p95", "cost_per_query")
    ]
    parallel: int = Field(default=2, ge=1, le=256)
    timeout: Seconds = 120.0  # for one example

    @model_validator(mode="after")
    def _once(self) -> EvaluateConfig:
        names = self.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(t("metrics: '{name}' stands there twice", name=twice[0]))
        if not names:
            raise ValueError(t("metrics: name at least one"))
        return self

    @property
    def names(self) -> list[str]:
        """What the metrics are called."""
        return [metric.name for metric in self.metrics]


class GateRule(Strict):
    """One rule about one metric. See docs: gate."""

    min: Bound = None
    max: Bound = None
    against: ChannelName | None = None  # a channel: compare with the release it points at
    margin: Bound = Field(default=None, ge=0)  # non-inferiority: at most this much worse
    better: bool = False  # superiority: shown to be better
    confidence: Literal["interval", "point"] = "interval"

    @model_validator(mode="before")
    @classmethod
    def _units(cls, value: Any) -> Any:
        if isinstance(value, dict):
            units = {**_SECONDS, "%": 0.01}
            return {k: _plain(v, units) if k in ("min", "max", "margin") else v for k, v in value.items()}
        return value

    @model_validator(mode="after")
    def _something(self) -> GateRule:
        if self.min is None and self.max is None and self.against is None:
            raise ValueError(t("a rule needs at least one of min, max, against"))
        if self.against is None and (self.margin is not None or self.better):
            raise ValueError(t("margin and better need against: the channel to compare with"))
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
    allowed_hosts: list[str] = []
    allowed_origins: list[str] = []


class ReleaseConfig(Strict):
    """Who wins among those that pass, and whether it is promoted by itself."""

    prefer: Literal["cost", "latency", "quality"] = "cost"
    metric: str | None = None  # what `quality` means; default the first of evaluate.metrics
    promote: bool = True


class MachineConfig(Strict):
    """What an hour of this machine costs; local models are priced by it."""

    per_hour: Money | None = None


class Project(Strict):
    """A whole project file."""

    slipway: Literal[1]
    name: Name
    task: Literal["answer"] = "answer"
    models: dict[Name, ModelConfig] = {}
    data: DataConfig = DataConfig()
    candidates: dict[Name, CandidateConfig] = {}
    evaluate: EvaluateConfig = EvaluateConfig()
    gate: dict[str, GateRule] = {}
    release: ReleaseConfig = ReleaseConfig()
    serve: ServeConfig = ServeConfig()
    machine: MachineConfig = MachineConfig()
