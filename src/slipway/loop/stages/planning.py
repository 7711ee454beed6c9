"""What the gate split can decide, from what dev has shown: nothing of the gate is answered, shown or counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from slipway.core.candidate import Candidate
from slipway.core.look import Look
from slipway.core.material import Dataset, Example
from slipway.core.metrics import MetricInfo
from slipway.core.report import Report, Score
from slipway.errors import ConfigError, NotFound, nearest
from slipway.evaluate.scoring import facets
from slipway.i18n import t
from slipway.loop.at_work import at_work
from slipway.loop.context import Context
from slipway.loop.stages.data import freeze_data
from slipway.loop.stages.evaluate import cost_of, scores_of
from slipway.loop.stages.looks import earlier_looks, gate_ids
from slipway.loop.state import Loop
from slipway.release.looks import alpha_at
from slipway.release.planning import GatePlan, Known, Place, Price, prospects
from slipway.release.rules import Rule
from slipway.release.selection import Contender, plan

_AHEAD = 5  # looks that are priced


def plan_gate(context: Context, candidate: str | None = None) -> GatePlan:
    """Power, examples needed and prices of looks for the present gate examples. `candidate`: whose answers on dev show
    how values scatter; by default the one that would be tested first.

    Raises ConfigError for a project without a gate, NotFound for a candidate that has no report on dev.
    """
    rules = {metric: Rule(**rule.model_dump()) for metric, rule in context.project.gate.items()}
    if not rules:
        raise ConfigError(
            t("the project has no gate: there is nothing to plan"),
            t("add a rule under gate, e.g. token_f1: {min: 0.3}"),
        )
    with at_work(context):
        loop = Loop(context)
        _, _, examples = freeze_data(loop)
    measured = _measured(context)
    chosen = _chosen(loop, rules, measured, candidate)
    rivals, standing_in = _rivals(loop, rules, measured, chosen)
    report = measured.get(chosen)
    meanings: dict[str, MetricInfo] = {**(report.meanings if report else {}), **loop.meanings}
    pilot = _whole(scores_of(loop, report)) if report else []
    served = {channel: _whole(scores_of(loop, one)) for channel, one in rivals.items()}
    if served:  # with `evaluate.folds`, one that cannot be fitted again answered only those of dev
        ids = set.intersection(*({score.example for score in scores} for scores in (pilot, *served.values())))
        pilot, *rest = ([s for s in scores if s.example in ids] for scores in (pilot, *served.values()))
        served = dict(zip(served, rest, strict=True))
    known = Known(
        scores=pilot, rivals=served,
        standing_in=standing_in, meanings=meanings, currency=report.currency if report else _currency(context),
    )  # fmt: skip
    where = places(context, examples)
    earlier = earlier_looks(context, gate_ids(context, examples))
    alphas = _alphas(earlier, context.project.release.looks)
    rows, needs = prospects(rules, known, where, examples.size, alphas)
    return GatePlan(
        candidate=chosen,
        rivals={channel: theirs.candidate.name for channel, theirs in rivals.items()},
        gate=len(where),
        groups=len({place.group or f"\0{n}" for n, place in enumerate(where)}),
        total=examples.size,
        used=len(earlier),
        budget=context.project.release.looks,
        prospects=tuple(rows),
        looks=tuple(
            Price(look=len(earlier) + n + 1, alpha=alpha, needed=needed)
            for n, (alpha, needed) in enumerate(zip(alphas, needs, strict=True))
        ),
        meanings=meanings,
        currency=known.currency,
    )


def _whole(scores: Sequence[Score]) -> list[Score]:
    """As one candidate answers: folds are for dev, and gate has none."""
    return [msgspec.structs.replace(score, folds=0) for score in scores]


def _currency(context: Context) -> str:
    """That of the project's prices, before any report has one."""
    amounts = [context.project.machine.per_hour]
    for model in context.project.models.values():
        if model.price is not None:
            amounts += [model.price.per_hour, model.price.input_per_million, model.price.output_per_million]
    return next((amount.currency for amount in amounts if amount is not None), "")


def _measured(context: Context) -> dict[str, Report]:
    """The newest dev report of each candidate of the project."""
    found: dict[str, Report] = {}
    for _, report in context.store.catalog.list("report", Report):
        if report.split == "dev" and report.candidate.name in context.project.candidates:
            found.setdefault(report.candidate.name, report)
    return found


def _chosen(loop: Loop, rules: Mapping[str, Rule], measured: Mapping[str, Report], candidate: str | None) -> str:
    """Whose answers are the pilot; empty when nothing was measured."""
    if candidate is not None:
        if candidate not in measured:
            near = nearest(candidate, measured)
            raise NotFound(
                t("no report of '{name}' on {split}", name=candidate, split="dev"),
                t("did you mean '{near}'?", near=near) if near else t("`slipway run evaluate` makes one"),
            )
        return candidate
    contenders: list[Contender] = []
    for name, report in measured.items():
        made = loop.store.catalog.get("candidate", report.candidate.digest, Candidate)
        scores = scores_of(loop, report)
        contenders.append(Contender(name, report, scores, cost_of(loop, made, report, scores)))
    asked = loop.project.release
    metric = asked.metric or loop.project.evaluate.names[0]
    sequence = plan(rules, contenders, asked.prefer, metric, asked.tolerance).sequence
    by_quality = plan({}, contenders, "quality", metric).preferred
    return next(iter([*sequence, *by_quality]), "")


def _rivals(
    loop: Loop, rules: Mapping[str, Rule], measured: Mapping[str, Report], chosen: str
) -> tuple[dict[str, Report], frozenset[str]]:
    """By channel what serves there, as measured on the dev examples of the pilot; else another candidate stands in."""
    catalog, found, standing_in = loop.store.catalog, dict[str, Report](), set[str]()
    if not chosen:
        return found, frozenset()
    pilot, channels = measured[chosen], catalog.channels()
    on_dev = [one for _, one in catalog.list("report", Report)
              if one.split == "dev" and one.dataset.digest == pilot.dataset.digest]  # fmt: skip
    others = [one for one in on_dev if one.candidate.digest != pilot.candidate.digest]
    for channel in sorted({rule.against for rule in rules.values() if rule.against}):
        serving = catalog.release(channels[channel]).candidate.digest if channel in channels else ""
        theirs = next((one for one in others if one.candidate.digest == serving), None)
        if theirs is None and others:
            theirs = others[0]
            standing_in |= {channel} if not serving else set()
        if theirs is not None:
            found[channel] = theirs
    return found, frozenset(standing_in)


def places(context: Context, examples: Dataset) -> list[Place]:
    """The gate examples as far as a plan needs them."""
    return [
        Place(group=one.group, language=one.language, facets=facets(one.meta))
        for one in context.store.blobs.get_lines(examples.items, Example)
        if one.split == "gate"
    ]


def _alphas(earlier: list[Look], budget: int) -> list[float]:
    """Of the looks that are left, the next first; at least one, at most `_AHEAD`."""
    to_come = max(1, min(_AHEAD, budget - len(earlier)))
    looks = list(earlier)
    found: list[float] = []
    for _ in range(to_come):
        found.append(alpha_at(looks))
        looks.append(Look(seq=0, at="", kind="verdict", examples="", candidates=("",)))
    return found
