from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import yaml

from slipway.errors import ConfigError, NotFound
from slipway.project.load import find, json_schema, load
from slipway.project.scaffold import RENAMED, TEMPLATES, init

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
    limited = load(
        write(tmp_path, MINIMAL + "gate: {cost_per_query: {max: 0.1 CNY, limit: 2 CNY, slices: [language]}}\n")
    )
    assert limited.gate["cost_per_query"].limit == 2.0
    assert limited.gate["cost_per_query"].slices == ["language"]
    assert (project.serve.max_body, project.serve.deadline) == (2e6, 120)


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {x: 1, y: 2, z: 3}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12)
)
# what is written -> what the message must hold; the place is line:column
BAD = {
    "unknown key": (MINIMAL + "gate:\n  token_f1: {mim: 1}\n", r"slipway.yaml:4:14: gate.token_f1.mim: unknown key; did you mean 'min'"),
    "unknown top key": (MINIMAL + "candidate: {}\n", r"3:1: candidate: unknown key; did you mean 'candidates'"),
    "missing name": ("slipway: 1\n", r"1:1: name: is missing"),
    "bad name": ("slipway: 1\nname: My Project\n", r"2:1: name: 'My Project' is not a name"),
    "other version": ("slipway: 2\nname: a\n", r"1:1: slipway"),
    "bad unit": (MINIMAL + "gate: {a: {max: 8 parsecs}}\n", r"parsecs.*ms, s, min"),
    "bad money": (MINIMAL + "machine: {per_hour: 5}\n", r"machine.per_hour"),
    "splits": (MINIMAL + "data: {split: {train: 0.9}}\n", r"train \+ dev \+ gate \+ reserve must be 1, not 1.5"),
    "empty rule": (MINIMAL + "gate: {a: {}}\n", r"at least one of min, max, against"),
    "slices alone": (MINIMAL + "gate: {a: {against: production, slices: [language]}}\n", r"slices need a min"),
    "no limit": (MINIMAL + "gate: {a: {max: 1, limit: 0}}\n", r"gate.a.limit: must be > 0"),
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
    "huge": ("# " + "x" * 256_001, r"larger than 256000 bytes"),
    "alias bomb": (MINIMAL + BOMB, r"slipway.yaml:7:\d+: too much: aliases and values together"),
    "merge bomb": (MINIMAL + MERGES, r"slipway.yaml:\d:\d+: too much"),
    "alias in itself": (MINIMAL + "x: &a [*a]\n", r"3:8: '\*a' contains itself"),
    "nested a little too much": (MINIMAL + "x: " + "[" * 60 + "]" * 60, r"3:53: it is nested too deeply"),
    "nested blocks": ("- " * 100_000, r"1:101: it is nested too deeply"),
    "huge number": (MINIMAL + "serve: {port: " + "9" * 5000 + "}", r"3:15: a number of 5000 digits"),
    "huge count": (MINIMAL + "serve: {port: 1e400}", r"3:9: serve.port"),
    "not a number": (MINIMAL + "x: !!int many", r"3:4: 'many' is not a value of its kind"),
    "not a bool": (MINIMAL + "x: !!bool perhaps", r"3:4: 'perhaps' is not a value"),
    "own tag": (MINIMAL + "x: !secret a", r"3:4: the tag !secret is not allowed"),
    "binary": (MINIMAL + "x: !!binary AAAA", r"3:4: the tag .*binary is not allowed"),
    "key is a list": (MINIMAL + "? [a]\n: b", r"3:3: a key must be text"),
    "nul": (MINIMAL + "x: \0", r"3:4: the character U\+0000"),
    "escaped nul": (MINIMAL + 'candidates: {a: {prompt: "a\\0.md"}}', r"3:26: the character U\+0000"),
    "half a character": (MINIMAL + 'x: "\\ud800"', r"slipway.yaml:3:"),
    "turned text": (MINIMAL + "x: a\u202eb", r"3:5: the character U\+202E"),
    "second mark": (MINIMAL + "\ufeffx: 1", r"3:1: the character U\+FEFF"),
    "two documents": (MINIMAL + "---\nname: b\n", r"another document"),
    "many errors": (MINIMAL + "".join(f"x{n}: 1\n" for n in range(9999)), r"and 9949 more"),
    "long error": ("slipway: 1\nname: " + "x" * 100_000, r"2:1: name: .x{400,} \.\.\.\n"),
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
    for bad in ("serve.port", "=1", "a..b=1", "data.documents.7.path=x", "name.x=1", "serve.port=[", "serve.prot=1",
                "data.documents.\u00b2.path=x", "data.documents." + "9" * 5000 + ".path=x", "models" + ".a" * 50_000 + "=1",
                "serve.port=" + "9" * 5000, "x=!!python/name:os.system", "x=a\0b", "x=\udcff", "x={a: 1, a: 2}",
                "x=&a [*a]", "x=" + "[" * 10_000):  # fmt: skip
        with pytest.raises(ConfigError):
            load(path, [bad])


def test_aliases_and_merge_keys_may_be_used(tmp_path: Path) -> None:
    text = MINIMAL + "gate:\n  a: &rule {min: 0.5}\n  b: *rule\n  c: {<<: *rule, max: 1}\n"
    gate = load(write(tmp_path, text)).gate
    assert (gate["b"].min, gate["c"].min, gate["c"].max) == (0.5, 0.5, 1)


@pytest.mark.slow
def test_the_largest_file_that_is_allowed_is_read_in_seconds(tmp_path: Path) -> None:
    text = MINIMAL + "candidates:\n" + "".join(f"  c{n}: {{prompt: p}}\n" for n in range(10_000))
    started = time.monotonic()
    assert len(load(write(tmp_path, text)).candidates) == 10_000
    assert time.monotonic() - started < 20  # a minute and a half with PyYAML's own scanner on a busy machine


def test_a_project_file_that_is_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "slipway.yaml")
    with pytest.raises(ConfigError, match="not a regular file"):
        load(tmp_path / "slipway.yaml")


