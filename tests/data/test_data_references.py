"""Sources of examples: followed to what was kept, looked up, and told with the nearest name when they are not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.builtin.scorers.retrieval import RetrievalRecall
from slipway.builtin.tasks.answer import AnswerTask
from slipway.core.answer import Answer, Citation
from slipway.core.material import Change, Chunk, Dataset, Example, Split
from slipway.data.chunks import make_chunks
from slipway.data.documents import make_documents
from slipway.data.examples import make_examples
from slipway.data.leaks import _same_section, find_leaks
from slipway.data.losses import Loss, losses
from slipway.data.preview import preview
from slipway.data.references import corpus_of
from slipway.errors import ConfigError
from slipway.project.data import DataConfig
from slipway.store.store import Store

WORDS = " ".join(f"word{n}" for n in range(200))
TASK = AnswerTask(AnswerTask.Config())
ALL = {"train": 1, "dev": 0, "gate": 0}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


class Made:
    """Documents and examples of a small project."""

    def __init__(
        self, root: Path, store: Store, files: dict[str, str], rows: list[Any], split: dict[str, Any] | None = None
    ) -> None:
        for name, text in files.items():
            path = root / "docs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (root / "q.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
        self.config = DataConfig.model_validate(
            {
                "documents": [{"path": "docs", "base": "docs"}],
                "examples": [{"path": "q.jsonl"}],
                "split": split or ALL,
            }
        )
        self.store = store
        self.documents = make_documents(self.config, root, store)
        self.chunks = make_chunks(self.config, self.documents, store)
        self.dataset = make_examples(self.config, root, store, TASK, corpus_of(self.documents, store))
        self.examples = list(store.blobs.get_lines(self.dataset.items, Example))

    def changes(self) -> list[tuple[str, str]]:
        """(reason, detail) of what concerns sources."""
        every = self.store.blobs.get_lines(self.dataset.changes, Change) if self.dataset.changes else []
        return [(c.reason, c.detail) for c in every if c.step == "validate"]

    def recall(self) -> list[float | None]:
        """Recall of each example when every chunk of the corpus is retrieved."""
        found = tuple(
            Citation(chunk=c.id, source=c.source, path=c.path, start=c.start, end=c.end, text=c.text, score=1.0)
            for c in self.store.blobs.get_lines(self.chunks.items, Chunk)
        )
        return [RetrievalRecall().score(example, Answer(text="", raw="", citations=found)) for example in self.examples]


def asked(*sources: Any) -> list[dict[str, Any]]:
    return [{"question": f"question {n}?", "answer": "a", "source": source} for n, source in enumerate(sources)]


def test_a_source_follows_an_exact_duplicate_to_what_was_kept(tmp_path: Path, store: Store) -> None:
    text = f"# Guide\n\n## Start\n\n{WORDS}"
    rows = asked("b.md", "b.md#Start", "./b.md#start", "a.md#Start", ["b.md#Start", "a.md#Start"])
    made = Made(tmp_path, store, {"a.md": text, "b.md": text}, rows)
    assert made.recall() == [1.0] * 5
    assert [e.relevant for e in made.examples] == [
        ("a.md",), ("a.md#Start",), ("a.md#start",), ("a.md#Start",), ("a.md#Start",)
    ]  # fmt: skip
    assert made.changes() == [
        ("source-followed", "b.md is a.md"),
        ("source-followed", "b.md#Start is a.md#Start"),
        ("source-followed", "./b.md#start is a.md#start"),
        ("source-followed", "b.md#Start is a.md#Start"),
    ]


def test_a_section_of_a_near_duplicate_follows_by_name_or_by_what_it_says(tmp_path: Path, store: Store) -> None:
    body = " ".join(f"install{n}" for n in range(60))
    text = f"# Guide\n\n## Install\n\n{body}\n\n## Use\n\n{WORDS}"
    near = text.replace("## Install", "## Setting up") + "\n\n## Only here\n\nOne more remark."
    made = Made(tmp_path, store, {"a.md": text, "b.md": near}, asked("b.md#Setting up", "b.md#Use", "b.md#Only here"))
    assert made.documents.size == 1
    assert made.recall() == [1.0, 1.0, 1.0]
    assert [e.relevant for e in made.examples] == [("a.md#Install",), ("a.md#Use",), ("a.md",)]
    assert ("section-lost", "b.md#Only here; nearest: a.md") in made.changes()


def test_a_duplicate_of_a_duplicate_is_followed_to_the_end(tmp_path: Path, store: Store) -> None:
    text = f"# G\n\n## Use\n\n{WORDS}"
    made = Made(tmp_path, store, {"a.md": text, "b.md": text + " more", "c.md": text + " more"}, asked("c.md#Use"))
    assert made.documents.size == 1
    assert made.examples[0].relevant == ("a.md#Use",)


def test_what_a_source_names_wrongly_is_told_with_the_nearest_name(tmp_path: Path, store: Store) -> None:
    files = {
        "en/gate.md": f"# Gate\n\n## Verdicts\n\n{WORDS}",
        "short.md": "tiny",
        "faq.csv": "id,text\n7,How much does it cost in all? A lot.",
    }
    rows = asked("en/gates.md", "gate.md", "en/gate.md#Verdict", "en/gate.md#verdicts", "short.md", "faq.csv/7", None)
    made = Made(tmp_path, store, files, rows)
    assert made.changes() == [
        ("source-missing", "en/gates.md; nearest: en/gate.md"),
        ("source-missing", "gate.md; nearest: en/gate.md"),
        ("heading-missing", "en/gate.md#Verdict; nearest: en/gate.md#Verdicts"),
        ("source-dropped", "short.md: too-short"),
    ]


def test_a_file_whose_name_has_a_hash_is_named_with_its_section(tmp_path: Path, store: Store) -> None:
    files = {
        "c# notes #2.md": f"# Notes\n\n## C# basics\n\n{WORDS}",
        "c.md": f"# Other\n\n## C# basics\n\nAnother page, of which {WORDS[:40]}",
    }
    rows = asked("c# notes #2.md#C# basics", "c# notes #2.md", "c.md#C# basics", "c# notes #2.md#None")
    made = Made(tmp_path, store, files, rows)
    assert made.changes() == [("heading-missing", "c# notes #2.md#None; nearest: c# notes #2.md#Notes")]
    assert told(preview(made.config, tmp_path, TASK)) == told(losses({"examples": made.dataset}, store))


def told(found: list[Loss]) -> list[tuple[str, int]]:
    return [(loss.reason, loss.count) for loss in found]


def test_check_tells_the_same_and_keeps_nothing(tmp_path: Path, store: Store) -> None:
    files = {"en/gate.md": f"# Gate\n\n## Verdicts\n\n{WORDS}", "en/other.md": f"other {WORDS}"}
    rows = asked("en/gates.md", "en/gate.md#Verdict", "en/gate.md#Verdicts")
    rows += [{"question": "", "answer": "x"}, {"question": "q?"}]
    made = Made(tmp_path, store, files, rows)
    before = sorted(tmp_path.rglob("*"))
    found = preview(made.config, tmp_path, TASK)
    assert sorted(tmp_path.rglob("*")) == before
    assert told(found) == told(losses({"examples": made.dataset}, store))
    assert told(found) == [
        ("missing-input", 1), ("source-missing", 1), ("heading-missing", 1), ("missing-answer", 1)
    ]  # fmt: skip
    assert found[1].items == ["q.jsonl:1 (en/gates.md; nearest: en/gate.md)"]
    assert all(loss.what and loss.how for loss in found)


def test_a_split_that_stays_empty_for_a_wrong_heading_names_it(tmp_path: Path, store: Store) -> None:
    sections = "".join(f"## Part {n}\n\nWinch {n} has {n}0 ropes and {WORDS[n:40]}\n\n" for n in range(6))
    rows = [
        {"question": f"How many ropes has {n * 77}?", "answer": f"{n}0", "source": f"a.md#Part {n}"} for n in range(6)
    ]
    rows[3]["source"] = "a.md#Prt 3"
    with pytest.raises(ConfigError) as caught:
        Made(tmp_path, store, {"a.md": f"# A\n\n{sections}"}, rows, split={"group_by": "source"})
    assert "q.jsonl:4 first (a.md#Prt 3; nearest: a.md#Part 3)" in caught.value.hint


# groups ---------------------------------------------------------------------------------------------------------------
def pages(languages: tuple[str, ...] = ("en", "zh"), count: int = 6) -> dict[str, str]:
    """A manual in several languages: the same headings by level, none by name, over texts that differ."""
    words = {
        "en": "The harbour of number {n} has a slipway and {m} cranes.",
        "zh": "第{n}号港口有一个船台和{m}台起重机。",
    }
    made: dict[str, str] = {}
    for language in languages:
        for n in range(count):
            sections = "".join(f"## {language} part {m}\n\n{words[language].format(n=n, m=m)}\n\n" for m in range(4))
            made[f"{language}/p{n}.md"] = f"# {language} page {n}\n\n{sections}"
    return made


def questions(count: int = 6) -> list[dict[str, Any]]:
    patterns = {"en": "How many cranes has {}?", "zh": "{}有几台起重机？"}
    return [
        {
            "question": patterns[language].format(f"{n * 100 + m}"),
            "answer": str(m),
            "source": f"{language}/p{n}.md#{language} part {m}",
            "language": language,
        }
        for language in ("en", "zh")
        for n in range(count)
        for m in range(4)
    ]


def test_a_section_and_its_translation_are_one_group(tmp_path: Path, store: Store) -> None:
    split = {"train": 0.2, "dev": 0.3, "gate": 0.5, "group_by": "source"}
    made = Made(tmp_path, store, pages(), questions(), split)
    by_group: dict[str, list[Example]] = {}
    for example in made.examples:
        by_group.setdefault(example.group, []).append(example)
    assert len(by_group) == 24
    assert all({e.language for e in found} == {"en", "zh"} for found in by_group.values())
    assert all(len({e.split for e in found}) == 1 for found in by_group.values())
    assert set(by_group) == {f"en/p{n}.md#en part {m}" for n in range(6) for m in range(4)}
    assert "flagged/section-leak" not in made.dataset.counts


def test_pages_of_another_shape_are_no_translations(tmp_path: Path, store: Store) -> None:
    files = pages()
    files["zh/p0.md"] += "## zh part 4\n\n还有一段。\n"
    made = Made(tmp_path, store, files, questions(), ALL | {"group_by": "source"})
    groups = {e.group for e in made.examples if e.relevant[0].startswith("zh/p0.md")}
    assert groups == {f"zh/p0.md#zh part {m}" for m in range(4)}


def test_by_document_with_its_translation(tmp_path: Path, store: Store) -> None:
    made = Made(tmp_path, store, pages(), questions(), ALL | {"group_by": "document"})
    assert {e.group for e in made.examples} == {f"en/p{n}.md" for n in range(6)}


def test_a_page_holds_its_sections_and_a_row_may_tie_more(tmp_path: Path, store: Store) -> None:
    rows = asked("en/p0.md", "en/p0.md#en part 1", "en/p1.md#en part 1", "en/p1.md#en part 2", "en/p2.md#en part 0")
    rows[3]["group"] = rows[4]["group"] = "mine"
    made = Made(tmp_path, store, pages(), rows, ALL | {"group_by": "source"})
    groups = [e.group for e in made.examples]
    assert groups[0] == groups[1]
    assert groups[3] == groups[4]
    assert len(set(groups)) == 3


# leaks ----------------------------------------------------------------------------------------------------------------
def leaks(made: Dataset, store: Store) -> dict[str, int]:
    return {key.removeprefix("flagged/"): n for key, n in made.counts.items() if key.endswith("-leak")}


def test_a_section_in_two_splits_is_told_with_what_to_write(tmp_path: Path, store: Store) -> None:
    made = Made(tmp_path, store, pages(), questions(), {"train": 0.2, "dev": 0.3, "gate": 0.5})
    assert leaks(made.dataset, store)["section-leak"] > 5
    (loss,) = [loss for loss in losses({"examples": made.dataset}, store) if loss.reason == "section-leak"]
    assert loss.count == made.dataset.counts["flagged/section-leak"]
    assert "group_by: source" in loss.how
    assert "part" in loss.items[0] or "q.jsonl" in loss.items[0]


def test_many_examples_of_one_section_are_compared_with_one_not_with_each_other() -> None:
    """3,000 that name the same document were 4.5 million pairs for each of its sections."""
    splits: list[Split] = ["gate", "dev", "train"] * 1000
    examples = [Example(input={"question": f"q{n}"}, source=f"q:{n}", split=split) for n, split in enumerate(splits)]
    compared = list(_same_section([["d#a", "d#b"]] * 3000, lambda n: (2 - n % 3, n)))
    assert len(compared) == 2 * 2999
    found = find_leaks(examples, [f"q{n}" for n in range(3000)], [["d#a", "d#b"]] * 3000)
    assert [change.reason for change in found] == ["section-leak"] * 2000
    assert all("q:2 (train)" in change.detail for change in found)


def test_nearly_the_same_question_in_two_splits_is_told_and_a_pattern_is_not(tmp_path: Path, store: Store) -> None:
    towns = [
        "Bergen",
        "Cadiz",
        "Danzig",
        "Emden",
        "Genoa",
        "Havre",
        "Izmir",
        "Kiel",
        "Lagos",
        "Malmo",
        "Nantes",
        "Oslo",
    ]
    rows = [{"question": f"How many cranes does the old harbour of {town} have?", "answer": "1"} for town in towns]
    made = Made(tmp_path, store, pages(), rows, {"train": 0.4, "dev": 0.3, "gate": 0.3})
    assert leaks(made.dataset, store) == {}
    again = [{"question": f"So how many cranes does the old {town} harbour have", "answer": "2"} for town in towns]
    made = Made(tmp_path, store, {}, rows + again, {"train": 0.4, "dev": 0.3, "gate": 0.3})
    assert leaks(made.dataset, store)["question-leak"] > 2
    tied = [{**row, "group": town} for row, town in zip(rows + again, towns * 2, strict=True)]
    made = Made(tmp_path, store, {}, tied, {"train": 0.4, "dev": 0.3, "gate": 0.3})
    assert leaks(made.dataset, store) == {}


def test_a_slice_that_a_split_lacks_is_told(tmp_path: Path, store: Store) -> None:
    rows = [
        {"question": f"number {n}?", "answer": "x", "topic": "rare" if n == 0 else ["money", "time"][n % 2], "id": n}
        for n in range(40)
    ]
    made = Made(tmp_path, store, pages(), rows, {"train": 0.4, "dev": 0.3, "gate": 0.3})
    every = list(store.blobs.get_lines(made.dataset.changes, Change))
    assert [c.item for c in every if c.reason == "slice-not-in-every-split"] == ["topic:rare"]
