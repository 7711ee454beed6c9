"""make_examples: fields, validation, repeats, groups, and splits that keep their promises."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.builtin.tasks.answer import AnswerTask
from slipway.builtin.tasks.classify import ClassifyTask
from slipway.core.material import Change, Dataset, Example
from slipway.data import inspection
from slipway.data.documents import make_documents
from slipway.data.examples import make_examples
from slipway.data.losses import BROKEN, losses
from slipway.data.reasons import explain
from slipway.data.split import assign, slices
from slipway.errors import ConfigError
from slipway.project.data import DataConfig, SplitConfig
from slipway.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


def write(path: Path, rows: list[Any]) -> None:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows))


def make(
    root: Path, store: Store, path: str = "q.jsonl", split: dict[str, Any] | None = None, **source: Any
) -> Dataset:
    config = {"examples": [{"path": path, **source}], "split": split or {"train": 1, "dev": 0, "gate": 0}}
    return make_examples(DataConfig.model_validate(config), root, store, AnswerTask(AnswerTask.Config()))


def examples(store: Store, dataset: Dataset) -> list[Example]:
    return list(store.blobs.get_lines(dataset.items, Example))


def changes(store: Store, dataset: Dataset) -> list[tuple[str, str, str]]:
    every = store.blobs.get_lines(dataset.changes, Change) if dataset.changes else []
    return [(change.item, change.action, change.reason) for change in every]


def test_fields_lists_and_meta(tmp_path: Path, store: Store) -> None:
    write(
        tmp_path / "q.jsonl",
        [
            {
                "question": "What is it?",
                "answer": ["a", "b", "a"],
                "source": ["x.md#A", "y.md"],
                "language": "en",
                "team": "red",
            },
            {"question": "  Cafe\u0301?  ", "answer": 42, "n": None},
        ],
    )
    first, second = examples(store, make(tmp_path, store))
    assert first.input == {"question": "What is it?"}
    assert first.expected == ("a", "b")
    assert first.relevant == ("x.md#A", "y.md")
    assert first.meta == {"team": "red"}
    assert first.source == "q.jsonl:1"
    assert second.input == {"question": "Café?"}
    assert second.expected == ("42",)
    assert second.meta == {}
    assert second.language == "und"


def test_csv_with_other_column_names(tmp_path: Path, store: Store) -> None:
    with (tmp_path / "q.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows(
            [
                ["Frage", "Antwort", "Abteilung"],
                ["Wie lange dauert der Urlaub im Jahr?", '["30 Tage", "dreißig"]', "HR"],
            ]
        )
    dataset = make(tmp_path, store, "q.csv", fields={"question": "Frage", "answer": "Antwort"})
    (example,) = examples(store, dataset)
    assert example.expected == ("30 Tage", "dreißig")
    assert example.language == "de"
    assert example.meta == {"Abteilung": "HR"}
    assert example.source == "q.csv:2"


def test_parquet_examples(tmp_path: Path, store: Store) -> None:
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    parquet.write_table(
        arrow.table({"question": ["Where is the harbour?", None], "answer": [["here", "there"], ["x"]]}),
        tmp_path / "q.parquet",
    )
    dataset = make(tmp_path, store, "q.parquet")
    assert [example.expected for example in examples(store, dataset)] == [("here", "there")]
    assert changes(store, dataset) == [("q.parquet:2", "dropped", "missing-input")]


def test_numbers_of_any_length_are_read(tmp_path: Path, store: Store) -> None:
    """An account number is longer than 64 bits, and must not cost the other rows of its file."""
    account, ids = 10**29 + 7, [2**64, -(2**63) - 1, 2**64 - 1, {"deep": [10**40]}]
    write(
        tmp_path / "q.jsonl",
        [
            {"question": account, "answer": account},
            {"question": "Whose?", "answer": "ours", "account": account, "ids": ids},
        ],
    )
    kept = examples(store, make(tmp_path, store))
    assert [(e.input["question"], e.expected) for e in kept] == [(f"{account}", (f"{account}",)), ("Whose?", ("ours",))]
    assert kept[1].meta["account"] == f"{account}"
    assert kept[1].meta["ids"] == [f"{2**64}", f"{-(2**63) - 1}", 2**64 - 1, {"deep": [f"{10**40}"]}]


def test_rows_are_validated_with_their_place(tmp_path: Path, store: Store) -> None:
    write(
        tmp_path / "q.jsonl",
        [
            {"question": "One?", "answer": "1"},
            "{broken",
            {"question": " ", "answer": "2"},
            {"question": "Three?"},
            {"question": "one? ", "answer": "1"},
            {"question": "One?", "answer": "another"},
        ],
    )
    dataset = make(tmp_path, store)
    assert changes(store, dataset) == [
        ("q.jsonl:2", "dropped", "bad-row"),
        ("q.jsonl:3", "dropped", "missing-input"),
        ("q.jsonl:4", "flagged", "missing-answer"),
        ("q.jsonl:5", "dropped", "exact-duplicate"),
        ("q.jsonl:6", "flagged", "contradiction"),
    ]
    kept = examples(store, dataset)
    assert [example.input["question"] for example in kept] == ["One?", "Three?", "One?"]
    assert kept[0].group == kept[2].group != ""
    assert kept[1].expected == ()


@pytest.mark.parametrize(
    ("rows", "source", "split", "message", "hint"),
    [
        ([{"q": "?"}], {}, {}, "has no column 'question'", "fields: {question: COLUMN"),
        ([{"question": "?"}], {"fields": {"answer": "anwser"}}, {}, "no column 'anwser'", "it has: question"),
        (["{", "["], {}, {}, "cannot be read: no line is a JSON object; line 1", ".jsonl"),
        ([], {}, {}, "no example was found", ".jsonl"),
        ([{"question": ""}], {}, {}, "no example was found", "q.jsonl:1: the field of the input is empty"),
        (
            [{"question": "a?", "topic": "x"}],
            {},
            {"group_by": "topik"},
            "no example has 'topik'",
            "did you mean 'topic'?",
        ),
        ([{"question": "a?"}, {"question": "b?"}], {}, {"group_by": None}, "no example is left for", "2 groups"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path,
    store: Store,
    rows: list[Any],
    source: dict[str, Any],
    split: dict[str, Any],
    message: str,
    hint: str,
) -> None:
    write(tmp_path / "q.jsonl", rows)
    with pytest.raises(ConfigError) as found:
        make(tmp_path, store, split={"seed": 7, **split}, **source)
    assert message in found.value.message
    assert hint in found.value.hint


def test_a_file_that_is_no_table_is_an_error(tmp_path: Path, store: Store) -> None:
    (tmp_path / "q.md").write_text("# Questions\n")
    with pytest.raises(ConfigError, match="is not a file of examples"):
        make(tmp_path, store, "q.md")
    with pytest.raises(ConfigError, match="data.examples: 'nothing.jsonl' matches no file"):
        make(tmp_path, store, "nothing.jsonl")


def test_what_no_example_has_is_not_proposed_again(tmp_path: Path, store: Store) -> None:
    write(tmp_path / "q.jsonl", [{"question": "a?", "topic": "x"}])
    with pytest.raises(ConfigError, match="no example has 'group'") as caught:
        make(tmp_path, store, split={"group_by": "group"})
    assert "did you mean 'group'" not in caught.value.hint
    assert "delete data.split.group_by" in caught.value.hint


def test_examples_without_a_source_are_groups_of_their_own(tmp_path: Path, store: Store) -> None:
    write(tmp_path / "q.jsonl", [{"question": f"What is {n}?", "answer": "it"} for n in range(12)])
    dataset = make(tmp_path, store, split={"group_by": "source"})
    assert dataset.size == 12
    assert sum(reason == "missing-group" for _, _, reason in changes(store, dataset)) == 12


def questions(count: int, groups: int, languages: tuple[str, ...] = ("en", "zh")) -> list[dict[str, Any]]:
    chosen = random.Random(count)
    rows: list[dict[str, Any]] = []
    for n in range(count):
        group = chosen.randrange(groups)
        rows.append(
            {
                "question": f"Question {n}?",
                "answer": "x",
                "source": f"{group}.md",
                "language": languages[group % len(languages)],
            }
        )
    return rows


def test_groups_never_cross_splits_and_every_split_has_every_language(tmp_path: Path, store: Store) -> None:
    write(tmp_path / "q.jsonl", questions(150, 40))
    dataset = make(tmp_path, store, split={"group_by": "source"})
    splits: defaultdict[str, set[str | None]] = defaultdict(set)
    for example in examples(store, dataset):
        splits[example.group].add(example.split)
        assert example.group == example.relevant[0]
    assert all(len(found) == 1 for found in splits.values())
    for split, share in (("train", 0.4), ("dev", 0.3), ("gate", 0.3)):
        assert abs(dataset.counts[split] / 150 - share) < 0.05
        for language in ("en", "zh"):
            assert dataset.counts[f"{split}/{language}"] >= 10


def test_examples_that_share_one_of_several_sources_are_one_group(tmp_path: Path, store: Store) -> None:
    write(
        tmp_path / "q.jsonl",
        [
            {"question": "a?", "source": ["1.md", "2.md"]},
            {"question": "b?", "source": ["2.md", "3.md"]},
            {"question": "c?", "source": "4.md"},
            {"question": "d?"},
        ],
    )
    dataset = make(tmp_path, store, split={"train": 1, "dev": 0, "gate": 0, "group_by": "source"})
    assert [example.group for example in examples(store, dataset)] == ["1.md", "1.md", "4.md", ""]
    assert ("q.jsonl:4", "flagged", "missing-group") in changes(store, dataset)


@pytest.mark.parametrize("group_by", ["group", "team"])
def test_groups_by_the_group_field_or_a_meta_key(tmp_path: Path, store: Store, group_by: str) -> None:
    write(tmp_path / "q.jsonl", [{"question": f"{n}?", group_by: f"g{n % 4}"} for n in range(20)])
    dataset = make(tmp_path, store, split={"group_by": group_by})
    assert [example.group for example in examples(store, dataset)] == [f"g{n % 4}" for n in range(20)]


def made_examples(groups: list[int], languages: list[str]) -> list[Example]:
    return [
        Example(input={"question": f"{g}-{n}"}, group=f"g{g}", language=languages[g % len(languages)])
        for g, size in enumerate(groups)
        for n in range(size)
    ]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=9, max_size=60), st.integers(0, 5), st.sampled_from([["en"], ["en", "zh"], ["en", "zh", "de"]]))  # fmt: skip
def test_shares_are_met_as_far_as_groups_allow(groups: list[int], seed: int, languages: list[str]) -> None:
    found = made_examples(groups, languages)
    splits, thin = assign(found, SplitConfig(seed=seed))
    again, _ = assign(found, SplitConfig(seed=seed))
    assert splits == again
    counts = Counter(splits)
    slack = len(languages) * max(groups) * 1.5
    for name, share in (("train", 0.4), ("dev", 0.3), ("gate", 0.3)):
        assert abs(counts[name] - share * len(found)) <= slack  # pyright: ignore[reportArgumentType]
    assert not thin
    assert len({(s, e.language) for s, e in zip(splits, found, strict=True)}) == 3 * len(languages)
    by_group: defaultdict[str, set[str]] = defaultdict(set)
    for split, example in zip(splits, found, strict=True):
        by_group[example.group].add(split)
    assert all(len(names) == 1 for names in by_group.values())


def test_order_does_not_matter_and_additions_move_little() -> None:
    before = made_examples([2] * 60, ["en", "zh"])
    splits = dict(zip((e.id for e in before), assign(before, SplitConfig())[0], strict=True))
    shuffled = random.Random(1).sample(before, len(before))
    assert dict(zip((e.id for e in shuffled), assign(shuffled, SplitConfig())[0], strict=True)) == splits
    more = before + made_examples([2] * 66, ["en", "zh"])[120:]
    after = dict(zip((e.id for e in more), assign(more, SplitConfig())[0], strict=True))
    moved = sum(after[id] != split for id, split in splits.items())
    assert moved <= 12  # at most a group at each cut for every few that came
    other = assign(before, SplitConfig(seed=8))[0]
    assert other != list(splits.values())


def test_a_rare_language_is_flagged(tmp_path: Path, store: Store) -> None:
    rows = questions(60, 20, ("en",)) + [{"question": "一个问题？", "answer": "是", "source": "z.md", "language": "zh"}]
    write(tmp_path / "q.jsonl", rows)
    dataset = make(tmp_path, store, split={"group_by": "source"})
    assert ("language:zh", "flagged", "language-not-in-every-split") in changes(store, dataset)


def test_a_split_without_a_share_stays_empty(tmp_path: Path, store: Store) -> None:
    write(tmp_path / "q.jsonl", questions(40, 20))
    dataset = make(tmp_path, store, split={"train": 0, "dev": 0.5, "gate": 0.5})
    assert "train" not in dataset.counts
    assert dataset.counts["dev"] + dataset.counts["gate"] == 40


def test_two_datasets_are_compared_item_by_item(tmp_path: Path, store: Store) -> None:
    write(
        tmp_path / "q.jsonl", [{"question": "a?", "answer": "1"}, {"question": "b?", "answer": "2"}, {"question": ""}]
    )
    one = make(tmp_path, store)
    write(tmp_path / "q.jsonl", [{"question": "a?", "answer": "3"}, {"question": "c?", "answer": "2"}])
    two = make(tmp_path, store)
    changed = inspection.ItemChange(item="a?", fields=["expected"])
    assert inspection.diff(one, two, store) == inspection.Difference(
        added=["c?"], removed=["b?"], changed=[changed], same=0
    )
    assert [change.item for change in inspection.changes(one, store, "missing-input")] == ["q.jsonl:3"]
    assert inspection.changes(one, store, "other") == []


def test_show_compares_documents_by_source(tmp_path: Path, store: Store) -> None:
    config = DataConfig.model_validate({"documents": [{"path": "*.md"}]})
    (tmp_path / "a.md").write_text("# A\n\nThe first version of this document.")
    (tmp_path / "b.md").write_text("# B\n\nA document that is going to vanish.")
    one = make_documents(config, tmp_path, store)
    (tmp_path / "a.md").write_text("# A\n\nThe second version of this document.")
    (tmp_path / "b.md").rename(tmp_path / "c.md")
    two = make_documents(config, tmp_path, store)
    found = inspection.diff(one, two, store)
    assert (found.added, found.removed, found.same) == (["c.md"], ["b.md"], 0)
    assert found.changed == [inspection.ItemChange(item="a.md", fields=["text", "raw_sha256", "sections"])]
    write(tmp_path / "q.jsonl", [{"question": "a?"}])
    with pytest.raises(ConfigError, match="holds examples"):
        inspection.diff(make(tmp_path, store), two, store)


def test_every_reason_that_the_code_gives_is_explained() -> None:
    import re

    folder = Path(inspection.__file__).parent
    given = set()
    for path in folder.rglob("*.py"):
        text = path.read_text()
        given |= set(re.findall(r'Refused\(\s*"([a-z0-9-]+)"', text))
        given |= set(re.findall(r'"(?:dropped|changed|flagged)", "([a-z0-9-]+)"', text))
        given |= set(re.findall(r'reason="([a-z0-9-]+)"', text))
        given |= set(re.findall(r'counts\["([a-z-]+)"\]', text)) | set(re.findall(r'counts, "([a-z-]+)"\)', text))
    given -= {"dropped", "changed", "flagged"}  # the actions themselves
    assert len(given) > 20
    unexplained = {reason for reason in given if explain(reason) == reason}
    assert not unexplained


@pytest.mark.parametrize(("reserve", "parts"), [(0.2, 1), (0.4, 2), (0.5, 2), (0.1, 1), (0.0, 0)])
def test_each_rotation_makes_a_part_of_the_reserve_the_gate_and_moves_nothing_else(reserve: float, parts: int) -> None:
    """What was the gate is dev, train stays, and no example is the gate twice."""
    config = SplitConfig(train=0.2, dev=0.6 - reserve, gate=0.2, reserve=reserve)
    found = made_examples([2] * 60, ["en", "zh"])
    assert slices(config) == parts
    rounds = [assign(found, config, rotation)[0] for rotation in range(parts + 1)]
    gates = [{e.id for e, split in zip(found, splits, strict=True) if split == "gate"} for splits in rounds]
    assert all(one.isdisjoint(other) for n, one in enumerate(gates) for other in gates[:n])
    for n, splits in enumerate(rounds):
        assert [s == "train" for s in splits] == [s == "train" for s in rounds[0]]
        spent = {e.id for e, split in zip(found, splits, strict=True) if split == "dev"}
        assert all(gate <= spent for gate in gates[:n])
        assert ("reserve" in splits) == (n < parts)
        assert gates[n]


@pytest.mark.parametrize("word", ["none", "None", "N/A", "null", "nan"])
def test_a_text_that_says_none_is_a_reference(tmp_path: Path, store: Store, word: str) -> None:
    """Many sets have a label "none"; JSON has null for what is not there."""
    write(tmp_path / "q.jsonl", [{"question": "Which?", "answer": word}, {"question": "Who?", "answer": None}])
    dataset = make(tmp_path, store)
    assert [example.expected for example in examples(store, dataset)] == [(word,), ()]
    assert changes(store, dataset) == [("q.jsonl:2", "flagged", "missing-answer")]


def test_a_cell_that_says_none_is_a_label_where_the_project_names_it(tmp_path: Path, store: Store) -> None:
    (tmp_path / "q.csv").write_text("text,label\nwhere is it?,delivery\nthank you,None\n")
    config = DataConfig.model_validate({"examples": [{"path": "q.csv"}], "split": {"train": 1, "dev": 0, "gate": 0}})
    named = ClassifyTask(ClassifyTask.Config(labels=["delivery", "none"]))  # pyright: ignore[reportArgumentType]
    dataset = make_examples(config, tmp_path, store, named)
    assert [example.expected for example in examples(store, dataset)] == [("delivery",), ("none",)]
    dataset = make_examples(config, tmp_path, store, ClassifyTask(ClassifyTask.Config()))
    assert [example.expected for example in examples(store, dataset)] == [("delivery",), ()]
    (change,) = inspection.changes(dataset, store, "missing-answer")
    assert change.detail == "the cell says 'None', which stands for nothing in a table"


def test_an_input_that_is_too_long_is_told_with_the_broken_rows(tmp_path: Path, store: Store) -> None:
    write(tmp_path / "q.jsonl", [{"question": "Which?", "answer": "x"}, {"question": "y" * 100_001, "answer": "x"}])
    dataset = make(tmp_path, store)
    (loss,) = losses({"examples": dataset}, store)
    assert loss.reason in BROKEN
    assert loss.what == "the input is too long"
