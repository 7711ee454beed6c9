"""Choose on dev, confirm on gate against what serves, release, promote."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from slipway.core.candidate import Candidate
from slipway.core.material import Dataset, Example
from slipway.core.ref import Ref, digest_of
from slipway.core.release import Release, Verdict
from slipway.core.report import Report, Score
from slipway.errors import ConfigError, nearest
from slipway.i18n import t
from slipway.loop.context import whoami
from slipway.loop.stages.evaluate import measure, report_on, scores_of
from slipway.loop.state import Loop
from slipway.release.bundle import make_release, verify
from slipway.release.gate import Rule, choose, judge
from slipway.release.promote import PASSED, promote


def release(loop: Loop, candidates: Mapping[str, Candidate], examples: Dataset) -> None:
    """Choose on dev, confirm on gate against the champion, release, promote."""
    project, outcome = loop.project, loop.outcome
    rules = {metric: Rule(**rule.model_dump()) for metric, rule in project.gate.items()}
    if not rules:
        raise ConfigError(
            t("the project has no gate: nothing may be released"),
            t("add a rule under gate, e.g. token_f1: {min: 0.3}"),
        )
    dev = outcome.reports["dev"]
    ranking = choose(rules, dev, prefer=project.release.prefer, metric=_quality(loop))
    if not ranking:
        outcome.refused = t("no candidate meets the gate's rules on the dev split; the gate split was not used")
        outcome.hint = t("`slipway eval list` shows how far each is; improve one, or change the gate")
        return
    outcome.chosen = ranking[0]
    candidate = candidates[outcome.chosen]
    report = measure(loop, {candidate.name: candidate}, examples, "gate")[candidate.name]
    outcome.verdict = _judge(loop, candidate, report, examples, rules)
    if outcome.verdict.outcome != "pass":
        words = {"fail": t("it fails"), "insufficient": t("the gate split is too small to tell")}
        outcome.refused = t(
            "{candidate} does not pass the gate: {why}",
            candidate=candidate.name,
            why=words[outcome.verdict.outcome],
        )
        outcome.hint = t("nothing was released; what serves goes on serving. Each rule is explained above")
        return
    _ship(loop, candidate, report, outcome.verdict)


def _quality(loop: Loop) -> str:
    return loop.project.release.metric or loop.project.evaluate.names[0]


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


def _champion(loop: Loop, channel: str, candidate: Candidate) -> Release | None:
    """The release to beat on a channel: the one it points at or, when that is this very candidate, the one before.

    The one before is what its verdict compared it with. Promoted to a channel that its verdict did not look at, it
    is the last other candidate that served there.
    """
    catalog = loop.store.catalog
    digest = catalog.channels().get(channel)
    if digest is None:
        return None
    current = catalog.release(digest)
    if current.candidate.digest != candidate.digest:
        return current
    verdict = catalog.get("verdict", current.verdict.digest, Verdict)
    if channel in verdict.champions:
        return catalog.release(verdict.champions[channel].digest)
    if channel == loop.project.serve.channel or any(rule.against == channel for rule in verdict.rules):
        return catalog.release(verdict.champion.digest) if verdict.champion else None
    before = (catalog.release(row["release"]) for row in catalog.history(channel))
    return next((release for release in before if release.candidate.digest != candidate.digest), None)


def _judge(loop: Loop, candidate: Candidate, report: Report, examples: Dataset, rules: Mapping[str, Rule]) -> Verdict:
    store = loop.store
    rivals: dict[str, tuple[Ref, Report, list[Score]]] = {}
    for channel in sorted({rule.against for rule in rules.values() if rule.against}):
        champion = _champion(loop, channel, candidate)
        if champion is not None:
            theirs = report_on(
                loop, store.catalog.get("candidate", champion.candidate.digest, Candidate), examples, "gate"
            )
            rivals[channel] = (champion.ref, theirs, scores_of(loop, theirs))

    def work() -> Ref:
        uses = store.catalog.use_gate(gate_split(loop, examples), candidate.digest)
        verdict = judge(rules, report, scores_of(loop, report), rivals, gate_uses=uses)
        verdict = msgspec.structs.replace(verdict, history=store.catalog.head())
        return store.catalog.put("verdict", candidate.name, verdict)

    inputs = [report.ref, *(ref for release, theirs, _ in rivals.values() for ref in (release, theirs.ref))]
    asked = {metric: msgspec.to_builtins(rule) for metric, rule in rules.items()}
    config = [asked, {channel: release.digest for channel, (release, *_) in rivals.items()}]
    ref = loop.steps.step("gate", inputs, config, loop.context.code.of(judge.__module__), work)
    return store.catalog.get("verdict", ref.digest, Verdict)


def gate_split(loop: Loop, examples: Dataset) -> str:
    """Names the gate examples, whatever the other splits hold: what uses of the gate are counted by."""
    return digest_of([e.id for e in loop.store.blobs.get_lines(examples.items, Example) if e.split == "gate"])


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
