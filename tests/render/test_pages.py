"""What is shown of reports, verdicts and traces: every row as wide as its table, every number with its interval."""

from __future__ import annotations

import msgspec
from rich.console import Console

from slipway.core.answer import Answer, Citation
from slipway.core.ref import Ref
from slipway.core.release import Comparison, RuleResult, Verdict
from slipway.core.report import Aggregate, Report, Score
from slipway.core.trace import Feedback, Trace
from slipway.evaluate.compare import Changed, Compared
from slipway.loop.run import Outcome
from slipway.render import json, text
from slipway.render.document import Document, Table
from slipway.render.pages import reports, served, verdicts, work

CANDIDATE = Ref("candidate", "grounded", "0" * 64)


def report(errors: int = 0) -> Report:
    found = Aggregate(value=0.4, low=0.3, high=0.5, n=10)
    return Report(
        candidate=CANDIDATE, dataset=Ref("dataset", "examples", "1" * 64), split="dev", scores="blob", currency="CNY",
        metrics={"rude": found, "token_f1": found, "latency_p95": Aggregate(value=1.31, low=1.2, high=None, n=10)},
        by_language={"en": {"token_f1": found}, "zh": {"token_f1": found}}, errors=errors,
    )  # fmt: skip


def tables(document: Document) -> list[Table]:
    found = [part for part in document.parts if isinstance(part, Table)]
    for table in found:
        assert all(len(row) == len(table.columns) for row in table.rows)
    return found


def test_where_there_is_little_room_an_interval_stands_whole_below_its_value() -> None:
    made = text.write(reports.report(report(), [], 10), Console(width=74))
    lines = [line.split() for line in made.splitlines()]
    at = next(n for n, line in enumerate(lines) if "rude" in line)
    assert lines[at][1] == "0.400"
    assert lines[at + 1] == ["[0.300,", "0.500]"]
    assert max(map(len, made.splitlines())) <= 74


def test_an_interval_without_an_end_is_shown_and_explained() -> None:
    made = text.write(reports.report(report(errors=1), [], 10), Console(width=200))
    assert "1.31 s [1.2, ∞)" in made
    assert "∞: so few examples give no bound on this side" in made
    assert "1 example got no answer" in made
    whole = msgspec.structs.replace(report(), metrics={"token_f1": Aggregate(value=0.4, low=0.3, high=0.5, n=10)})
    assert "∞" not in text.write(reports.report(whole, [], 10))


def test_candidates_stand_side_by_side_with_each_language_below_the_whole() -> None:
    table = reports.candidates_table("dev", [report(), report()], ["token_f1", "nobody"])
    assert table.title == "dev, 10 examples"
    assert [row[0] for row in table.rows] == ["token_f1", "  en", "  zh"]
    assert [row[0] for row in reports.candidates_table("dev", [report()]).rows] == [
        "token_f1", "  en", "  zh", "latency_p95", "rude"
    ]  # fmt: skip


def test_a_list_of_reports_has_every_metric_and_its_json_is_whole() -> None:
    made = reports.reports([("2026-11-28T00:00:00Z", report(), [])])
    assert [column.title for column in tables(made)[0].columns][-4:] == [
        "token_f1",
        "latency_p95",
        "rude",
        "rules missed",
    ]
    assert made.data == [{"at": "2026-11-28T00:00:00Z", "digest": report().digest, "report": report(), "missed": []}]


def test_a_comparison_says_who_is_better_and_what_changed() -> None:
    effect = Comparison(
        metric="token_f1", n=40, groups=40, champion=0.4, challenger=0.5, effect=0.1, low=0.05, high=0.15,
        p_value=0.01, test="permutation", mde=None,
    )  # fmt: skip
    scores = [
        Score(example=f"{n}" * 16, group="", language="en", answer=Answer(text=f"a{n}", raw=""), metrics={})
        for n in (1, 2)
    ]
    changed = Changed(example="1" * 16, difference=-0.5, champion=scores[0], challenger=scores[1])
    first, second = tables(reports.comparison(Compared(effect, [changed], {}), "plain", "grounded"))
    assert first.rows[0][-1] == "grounded is better"
    assert second.rows[0][-2:] == ["a1", "a2"]
    undecided = msgspec.structs.replace(effect, low=-0.1, needed=60)
    table = reports.comparison_table([undecided], "plain", "grounded")
    assert table.rows[0][-1] == "no difference shown; about 20 more examples would show this one"


def test_a_verdict_names_what_was_not_measured() -> None:
    rule = RuleResult(metric="token_f1", rule="min", outcome="fail", bound=0.25, value=None)
    found = Verdict(outcome="fail", rules=(rule,), report=CANDIDATE)
    assert tables(verdicts.verdict(found))[0].rows[0][:4] == ["token_f1", "at least 0.250", None, "fail"]
    empty = Verdict(outcome="fail", rules=(), report=CANDIDATE)
    assert "a gate without rules lets nothing through" in verdicts.verdict_table(empty).notes


def trace(**request: object) -> Trace:
    passage = Citation(chunk="c", source="docs/a.md", path=("Keel",), start=0, end=1, text="x", score=0.5, cited=True)
    return Trace(
        id="0" * 32, at="2026-11-28T00:00:00Z", endpoint="chat", channel="production", release="", status=200,
        request=request, answer=Answer(text="7 tonnes", raw="", citations=(passage,)), seconds=1.5,
    )  # fmt: skip


def test_a_trace_shows_question_answer_passages_and_feedback() -> None:
    said = Feedback(id="f", trace="0" * 32, at="2026-11-28T00:00:01Z", thumb="up", comment="thanks")
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How heavy?"}]
    made = served.trace(trace(messages=messages), [said])
    shown = text.write(made)
    for words in ("0" * 32, "system:", "Be brief.", "user:", "How heavy?", "7 tonnes", "docs/a.md#Keel", "thanks"):
        assert words in shown
    assert "tenant" not in shown
    assert msgspec.json.decode(json.write(made))["trace"]["request"] == {"messages": messages}


def test_a_trace_of_any_request_can_be_shown() -> None:
    for request in (
        {"prompt": "How heavy?"}, {"input": ["How heavy?"]}, {"messages": ["How heavy?"]}, {"messages": "How heavy?"},
        {"messages": [{"content": [{"type": "text", "text": "How heavy?"}]}]},
    ):  # fmt: skip
        assert "How heavy?" in text.write(served.trace(trace(**request), [])), request
    assert "7 tonnes" in text.write(served.trace(trace(), []))


def test_a_run_that_did_nothing_says_so_and_one_that_was_refused_says_why() -> None:
    assert "no step was run" in text.write(work.outcome(Outcome()))
    made = text.write(work.outcome(Outcome(ran=["gate"], refused="too slow", hint="buy time")))
    assert made == "nothing was released: too slow\n  → buy time\n"
