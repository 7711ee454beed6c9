"""The page on the project file names every key, in both languages, and the numbers it gives are the defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from slipway.builtin.strategies.agent import AgentConfig
from slipway.project import data, monitoring, schema

ROOT = Path(__file__).parents[2]
OF: dict[str, list[type[BaseModel]]] = {
    "Top-level keys": [schema.Project],
    "Keys of models": [schema.ModelConfig, schema.Price],
    "Keys of data": [data.DataConfig, data.DocumentSource, data.ExampleSource, data.SplitConfig],
    "Keys of sites and tables": [data.SiteSource, data.TableSource],
    "Keys of clean and limits": [data.CleanConfig, data.ParseLimits],
    "Keys of chunk": [data.ChunkConfig],
    "Keys of a candidate": [schema.CandidateConfig],
    "Keys of retrieve": [schema.RetrieveConfig],
    "Keys of few_shot": [schema.FewShotConfig],
    "Keys of sampling": [schema.SamplingConfig],
    "Keys of evaluate": [schema.EvaluateConfig],
    "Keys of a gate rule": [schema.GateRule],
    "Keys of release": [schema.ReleaseConfig],
    "Keys of improve": [schema.ImproveConfig],
    "Keys of serve": [schema.ServeConfig],
    "Keys of telemetry": [schema.TelemetryConfig],
    "Keys of monitor": [
        monitoring.MonitorConfig,
        monitoring.WatchRule,
        monitoring.Sink,
        monitoring.WebhookSink,
        monitoring.EmailSink,
        monitoring.CommandSink,
    ],  # fmt: skip
    "Keys of machine": [schema.MachineConfig],
    "Keys of value": [schema.ValueConfig],
    "Keys of card": [schema.CardConfig],
    "Keys of store": [schema.StoreConfig, schema.RetentionConfig],
}
SAID_ELSEWHERE = {("SplitConfig", name) for name in ("train", "dev", "gate")}  # as shares, in words


def sections(page: str) -> list[tuple[str, str]]:
    text = (ROOT / page).read_text("utf-8").replace("（", "(").replace("）", ")")
    return re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.M | re.S)


ENGLISH = sections("docs/en/project-file.md")
CHINESE = sections("docs/zh/project-file.md")


@pytest.mark.parametrize("heading", OF)
def test_every_key_is_named_and_its_number_is_the_default(heading: str) -> None:
    at = [name for name, _ in ENGLISH].index(heading)
    for text in (ENGLISH[at][1], CHINESE[at][1]):
        for config in OF[heading]:
            for name, field in config.model_fields.items():
                if (config.__name__, name) in SAID_ELSEWHERE:
                    continue
                named = re.search(rf"`(?:\w+\.)?{name}(?:: [^`]+)?`(?: ?\((-?\d+(?:\.\d+)?)\))?", text)
                assert named, f"{heading}: `{name}` of {config.__name__} is not named"
                if named[1] is not None:
                    assert float(named[1]) == field.default, f"{heading}: `{name}` is {field.default}"


def test_no_part_of_the_file_is_forgotten() -> None:
    described = {config for configs in OF.values() for config in configs}
    parts = {value for value in vars(schema).values() if isinstance(value, type) and issubclass(value, schema.Strict)}
    plug_ins = {schema.MetricConfig, schema.PluginConfig, schema.Strict}
    assert {part.__name__ for part in parts - described - plug_ins} == set()


@pytest.mark.parametrize("page", ["docs/en/answering.md", "docs/zh/answering.md"])
def test_the_defaults_of_an_agent(page: str) -> None:
    said = {
        name: float(value)
        for _, text in sections(page)
        for name, value in re.findall(r"`(turns|seconds)` ?\((\d+)\)", text)
    }
    assert said == {name: field.default for name, field in AgentConfig.model_fields.items()}
