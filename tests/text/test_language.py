"""The language of a question, told without a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway.text.language import of_short_text

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("What are the three verdicts of the gate?", "en"),
        ("Who designed it?", "en"),
        ("门禁的三种裁决是什么？", "zh"),
        ("谁？", "zh"),
        ("retrieval_mrr 表示什么？", "zh"),
        ("これは何ですか？", "ja"),
        ("무엇입니까?", "ko"),
        ("Wann wurde das Haus gebaut?", "de"),
        ("Combien de temps dure une réponse ?", "fr"),
        ("¿Cuándo se construyó la casa?", "es"),
        ("Quando è stata costruita la casa?", "it"),
        ("Quem construiu a casa e quando foi?", "pt"),
        ("Wanneer werd het huis gebouwd?", "nl"),
        ("Когда был построен дом?", "und"),
        ("42", "und"),
        ("", "und"),
        ("x" * 1_000_000, "und"),
    ],
)
def test_languages(question: str, language: str) -> None:
    assert of_short_text(question) == language


def test_every_question_of_the_example_project() -> None:
    lines = (ROOT / "examples/docs-assistant/evals/questions.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) > 200
    assert [row["question"] for row in rows if of_short_text(row["question"]) != row["language"]] == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_xquad(language: str) -> None:
    file = ROOT.parent / "shared" / "data" / "xquad" / f"xquad.{language}.json"
    if not file.exists():
        pytest.skip("needs ../shared/data/xquad")
    articles = json.loads(file.read_text("utf-8"))["data"]
    asked = [qa["question"] for article in articles for part in article["paragraphs"] for qa in part["qas"]]
    assert len(asked) == 1190
    assert sum(of_short_text(question) == language for question in asked) / len(asked) > 0.99
