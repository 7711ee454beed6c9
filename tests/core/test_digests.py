"""Nouns of yesterday have the digests of yesterday: what was released still verifies, what was measured is not again."""

from __future__ import annotations

import pytest

from slipway.core.candidate import Candidate, FewShot, ModelPin, Retrieval
from slipway.core.material import Dataset, Example
from slipway.core.ref import Noun, Ref
from slipway.core.release import Release, Verdict

CANDIDATE = Candidate(
    name="grounded",
    task="answer",
    model=ModelPin(name="writer", engine="echo", source="", options={"reply": "x"}),
    prompt="{{ question }}",
    retrieve=Retrieval(
        chunks=Ref("dataset", "chunks", "1" * 64),
        embedder=ModelPin(name="embedder", engine="onnx", source="pypi:x==1", files={"a": "0" * 64}),
    ),
    few_shot=FewShot(examples=({"question": "q", "answer": "a"},)),
    samples=3,
)
EXAMPLE = Example(
    input={"question": "How?"},
    expected=("So.",),
    relevant=("a.md",),
    group="a.md",
    language="en",
    source="q.jsonl:1",
    split="gate",
    meta={"k": 1},
)
VERDICT = Verdict(outcome="pass", rules=(), report=Ref("report", "r", "3" * 64))
RELEASE = Release(
    name="demo",
    candidate=CANDIDATE.ref,
    report=Ref("report", "r", "3" * 64),
    verdict=Ref("verdict", "v", VERDICT.digest),
    pins={"a": "0" * 64},
    created="2026-11-27T00:00:00Z",
    created_by="ada",
    slipway="0.1",
)


@pytest.mark.parametrize(
    ("noun", "digest"),
    [
        (CANDIDATE, "38ab2f0493b4a77b1c59c27332f6f2e0fa362aa07d70c908bbe7ceab3cb09275"),
        (EXAMPLE, "df535b30a8b7163bc41ced4473bc950f32be4ea1354b6dd8c2e8797151fb746e"),
        (
            Dataset(name="examples", kind="examples", items="2" * 64, size=1, counts={"gate": 1}),
            "bb1455a03eb9b20245884e51de24440a185a68714137d29d5eb2e67a7ceba9d5",
        ),
        (VERDICT, "810e3e9f36d50fb706a703e9568ad66eb07bb67b0d47c62335f64e8c047633a4"),
        (RELEASE, "83bcd5ea6a9785cfe85631a4265b0d518df3422648eb8f361453cc2b2a4cdef9"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Noun) else "",
)
def test_digests_stay(noun: Noun, digest: str) -> None:
    assert noun.digest == digest


def test_an_example_keeps_its_id() -> None:
    assert EXAMPLE.id == "6fc82125a669a6d2"
