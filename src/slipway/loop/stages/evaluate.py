"""Candidates answer the examples of a split and are scored: reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from slipway.core.candidate import Candidate
from slipway.core.material import Dataset, Example
from slipway.core.ref import Ref, digest_of
from slipway.core.report import Report, Score
from slipway.errors import ConfigError
from slipway.evaluate.aggregate import build_report
from slipway.evaluate.scoring import evaluate, scorers_of
from slipway.i18n import t
from slipway.loop.stages.adapt import answering
from slipway.loop.state import Loop


def measure(
    loop: Loop, candidates: Mapping[str, Candidate], examples: Dataset, split: Literal["dev", "gate"]
) -> dict[str, Report]:
    """A report for each candidate on one split."""
    found = loop.outcome.reports.setdefault(split, {})
    for name, candidate in candidates.items():
        found[name] = report_on(loop, candidate, examples, split)
    return found


def report_on(loop: Loop, candidate: Candidate, examples: Dataset, split: Literal["dev", "gate"]) -> Report:
    """The report of one candidate on one split, measured now if it is not up to date."""
    context, store, config = loop.context, loop.store, loop.project.evaluate
    name = f"evaluate:{candidate.name}:{split}"
    by, scorers = answering(loop, candidate), scorers_of(config.metrics, context.plugins)
    code = [by, context.code.of(evaluate.__module__, build_report.__module__)]
    code += [context.plugins.code("scorers", one.scorer) for one in scorers]
    prices = [loop.project.machine.model_dump(mode="json")]
    prices += [model.model_dump(mode="json")["price"] for model in loop.project.models.values()]

    def work() -> Ref:
        chosen = [e for e in store.blobs.get_lines(examples.items, Example) if e.split == split]
        if not chosen:
            raise ConfigError(
                t("the split '{split}' has no examples", split=split),
                t("add examples, or give it a larger share under data.split"),
            )
        scores = context.wait(evaluate(candidate, chosen, context.session, config, by, loop.progress(name)))
        currency = next((s.answer.currency for s in scores if s.answer.currency), "")
        blob = store.blobs.put_lines(scores)
        report = build_report(candidate.ref, examples.ref, split, scores, blob, currency, loop.meanings)
        return store.catalog.put("report", f"{candidate.name}/{split}", report)

    ref = loop.steps.step(
        name, [candidate.ref, examples.ref],
        [config.model_dump(mode="json"), prices, msgspec.to_builtins(loop.meanings)], digest_of(code), work,
    )  # fmt: skip
    return store.catalog.get("report", ref.digest, Report)


def scores_of(loop: Loop, report: Report) -> list[Score]:
    """The scores a report was made from."""
    return list(loop.store.blobs.get_lines(report.scores, Score))
