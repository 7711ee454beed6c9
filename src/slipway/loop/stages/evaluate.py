"""Candidates answer the examples of a split and are scored: reports."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Literal

import msgspec

from slipway.core.candidate import Candidate, ModelPin
from slipway.core.material import Dataset, Example
from slipway.core.ref import Ref, digest_of
from slipway.core.report import Report, Score
from slipway.errors import ConfigError, EngineError
from slipway.evaluate.aggregate import build_report
from slipway.evaluate.scoring import evaluate, scorers_of
from slipway.i18n import t
from slipway.loop.context import whoami
from slipway.loop.rates import measure as measure_rate
from slipway.loop.rates import pin_rate, wanted
from slipway.loop.stages.adapt import answering
from slipway.loop.state import Loop
from slipway.runtime.cost import Rate


def pin_rates(loop: Loop, candidates: Iterable[Candidate]) -> None:
    """Measure how fast each model is whose speed is its price and was not measured yet; written to slipway.lock.

    An engine that cannot answer is left to the evaluation, which says so.
    """
    context = loop.context
    for candidate in candidates:
        pin = candidate.model
        if pin is None or not wanted(loop.project, pin) or context.rate_of(pin) is not None:
            continue

        async def work(candidate: Candidate = candidate, pin: ModelPin = pin) -> Rate:
            engine = await context.session.engine(pin, candidate.adapter_files)
            return await measure_rate(engine, whoami())

        with suppress(EngineError):
            rate = context.wait(work())
            pin_rate(context.lock_file, pin, rate)
            context.listener.say(
                t(
                    "{model}: {prompt:.2g} s for 1,000 tokens read, {completion:.2g} s for 1,000 generated; pinned in "
                    "slipway.lock, and costs are computed from it",
                    model=pin.name, prompt=1000 * rate.prompt, completion=1000 * rate.completion,
                )
            )  # fmt: skip


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
    by, code = answering(loop, candidate), measured_by(loop, candidate)
    prices = [loop.project.machine.model_dump(mode="json")]
    prices += [model.model_dump(mode="json")["price"] for model in loop.project.models.values()]
    rate = context.rate_of(candidate.model)
    if rate is not None:
        prices.append(msgspec.to_builtins(rate))

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
        [config.model_dump(mode="json"), prices, msgspec.to_builtins(loop.meanings)], code, work,
    )  # fmt: skip
    return store.catalog.get("report", ref.digest, Report)


def measured_by(loop: Loop, candidate: Candidate) -> str:
    """The code that answers with a candidate and scores what it answers."""
    plugins = loop.context.plugins
    code = [answering(loop, candidate), loop.context.code.of(evaluate.__module__, build_report.__module__)]
    return digest_of(
        [*code, *(plugins.code("scorers", one.scorer) for one in scorers_of(loop.project.evaluate.metrics, plugins))]
    )


def cost_of(loop: Loop, candidate: Candidate, report: Report, scores: Sequence[Score]) -> float:
    """What a query costs, as candidates are compared by it: money where anything has a price; else the seconds that the
    pinned rates give; else tokens, of which one that is generated counts as three that are read. What retrieval takes
    is counted for no candidate, so one that asks no model costs nothing.
    """
    if candidate.model is None:
        return 0.0
    if report.currency or "cost_per_query" in report.metrics:
        found = report.metrics.get("cost_per_query")
        return found.value if found is not None else math.inf
    rate = loop.context.rate_of(candidate.model) or Rate(prompt=1.0, completion=3.0)
    return sum(rate.seconds(score.answer.usage) for score in scores) / max(1, len(scores))


def scores_of(loop: Loop, report: Report) -> list[Score]:
    """The scores a report was made from."""
    return list(loop.store.blobs.get_lines(report.scores, Score))
