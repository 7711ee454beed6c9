"""Reports, comparisons and their tables, from scores."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from slipway.core.answer import Answer
from slipway.core.message import Usage
from slipway.core.ref import Ref
from slipway.core.report import Report, Score
from slipway.errors import ConfigError, NotFound
from slipway.evaluate.aggregate import METRICS, MetricInfo, aggregates, build_report, meanings, metric_info
from slipway.evaluate.compare import compare, most_changed
from slipway.plugins import BUILTIN, Plugins
from slipway.project.schema import Project
from slipway.render.cells import amount
from slipway.render.pages.reports import comparison_table

REF = Ref("candidate", "grounded", "0" * 64)


def score(index, *, error="", seconds=1.0, text="x", expected=(), language="en", group="", cost=0.002, **metrics):
    answer = Answer(
        text=text,
        raw=text,
        seconds=seconds,
        first_token_seconds=0.0 if error else 0.2,
        error=error,
        cost=cost,
        currency="CNY",
        usage=Usage() if error else Usage(prompt_tokens=100, completion_tokens=10),
    )
    return Score(
        example=f"e{index}", group=group, language=language, answer=answer, metrics=metrics, expected=tuple(expected)
    )


def report(scores):
    return build_report(REF, Ref("dataset", "examples", "1" * 64), "gate", scores, "blob", "CNY")


def test_every_builtin_scorer_has_a_line_in_the_table():
    assert set(BUILTIN["scorers"]) <= set(METRICS)
    for name in BUILTIN["scorers"]:
        assert Plugins().load("scorers", name).higher_is_better == METRICS[name].higher_is_better


def test_unknown_metric_names_the_nearest():
    with pytest.raises(NotFound, match="token_f1"):
        metric_info("tokenf1")


def test_a_scorer_of_the_project_brings_its_direction(tmp_path):
    (tmp_path / "rude.py").write_text(RUDE)
    for asked, name in (("./rude.py:Rude", "./rude.py:Rude"), ({"rude": {"scorer": "./rude.py:Rude"}}, "rude")):
        project = Project.model_validate({"slipway": 1, "name": "a", "evaluate": {"metrics": [asked, "token_f1"]}})
        found = meanings(project, Plugins(tmp_path))
        assert list(found) == [name]
        assert not found[name].higher_is_better
        assert found[name].worst == 1.0
        made = report_with(found)
        assert made.meaning(name) == found[name]
        assert made.meaning("token_f1").higher_is_better
        with pytest.raises(NotFound, match="no metric"):
            made.meaning("ruder")


RUDE = """
from pydantic import BaseModel
class Rude:
    class Config(BaseModel):
        pass
    higher_is_better = False
    def __init__(self, config): pass
    def score(self, example, answer): return 0.5
