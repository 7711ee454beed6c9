from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from slipway.errors import ConfigError, NotFound
from slipway.project.load import find, json_schema, load
from slipway.project.scaffold import TEMPLATES, init

MINIMAL = "slipway: 1\nname: demo\n"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "slipway.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_units_become_plain_numbers(tmp_path: Path) -> None:
    project = load(write(tmp_path, MINIMAL + "gate: {latency_p95: {max: 800 ms}, cost_per_query: {max: 0.10 CNY}}\n"
                                             "serve: {max_body: 2 MB, deadline: 2 min}\n"))  # fmt: skip
    assert project.gate["latency_p95"].max == 0.8
    assert project.gate["cost_per_query"].max == 0.1
    assert (project.serve.max_body, project.serve.deadline) == (2e6, 120)


# what is written -> what the message must hold; the place is line:column
BAD = {
    "unknown key": (MINIMAL + "gate:\n  token_f1: {mim: 1}\n", r"slipway.yaml:4:14: gate.token_f1.mim: unknown key; did you mean 'min'"),
    "unknown top key": (MINIMAL + "candidate: {}\n", r"3:1: candidate: unknown key; did you mean 'candidates'"),
    "missing name": ("slipway: 1\n", r"1:1: name: is missing"),
    "bad name": ("slipway: 1\nname: My Project\n", r"2:1: name: 'My Project' is not a name"),
    "other version": ("slipway: 2\nname: a\n", r"1:1: slipway"),
    "bad unit": (MINIMAL + "gate: {a: {max: 8 parsecs}}\n", r"parsecs.*ms, s, min"),
    "bad money": (MINIMAL + "machine: {per_hour: 5}\n", r"machine.per_hour"),
    "splits": (MINIMAL + "data: {split: {train: 0.9}}\n", r"train \+ dev \+ gate must be 1, not 1.5"),
    "empty rule": (MINIMAL + "gate: {a: {}}\n", r"at least one of min, max, against"),
    "margin alone": (MINIMAL + "gate: {a: {min: 1, margin: 0.1}}\n", r"need against"),
    "no such model": (MINIMAL + "models: {writer: {engine: echo}}\ncandidates: {a: {model: wirter, prompt: p}}\n",
                      r"4:18: candidates.a.model: no model is called 'wirter'; did you mean 'writer'"),
    "extends nobody": (MINIMAL + "candidates: {a: {extends: b}}\n", r"no candidate is called 'b'"),
    "extends itself": (MINIMAL + "candidates: {a: {extends: b}, b: {extends: a}}\n", r"circle"),
    "written twice": (MINIMAL + "name: other\n", r"3:1: 'name' is written twice"),
    "not a mapping": ("- 1\n", r"not a mapping"),
    "empty": ("", r"is empty"),
    "broken yaml": ("slipway: [1\nname: a\n", r"slipway.yaml:2:\d+"),
    "tab": ("slipway: 1\n\tname: a\n", r"slipway.yaml:2:1"),
    "python tag": (MINIMAL + "x: !!python/object/apply:os.system ['true']\n", r"slipway.yaml:3:\d+"),
    "not utf-8": (b"slipway: 1\nname: \xff\xfe\n", r"not UTF-8"),
    "nested": ("[" * 5000 + "]" * 5000, r"nested too deeply"),
    "huge": ("# " + "x" * 1_000_001, r"larger than 1 MB"),
    "nan": (MINIMAL + "candidates: {a: {sampling: {temperature: .nan}}}\n", r"temperature"),
    "type": (MINIMAL + "evaluate: {metrics: 3}\n", r"3:12: evaluate.metrics"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(write(tmp_path, text))


def test_every_error_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, "slipway: 1\nname: a\nx: 1\ny: 2\nserve: {port: 99999}\n"))
    assert len(error.value.message.splitlines()) == 3


def test_set_overrides_and_refuses_nonsense(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "data: {documents: [{path: a}]}\n")
    assert load(path, ["serve.port=1234", "data.documents.0.path=b"]).serve.port == 1234
    assert load(path, ["data.documents.0.path=b"]).data.documents[0].path == "b"
    for bad in ("serve.port", "=1", "a..b=1", "data.documents.7.path=x", "name.x=1", "serve.port=[", "serve.prot=1"):
        with pytest.raises(ConfigError):
            load(path, [bad])


def test_the_file_is_found_from_below_and_missed_politely(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find(below) == path
    path.unlink()
    with pytest.raises(ConfigError, match="slipway init"):
        find(below)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_a_valid_project_by_our_code_and_by_the_schema(tmp_path: Path, template: str) -> None:
    folder = tmp_path / "My Demo!"
    written = init(folder, template)
    assert folder / "slipway.yaml" in written
    assert (folder / ".gitignore").exists()
    assert load(folder / "slipway.yaml").name == "my-demo"
    jsonschema.validate(yaml.safe_load((folder / "slipway.yaml").read_text()), json_schema())
    with pytest.raises(ConfigError, match="already has"):
        init(folder, template)


def test_init_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="did you mean 'docs-assistant'"):
        init(tmp_path / "a", "docs-asistant")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        init(tmp_path / "file" / "x")
