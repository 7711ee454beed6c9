"""Which candidate is released: from the safest by dev down, the cheapest that passed; and the same one every time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway import api
from slipway.core.candidate import Candidate
from slipway.core.release import Verdict
from slipway.errors import ConfigError
from slipway.loop.run import Outcome
from slipway.testing.projects import FILE, write_project

SLOW = '''
import asyncio, random
from slipway.builtin.engines.echo import EchoConfig, EchoEngine

class Jitter(EchoEngine):
    """Every answer takes another time; the same answers."""
    Config = EchoConfig

    async def generate(self, request):
        await asyncio.sleep(random.uniform(0.001, 0.02))
        async for delta in super().generate(request):
            yield delta
'''
# Two candidates that differ by a word or two, and one that costs much more.
TEXT = (
    FILE.replace("{engine: echo}", "{engine: './slow.py:Jitter'}")
    .replace("  plain:", "  twin: {model: writer, prompt: twin.md, retrieve: {mode: lexical, top_k: 1}}\n"
             "  dear: {model: writer, prompt: grounded.md, retrieve: {mode: lexical, top_k: 4}}\n  plain:")
    .replace("token_f1: {min: 0.05", "token_f1: {min: 0.02")
    .replace("release: {prefer: quality}", "release: {prefer: cost}\nmachine: {per_hour: 1 CNY}")
)  # fmt: skip


def project_in(folder: Path, text: str = TEXT) -> Path:
    made = write_project(folder, text).parent
    (made / "slow.py").write_text(SLOW)
    (made / "plain.md").write_text("{{ question }} Blah" + " blah" * 200)
    (made / "twin.md").write_text((made / "grounded.md").read_text().replace("briefly", "briefly please"))
    return made


def run(folder: Path, *overrides: str) -> Outcome:
    with api.open_project(folder, overrides) as project:
        return api.run(project)


@pytest.mark.slow
def test_five_runs_from_nothing_choose_the_same_and_agree_on_all_but_the_clock(tmp_path: Path) -> None:
    seen: list[tuple[object, ...]] = []
    lock = ""
    for n in range(5):
        folder = project_in(tmp_path / str(n))
        if lock:
            (folder / "slipway.lock").write_text(lock)
        found = run(folder)
        lock = (folder / "slipway.lock").read_text()
        assert found.verdict is not None
        with api.open_project(folder) as project:
            candidates = {one.name: one.digest for _, one in project.store.catalog.list("candidate", Candidate)}
        data = {name: one.digest for name, one in found.datasets.items()}
        answers = {name: one.answers for name, one in found.reports["dev"].items()}
        costs = {name: one.metrics["cost_per_query"].value for name, one in found.reports["dev"].items()}
        seen.append((found.chosen, candidates, data, answers, costs, found.verdict.decision, found.certified))
    assert all(one == seen[0] for one in seen)
    assert seen[0][0] == "grounded"
    rates = [value for key, value in json.loads(lock).items() if key.startswith("rate:")]
    assert len(rates) == 1
    assert rates[0].keys() == {"prompt", "completion", "machine", "at", "by"}


@pytest.mark.slow
def test_what_serves_stays_when_another_is_as_cheap(tmp_path: Path) -> None:
    folder = project_in(tmp_path)
    first = run(
        folder,
        'candidates={"twin": {"model": "writer", "prompt": "twin.md", "retrieve": {"mode": "lexical", "top_k": 1}}}',
    )
    assert first.chosen == "twin"
    found = run(folder)
    assert found.chosen == "twin"
    assert "what differs by 5% or less is equal" in found.why
    assert run(folder, "release.tolerance=0").chosen == "grounded"  # a word cheaper


@pytest.mark.slow
def test_a_damaged_rate_is_told(tmp_path: Path) -> None:
    folder = project_in(tmp_path)
    run(folder)
    lock = json.loads((folder / "slipway.lock").read_text())
    key = next(key for key in lock if key.startswith("rate:"))
    lock[key]["prompt"] = "fast"
    (folder / "slipway.lock").write_text(json.dumps(lock))
    with pytest.raises(ConfigError, match="slipway.lock is damaged"):
        run(folder)


PRICED = FILE.replace(
    "  writer: {engine: echo}",
    "  writer: {engine: echo, price: {input_per_million: 1 CNY}}\n"
    "  big: {engine: echo, price: {input_per_million: 100 CNY}}",
).replace("  plain:", "  sure: {model: big, prompt: grounded.md, retrieve: {mode: lexical, top_k: 1}}\n  plain:")
CHEAP = ("candidates.grounded.retrieve.top_k=4", "release.prefer=cost", "gate.token_f1.min=0.05")


def test_from_the_safest_down_and_the_cheapest_that_passed_is_released(tmp_path: Path) -> None:
    """`grounded` costs a hundredth of `sure`, and is nearer to the bound."""
    folder = project_in(tmp_path, PRICED)
    found = run(folder, *CHEAP)
    assert found.certified == list(found.verdicts) == ["sure", "grounded"]
    assert found.chosen == "grounded"
    assert found.verdict is not None
    assert [ref.name for ref in found.verdict.sequence] == ["sure", "grounded"]
    assert len({verdict.alpha for verdict in found.verdicts.values()}) == 1  # one look for both
    with api.open_project(folder) as project:
        assert len(api.gate_looks(project)) == 1
    again = run(folder, *CHEAP)
    assert (again.ran, again.chosen, again.certified) == ([], found.chosen, found.certified)


def test_the_first_that_does_not_pass_ends_the_sequence_and_blocks_no_other(tmp_path: Path) -> None:
    """Eight questions do not show an F1 of 0.11 to be above 0.1; one of 0.27 they do."""
    folder = project_in(tmp_path, PRICED.replace("min: 0.05, confidence: point", "min: 0.05"))
    found = run(folder, *CHEAP[:2], "gate.token_f1.min=0.1")
    assert [(name, one.outcome) for name, one in found.verdicts.items()] == [
        ("sure", "pass"),
        ("grounded", "insufficient"),
    ]
    assert found.chosen == "sure"
    assert "grounded did not pass" in found.why
    assert found.promoted


@pytest.mark.slow
def test_the_same_choice_is_made_again_after_it_was_promoted_with_rules_against_what_serves(tmp_path: Path) -> None:
    folder = project_in(tmp_path)
    rule = 'gate.token_f1={"min": 0.02, "against": "production", "margin": 1.0, "confidence": "point"}'
    first = run(folder, rule)
    again = run(folder, rule)
    assert again.ran == []
    assert again.verdict == first.verdict
    (folder / "plain.md").write_text("{{ question }} Bla" + " bla" * 200)  # no part of what was tested
    third = run(folder, rule)
    assert third.ran == ["evaluate:plain:dev"]
    with api.open_project(folder) as project:
        assert len(api.gate_looks(project)) == 1
        assert api.verdict(project, "production").champions == {}
        assert isinstance(api.verdict(project), Verdict)