"""


def report_with(found):
    return build_report(REF, Ref("dataset", "d", "1" * 64), "gate", [score(0, token_f1=1.0)], "blob", "CNY", found)


def test_report_has_quality_and_operations_per_language():
    scores = [score(i, token_f1=i / 10, language="zh" if i % 2 else "en", seconds=1 + i / 10) for i in range(10)]
    made = report(scores)
    assert made.metrics["token_f1"].value == pytest.approx(0.45)
    assert made.metrics["token_f1"].low < 0.45 < made.metrics["token_f1"].high
    assert made.metrics["latency_p50"].value == pytest.approx(1.4)  # the 5th of 10
    assert made.metrics["latency_p95"].value == pytest.approx(1.9)
    assert made.metrics["prompt_tokens"].value == 100
    assert made.metrics["cost_per_query"].value == pytest.approx(0.002)
    assert made.metrics["error_rate"].value == 0
    assert made.metrics["error_rate"].high > 0.1  # ten answers do not show that errors are rare
    assert {k: v["token_f1"].n for k, v in made.by_language.items()} == {"en": 5, "zh": 5}
    assert "rouge_l" not in made.metrics
    assert msgspec.json.decode(msgspec.json.encode(made), type=Report) == made


def test_errors_get_the_worst_of_everything():
    failed = score(9, error="timeout", seconds=0.01, expected=["x"])
    scores = [*(score(i, token_f1=0.8, seconds=2.0) for i in range(9)), failed]
    made = report(scores)
    assert made.errors == 1
    assert made.metrics["token_f1"].value == pytest.approx(0.72)
    assert made.metrics["token_f1"].n == 10
    assert made.metrics["latency_p50"].value == 2.0  # failing fast makes nothing faster
    assert aggregates(scores)["latency_p95"].value == 2.0
    assert made.metrics["error_rate"].value == pytest.approx(0.1)
    assert made.metrics["prompt_tokens"].n == 10


def test_failing_without_a_reference_says_nothing_of_a_metric_that_needs_one():
    """Answered, such an example has no token F1; failed, it had the worst."""
    scores = [*(score(i, token_f1=0.8) for i in range(9)), score(9), score(10, error="timeout")]
    assert (report(scores).metrics["token_f1"].value, report(scores).metrics["token_f1"].n) == (pytest.approx(0.8), 9)
    judge = MetricInfo(name="judge")  # a scorer of the project may need none
    judged = [score(0, judge=1.0), score(1, error="timeout")]
    assert aggregates(judged, {"judge": judge})["judge"].value == pytest.approx(0.5)


def test_an_error_cannot_help_a_metric_where_lower_is_better():
    scores = [score(0, rude=0.2), score(1, error="no answer", rude=0.0)]
    rude = {"rude": MetricInfo(name="rude", higher_is_better=False)}
    assert aggregates(scores, rude)["rude"].value == pytest.approx(0.6)


def test_macro_f1_is_over_labels():
    """sklearn 1.7: f1_score(gold, predicted, average="macro", labels=["a", "b", "c"]) is 5/9."""
    gold, predicted = ["a", "b", "c", "a", "b", "c"], ["a", "c", "c", "z", "b", "a"]
    scores = [
        score(i, text=p, expected=[g], accuracy=float(g == p))
        for i, (g, p) in enumerate(zip(gold, predicted, strict=True))
    ]
    found = aggregates(scores)["macro_f1"]
    assert found.value == pytest.approx(5 / 9)
    assert found.low < 5 / 9 < found.high
    assert "macro_f1" not in aggregates([score(0, token_f1=1.0, expected=["a"])])  # free text has no labels


def test_no_price_is_no_cost_rather_than_a_cost_of_zero():
    free = msgspec.structs.replace(score(0), answer=Answer(text="x", raw="x"))
    assert "cost_per_query" not in aggregates([free])


def test_bad_reports_are_refused():
    with pytest.raises(ConfigError, match="no scores"):
        report([])
    dollars = msgspec.structs.replace(score(1), answer=Answer(text="x", raw="x", currency="USD"))
    with pytest.raises(ConfigError, match="several currencies"):
        report([score(0), dollars])


def pairs(champion, challenger, groups=None, metric="token_f1"):
    groups = groups or [""] * len(champion)
    return (
        [score(i, group=g, **{metric: v}) for i, (v, g) in enumerate(zip(champion, groups, strict=True))],
        [
            score(i, group=g, **{metric: v})
            for i, (v, g) in reversed(list(enumerate(zip(challenger, groups, strict=True))))
        ],
    )


def test_compare_pairs_by_example_not_by_position():
    rng = np.random.default_rng(0)
    base = rng.random(40) * 0.8
    found = compare(*pairs(base, base + 0.05), "token_f1")
    assert found.effect == pytest.approx(0.05)
    assert found.low < 0 < found.high  # 40 equal gains leave room for a rare loss
    assert found.test == "gaffke"
    assert found.error == pytest.approx(0.0, abs=1e-9)
    sure = compare(*pairs(base, base + 0.2), "token_f1")
    assert 0 < sure.low < 0.2 <= sure.high
    assert sure.p_value < 0.002
    assert sure.needed is None


TURNED = [1.0] * 20 + [0.0] * 20, [1.0] * 18 + [0.0] * 12 + [1.0] * 10  # ten became right and two wrong


def test_right_or_wrong_is_stronger_than_mcnemar():
    """Ten against two: one-sided McNemar gives 79/4096, two-sided twice that."""
    found = compare(*pairs(*TURNED, metric="exact_match"), "exact_match")
    assert found.test == "exact-paired"
    assert found.p_value < 0.025 < 158 / 4096
    assert found.low > 0
    assert found.mde < compare(*pairs(*TURNED), "token_f1").mde


@pytest.mark.parametrize("info", [info for info in METRICS.values() if info.right_or_wrong], ids=lambda info: info.name)
def test_only_a_metric_that_can_be_nothing_but_right_or_wrong_has_the_exact_test(info):
    assert info.form == "mean"
    assert (info.low, info.high) == (0.0, 1.0)


def test_scores_that_happen_to_be_whole_have_the_bound_of_scores():
    """Token F1 could have been anything, so what was seen does not choose the test: McNemar's p-value, as before."""
    found = compare(*pairs(*TURNED), "token_f1")
    assert found.test == "gaffke"
    assert found.p_value == pytest.approx(158 / 4096, rel=1e-6)