def test_the_file_is_found_from_below_and_missed_politely(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find(below) == path
    with pytest.raises(ConfigError, match="no folder"):  # a slip in a name does not lead to the project around it
        find(below / "c")
    path.unlink()
    with pytest.raises(ConfigError, match="slipway init"):
        find(below)


def test_the_plug_in_template_is_a_package_not_a_project(tmp_path: Path) -> None:
    written = init(tmp_path / "mine", "plug-in")
    assert tmp_path / "mine" / "pyproject.toml" in written
    assert not [path for path in written if path.name == "slipway.yaml"]


@pytest.mark.parametrize("template", [name for name in TEMPLATES if name != "plug-in"])
def test_a_template_is_a_valid_project_by_our_code_and_by_the_schema(tmp_path: Path, template: str) -> None:
    folder = tmp_path / "My Demo!"
    written = init(folder, template)
    assert folder / "slipway.yaml" in written
    assert (folder / ".gitignore").exists()
    assert load(folder / "slipway.yaml").name == "my-demo"
    import jsonschema  # takes two seconds

    jsonschema.validate(yaml.safe_load((folder / "slipway.yaml").read_text()), json_schema())
    with pytest.raises(ConfigError, match="already has"):
        init(folder, template)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_template_is_still_found_by_its_old_name(tmp_path: Path, old: str, new: str) -> None:
    def written(name: str) -> dict[str, str]:
        folder = tmp_path / name / "demo"
        return {str(path.relative_to(folder)): path.read_text("utf-8") for path in init(folder, name)}

    assert written(old) == written(new)


def test_init_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="did you mean 'remote'"):
        init(tmp_path / "a", "remot")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        init(tmp_path / "file" / "x")


def test_init_does_not_write_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder := tmp_path / "a").mkdir()
    os.symlink(tmp_path / "elsewhere", folder / "docs")
    with pytest.raises(ConfigError, match="docs is a link"):
        init(folder)
    (folder / "docs").unlink()
    os.symlink(tmp_path / "elsewhere/made", folder / "slipway.yaml")  # leads nowhere yet
    with pytest.raises(ConfigError, match="already has slipway.yaml"):
        init(folder)
    assert not list((tmp_path / "elsewhere").iterdir())
