"""Passages in the order of their best statement, and a project that asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from slipway import api
from slipway.core.answer import Citation
from slipway.core.candidate import Candidate
from slipway.loop.context import Context
from slipway.runtime.rerank import rerank
from slipway.testing.projects import FILE, write_project


def passage(text: str, *path: str) -> Citation:
    return Citation(chunk=text, source="a.md", path=path, start=0, end=len(text), text=text, score=0.0)


LONG = passage("Keels are heavy. The harbour has many ships with keels, and each ship has a weight and a price to pay.")
SHORT = passage("The keel of the ferry weighs 12 tonnes. It is painted every spring.")
OTHER = passage("The port opens at nine.")


async def test_the_passage_whose_sentence_answers_comes_first() -> None:
    found = await rerank("How many tonnes does the keel of the ferry weigh?", [OTHER, LONG, SHORT])
    assert found[0] == SHORT
    assert sorted(p.text for p in found) == sorted(p.text for p in (OTHER, LONG, SHORT))


async def test_chinese() -> None:
    first, second = passage("港口九点开门。"), passage("这艘船的龙骨重十二吨。每年春天刷漆。")
    assert (await rerank("船的龙骨有多重？", [first, second]))[0] == second


async def test_the_order_of_the_search_decides_where_nothing_else_does() -> None:
    same = [passage(f"Room {n} is open.") for n in range(4)]
    assert list(await rerank("zzz", same)) == same


async def test_the_embedder_counts() -> None:
    async def near(texts: Sequence[str]) -> np.ndarray:
        return np.array([float("opens" in text) for text in texts], np.float32)

    first = passage("The cafe closes at six.")
    assert (await rerank("when may one enter", [first, OTHER]))[0] == first
    assert (await rerank("when may one enter", [first, OTHER], near))[0] == OTHER


@pytest.mark.parametrize("texts", [[], [""], ["", "The keel.", "\n\n"]])
async def test_no_passage_is_lost(texts: list[str]) -> None:
    passages = [passage(text) for text in texts]
    assert sorted(p.text for p in await rerank("the keel?", passages)) == sorted(texts)


def test_a_passage_that_the_search_ranks_second_is_retrieved_first(tmp_path: Path) -> None:
    """The whole way: the project file, the candidate's digest, the search."""
    plain = "grounded: {model: writer, prompt: grounded.md, retrieve: {mode: lexical, top_k: 1}}"
    more = plain + "\n  reranked: {extends: grounded, retrieve: {rerank: 5}}"
    write_project(tmp_path, FILE.replace(plain, more))
    spread = "The ferry, that ferry. All rooms are empty, empty. What they weigh, they weigh."
    (tmp_path / "docs" / "ferry.md").write_text(f"# A\n\n{spread}\n", "utf-8")
    (tmp_path / "docs" / "boat.md").write_text(
        f"# B\n\n{'Our boats are old and there are a great many of them in the bay near the hills. ' * 4}"
        "How much the ferry weighs when empty: 31 tonnes.\n",
        "utf-8",
    )
    with api.open_project(tmp_path) as project:
        reports = api.run(project, "evaluate").reports["dev"]
        assert reports["grounded"].candidate != reports["reranked"].candidate
        assert reports["reranked"].metrics["retrieval_recall"].value >= 0.9
        answers = {
            name: project.wait(_asked(project, name, "How much does the ferry weigh when it is empty?"))
            for name in ("grounded", "reranked")
        }
    assert answers["reranked"][0].source == "docs/boat.md"
    assert answers["grounded"][0].source == "docs/ferry.md"


async def _asked(project: Context, name: str, question: str) -> tuple[Citation, ...]:
    candidate = project.store.catalog.list("candidate", Candidate, name)[0][1]
    assert candidate.retrieve is not None
    return await (await project.session.retriever(candidate.retrieve)).search(question, candidate.retrieve)
