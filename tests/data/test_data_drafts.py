"""Questions drafted by rules, how they are chosen, kept, reviewed in a sheet and written into examples."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway import api
from slipway.core.material import Document
from slipway.data.drafts import accepted, file, sheet
from slipway.data.drafts.as_written import AsWritten
from slipway.data.drafts.by_rule import drafts_of
from slipway.data.drafts.choose import Asked, choose, unambiguous
from slipway.data.drafts.draft import Draft
from slipway.data.parsing.blocks import put_together
from slipway.data.parsing.markdown import parse_markdown
from slipway.data.references import Corpus
from slipway.errors import ConfigError
from slipway.testing.projects import FILE, write_project
from slipway.text.simplified import simplified
from slipway.text.words import is_cjk


def document(text: str, source: str = "a.md", language: str = "en") -> Document:
    parsed = parse_markdown(text)
    whole, sections, _ = put_together(parsed.blocks)
    return Document(
        source=source, text=whole, media_type="text/markdown", raw_sha256="0", language=language, title=parsed.title,
        sections=sections,
    )  # fmt: skip


def found(text: str, language: str = "en") -> list[Draft]:
    one = document(text, language=language)
    return list(drafts_of(one, Corpus([one])))


EN = [
    ("# Locks\n\nA savepoint is a named point inside a transaction.", "What is a savepoint?",
     "a named point inside a transaction"),
    ("# WAL\n\nThe WAL file is a roll-forward journal that records transactions.", "What is the WAL file?",
     "a roll-forward journal that records transactions"),
    ("# Tools\n\nThe pg_dump command writes the whole database into one file.", "What does the pg_dump command do?",
     "writes the whole database into one file"),
    ("# Tools\n\nThe pg_dump command is used to write the database into one file.",
     "What is the pg_dump command used for?", "to write the database into one file"),
    ("# Limits\n\nThe default page_size is 4096 bytes but it may be changed.", "What is the default page_size?",
     "4096 bytes"),
    ("# Limits\n\nThe maximum length of a table name is 64 characters.", "What is the maximum length of a table name?",
     "64 characters"),
    ("# Build\n\nTo build the SQLite shell, run make in the top folder.", "How do you build the SQLite shell?",
     "run make in the top folder"),
    ("# Mail\n\nA mail transfer agent (MTA) carries the mail.\n\nA Mail Transfer Agent (MTA) does so.",
     "What does MTA stand for?", "Mail Transfer Agent"),
    ("# History\n\nThe PRAGMA optimize command was added in version 3.18.0.",
     "In which version was the PRAGMA optimize command added?", "version 3.18.0"),
    ("# abs()\n\nReturns the absolute value of a number.", "What does abs() do?",
     "Returns the absolute value of a number"),
    ("# git-blame\n\n--root\n\nDo not treat root commits as boundaries.",
     "What does the option --root of git-blame do?", "Do not treat root commits as boundaries"),
    ("# Views\n\n## Creating a simple view\n\n1. Open the editor.\n2. Choose New.\n",
     "How do you create a simple view?", "1. Open the editor.\n2. Choose New."),
    ("# FAQ\n\n## How do I enable foreign keys?\n\nUse the pragma foreign_keys to enable foreign keys.",
     "How do I enable foreign keys?", "Use the pragma foreign_keys to enable foreign keys."),
    ("# Shells\n\nTable 1. List of shells\n\n| package | description |\n|---|---|\n| bash | the default shell |\n"
     "| dash | a small shell |\n| zsh | a large shell |\n", 'In "List of shells", what is the description of dash?',
     "a small shell"),
]  # fmt: skip
ZH = [
    ("# 命名管道\n\n命名管道是一个像管道一样工作的特殊文件。", "什么是命名管道？", "一个像管道一样工作的特殊文件"),
    ("# 工具\n\nmount(8) 命令可以显示所有已经挂载的文件系统。", "mount(8) 命令有什么作用？", "显示所有已经挂载的文件系统"),
    ("# 工具\n\nchown(1) 用于修改文件的所有者。", "chown(1) 有什么作用？", "修改文件的所有者"),
    ("# 变量\n\nIFS 的默认值是空格、制表符和换行符。", "IFS 的默认值是什么？", "空格、制表符和换行符"),
    ("# 上限\n\npage_size 的最大值是 65536 字节。", "page_size 的最大值是多少？", "65536 字节"),
    ("# 布线\n\n要在尖角和圆角之间切换，请使用布线拐角模式命令。", "如何在尖角和圆角之间切换？", "请使用布线拐角模式命令"),
    ("# 安全\n\nLinux 使用 PAM（Pluggable Authentication Modules）来认证。", "PAM 的全称是什么？",
     "Pluggable Authentication Modules"),
    ("# ABS\n\n返回一个数值的绝对值。", "“ABS”有什么作用？", "返回一个数值的绝对值"),
    ("# 如何备份数据库？\n\n使用备份命令把数据库写到一个文件。", "如何备份数据库？", "使用备份命令把数据库写到一个文件。"),
    ("# 视图\n\n## 创建新的视图\n\n1. 打开编辑器。\n2. 选择“新建”。\n", "如何创建新的视图？", "1. 打开编辑器。\n2. 选择“新建”。"),
    ("# 命令\n\n表 1.2. 常用命令列表\n\n| 命令 | 说明 |\n|---|---|\n| ls | 列出文件和目录 |\n| cp | 复制一个文件 |\n| mv | 移动一个文件 |\n",
     "在“常用命令列表”中，“cp”的说明是什么？", "复制一个文件"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "question", "answer"), EN + ZH, ids=[case[1] for case in EN + ZH])
def test_a_rule_asks_in_grammatical_words_and_answers_in_those_of_the_document(
    text: str, question: str, answer: str
) -> None:
    language = "zh" if any(map(is_cjk, question)) else "en"
    drafts = {draft.question: draft for draft in found(text, language)}
    assert question in drafts
    draft = drafts[question]
    assert draft.answer == answer
    assert " ".join(answer.split()) in " ".join(text.split())
    assert draft.source.startswith("a.md#")


@pytest.mark.parametrize(
    "text",
    [
        "# A\n\nIt is a very small library of functions.",
        "# A\n\nThis option is the same as above in most of the cases.",
        "# A\n\nThe following is a list of functions that you can call.",
        "# A\n\nAn alternative is a plain file of text that you write.",
        "# A\n\nThe default value is 4.",
        "# A\n\nTo do this, use the other command instead.",
        "# A\n\nThe Secure Shell (SMTP) carries the mail.",
        "# Release 3.8.1\n\nA savepoint is a named point inside a transaction.",
    ],
)
def test_nothing_is_asked_that_cannot_be_understood_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "# 甲\n\n这是一个很小的函数库。",
        "# 甲\n\n它的默认值是四。",
        "# 甲\n\n其中一个是一种特殊的文件。",
        "# 甲\n\n要这样做，请使用上述命令。",
    ],
)
def test_nothing_is_asked_in_chinese_that_cannot_be_understood_alone(text: str) -> None:
    assert found(text, "zh") == []


def test_a_document_in_another_language_is_not_asked_about() -> None:
    assert found("# Bäume\n\nA tree is a kind of graph without circles.", "de") == []


def test_a_heading_that_stands_twice_is_still_a_source_that_exists() -> None:
    text = "# One\n\n## Notes\n\nA keel is a long beam below the hull.\n\n# Two\n\n## Notes\n\nA mast is a long pole for sails."
    one = document(text)
    corpus = Corpus([one])
    assert [corpus.place(draft.source).problem for draft in drafts_of(one, corpus)] == ["", ""]


def many(count: int) -> list[Document]:
    body = (
        "# Part {n}\n\nA gadget{n} is a small part of the machine number {n}.\n\nThe default tool_{n} is hammer_{n}.\n"
    )
    return [document(body.format(n=n), f"{n}.md") for n in range(count)]


def drafts(count: int = 30) -> list[Draft]:
    documents = many(count)
    corpus = Corpus(documents)
    return unambiguous(draft for one in documents for draft in drafts_of(one, corpus))


def test_choosing_spreads_over_rules_and_documents_and_repeats_with_the_same_seed() -> None:
    every = drafts()
    first = choose(every, 20, 7, Asked())
    assert choose(list(reversed(every)), 20, 7, Asked()) == first
    assert {d.id for d in choose(every, 20, 8, Asked())} != {d.id for d in first}
    assert set(Counter(draft.rule for draft in first).values()) == {10}
    assert max(Counter(draft.document for draft in first).values()) == 1


def test_what_is_asked_already_is_not_asked_again_not_even_in_other_words() -> None:
    asked = Asked()
    every = [draft for draft in drafts(3) if draft.rule == "default"]
    asked.add("what is THE default tool_0")
    asked.add("anything else", "hammer_1", "1.md#Part 1")
    assert [draft.answer for draft in choose(every, 9, 7, asked)] == ["hammer_2"]


def test_a_question_that_two_documents_answer_differently_is_not_asked() -> None:
    one = document("# A\n\nThe default port_number is 80.", "a.md")
    two = document("# B\n\nThe default port_number is 8080.", "b.md")
    corpus = Corpus([one, two])
    assert unambiguous([*drafts_of(one, corpus), *drafts_of(two, corpus)]) == []


def test_a_hostile_page_takes_time_in_proportion_to_its_size() -> None:
    import time

    def seconds(n: int) -> float:
        text = (
            "# A\n\n"
            + "The "
            + "a-b " * n
            + "is a\n\n"
            + "| a " * n
            + "\n\n"
            + "(" * n
            + "A" * n
            + "\n\n"
            + "要" * n
            + "，请"
        )
        start = time.process_time()
        found(text)
        found(text, "zh")
        return time.process_time() - start

    small = max(seconds(2000), 0.01)
    assert seconds(16000) < 40 * small


def test_the_sheet_comes_back_as_it_went_whatever_a_spreadsheet_makes_of_it(tmp_path: Path) -> None:
    texts = ["=1+1", "+49", "-root", "@x", "'=y", "plain", 'a "b"; c, d', "两行\n文字"]
    held = [
        Draft(id=f"{n:012d}", question=text, answer=text, source="a.md", language="en", rule="r", document="d")
        for n, text in enumerate(texts)
    ]
    data = sheet.write(held)
    cells = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in cells for cell in row)
    text = data.decode("utf-8-sig")
    variants = {
        "bom": data,
        "gbk": text.encode("gb18030"),
        "utf16": b"\xff\xfe" + text.encode("utf-16-le"),
        "semicolon": b"\xef\xbb\xbf" + _with(cells, ";"),
        "tab": _with(cells, "\t"),
    }
    for name, variant in variants.items():
        path = tmp_path / f"{name}.csv"
        path.write_bytes(variant)
        back, problems = sheet.read_back(held, path)
        assert back == held, name
        assert problems == [], name


def _with(cells: list[list[str]], delimiter: str) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(cells)
    return out.getvalue().encode()


def test_decisions_of_a_sheet_are_taken_and_bad_rows_told_by_their_number(tmp_path: Path) -> None:
    held = [
        Draft(
            id=f"{n}",
            question=f"What is {n}?",
            answer=f"number {n}",
            source="a.md",
            language="en",
            rule="r",
            document="d",
        )
        for n in range(6)
    ]
    path = tmp_path / "s.csv"
    path.write_text(
        "id,decision,question,answer\n0,接受,What is 0?,number 0\n1,Accept,What is one?,number 1\n2,refuse,,\n3,maybe,x,y\n"
        "nobody,accept,x,y\n0,refuse,,\n4,accept,What is 4?,\n5,,What is five?,number 5\n", "utf-8",
    )  # fmt: skip
    back, problems = sheet.read_back(held, path)
    assert [draft.status for draft in back] == ["accepted", "fixed", "refused", "proposed", "proposed", "proposed"]
    assert back[1].question == "What is one?"
    assert back[2].question == "What is 2?"
    assert back[5].question == "What is five?"
    assert [problem.row for problem in problems] == [5, 6, 7, 8]


def test_texts_that_lost_their_characters_when_the_sheet_was_saved_are_not_taken(tmp_path: Path) -> None:
    asked = ["保修期多长？", "Wie groß ist es?", "Is it sealed?", "𠮷野家在哪里？"]
    held = [
        Draft(id=f"{n}", question=text, answer="两年", source="a.md", language="zh", rule="r", document="d")
        for n, text in enumerate(asked)
    ]
    rows = [["0", "accept", "??????", "??"], ["1", "accept", "Wie groß ist es?", "two years"],
            ["2", "fix", "Is it ???", "two years?"], ["3", "accept", "????????", "两年"]]  # fmt: skip
    path = tmp_path / "s.csv"
    path.write_bytes(_with([["id", "decision", "question", "answer"], *rows], ","))
    back, problems = sheet.read_back(held, path)
    assert [draft.status for draft in back] == ["proposed", "fixed", "fixed", "proposed"]
    assert [problem.row for problem in problems] == [2, 5]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\x00\x01\x02" * 50])
def test_what_is_no_such_sheet_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError):
        sheet.read_back([], path)


def test_accepted_drafts_are_appended_once_and_other_rows_stay_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    own = b'{"question" :  "mine",   "answer": "x"}'
    path.write_bytes(own)
    held = [msgspec.structs.replace(draft, status="accepted") for draft in drafts(2)]
    held = accepted.settle(held, path, "q.jsonl", {})
    once = path.read_bytes()
    assert once.startswith(own + b"\n")
    assert accepted.settle(held, path, "q.jsonl", {}) == held
    assert path.read_bytes() == once
    rows = [json.loads(line) for line in once.splitlines()]
    assert rows[1]["drafted"] == {"id": held[0].id, "rule": held[0].rule, "document": held[0].document}
    held[0] = msgspec.structs.replace(held[0], status="fixed", answer="in other words")
    held[1] = msgspec.structs.replace(held[1], status="refused")
    held = accepted.settle(held, path, "q.jsonl", {})
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert rows[1]["answer"] == "in other words"
    assert len(rows) == len(held)
    assert held[1].exported == ""
    path.write_bytes(own)  # a person deletes what had been accepted
    accepted.settle(held, path, "q.jsonl", {})
    assert path.read_bytes() == own


def test_a_file_of_drafts_that_is_damaged_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    file.save(path, drafts(1))
    assert file.load(path) == drafts(1)
    with path.open("ab") as out:
        out.write(b"{half\n")
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r":\d"):
        file.load(path)
    assert path.read_bytes() == before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_project(tmp_path)
    for one in many(12):
        (tmp_path / "docs" / one.source).write_text(one.text, "utf-8")
    return tmp_path


@pytest.mark.slow
def test_refused_drafts_are_never_offered_again_and_decisions_are_never_lost(folder: Path) -> None:
    with api.open_project(folder) as project:
        first = api.draft(project, 8)
        assert len(first.new) == 8
        review = api.review(project)
        for number in range(8):
            status = "refused" if number % 2 else "accepted"
            review.decide(number, msgspec.structs.replace(review.drafts[number], status=status))
        review.settle()
        decided = review.drafts
        second = api.draft(project, 1000)
        held = api.review(project).drafts
        assert held[:8] == decided
        assert not {draft.question for draft in decided} & {draft.question for draft in second.new}
        assert api.draft(project, 1000).new == []
    with api.open_project(folder) as project:
        api.run(project, "data")
        examples = api.items(project, api.find(project, "dataset", "examples"))
        drafted = [example for example in examples if "drafted" in example.meta]
        assert len(drafted) == 4


def test_an_undecided_draft_goes_when_its_document_no_longer_says_it(folder: Path) -> None:
    with api.open_project(folder) as project:
        api.draft(project, 1000)
        before = {draft.id for draft in api.review(project).drafts}
    changed = folder / "docs" / "3.md"
    changed.write_text(re.sub("hammer_3", "saw_3", changed.read_text("utf-8")), "utf-8")
    with api.open_project(folder) as project:
        again = api.draft(project, 1000)
        assert again.withdrawn == 1
        assert [draft.answer for draft in again.new] == ["saw_3"]
        assert before - {draft.id for draft in api.review(project).drafts} == set()


def test_a_project_without_examples_can_be_drafted_for(tmp_path: Path) -> None:
    write_project(tmp_path, FILE.replace("  examples: [{path: questions.jsonl}]\n", ""))
    (tmp_path / "docs" / "keel.md").write_text("# Keel\n\nA keel is a long beam below the hull.\n", "utf-8")
    with api.open_project(tmp_path) as project:
        assert [draft.question for draft in api.draft(project).new] == ["What is a keel?"]
        review = api.review(project)
        review.decide(0, msgspec.structs.replace(review.drafts[0], status="accepted"))
        assert review.settle() == ("evals/drafted.jsonl", False)


def test_the_file_of_drafts_is_never_a_file_of_examples(folder: Path) -> None:
    with api.open_project(folder) as project:
        api.draft(project, 2)
    text = FILE.replace("[{path: questions.jsonl}]", '[{path: questions.jsonl}, {path: "drafts/*.jsonl"}]')
    (folder / "slipway.yaml").write_text(text, "utf-8")
    with api.open_project(folder) as project, pytest.raises(ConfigError, match="drafts/questions.jsonl"):
        api.draft(project, 2)


def test_a_language_without_rules_is_refused(folder: Path) -> None:
    with api.open_project(folder) as project, pytest.raises(ConfigError, match="fr"):
        api.draft(project, 2, ["fr"])


ZH_PAGE = (
    "# 備份\n\n## 頻道\n\n頻道是一個名字，指向一個發布版本。\n\n## 檔案\n\n`--keep` 的默認值是30天。\n\n"
    "頭髮和發布是兩個詞，並不一樣。\n"
)


def test_drafts_of_a_traditional_page_are_those_of_the_simplified_one_in_its_script() -> None:
    drafts = found(ZH_PAGE, "zh")
    assert {draft.question for draft in drafts} == {"什麼是頻道？", "--keep 的默認值是什麼？"}
    assert {draft.answer for draft in drafts} == {"一個名字，指向一個發布版本", "30天"}
    assert {draft.source for draft in drafts} == {"a.md#頻道", "a.md#檔案"}
    assert all(draft.passage in ZH_PAGE for draft in drafts)
    other = found(simplified(ZH_PAGE), "zh")
    assert [simplified(draft.question) for draft in drafts] == [draft.question for draft in other]


def test_a_text_is_put_back_into_the_script_it_was_written_in() -> None:
    written = AsWritten("頭髮和發布。")
    assert written("头发和发布") == "頭髮和發布"
    assert written("什么是头发？") == "什麼是頭髮？"
    assert AsWritten("头发和發布，软件。")("什么是发布？") == "什么是發布？"  # most of it is simplified
    assert AsWritten("plain")("什么") == "什么"


@given(st.text(), st.text())
def test_a_text_that_was_put_back_reads_the_same(text: str, made: str) -> None:
    assert simplified(AsWritten(text)(simplified(made))) == simplified(made)
    assert AsWritten(text)(simplified(text)) == text
