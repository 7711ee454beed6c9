"""The page on plug-ins covers every kind, and what it shows is what the package of the template takes."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from plug_in_package import installed
from slipway.core.artifact import Made
from slipway.core.protocols.tuners import Reads
from slipway.plugins import BUILTIN, KINDS, Plugins
from slipway.project.load import load
from slipway.project.plugin_options import check_options

ROOT = Path(__file__).parents[2]
PAGES = {language: (ROOT / f"docs/{language}/plug-ins.md").read_text("utf-8") for language in ("en", "zh")}
FULL = """
slipway: 1
name: page
models: {vectors: {engine: echo}, table: {engine: table}}
candidates: {c: {model: table, prompt: p.md}}
"""


def sections(language: str) -> list[tuple[str, str]]:
    return re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGES[language], re.M | re.S)


def fragments(language: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", PAGES[language], re.DOTALL)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with installed(tmp_path / "package", monkeypatch) as root:
        yield root


@pytest.mark.parametrize("language", PAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_section_and_a_contract_suite(kind: str, language: str) -> None:
    suite = f"{KINDS[kind].__name__}Contract"
    assert hasattr(importlib.import_module(f"slipway.testing.{kind}"), suite)
    (about,) = [text for _, text in sections(language) if f"`slipway.testing.{kind}`" in text]
    assert "```yaml" in about, "it shows how the project file names one"
    assert re.search(rf"^\| `{kind}` \| .+ \| `{suite}` \|$", PAGES[language], re.M), "the table lists it"


@pytest.mark.parametrize("language", PAGES)
def test_all_that_a_tuner_may_say_is_named(language: str) -> None:
    said = "".join(text for _, text in sections(language) if "`slipway improve`" in text or "`reads`" in text)
    told = [*get_args(Reads), "models", "makes", "variants", "settled", *Made.__struct_fields__[-2:]]
    assert [name for name in told if not re.search(rf"`(?:Made\.)?{name}\b", said)] == []


@pytest.mark.parametrize("language", PAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_section_names_what_a_kind_must_have(kind: str, language: str) -> None:
    (about,) = [text for _, text in sections(language) if f"`slipway.testing.{kind}`" in text]
    asked = [name for name in (*vars(KINDS[kind]), *KINDS[kind].__annotations__) if not name.startswith("_")]
    assert [name for name in asked if f"`{name}`" not in about and name != "Config"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_says_what_a_kind_must_have_and_what_is_built_in(kind: str) -> None:
    """An error about a class that lacks something points there."""
    page = (ROOT / "docs/reference/plugins.md").read_text("utf-8")
    (about,) = re.findall(rf"^## Protocol of {kind}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    asked = [name for name in (*vars(KINDS[kind]), *KINDS[kind].__annotations__) if not name.startswith("_")]
    assert [name for name in asked if not re.search(rf"^\| `(await )?{name}[:(]", about, re.M)] == []
    assert [name for name in BUILTIN[kind] if f"### {KINDS[kind].__name__.lower()} {name}\n" not in about] == []


@pytest.mark.parametrize("language", PAGES)
def test_the_fragments_load_with_the_plug_ins_of_the_template(language: str, package: Path, tmp_path: Path) -> None:
    assert len(fragments(language)) == len(KINDS)
    for fragment in fragments(language):
        given: dict[str, Any] = yaml.safe_load(fragment)
        whole = yaml.safe_load(FULL)
        for key, value in given.items():
            whole[key] = {**whole[key], **value} if key in ("models", "candidates") else value
        file = tmp_path / "slipway.yaml"
        file.write_text(yaml.safe_dump(whole), "utf-8")
        project = load(file)
        check_options(project, Plugins(tmp_path), file)
        shown = set(re.findall(r"\b(table|exact|label_match|route|twice|glossary)\b", fragment))
        assert shown, f"the fragment names no plug-in of the template: {fragment}"


def test_both_languages_show_the_same() -> None:
    assert fragments("en") == fragments("zh")
    assert len(sections("en")) == len(sections("zh"))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_recipe_that_a_page_shows_is_there(language: str) -> None:
    pages = "\n".join(
        page.read_text("utf-8") for page in (ROOT / "docs" / language).glob("*.md") if page.name != "plug-ins.md"
    )  # its recipes are those of the template
    shown = set(re.findall(r"\btune: \{?([a-z_0-9]+)\b(?!/)", pages))
    assert len(shown) > 15
    assert shown <= set(BUILTIN["tuners"])
