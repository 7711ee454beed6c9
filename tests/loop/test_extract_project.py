"""Fields by a schema from end to end: the template, with an engine that echoes in place of the model."""

import json
from pathlib import Path

import pytest

from slipway import api
from slipway.core.material import Change, Dataset
from slipway.errors import ConfigError


def start(folder: Path, reply: str = "") -> Path:
    api.init(folder, "extract")
    text = (folder / "slipway.yaml").read_text("utf-8")
    line = next(line for line in text.splitlines() if "writer: {engine" in line)
    engine = f"  writer: {{engine: echo, reply: {json.dumps(reply)}}}"
    (folder / "slipway.yaml").write_text(text.replace(line, engine), "utf-8")
    return folder


def test_the_template_answers_with_objects_that_fit_and_measures_their_fields(tmp_path: Path) -> None:
    folder = start(tmp_path / "orders")
    with (folder / "evals/orders.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"text": "one that does not fit", "fields": {"customer": 3}}) + "\n")
    with api.open_project(folder) as project:
        outcome = api.run(project, "evaluate")
        report = outcome.reports["dev"]["two-shot"]
        assert report.metrics["schema_valid"].value == 1
        assert 0 <= report.metrics["field_f1"].value < 1
        assert report.metrics["field_f1"].n == report.metrics["total_right"].n > 0
        answer = api.ask(project, "两盏灯给王丽", candidate="two-shot")
        assert list(json.loads(answer.text)) == ["customer", "date", "items", "total"]
        examples = project.store.catalog.list("dataset", Dataset, "examples")[0][1]
        told = [c for c in project.store.blobs.get_lines(examples.changes, Change) if c.reason == "invalid"]
        assert ["$.date: missing" in change.detail for change in told] == [True]


def test_an_answer_that_is_no_object_is_an_error(tmp_path: Path) -> None:
    folder = start(tmp_path / "orders", "I cannot tell.")
    text = (folder / "slipway.yaml").read_text("utf-8")
    text = text.replace("few_shot: {k: 2},", "few_shot: {k: 2}, answer_pattern: '(.*)',")
    (folder / "slipway.yaml").write_text(text, "utf-8")
    with api.open_project(folder) as project:
        api.run(project, "adapt")
        assert "no output of the task" in str(api.ask(project, "两盏灯给王丽", candidate="two-shot").error)


@pytest.mark.parametrize(("schema", "why"), [("{", "is not JSON"), ('{"type": "object"}', "object with properties")])
def test_a_schema_that_is_none_stops_with_words(tmp_path: Path, schema: str, why: str) -> None:
    folder = start(tmp_path / "orders")
    (folder / "order.schema.json").write_text(schema, "utf-8")
    with pytest.raises(ConfigError, match=why), api.open_project(folder) as project:
        api.run(project, "adapt")
