"""Tables of every command at common widths, in both languages: no word and no number is broken, and nothing is lost."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from everyday import some
from slipway import api
from slipway.cli import main, terminal
from slipway.core.answer import Answer
from slipway.core.trace import Feedback, Trace
from slipway.i18n import set_language, speaking
from slipway.render import layout, text
from slipway.render.cells import Mark, shown
from slipway.render.document import Column, Document, Table
from slipway.testing.projects import write_project
from slipway.text import visible

WORD = re.compile(r"[^\s\u2500\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef]+")
COMMANDS = [
    "data list", "data show documents", "data show examples", "data show chunks", "eval list", "eval show grounded",
    "eval --compare plain grounded", "release list", "release show production", "release verdict", "traces list",
    f"traces show {1:032x}", "feedback list", "keys list", "runs", "check", "gate looks",
]  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("widths")
    write_project(folder)
    (folder / "docs" / "中文.md").write_text("# 港口\n\n港口每天有1234567艘船通过LighthouseTower灯塔。\n" * 9, "utf-8")
    with api.open_project(folder) as opened:
        api.run(opened)
        said = "价格是12345.67元，model-name-7b比gpt-like-model快0.000123秒。" * 5
        traces = [
            Trace(id=f"{n:032x}", at=f"2026-11-28T03:00:0{n}Z", endpoint="/v1/chat/completions", channel="production",
                  release="0" * 64, status=200, answer=Answer(text=said, raw=said), request={})
            for n in (1, 2, 3 << 100)
        ]  # fmt: skip
        opened.store.catalog.add_traces(
            traces, [Feedback(id="f", trace=f"{1:032x}", at="2026-11-28T03:00:09Z", comment=said)]
        )
        api.create_key(opened, "a-rather-long-name-of-a-key")
    return folder


def pages(folder: Path, command: str, language: str, patch: pytest.MonkeyPatch) -> Document:
    """What a command shows, before it is written."""
    found: list[Document] = []
    patch.setattr(terminal, "show", lambda document, *form: found.append(document))
    try:
        main.main(["--lang", language, *command.split(), "-C", str(folder)])
    except SystemExit:
        pass  # with whatever code: what it showed is what counts here
    finally:
        set_language(None)
    return found[0] if found else pytest.fail(f"{command} showed nothing")


def words(document: Document) -> Counter[str]:
    """Every word of every cell and title."""
    found: Counter[str] = Counter()
    for part in document.parts:
        if isinstance(part, Table) and part.rows:
            for row in part.rows:
                for cell, column in zip(row, part.columns, strict=True):
                    found.update([] if isinstance(cell, Mark) else WORD.findall(visible.line(shown(cell, column))))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("command", some(COMMANDS, 2))
def test_no_word_and_no_number_is_broken(
    project: Path, command: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with speaking(language):
        document = pages(project, command, language, monkeypatch)
        for asked in (document, layout.whole(document)):
            for width in (80, 120, 160):
                made = written(asked, width)
                assert not words(asked) - Counter(WORD.findall(made)), (width, made)


def written(document: Document, width: int) -> str:
    return text.write(document, Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False))


@pytest.mark.parametrize("width", [20, 40, 80, 120, 160])
@pytest.mark.parametrize("rows", [1, 3, 12])
def test_a_table_is_no_wider_than_the_terminal_unless_a_word_is(width: int, rows: int) -> None:
    cells = ["价格是12345.67元，共3件。", "a-word-of-23-characters", "1.31 s", "several short words in a row " * 4]
    table = Table("", [Column(f"title {n}") for n in range(4)], [cells] * rows)
    made = written(Document(None, [table]), width)
    assert max(map(cell_len, made.splitlines())) <= max(width, 4 + 23)
    assert Counter(WORD.findall(made))["12345.67"] == rows


def test_an_excerpt_ends_with_a_whole_word() -> None:
    assert layout.beginning("one two three", 9) == "one two"
    assert layout.beginning("one two three", 7) == "one two"
    assert layout.beginning("共12345件", 3) == "共"
    assert layout.beginning("港口每天", 3) == "港口每"
    assert layout.beginning("x" * 80, 59) == "x" * 59


def test_an_ambiguous_beginning_lists_what_it_could_mean(project: Path) -> None:
    from slipway.errors import NotFound

    with api.open_project(project) as opened:
        with pytest.raises(NotFound) as found:
            api.trace(opened, "00000000")
        assert f"{1:032x}" in (found.value.hint or "")
        assert f"{2:032x}" in (found.value.hint or "")
        assert api.trace(opened, f"{3 << 100:032x}"[:8])[0].id == f"{3 << 100:032x}"
        release, report = api.releases(opened)[0][1], api.reports(opened)[0][1]
        assert api.find(opened, "release", release.digest[:8]) == release
        assert api.find(opened, "report", report.digest[:8]) == report
        assert api.find(opened, "dataset", report.dataset.digest[:8]).digest == report.dataset.digest
