"""Latencies are compared only where they were measured under the same load: in turns, in the same stretch of time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway import api
from slipway.core.report import Report
from slipway.errors import EngineError
from slipway.i18n import speaking
from slipway.loop.run import Outcome
from slipway.testing.projects import FILE, write_project

# An engine that is as slow as a file says, and writes down who asked it: a busy machine, and the order of the turns.
LOADED = """
import asyncio
from pathlib import Path
from slipway.builtin.engines.echo import EchoConfig, EchoEngine
from slipway.errors import EngineError

class Loaded(EchoEngine):
    Config = EchoConfig

    async def generate(self, request):
        here = Path(__file__).parent
        await asyncio.sleep(float((here / "load").read_text()))
        with (here / "asked").open("a") as file:
            file.write("p" if "Blah" in str(request) else "g")
        async for delta in super().generate(request):
            yield delta

class Broken(EchoEngine):
    Config = EchoConfig

    async def start(self):
        raise EngineError("it does not start")
"""
TEXT = FILE.replace("{engine: echo}", "{engine: './loaded.py:Loaded'}").replace(
    "evaluate: {metrics: [token_f1, retrieval_recall]}",
    "evaluate: {metrics: [token_f1, retrieval_recall, latency_p50], parallel: 1}",
)
FASTEST = ("release.prefer=latency", "gate.token_f1.min=0.01")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = write_project(tmp_path / "demo", TEXT).parent
    (made / "loaded.py").write_text(LOADED)
    (made / "plain.md").write_text("{{ question }} Blah")
    loaded(made, 0.0)
    return made


def loaded(folder: Path, seconds: float) -> None:
    (folder / "load").write_text(str(seconds))


def asked(folder: Path) -> str:
    found = (folder / "asked").read_text() if (folder / "asked").exists() else ""
    (folder / "asked").unlink(missing_ok=True)
    return found


def run(folder: Path, *overrides: str, until: str = "release") -> Outcome:
    with api.open_project(folder, overrides) as project:
        return api.run(project, until)  # type: ignore[arg-type]


def median(report: Report) -> float:
    return report.metrics["latency_p50"].value


def shown(found: Outcome, language: str = "en") -> str:
    from slipway.render.pages.reports import candidates_table

    with speaking(language):
        reports = list(found.reports["dev"].values())
        return " ".join(map(str, candidates_table("dev", reports, found.metrics).notes))


def test_candidates_take_turns(folder: Path) -> None:
    write_examples(folder, 60)
    found = run(folder, "data.split.group_by=null", until="evaluate")
    order = asked(folder)
    turns = [order[n : n + 8] for n in range(0, len(order), 8)]
    assert {"p" * 8, "g" * 8} <= set(turns)
    changes = sum(a != b for a, b in zip(order, order[1:], strict=False))
    assert changes >= 3, "each candidate comes several times"
    plain, grounded = found.reports["dev"].values()
    assert plain.timed
    assert plain.timed == grounded.timed
    assert "different times" not in shown(found)


@pytest.mark.slow
def test_what_was_measured_earlier_is_not_compared_with_what_is_measured_now(folder: Path) -> None:
    """`grounded` was measured on an idle machine, and `plain` is measured now on a busy one."""
    first = run(folder, until="evaluate")
    loaded(folder, 0.2)
    (folder / "plain.md").write_text("{{ question }} Blah, briefly")
    second = run(folder, until="evaluate")
    assert second.ran == ["evaluate:plain:dev"]
    assert median(second.reports["dev"]["grounded"]) == median(first.reports["dev"]["grounded"])
    assert "slipway eval --compare plain grounded --metric latency_p50" in shown(second)
    assert "不同时间" in shown(second, "zh")
    loaded(folder, 0.0)
    asked(folder)
    with api.open_project(folder) as project:
        found = api.compare(project, "grounded", "plain", "latency_p50")
        assert sorted(set(asked(folder))) == ["g", "p"]
        assert abs(found.comparison.effect) < 0.1, "both on the idle machine"
        again = api.compare(project, "grounded", "plain", "latency_p50")
        assert asked(folder) == ""
        assert again.comparison == found.comparison
        api.compare(project, "grounded", "plain", "token_f1")
        assert asked(folder) == "", "an answer is no latency"


@pytest.mark.slow
def test_the_fastest_is_chosen_among_those_measured_together_and_stays_chosen(folder: Path) -> None:
    first = run(folder, *FASTEST)
    assert first.promoted
    assert run(folder, *FASTEST).ran == []
    asked(folder)
    loaded(folder, 0.1)
    (folder / "plain.md").write_text("{{ question }} Blah, briefly")
    second = run(folder, *FASTEST)
    dev = second.reports["dev"]
    assert len({report.timed for report in dev.values()}) == 1
    assert median(dev["grounded"]) > 0.1, "measured again, with the machine as it is now"
    assert set(asked(folder)) == {"g", "p"}
    third = run(folder, *FASTEST)
    assert third.ran == []
    assert (third.chosen, third.release) == (second.chosen, second.release)
    assert asked(folder) == ""


@pytest.mark.slow
def test_a_latency_rule_compares_with_the_one_that_serves_as_it_is_now(folder: Path) -> None:
    rules = (
        "release.prefer=quality",
        'gate={"token_f1": {"min": 0.01, "confidence": "point"}, '
        '"latency_p50": {"against": "production", "margin": 0.03, "confidence": "point"}}',
    )
    first = run(folder, *rules)
    assert first.promoted
    loaded(folder, 0.06)
    prompt = folder / "grounded.md"
    prompt.write_text(prompt.read_text() + "\nThank you.")
    asked(folder)
    second = run(folder, *rules)
    # On dev 8 to choose by, then 8 each with the one that serves; on gate 8 each at once, never alone before.
    assert asked(folder).count("g") == 8 + 16 + 16
    assert second.verdict is not None
    (rule,) = [one for one in second.verdict.rules if one.metric == "latency_p50"]
    assert rule.outcome == "pass", "60 ms more of both is no difference"
    assert second.promoted
    third = run(folder, *rules)
    assert third.ran == []
    assert third.verdict == second.verdict
    with api.open_project(folder) as project:
        assert len(api.gate_looks(project)) == 2


def test_a_candidate_that_cannot_be_loaded_does_not_stop_those_before_it(folder: Path) -> None:
    text = (folder / "slipway.yaml").read_text()
    text = text.replace("models:\n", "models:\n  broken: {engine: './loaded.py:Broken'}\n", 1)
    text = text.replace("evaluate:", "  last: {model: broken, prompt: plain.md}\nevaluate:", 1)
    (folder / "slipway.yaml").write_text(text)
    with pytest.raises(EngineError, match="it does not start"):
        run(folder, until="evaluate")
    with api.open_project(folder) as project:
        assert {report.candidate.name for _, report, _ in api.reports(project)} == {"plain", "grounded"}


def write_examples(folder: Path, n: int) -> None:
    rows = [{"question": f"What is number {i} of the lighthouse?", "answer": str(i)} for i in range(n)]
    (path,) = folder.glob("*.jsonl")
    path.write_text("\n".join(map(json.dumps, rows)))
