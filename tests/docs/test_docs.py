"""What the documentation shows is true: its project files load, its commands exist, its Python runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer.main

from slipway.cli.app import app
from slipway.project.load import load

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/**/README*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(slipway [a-z][^`\n]*)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def blocks(*languages: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for n, (language, text) in enumerate(BLOCK.findall(page.read_text("utf-8"))):
            if language in languages:
                yield f"{page.relative_to(ROOT)}:{n}", text


def commands() -> Iterator[tuple[str, str]]:
    for where, text in blocks("console", "sh", "bash", "shell"):
        for line in text.replace("\\\n", " ").splitlines():
            line = line.strip().removeprefix("$ ")
            for part in re.split(r"&&|\|\||;", line):
                if part.strip().startswith("slipway "):
                    yield where, part.strip()

    for page in PAGES:
        for found in INLINE.findall(BLOCK.sub("", page.read_text("utf-8"))):
            if not re.search(r"[A-Z<…]|\.\.\.", found.replace("STAGE", "")):  # DIR, N: placeholders, checked by eye
                yield str(page.relative_to(ROOT)), found


def test_there_is_documentation() -> None:
    assert len(PAGES) > 20
    assert len(list(commands())) > 30
    assert {language: bool(list(blocks(language))) for language in ("yaml", "json", "python")} == dict.fromkeys(
        ("yaml", "json", "python"), True
    )
    assert sum(text.lstrip().startswith("slipway: 1") for _, text in blocks("yaml")) >= 2


@pytest.mark.parametrize(("where", "text"), [b for b in blocks("yaml") if b[1].lstrip().startswith("slipway: 1")])
def test_project_files_load(where: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "slipway.yaml"
    path.write_text(text, "utf-8")
    load(path)


@pytest.mark.parametrize(("where", "text"), list(blocks("json")))
def test_json_is_json(where: str, text: str) -> None:
    for line in text.splitlines() if text.lstrip().startswith("{") and "\n{" in text.strip() else [text]:
        json.loads(line)


COMMAND: click.Command = typer.main.get_command(app)


@pytest.mark.parametrize(("where", "line"), sorted(set(commands())))
def test_commands_and_their_options_exist(where: str, line: str) -> None:
    words = shlex.split(re.split(r"\s[|>&#]", line)[0])[1:]
    command = COMMAND
    context = click.Context(command, info_name="slipway")
    while words and hasattr(command, "commands"):
        if words[0] == "--lang":
            words = words[2:]
            continue
        if words[0] in command.commands:  # pyright: ignore[reportAttributeAccessIssue]
            command = command.commands[words.pop(0)]  # pyright: ignore[reportAttributeAccessIssue]
            context = click.Context(command, info_name=command.name, parent=context)
        else:
            assert words[0].startswith("-"), f"{where}: slipway has no command {words[0]!r}: {line}"
            break
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    for word in words:
        if word.startswith("-") and len(word) > 1 and not re.fullmatch(r"-\d.*", word):
            assert word.partition("=")[0] in known, f"{where}: no option {word!r}: {line}"


@pytest.mark.slow
@pytest.mark.parametrize(("where", "text"), list(blocks("python")))
def test_python_runs(where: str, text: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{where}: {done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = BLOCK.sub("", page.read_text("utf-8"))
    for target in LINK.findall(text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
