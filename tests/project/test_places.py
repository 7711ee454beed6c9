"""No path of a project file leads out of the project unless the file says so; nothing that is no file blocks."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from everyday import some
from slipway import api
from slipway.builtin.indexes.saved import check_manifest
from slipway.core.material import Change, Document
from slipway.errors import ConfigError, IntegrityError, SlipwayError
from slipway.files import open_real, read, real
from slipway.loop.model_lock import absolute
from slipway.project.places import read_text
from slipway.store import models
from slipway.testing.projects import write_project

SECRET = "root:x:0:0: a secret of the machine, long enough to be a document\n"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.md").write_text(SECRET + "{{ question }}")
    (tmp_path / "outside/q.jsonl").write_text('{"question": "What is the secret?", "answer": "x"}\n')
    (tmp_path / "outside/schema.json").write_text("{}")
    (tmp_path / "outside/scorer.py").write_text("raise SystemExit('this code was run')\nclass Own: ...\n")
    (tmp_path / "outside/model.gguf").write_bytes(b"GGUF")
    return tmp_path / "outside"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project").parent


LEAVING = {
    "prompt": ("candidates.plain.prompt=../outside/secret.md", "candidates.plain.prompt"),
    "schema": ("candidates.plain.json_schema=../outside/schema.json", "candidates.plain.json_schema"),
    "documents": ("data.documents.0.path=../outside/*.md", "data.documents.0.path"),
    "document": ("data.documents.0.path=docs/../../outside/secret.md", "data.documents.0.path"),
    "examples": ("data.examples.0.path=../outside/q.jsonl", "data.examples.0.path"),
    "model": ("models.writer.source=file:../outside/model.gguf", "models.writer.source"),
    "engine": ("models.writer.engine=./../outside/scorer.py:Own", "models.writer.engine"),
    "metric": ('evaluate.metrics=["./../outside/scorer.py:Own"]', "evaluate.metrics.0"),
}


@pytest.mark.parametrize(("override", "key"), LEAVING.values(), ids=LEAVING.keys())
@pytest.mark.parametrize("link", [False, True], ids=["dots", "link"])
def test_a_path_that_leads_out_is_refused_with_its_place(
    folder: Path, outside: Path, override: str, key: str, link: bool
) -> None:
    if link:  # the same places through a link in the project
        os.symlink(outside, folder / "in")
        override = override.replace("docs/../../outside", "in").replace("../outside", "in")
    for act in (api.check, api.open_project):
        with pytest.raises(ConfigError, match=rf"slipway.yaml:\d+:\d+: {key}: .*leads out of the project"):
            act(folder, [override])


def test_the_error_about_a_gate_rule_has_its_place_too(folder: Path, outside: Path) -> None:
    file = folder / "slipway.yaml"
    file.write_text(file.read_text().replace("  token_f1: {min", "  ./../outside/scorer.py:Own: {min"))
    with pytest.raises(ConfigError, match=r"slipway.yaml:15:3: gate.* leads out of the project"):
        api.check(folder)


def documents(folder: Path, overrides: list[str]) -> tuple[list[Document], dict[str, Change]]:
    with api.open_project(folder, overrides) as project:
        outcome = api.run(project, "data")
        blobs = project.store.blobs
        made = outcome.datasets["documents"]
        lines = blobs.get_lines(made.changes, Change) if made.changes else ()
        changes = {change.item: change for change in lines}
        return list(blobs.get_lines(made.items, Document)), changes


def test_links_that_leave_are_dropped_with_a_reason(folder: Path, outside: Path) -> None:
    os.symlink("/etc/passwd", folder / "docs/link.md")
    os.symlink(outside, folder / "docs/more")
    os.symlink(folder / "docs/keel.md", folder / "docs/inner.md")
    os.symlink("nowhere.md", folder / "docs/broken.md")
    os.symlink("loop.md", folder / "docs/loop.md")
    os.mkfifo(folder / "docs/pipe.md")
    found, changes = documents(folder, ['data.documents=[{path: "docs/**/*.md"}]'])
    assert not any("root:" in document.text for document in found)
    assert len(found) == 10
    assert (changes["docs/link.md"].reason, changes["docs/link.md"].detail) == ("outside", "leads to /etc/passwd")
    assert changes["docs/more"].reason == "outside"
    assert changes["docs/pipe.md"].reason == "not-a-file"
    assert {changes[f"docs/{name}.md"].reason for name in ("broken", "loop")} == {"unreadable"}
    assert {changes[f"docs/{name}.md"].action for name in ("link", "pipe", "broken")} == {"dropped"}
    assert changes["docs/keel.md"].reason == "exact-duplicate"  # docs/inner.md was followed


@pytest.mark.parametrize("how", ["roots", "absolute"])
def test_what_the_file_names_is_read(folder: Path, outside: Path, how: str) -> None:
    os.symlink("/etc/passwd", outside / "link.md")
    overrides = ["data.roots=[../outside]", 'data.documents=[{path: "../outside/**/*.md"}]']
    if how == "absolute":
        overrides = [f'data.documents=[{{path: "{outside}/**/*.md"}}]']
    found, changes = documents(folder, overrides)
    assert [document.source for document in found] == ["../outside/secret.md"]
    assert changes["../outside/link.md"].reason == "outside"


def test_only_links_that_leave_is_an_error_that_says_so(folder: Path) -> None:
    (folder / "only").mkdir()
    os.symlink("/etc/passwd", folder / "only/link.md")
    with pytest.raises(ConfigError) as error:
        documents(folder, ['data.documents=[{path: "only/*.md"}]'])
    assert "only/link.md: a link leads out of the project" in error.value.hint


def test_an_example_behind_a_link_is_an_error(folder: Path, outside: Path) -> None:
    (folder / "q").mkdir()
    (folder / "questions.jsonl").rename(folder / "q/a.jsonl")
    os.symlink(outside / "q.jsonl", folder / "q/b.jsonl")
    with pytest.raises(ConfigError, match=r"q/b.jsonl cannot be read: a link leads out of the project"):
        documents(folder, ['data.examples=[{path: "q/*.jsonl"}]'])


NO_FILES = {
    "prompt": "candidates.plain.prompt={name}",
    "schema": "candidates.plain.json_schema={name}",
    "document": "data.documents=[{{path: {name}}}]",
    "examples": "data.examples=[{{path: {name}}}]",
    "model": "models.writer={{engine: llama, source: 'file:{name}'}}",
    "scorer": 'evaluate.metrics=["./{name}:Own"]',
    "engine": "models.writer.engine=./{name}:Own",
}


@pytest.mark.slow
@pytest.mark.parametrize("override", some(NO_FILES, 2))
@pytest.mark.parametrize("kind", some(["pipe", "zero", "folder", "long name"], 2))
def test_what_is_no_file_neither_blocks_nor_fills_the_memory(folder: Path, override: str, kind: str) -> None:
    name = "a.jsonl" if "examples" in override else "a.gguf" if "models" in override else "a.py"
    name = "x" * 300 if kind == "long name" else "/dev/zero" if kind == "zero" else name
    if kind == "pipe":
        os.mkfifo(folder / name)
    elif kind == "folder":
        (folder / name).mkdir()
    errors: list[str] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            overrides = [override.format(name=name).replace(".//dev", "/dev")]
            errors.extend(f.what for f in api.check(folder, overrides) if f.level == "error")
            with api.open_project(folder, overrides) as project:
                api.run(project, "evaluate")
        except SlipwayError as error:
            errors.append(error.message)
        except BaseException as error:  # noqa: BLE001  (to be seen outside of the thread)
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "it blocks"
    assert errors
    assert not raised


def test_a_link_that_comes_between_the_look_and_the_opening_is_not_followed(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "in").mkdir()
    (file := tmp_path / "in/a.md").write_text("mine")
    place = real(file)
    assert read(open_real(place), 100) == b"mine"
    file.unlink()
    os.symlink(outside / "secret.md", file)
    with pytest.raises(OSError, match="symbolic link"):
        open_real(place)
    file.unlink()
    (tmp_path / "in").rmdir()
    (outside / "secret.md").rename(outside / "a.md")
    os.symlink(outside, tmp_path / "in")  # a folder of the path
    with pytest.raises(OSError, match="moved"):
        open_real(place)


def test_a_prompt_has_a_size(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("x" * 1_000_001)
    with pytest.raises(ConfigError, match="prompt: p.md cannot be read: it is larger than 1000000 bytes"):
        read_text(tmp_path, "p.md", "prompt")


NAMES = [b"line\nbreak.md", b"esc\x1b[31m.md", b"caf\xe9.md", "turned‮.md".encode(), b"\xff\xfe.md"]


def test_any_name_of_a_file_goes_from_the_folder_to_the_listing(folder: Path) -> None:
    text = "# T{n}\n\nA document of its own, number {n}, with a name that is hard to show: {n} {n} {n}.\n"
    for n, name in enumerate(NAMES):
        Path(os.fsdecode(bytes(folder / "docs") + b"/" + name)).write_text(text.format(n=n * 7919))
    found, _ = documents(folder, [])
    sources = {document.source for document in found}
    assert len(found) == 15
    assert sources >= {
        r"docs/line\x0abreak.md", r"docs/esc\x1b[31m.md", r"docs/caf\xe9.md", r"docs/turned\u202e.md",
    }  # fmt: skip
    assert all(source.isprintable() for source in sources)


def test_names_that_differ_in_composition_only_are_one_name(folder: Path) -> None:
    composed, split = "docs/caf\u00e9.md", "docs/cafe\u0301.md"
    (folder / composed).write_text("# One\n\nThis is the first of two documents with a name that looks the same.\n")
    (folder / split).write_text("# Two\n\nAnd here stands the other, which says something else altogether, really.\n")
    found, changes = documents(folder, [])
    assert [document.source for document in found].count(composed) == 1
    assert sum(change.reason == "same-name" for change in changes.values()) == 1
    (folder / composed).unlink()
    found, changes = documents(folder, [])
    assert composed in [document.source for document in found]
    assert not any(change.reason == "same-name" for change in changes.values())


def test_a_link_in_a_model_s_folder_that_leads_out_is_an_error(folder: Path, outside: Path) -> None:
    (folder / "model").mkdir()
    (folder / "model/config.json").write_text("{}")
    os.symlink("config.json", folder / "model/inner.json")
    assert absolute("file:model", folder) == f"file:{folder}/model"
    os.symlink(outside / "schema.json", folder / "model/tokenizer.json")
    with pytest.raises(ConfigError, match=r"file:model: tokenizer.json leads out of the project"):
        absolute("file:model", folder)
    assert absolute(f"file:{folder}/model", folder) == f"file:{folder}/model"  # named in full


@pytest.mark.parametrize("name", ["model.gguf", "config.json"])
def test_a_pipe_in_a_model_s_folder_does_not_block(tmp_path: Path, name: str) -> None:
    (tmp_path / "m").mkdir()
    os.mkfifo(tmp_path / "m" / name)
    with pytest.raises(SlipwayError, match="holds no model"):
        models.pull(f"file:{tmp_path / 'm'}", cache=tmp_path / "cache")


@pytest.mark.parametrize("name", ["slipway.lock"])
def test_a_lock_file_that_is_a_pipe_does_not_block(folder: Path, name: str) -> None:
    os.mkfifo(folder / name)
    with pytest.raises(ConfigError, match="slipway.lock is damaged: it is not a regular file"):
        api.open_project(folder)


def test_a_saved_index_names_no_file_outside(tmp_path: Path) -> None:
    secret = hashlib.sha256(Path("/etc/hostname").read_bytes()).hexdigest()
    manifest = {"kind": "faiss", "format": 1, "files": {"../../../../etc/hostname": secret}, "about": {}}
    (tmp_path / "index.json").write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match="names files outside"):
        check_manifest(str(tmp_path), "faiss", 1)