def test_shared_groups_and_several_answers_an_example_leave_the_exact_test():
    groups = [f"doc{i // 2}" for i in range(40)]
    assert compare(*pairs(*TURNED, groups, metric="exact_match"), "exact_match").test == "cluster-gaffke"
    champion, challenger = pairs(*TURNED, metric="exact_match")
    drawn = [
        msgspec.structs.replace(one, draws={"exact_match": (one.metrics["exact_match"],) * 3}) for one in challenger
    ]
    assert compare(champion, drawn, "exact_match").test == "gaffke"


def test_what_is_no_right_or_wrong_after_all_leaves_the_exact_test():
    champion, challenger = pairs(*TURNED, metric="exact_match")
    odd = [msgspec.structs.replace(challenger[0], metrics={"exact_match": 0.5}), *challenger[1:]]
    assert compare(champion, odd, "exact_match").test == "gaffke"


def test_thousands_of_examples_need_no_enumeration():
    champion, challenger = ([right] * 3_001 for right in (0.0, 1.0))
    assert compare(*pairs(champion, challenger, metric="exact_match"), "exact_match").test == "gaffke"
    assert compare(*pairs(champion[:3_000], challenger[:3_000], metric="exact_match"), "exact_match").test != "gaffke"


def test_the_direction_of_an_error_rate_is_kept():
    """Ten errors less and two more, and the other way round: the same p-value, mirrored bounds."""
    failing = [[score(i, error="timeout" if one else "") for i, one in enumerate(side)] for side in TURNED]
    worse, better = compare(*failing, "error_rate"), compare(*reversed(failing), "error_rate")
    assert worse.test == better.test == "exact-paired"
    assert worse.p_value == pytest.approx(better.p_value)
    assert (worse.low, worse.high) == pytest.approx((-better.high, -better.low))
    assert worse.low > 0


def test_shared_groups_are_one_witness():
    champion, challenger = [0.0] * 40, [0.5] * 40
    groups = [f"doc{i // 8}" for i in range(40)]
    found = compare(*pairs(champion, challenger, groups), "token_f1")
    assert found.groups == 5
    assert found.test == "cluster-gaffke"
    assert found.p_value > 0.05  # forty equal gains in five documents prove little
    assert found.low < 0


def test_identical_answers_are_no_proof_of_equality():
    found = compare(*pairs([0.5] * 60, [0.5] * 60), "token_f1")
    assert found.effect == 0
    assert found.p_value == 1.0
    assert found.low == pytest.approx(-(1 - 0.025 ** (1 / 60)), abs=1e-6)
    assert 0.1 < found.mde < 0.2


@pytest.mark.slow
def test_the_comparison_interval_covers_when_few_answers_change():
    """A true loss of 2% in otherwise equal answers: most samples of 60 show one loss or none."""
    rng, missed = np.random.default_rng(1), 0
    for _ in range(150):
        lost = (rng.random(60) < 0.02) * 1.0
        missed += not (found := compare(*pairs(np.ones(60), 1 - lost), "token_f1")).low <= -0.02 <= found.high
    assert missed <= 15


def test_latency_compares_quantiles():
    rng = np.random.default_rng(0)
    base = rng.lognormal(0, 0.3, 150)
    first = [score(i, seconds=float(v)) for i, v in enumerate(base)]
    second = [score(i, seconds=float(v) * 2) for i, v in enumerate(base)]
    found = compare(first, second, "latency_p95")
    assert found.effect == pytest.approx(found.champion)
    assert found.p_value < 0.05
    assert found.low > 0
    assert found.test == "order-statistics"
    assert found.mde is not None
    few = compare(first[:60], second[:60], "latency_p95")
    assert (few.low, few.high, few.mde) == (None, None, None)
    assert amount(comparison_table([few], "plain", "grounded").rows[0][3]).endswith("(-∞, ∞)")


def test_different_examples_cannot_be_compared():
    first, second = pairs([0.1] * 10, [0.2] * 10)
    with pytest.raises(ConfigError, match="1 only in the champion's"):
        compare(first, second[:-1], "token_f1")
    with pytest.raises(ConfigError, match="bleu"):
        compare(first, second, "bleu")
    one = pairs([0.1] * 3, [0.2] * 3, ["doc"] * 3)
    with pytest.raises(ConfigError, match="one group"):
        compare(*one, "token_f1")


def test_most_changed_shows_losses_first():
    found = most_changed(*pairs([0.5, 0.5, 0.5, 0.5], [0.5, 1.0, 0.0, 0.6]), "token_f1")
    assert [one.example for one in found] == ["e2", "e1", "e3"]
    assert [one.difference for one in found] == pytest.approx([-0.5, 0.5, 0.1])
    assert len(most_changed(*pairs([0.5] * 4, [0.5, 1.0, 0.0, 0.6]), "token_f1", n=2)) == 2
