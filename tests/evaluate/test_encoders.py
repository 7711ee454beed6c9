"""`semantic_similarity`: which model it is given, what it does with texts that the model cannot read, and a whole run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from slipway import api
from slipway.builtin.scorers.similarity import SemanticSimilarity, SimilarityConfig
from slipway.core.answer import Answer
from slipway.core.candidate import ModelPin
from slipway.core.material import Example
from slipway.errors import ConfigError
from slipway.evaluate.encoders import encoders, teach
from slipway.project.schema import Project
from slipway.runtime.session import Session
from slipway.store.store import Store
from slipway.testing.projects import FILE, write_project

ASKED = Example(input={"question": "how long"}, expected=("ten metres", "33 feet"), language="en")
EAST, NORTH, BETWEEN = (np.array(pair, np.float32) for pair in ((1, 0), (0, 1), (0.6, 0.8)))


def said(text: str, error: str = "") -> Answer:
    return Answer(text=text, raw=text, error=error)


def scorer(**options: float) -> SemanticSimilarity:
    made = SemanticSimilarity(SimilarityConfig.model_validate(options))
    made.learn({"ten metres": EAST, "33 feet": NORTH, "about ten": BETWEEN, "the opposite": -BETWEEN})
    return made


def test_the_nearest_reference_counts_and_opposites_are_0() -> None:
    assert scorer().score(ASKED, said("about ten")) == pytest.approx(0.8)
    assert scorer().score(ASKED, said("ten metres")) == pytest.approx(1)
    assert scorer().score(ASKED, said("the opposite")) == 0


def test_a_threshold_makes_it_right_or_wrong() -> None:
    assert scorer(threshold=0.8).score(ASKED, said("about ten")) == 1
    assert scorer(threshold=0.81).score(ASKED, said("about ten")) == 0


def test_what_cannot_be_read_is_wrong_in_an_answer_and_no_measure_in_a_reference() -> None:
    assert scorer().score(ASKED, said("十米")) == 0
    assert scorer().score(ASKED, said("")) == 0
    assert scorer().score(ASKED, said("about ten", error="it failed")) == 0
    assert scorer().score(Example(input={"question": "?"}, expected=("十米",)), said("about ten")) is None


async def test_texts_are_embedded_by_the_models_that_are_named(tmp_path: Path) -> None:
    session = Session(Store(tmp_path / ".slipway"), lambda pin: {})
    made, answers = SemanticSimilarity(), [said("ten metres"), said("a boat")]
    pin = ModelPin(name="e", engine="echo", source="")
    await teach(
        {"m": made, "other": SemanticSimilarity()}, {"m": pin}, [ASKED, ASKED], [(one,) for one in answers], session
    )
    first, second = (made.score(ASKED, answer) for answer in answers)
    await session.close()
    assert first == pytest.approx(1)
    assert second is not None
    assert second < 0.9


def project(candidates: str) -> Project:
    models = {"writer": {"engine": "echo"}, "near": {"engine": "echo"}, "far": {"engine": "echo"}}
    made = {f"c{n}": {"model": "writer", "retrieve": {"embedder": name}} for n, name in enumerate(candidates.split())}
    return Project.model_validate({"slipway": 1, "name": "a", "models": models, "candidates": made})


def test_the_model_is_the_only_one_that_candidates_retrieve_with_or_the_one_that_is_named() -> None:
    assert encoders(project("near near"), {"m": SemanticSimilarity()}) == {"m": "near"}
    named = SemanticSimilarity(SimilarityConfig(embedder="far"))
    assert encoders(project("near"), {"m": named}) == {"m": "far"}


@pytest.mark.parametrize(
    ("candidates", "embedder", "told"),
    [("", "", "needs a model that embeds"), ("near far", "", "needs a model that embeds"), ("near", "nea", "'nea'")],
)
def test_where_none_can_be_meant_it_is_told(candidates: str, embedder: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        encoders(project(candidates), {"m": SemanticSimilarity(SimilarityConfig(embedder=embedder))})


TEXT = FILE.replace("writer: {engine: echo}", "writer: {engine: echo}\n  vectors: {engine: echo}").replace(
    "metrics: [token_f1, retrieval_recall]",
    "metrics: [token_f1, close: {scorer: semantic_similarity, embedder: vectors}]",
)


def test_a_project_measures_it_and_measures_again_when_its_model_changes(tmp_path: Path) -> None:
    file = write_project(tmp_path, TEXT)
    assert [f.what for f in api.check(tmp_path) if f.level == "error"] == []
    with api.open_project(tmp_path) as opened:
        found = api.run(opened, "evaluate").reports["dev"]["grounded"]
        assert 0 < found.metrics["close"].value < 1
        assert api.run(opened, "evaluate").ran == []
    file.write_text(TEXT.replace("vectors: {engine: echo}", "vectors: {engine: echo, dimension: 8}"), "utf-8")
    with api.open_project(tmp_path) as opened:
        assert "evaluate:grounded:dev" in api.run(opened, "evaluate").ran


def test_check_finds_a_wrong_model(tmp_path: Path) -> None:
    write_project(tmp_path, TEXT.replace("embedder: vectors", "embedder: vectros"))
    assert any("vectros" in f.what and "'vectors'" in f.how for f in api.check(tmp_path) if f.level == "error")
