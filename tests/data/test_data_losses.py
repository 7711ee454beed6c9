"""The list to look at: documents that were lost first, then examples, then what was skipped, pictures last."""

from __future__ import annotations

import json
from pathlib import Path

from slipway.builtin.tasks.answer import AnswerTask
from slipway.data import losses as module
from slipway.data.documents import make_documents
from slipway.data.examples import make_examples
from slipway.data.losses import losses
from slipway.data.reasons import explain
from slipway.data.references import corpus_of
from slipway.i18n import speaking
from slipway.project.data import DataConfig
from slipway.store.store import Store

WORDS = " ".join(f"word{n}" for n in range(100))


def test_in_order_of_importance_with_counts_names_and_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.md").write_text(f"# Good\n\n{WORDS}")
    (folder / "zagain.md").write_text(f"# Good\n\n{WORDS} more")
    (folder / "deep.html").write_text("<div>" * 20_000 + "text")
    (folder / "fake.pdf").write_bytes(b"MZ\x90\x00")
    (folder / "scan.html").write_text("<p></p>")
    (folder / "tiny.txt").write_text("tiny")
    for n in range(5):
        (folder / f"p{n}.gif").write_bytes(b"GIF89a")
    for name in ("a.odp", "b.odp", "c.ods", "style.css"):
        (folder / name).write_bytes(b"PK")
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": "q?", "answer": "a", "source": "in/god.md"}))
    store = Store(tmp_path / "state")
    config = DataConfig.model_validate(
        {
            "documents": [{"path": "in"}],
            "examples": [{"path": "q.jsonl"}],
            "split": {"train": 1, "dev": 0, "gate": 0},
        }
    )
    documents = make_documents(config, tmp_path, store)
    examples = make_examples(
        config, tmp_path, store, AnswerTask(AnswerTask.Config()), corpus_of(documents, store)
    )  # fmt: skip
    found = losses({"documents": documents, "examples": examples}, store)
    assert [(loss.reason, loss.count) for loss in found] == [
        ("too-deep", 1), ("wrong-type", 1), ("empty", 1), ("source-missing", 1), ("near-duplicate", 1),
        ("too-short", 1), ("unsupported-type", 3), ("unsupported-type", 6),
    ]  # fmt: skip
    assert found[0].items == ["in/deep.html"]
    assert found[3].items == ["q.jsonl:1 (in/god.md; nearest: in/good.md)"]
    assert [loss.items for loss in found[-2:]] == [[".odp 2", ".ods 1"], [".gif 5", ".css 1"]]
    assert all(loss.what for loss in found)
    assert all(loss.how for loss in found[:-1])
    with speaking("zh"):
        translated = losses({"documents": documents, "examples": examples}, store)
    assert [loss.count for loss in translated] == [loss.count for loss in found]
    for loss in translated:
        assert any("\u4e00" <= char <= "\u9fff" for char in loss.what), loss
        assert not loss.how or any("\u4e00" <= char <= "\u9fff" for char in loss.how), loss


def test_versions_of_one_text_are_told_with_the_numbers_in_which_they_differ(tmp_path: Path) -> None:
    body = " ".join(f"Sentence {n} says where a request is entered and who of team {n} answers it." for n in range(40))
    for name, days in (("2024.md", "124"), ("2025.md", "130")):
        (tmp_path / name).write_text(f"# Leave\n\nValid from {name[:4]}. Everyone has {days} days. {body}")
    (tmp_path / "a-copy.md").write_text(f"# Leave\n\nValid from 2024. Everyone has 124 days. {body} Then.")
    store = Store(tmp_path / "state")
    documents = make_documents(DataConfig.model_validate({"documents": [{"path": "*.md"}]}), tmp_path, store)
    [loss] = losses({"documents": documents}, store)
    assert (loss.reason, loss.count) == ("near-duplicate", 2)
    assert loss.items[0].endswith("of 2024.md; other numbers: 2025, 130 here, 2024, 124 there)"), loss.items
    assert loss.items[1] == "a-copy.md"


def test_endings_that_are_not_named_are_counted(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"a.k{number}").write_bytes(b"x")
    (tmp_path / "a.md").write_text(f"# A\n\n{WORDS}")
    store = Store(tmp_path / "state")
    documents = make_documents(DataConfig.model_validate({"documents": [{"path": "a.*"}]}), tmp_path, store)
    [loss] = losses({"documents": documents}, store)
    assert (loss.count, loss.items[-1]) == (8, "+2")


def test_files_without_an_ending_are_told_in_the_language_of_the_reader(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("all: the whole of it")
    (tmp_path / "a.md").write_text(f"# A\n\n{WORDS}")
    store = Store(tmp_path / "state")
    documents = make_documents(DataConfig.model_validate({"documents": [{"path": "[aM]*"}]}), tmp_path, store)
    with speaking("zh"):
        assert [loss.items for loss in losses({"documents": documents}, store)] == [["无后缀 1"]]


def test_nothing_lost_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(f"# A\n\n{WORDS}")
    store = Store(tmp_path / "state")
    documents = make_documents(DataConfig.model_validate({"documents": [{"path": "a.md"}]}), tmp_path, store)
    assert losses({"documents": documents}, store) == []


def test_each_loss_is_explained_and_has_a_remedy() -> None:
    listed = (*module._DOCUMENTS, *module._EXAMPLES, *module._CHOSEN)  # pyright: ignore[reportPrivateUsage]
    assert [reason for reason in listed if explain(reason) == reason] == []
    missing = [reason for reason in listed if not module.remedy(reason)]
    assert missing == ["not-a-file"]  # there is nothing to do about a pipe
