"""Retrieval metrics on rankings worked out by hand."""

from __future__ import annotations

import math

import pytest

from slipway.core.answer import Answer, Citation
from slipway.core.material import Example
from slipway.plugins import Plugins


def passage(source, *path, cited=False):
    return Citation(chunk=source, source=source, path=path, start=0, end=1, text="x", score=1.0, cited=cited)


def score(metric, relevant, passages, error="", **config):
    scorer = Plugins().load("scorers", metric)
    answer = Answer(text="x", raw="x", citations=tuple(passages), error=error)
    return scorer(scorer.Config(**config)).score(Example(input={}, relevant=tuple(relevant)), answer)


A, B = passage("docs/a.md", "Guide", "Install"), passage("docs/b.md", "参考", "门限：")
OTHER = passage("docs/c.md", "Install")


@pytest.mark.parametrize(
    ("relevant", "hit"),
    [
        ("docs/a.md", True),
        ("./docs/a.md", True),
        ("docs/a.md#Install", True),
        ("docs/a.md#  INSTALL: ", True),
        ("docs/a.md#Guide", True),  # any element of the heading path
        ("docs/a.md#Uninstall", False),
        ("docs/a.md#", True),
        ("a.md", False),
        ("docs/c.md#Install", False),  # the heading alone is not enough
    ],
)
def test_what_counts_as_relevant(relevant, hit):
    assert score("retrieval_recall", [relevant], [A, B]) == float(hit)


def test_full_width_punctuation_in_headings():
    assert score("retrieval_recall", ["docs/b.md#门限"], [B]) == 1.0


def test_a_source_may_contain_a_hash():
    assert score("retrieval_recall", ["docs/c#.md"], [passage("docs/c#.md")]) == 1.0
    assert score("retrieval_recall", ["docs/c#.md#Install"], [passage("docs/c#.md", "Install")]) == 1.0
    assert score("retrieval_recall", ["docs/c#.md#Remove"], [passage("docs/c#.md", "Install")]) == 0.0


def test_recall_mrr_ndcg_by_hand():
    ranked = [OTHER, A, OTHER, B]
    names = ["docs/a.md#Install", "docs/b.md"]
    assert score("retrieval_recall", names, ranked) == 1.0
    assert score("retrieval_recall", names, ranked, k=2) == 0.5
    assert score("retrieval_mrr", names, ranked) == 0.5
    assert score("retrieval_mrr", names, ranked, k=1) == 0.0
    ideal = 1 + 1 / math.log2(3)
    assert score("retrieval_ndcg", names, ranked) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert score("retrieval_ndcg", names, [A, B]) == pytest.approx(1.0)
    assert score("retrieval_ndcg", names, [A], k=1) == pytest.approx(1.0)  # no one could do better with one passage


def test_passages_of_one_section_are_one_find():
    assert score("retrieval_ndcg", ["docs/a.md"], [A, A, A]) == 1.0
    assert score("retrieval_recall", ["docs/a.md", "docs/a.md", "docs/b.md"], [A, A]) == 0.5


@pytest.mark.parametrize("metric", ["retrieval_recall", "retrieval_mrr", "retrieval_ndcg"])
def test_nothing_retrieved_nothing_relevant_and_errors(metric):
    assert score(metric, ["docs/a.md"], []) == 0.0
    assert score(metric, [], [A]) is None
    assert score(metric, ["docs/a.md"], [A], error="no answer") == 0.0


@pytest.mark.parametrize("metric", ["citation_precision", "citation_recall", "citation_coverage"])
def test_an_answer_that_cites_nothing_has_the_worst_of_every_metric_of_citations(metric):
    assert score(metric, ["docs/a.md"], [A, B]) == 0.0
    assert score(metric, ["docs/a.md"], []) == 0.0
    assert score(metric, [], [passage("docs/a.md", cited=True)]) is None
    assert score(metric, ["docs/a.md"], [passage("docs/a.md", cited=True)], error="no answer") == 0.0


def test_silence_does_not_pay():
    """Citing only where one is sure: 60 of 143 answers cite, all rightly. That is a precision of 0.42, not of 1."""
    values = [score("citation_precision", ["docs/a.md"], [passage("docs/a.md", cited=n < 60)]) for n in range(143)]
    assert None not in values
    assert sum(values) / len(values) == pytest.approx(60 / 143)


def test_citation_recall_and_coverage():
    cited_a, cited_other = passage("docs/a.md", cited=True), passage("docs/c.md", cited=True)
    assert score("citation_recall", ["docs/a.md", "docs/b.md"], [cited_a, B]) == 0.5
    assert score("citation_recall", ["docs/b.md"], [cited_other]) == 0.0
    assert score("citation_coverage", ["docs/b.md"], [cited_other]) == 1.0


def test_citation_precision_counts_only_what_is_cited():
    cited_a, cited_other = passage("docs/a.md", cited=True), passage("docs/c.md", cited=True)
    assert score("citation_precision", ["docs/a.md"], [cited_a, B]) == 1.0
    assert score("citation_precision", ["docs/a.md"], [cited_a, cited_other]) == 0.5
    assert score("citation_precision", ["docs/a.md"], [cited_a, cited_other], k=1) == 1.0
    assert score("citation_precision", [], [cited_a]) is None
    assert score("citation_precision", ["docs/a.md"], [cited_a], error="no answer") == 0.0


@pytest.mark.parametrize(
    ("text", "cited", "expected"),
    [
        ("The default timeout is 30 seconds.", ["The timeout is 30 seconds by default."], 1.0),
        ("The default timeout is 45 seconds.", ["The timeout is 30 seconds by default."], 0.75),
        ("默认超时为30秒。", ["超时默认是30秒。"], 1.0),
        ("Shut the valve first.", ["The timeout is 30 seconds by default."], 0.0),
        ("The default timeout", [], 0.0),
        ("Yes.", ["The timeout is 30 seconds by default."], 0.0),
    ],
)
def test_citation_support_compares_the_answer_with_what_it_cites(text, cited, expected):
    citations = tuple(
        Citation(chunk=str(n), source="a.md", path=(), start=0, end=1, text=one, score=1.0, cited=True)
        for n, one in enumerate(cited)
    )
    uncited = Citation(chunk="u", source="a.md", path=(), start=0, end=1, text=text, score=1.0)
    example = Example(input={"question": "How long?"}, expected=("x",))
    scorer = Plugins().load("scorers", "citation_support")()
    assert scorer.score(example, Answer(text=text, raw=text, citations=(*citations, uncited))) == expected
    failed = Answer(text=text, raw=text, citations=citations, error="no answer")
    assert scorer.score(example, failed) == 0.0
