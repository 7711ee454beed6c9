"""Order by dev, confirm on gate against what serves, release the preferred one of those that passed, promote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from slipway.core.candidate import Candidate
from slipway.core.material import Dataset
from slipway.core.metrics import metric_info
from slipway.core.ref import Ref, digest_of
from slipway.core.release import Release, Verdict
from slipway.core.report import Report, Score
from slipway.errors import ConfigError, GateFailed, nearest
from slipway.i18n import joined, t
from slipway.loop.context import whoami
from slipway.loop.stages.cautions import cautions
from slipway.loop.stages.evaluate import cost_of, measured_by, reports_on, scores_of
from slipway.loop.stages.looks import Spent, afford, gate_ids, look
from slipway.loop.state import Loop
from slipway.release.bundle import make_release, verify
from slipway.release.gate import Rule, judge
from slipway.release.promote import PASSED, promote
from slipway.release.selection import Contender, Plan, keeps_bounds, plan
from slipway.release.shortfall import missed_bounds, missed_rules

Rival = tuple[Ref, Report, list[Score]]


@dataclass(frozen=True)
class _Choice:
    """What there is to choose from. `field`: digest of rules and gate examples. `sequence`: digests of the candidates
    that were tested when the same choice was made before; empty when it was not.
    """

    candidates: Mapping[str, Candidate]
    examples: Dataset
    rules: Mapping[str, Rule]
    field: str
    sequence: tuple[str, ...] = ()
    others: Mapping[str, Candidate] | None = None  # all of the project, whether they keep the bounds or not


def release(loop: Loop, candidates: Mapping[str, Candidate], examples: Dataset) -> None:
    """Test candidates on gate from the safest by dev down; release and promote the preferred one that passed."""
    project, outcome = loop.project, loop.outcome
    rules = {metric: Rule(**rule.model_dump()) for metric, rule in project.gate.items()}
    if not rules:
        raise ConfigError(
            t("the project has no gate: nothing may be released"),
            t("add a rule under gate, e.g. token_f1: {min: 0.3}"),
        )
    kept = {name: one for name, one in candidates.items() if keeps_bounds(rules, outcome.reports["dev"][name])}
    if not kept:
        outcome.refused = t("no candidate meets the gate's rules on the dev split; the gate split was not used")
        outcome.hint = t("improve one of them, or change the gate")
        outcome.missed = {name: missed_bounds(rules, outcome.reports["dev"][name]) for name in candidates}
        return
    ids = gate_ids(loop.context, examples)
    asked = {metric: msgspec.to_builtins(rule) for metric, rule in rules.items()}
    choice = _remembered(loop, _Choice(kept, examples, rules, digest_of([asked, sorted(ids)]), others=candidates))
    made = _plan(loop, choice)
    if choice.sequence and choice.sequence != tuple(kept[name].digest for name in made.sequence):
        choice = replace(choice, sequence=())  # another choice after all: what serves now is what is to beat
        made = _plan(loop, choice)
    try:
        spent = _look(loop, choice, made.sequence, ids)
    except GateFailed as error:
        outcome.refused, outcome.hint = error.message, error.hint
        return
    _test(loop, choice, made, spent)
    _conclude(loop, choice, made)


def _remembered(loop: Loop, choice: _Choice) -> _Choice:
    """The choice with the sequence that the release serving now came out of, where it may be the same choice."""
    catalog, there = loop.store.catalog, {one.digest for one in choice.candidates.values()}
    digest = catalog.channels().get(loop.project.serve.channel)
    if digest is None:
        return choice
    verdict = catalog.get("verdict", catalog.release(digest).verdict.digest, Verdict)
    tested = tuple(ref.digest for ref in verdict.sequence)
    same = verdict.field == choice.field and there.issuperset(tested)
    return replace(choice, sequence=tested) if same else choice


def _plan(loop: Loop, choice: _Choice) -> Plan:
    project, several = loop.project, len(choice.candidates) > 1
    serving = _before(loop, project.serve.channel, choice)
    served = serving.candidate.digest if serving else ""
    timed = several and (project.release.prefer == "latency" or _compares_seconds(loop, choice.rules))
    found = _measured(loop, choice, "dev", list(choice.candidates.values()), timed=timed) if several else {}
    contenders: list[Contender] = []
    for name, candidate in choice.candidates.items():
        report = loop.outcome.reports["dev"][name]
        scores = scores_of(loop, report)
        rivals = _rivals(loop, candidate, choice, found) if several else {}
        cost = cost_of(loop, candidate, report, scores)
        contenders.append(Contender(name, report, scores, cost, rivals, candidate.digest == served))
    metric = project.release.metric or project.evaluate.names[0]
    return plan(choice.rules, contenders, project.release.prefer, metric, project.release.tolerance)


def _look(loop: Loop, choice: _Choice, sequence: Sequence[str], ids: Sequence[str]) -> Spent:
    """Count the look, one for the whole sequence: the same answers, rules and champions again are the same look.

    The first candidate is measured before and the others after it, each when its turn comes: its code stands for it.
    """
    tested = [choice.candidates[name] for name in sequence]
    digests = [one.digest for one in tested]
    if ids:  # without any, measuring says so
        afford(loop.context, ids, "verdict", digests)
    first = _measured(loop, choice, "gate", tested[:1])[tested[0].digest]
    against = {
        one.name: {
            channel: release.candidate.digest
            for channel in _channels(choice.rules)
            if (release := _champion(loop, channel, one, choice)) is not None
        }
        for one in tested
    }
    rules = {metric: msgspec.to_builtins(rule) for metric, rule in choice.rules.items()}
    timed = any(first.meaning(metric).kind != "quality" for metric in rules)  # then a new latency is a new answer
    answers = first.scores if timed else first.answers
    asked = [digests, rules, against, answers, [measured_by(loop, one) for one in tested[1:]]]
    return look(loop.context, ids, "verdict", digests, asked)


def _test(loop: Loop, choice: _Choice, made: Plan, spent: Spent) -> None:
    """Judge one after the other, each at the level of the look, until one does not pass."""
    outcome = loop.outcome
    for name in made.sequence:
        candidate = choice.candidates[name]
        found = _measured(loop, choice, "gate", [candidate])  # of the first one, again what is there already
        verdict = _judge(loop, candidate, found, choice, (made, spent))
        outcome.verdicts[name] = verdict
        if verdict.outcome != "pass":
            return
        outcome.certified.append(name)


def _conclude(loop: Loop, choice: _Choice, made: Plan) -> None:
    """Release the preferred one of those that passed, or say why nothing is released."""
    outcome = loop.outcome
    if not outcome.certified:
        outcome.chosen = made.sequence[0]
        outcome.verdict = outcome.verdicts[outcome.chosen]
        words = {"fail": t("it fails"), "insufficient": t("the gate split is too small to tell")}
        outcome.refused = t(
            "{candidate} does not pass the gate: {why}",
            candidate=outcome.chosen,
            why=words[outcome.verdict.outcome],
        )
        report = outcome.reports["gate"][outcome.chosen]
        outcome.missed = {outcome.chosen: missed_rules(outcome.verdict.rules, report)}
        outcome.hint = t("nothing was released; what serves goes on serving. Each rule is explained above")
        return
    outcome.chosen = made.best(outcome.certified)
    outcome.verdict = outcome.verdicts[outcome.chosen]
    outcome.why = _why(loop, made)
    report = outcome.reports["gate"][outcome.chosen]
    _ship(loop, choice.candidates[outcome.chosen], report, outcome.verdict)


def _why(loop: Loop, made: Plan) -> str:
    outcome, asked = loop.outcome, loop.project.release
    best = {"cost": t("the cheapest"), "latency": t("the fastest"), "quality": t("the best")}[asked.prefer]
    why = [t("{name} is {best} of those that passed the gate: {certified}", name=outcome.chosen, best=best,
            certified=", ".join(outcome.certified))]  # fmt: skip
    if asked.prefer != "quality" and len(made.preferred) > 1:
        why.append(
            t("what differs by {tolerance} or less is equal: what serves stays, else the better one by quality",
              tolerance=f"{asked.tolerance:.0%}")
        )  # fmt: skip
    refused = [name for name in outcome.verdicts if name not in outcome.certified]
    return joined([*why, *(t("{name} did not pass", name=name) for name in refused)])


def check_channels(loop: Loop) -> None:
    """Raise ConfigError for a rule about a channel that never was, when others are: a comparison with nothing."""
    known = loop.store.catalog.channels()
    for metric, rule in loop.project.gate.items():
        if known and rule.against and rule.against not in known:
            near = nearest(rule.against, known)
            command = f"slipway release promote RELEASE --channel {rule.against}"
            raise ConfigError(
                t("gate.{metric}.against: no channel is called '{channel}'", metric=metric, channel=rule.against),
                (t("did you mean '{near}'?", near=near) + " " if near else "")
                + t("`{command}` makes it", command=command),
            )


def _before(loop: Loop, channel: str, choice: _Choice) -> Release | None:
    """What a channel points at or, where that came out of this very choice, what it pointed at before.

    So the choice is the same when it is made again, after it was promoted.
    """
    catalog = loop.store.catalog
    for row in catalog.history(channel):
        release = catalog.release(row["release"])
        verdict = catalog.get("verdict", release.verdict.digest, Verdict)
        tested = tuple(ref.digest for ref in verdict.sequence)
        if not choice.sequence or (verdict.field, tested) != (choice.field, choice.sequence):
            return release
    return None


def _champion(loop: Loop, channel: str, candidate: Candidate, choice: _Choice) -> Release | None:
    """The release to beat on a channel: what served before this choice or, when that is this very candidate, the one
    before.

    The one before is what its verdict compared it with. Promoted to a channel that its verdict did not look at, it
    is the last other candidate that served there.
    """
    catalog = loop.store.catalog
    current = _before(loop, channel, choice)
    if current is None or current.candidate.digest != candidate.digest:
        return current
    verdict = catalog.get("verdict", current.verdict.digest, Verdict)
    if channel in verdict.champions:
        return catalog.release(verdict.champions[channel].digest)
    if channel == loop.project.serve.channel or any(rule.against == channel for rule in verdict.rules):
        return catalog.release(verdict.champion.digest) if verdict.champion else None
    before = (catalog.release(row["release"]) for row in catalog.history(channel))
    return next((release for release in before if release.candidate.digest != candidate.digest), None)


def _channels(rules: Mapping[str, Rule]) -> list[str]:
    return sorted({rule.against for rule in rules.values() if rule.against})


def _compares_seconds(loop: Loop, rules: Mapping[str, Rule]) -> bool:
    """Whether a rule compares what a clock measured with what it measured of another."""
    return any(rule.against and (loop.meanings.get(name) or metric_info(name)).timed for name, rule in rules.items())


def _measured(
    loop: Loop,
    choice: _Choice,
    split: Literal["dev", "gate"],
    tested: Sequence[Candidate],
    *,
    timed: bool | None = None,
) -> dict[str, Report]:
    """By digest, reports of these candidates and of all that they are compared with; of the former in the outcome, too.

    `timed`: their latencies are compared, so that they have to be measured together; by default as the rules say.
    """
    timed = _compares_seconds(loop, choice.rules) if timed is None else timed
    reports = loop.outcome.reports.setdefault(split, {})
    group = {one.digest: one for one in tested}
    for one in tested:
        for channel in _channels(choice.rules):
            champion = _champion(loop, channel, one, choice)
            if champion is not None:
                digest = champion.candidate.digest
                group[digest] = loop.store.catalog.get("candidate", digest, Candidate)
    found = {one.digest: reports[one.name] for one in tested if one.name in reports and not timed}
    rest = [one for digest, one in group.items() if digest not in found]
    made = reports_on(loop, rest, choice.examples, split, timed=timed)
    found |= {one.digest: report for one, report in zip(rest, made, strict=True)}
    reports.update({one.name: found[one.digest] for one in tested})
    return found


def _rivals(loop: Loop, candidate: Candidate, choice: _Choice, found: Mapping[str, Report]) -> dict[str, Rival]:
    """By channel: what the candidate is compared with, and how that was `found` to answer."""
    rivals: dict[str, Rival] = {}
    for channel in _channels(choice.rules):
        champion = _champion(loop, channel, candidate, choice)
        if champion is not None:
            report = found[champion.candidate.digest]
            rivals[channel] = (champion.ref, report, scores_of(loop, report))
    return rivals


def _judge(
    loop: Loop, candidate: Candidate, found: Mapping[str, Report], choice: _Choice, planned: tuple[Plan, Spent]
) -> Verdict:
    (made, spent), store, rules = planned, loop.store, choice.rules
    report, rivals = found[candidate.digest], _rivals(loop, candidate, choice, found)
    warned = cautions(loop, rules, candidate, report, choice.others or {}, choice.examples)

    def work() -> Ref:
        verdict = judge(
            rules, report, scores_of(loop, report), rivals, gate_uses=spent.number, alpha=spent.alpha,
            gate_share=loop.project.data.split.gate,
        )  # fmt: skip
        verdict = msgspec.structs.replace(
            verdict,
            history=store.catalog.head(),
            looks=spent.budget,
            sequence=tuple(choice.candidates[name].ref for name in made.sequence),
            field=choice.field,
            warnings=warned,
            decision=_decision(
                verdict, report, {channel: theirs.answers for channel, (_, theirs, _) in rivals.items()}
            ),
        )
        return store.catalog.put("verdict", candidate.name, verdict)

    inputs = [report.ref, *(ref for release, theirs, _ in rivals.values() for ref in (release, theirs.ref))]
    asked = {metric: msgspec.to_builtins(rule) for metric, rule in rules.items()}
    order = [[choice.candidates[name].digest for name in made.sequence], spent.number, spent.alpha]
    config = [asked, {channel: release.digest for channel, (release, *_) in rivals.items()}, order]
    config += [msgspec.to_builtins(warned)] if warned else []
    ref = loop.steps.step(f"gate:{candidate.name}", inputs, config, loop.context.code.of(judge.__module__), work)
    return store.catalog.get("verdict", ref.digest, Verdict)


def _decision(verdict: Verdict, report: Report, rivals: Mapping[str, str]) -> str:
    """What two machines that answered alike agree on, whatever their clocks measured."""
    claims = [(one.metric, one.rule, one.bound, one.outcome) for one in verdict.rules]
    asked = [verdict.outcome, claims, verdict.alpha, verdict.gate_uses]
    return digest_of([asked, report.candidate.digest, report.dataset.digest, report.answers, rivals])


def _ship(loop: Loop, candidate: Candidate, report: Report, verdict: Verdict) -> None:
    project, store, outcome = loop.project, loop.store, loop.outcome
    verdict_ref = Ref("verdict", candidate.name, verdict.digest)

    def work() -> Ref:
        release = make_release(project.name, candidate, report, verdict, store, whoami())
        return store.catalog.put("release", project.name, release)

    code = loop.context.code.of(make_release.__module__)
    ref = loop.steps.step("release", [candidate.ref, report.ref, verdict_ref], [], code, work)
    outcome.release = store.catalog.release(ref.digest)
    if not project.release.promote:
        return
    channel, release = project.serve.channel, outcome.release

    def point() -> Ref:
        # A step, so that a rollback by hand is not undone by the next run.
        outcome.promoted = promote(
            store, channel, release, by=whoami(), why=PASSED,
            verify=lambda r: verify(r, store, loop.context.locate),
        )  # fmt: skip
        return ref

    loop.steps.step(f"promote:{channel}", [ref], [], "", point)
