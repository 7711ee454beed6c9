"""A turn, read from top to bottom: rows from feedback, recipes, the search on dev, one look at gate, the release.

What is made and answered is remembered as in any run, so a turn that was stopped or killed goes on where it was when it
is begun again. The lock of the project is held all the time; a server that runs beside it takes none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import msgspec

from slipway.adapt.candidates import effective
from slipway.core.candidate import Candidate
from slipway.core.material import Dataset, Example
from slipway.core.metrics import MetricInfo, metric_info
from slipway.core.report import Report, Score
from slipway.errors import ConfigError, GateFailed, SlipwayError
from slipway.files import printable
from slipway.i18n import t
from slipway.loop.at_work import at_work
from slipway.loop.context import Context
from slipway.loop.feedback import Harvest
from slipway.loop.improve.attempts import Attempts, is_heard
from slipway.loop.improve.choosing import best_of, plan_look
from slipway.loop.improve.gate_rules import metric_of, rules_for
from slipway.loop.improve.prompts import Prompts
from slipway.loop.improve.proposers import Retrain, Retrieval, Shots
from slipway.loop.improve.recipes import Proposer, Recipe, Situation, gather
from slipway.loop.improve.record import Ended, Records, Tried, Turn
from slipway.loop.improve.search import Spending, halve, rungs
from slipway.loop.improve.writer import Writer, Written
from slipway.loop.row_files import FOLDER as ROWS
from slipway.loop.stages.data import freeze_data
from slipway.loop.stages.evaluate import reports_on, scores_of
from slipway.loop.stages.looks import afford, earlier_looks, gate_ids, used_up
from slipway.loop.stages.planning import places
from slipway.loop.stages.release import check_channels, release
from slipway.loop.state import Loop
from slipway.project.data import ExampleSource
from slipway.project.fields import Budget
from slipway.project.places import read_text
from slipway.project.plugin_options import check_measured
from slipway.release.gate import Rule
from slipway.release.planning import Known
from slipway.release.selection import keeps_bounds
from slipway.runtime.cost import currency_of
from slipway.text.words import normalize_label

LEARNT = f"{ROWS}/*.examples.jsonl"
_SHOWN = 40  # characters of a label that users wrote
Mine = Callable[[], Harvest | None]


@dataclass(frozen=True)
class Options:
    """`budget`: in place of the project's. `dry_run`: say what would be tried; make, measure and write nothing."""

    budget: Budget | None = None
    dry_run: bool = False


def improve(context: Context, mine: Mine, options: Options = Options()) -> Turn:
    """One turn. `mine` writes the rows that feedback gives into the project, and is not called in a dry run.

    Raises Busy while another run is at work, MissingPrerequisite when nothing serves yet, ConfigError for a project
    without a gate or examples.
    """
    with at_work(context):
        made = _Improving(context, options)
        turn = made.run(mine)
        turn.seconds, turn.cost = made.spending.seconds, made.spending.money
        if not options.dry_run:
            made.records.keep(turn)
        return turn


def _check_currency(budget: Budget, known: str) -> None:
    """Raise ConfigError for money that nothing here costs: such a budget would never be used up."""
    money = budget.money
    if money is None or money.currency == known:
        return
    raise ConfigError(
        t("the budget is {amount:g} {currency}, and prices here are in {known}", amount=money.amount,
          currency=money.currency, known=known)
        if known
        else t("the budget is {amount:g} {currency}, and nothing here has a price: it would never be used up",
               amount=money.amount, currency=money.currency),
        t("give it in {known}, or as a time: --budget 10m", known=known)
        if known
        else t("say what the machine costs: machine: {{per_hour: 1.20 {currency}}}; or give a time: --budget 10m",
               currency=money.currency),
    )  # fmt: skip


class _Improving:
    """One turn at work."""

    def __init__(self, context: Context, options: Options) -> None:
        self.context, self.options, self.store = context, options, context.store
        project = context.project
        hour = project.machine.per_hour
        self.config = project.improve
        budget = options.budget or self.config.budget
        _check_currency(budget, currency_of(project))
        self.spending = Spending(budget, hour.amount if hour else 0.0)
        self.records = Records(context.store.folder, context.root)
        self.turn = Turn(number=self.records.next, currency=hour.currency if hour else "")

    def run(self, mine: Mine) -> Turn:
        """To its end."""
        project, turn = self.context.project, self.turn
        check_measured(project, self.context.file)
        loop = self._loop()
        check_channels(loop)
        self.metric = metric_of(project, loop.meanings)
        self.info: MetricInfo = loop.meanings.get(self.metric) or metric_info(self.metric)
        self.rules = rules_for(project, self.metric)
        self.champion = self.context.champion()
        turn.metric, turn.channel, turn.serves = self.metric, project.serve.channel, self.champion.name
        if not self.options.dry_run:
            self.records.check()
        turn.file = self.records.fulfil(self.champion.digest)
        _, _, examples = freeze_data(loop)
        if ended := self._used_up(loop, examples):
            return ended
        if not self.options.dry_run:
            turn.harvest = mine()
            loop = self._loop()
        self.loop = loop
        _, self.chunks, self.examples = freeze_data(loop)
        turn.learnt = self._learnt()
        recipes = self._recipes()
        turn.tried = [Tried(name=r.name, by=r.by, parent=r.parent, change=r.change) for r in recipes]
        if not recipes and (turn.drafts or turn.notes):
            return self._end(
                "nothing-to-try", t("no prompt was written that can be tried"),
                t("name a larger model under improve.writer, or other recipes under improve.recipes"),
            )  # fmt: skip
        if not recipes:
            return self._end(
                "nothing-to-try", t("there is nothing to try: no candidate is tuned, shows examples, has a prompt or "
                "retrieves"), t("add a candidate with `tune`, or name other recipes under improve.recipes"),
            )  # fmt: skip
        if self.options.dry_run:
            return self._end("dry-run", t("{n} recipes would be tried; nothing was made or measured", n=len(recipes)))
        return self._search(recipes)

    # -- before ------------------------------------------------------------------------------------------------------

    def _loop(self) -> Loop:
        """A run over the project, with the rows that feedback gave among what is learnt from."""
        loop, data = Loop(self.context), self.context.project.data
        # Dev as it is: what serves was fitted once, and a search would fit every recipe once more for each fold.
        plain = loop.project.evaluate.model_copy(update={"folds": None})
        loop.project = loop.project.model_copy(update={"evaluate": plain})
        listed = {source.path for source in data.examples}
        found = [path for path in sorted(self.context.root.glob(LEARNT)) if path.stat().st_size]
        mine = {path.relative_to(self.context.root).as_posix() for path in found}
        if found and LEARNT not in listed and not mine <= listed:
            sources = [ExampleSource(path=one, split="train") for one in sorted(mine - listed)]
            loop.project = loop.project.model_copy(
                update={"data": data.model_copy(update={"examples": [*data.examples, *sources]})}
            )
        return loop

    def _used_up(self, loop: Loop, examples: Dataset) -> Turn | None:
        """Before anything is spent: no look is left, and none was begun that may be ended."""
        ids = gate_ids(self.context, examples)
        try:
            afford(self.context, ids, "verdict", [self.records.promised])
        except GateFailed:
            return self._ended_by(used_up(self.context, len(earlier_looks(self.context, ids))))
        if not ids:
            raise ConfigError(
                t("the split '{split}' has no examples", split="gate"),
                t("add examples, or give it a larger share under data.split"),
            )
        return None

    def _learnt(self) -> int:
        """Rows of feedback among what is learnt from. Labels that they bring are told: with each, what serves answers
        something that it never answered, and no example of gate asks for it.
        """
        lines = self.store.blobs.get_lines(self.examples.items, Example)
        heard = [one for one in lines if one.split == "train" and is_heard(one)]
        known = {normalize_label(name) for name in self.champion.task_options.get("labels", ())}
        said = Counter(label for one in heard for label in one.expected if normalize_label(label) not in known)
        if known and said:
            some = ", ".join(f"{printable(label[:_SHOWN])} ({n})" for label, n in said.most_common(5))
            self.turn.notes.append(
                t("feedback brings {n} labels that what serves does not know: {some}; to leave such rows out, name all "
                  "labels under task.classify.labels", n=len(said), some=some)
            )  # fmt: skip
        return len(heard)

    def _recipes(self) -> list[Recipe]:
        project, plugins, names = self.context.project, self.context.plugins, list(self.context.project.candidates)
        names.sort(key=lambda name: name != self.champion.name)
        situation = Situation(
            parents={name: effective(project, name) for name in names},
            tuner=lambda name: plugins.load("tuners", name),
            prompt=lambda path: read_text(self.context.root, path, "prompt"),
            misses=cache(lambda: self.attempts.misses(self.champion, self.info)),
            labels=bool(self.champion.task_options.get("labels")), learnt=self.turn.learnt,
        )  # fmt: skip
        self.attempts = Attempts(self.loop, self.chunks, self.examples, self.records, self.spending, self.config.seed)
        before = self.records.before(self.metric)
        written = Written(
            Writer(self.loop, self.spending, self.config.seed), self.config.writer or "", self.turn,
            before if self.info.higher_is_better else before[::-1],
        )  # fmt: skip
        every: list[Proposer] = [Retrain(), Shots(), Prompts(), written, Retrieval()]
        chosen = [one for one in every if one.name in self.config.recipes]
        if self.options.dry_run:  # what needs answers is not known then
            chosen = [one for one in chosen if one.name not in (Prompts.name, Written.name)]
        return gather(chosen, situation, self.config.most)

    # -- the search on dev -------------------------------------------------------------------------------------------

    def _search(self, recipes: Sequence[Recipe]) -> Turn:
        turn, attempts = self.turn, self.attempts
        (turn.served,) = reports_on(self.loop, [self.champion], self.examples, "dev")
        champion = scores_of(self.loop, turn.served)
        if not keeps_bounds({name: self._bounds(rule) for name, rule in self.rules.items()}, turn.served):
            turn.notes.append(t("what serves does not keep the gate's bounds on dev any more"))
        turn.rungs = rungs(len(champion), len(recipes))
        attempts.begin(recipes, turn.tried, self.champion, self.info, turn.rungs)
        halve([one.name for one in recipes], turn.rungs, attempts.measure, attempts.drop)
        finalists = {one.name: attempts.scores[one.name] for one in turn.tried if one.state == "measured"}
        if not finalists:
            return self._nothing_measured()
        found = turn.compared = best_of(self.info, champion, finalists, self.config.min_gain)
        if found is None or found.outcome != "better":
            return self._not_better()
        attempts.tried[found.name].state = "best"
        return self._judge(attempts.recipes[found.name], champion, finalists[found.name])

    @staticmethod
    def _bounds(rule: Rule) -> Rule:
        return msgspec.structs.replace(rule, against=None, better=False, margin=None)

    def _nothing_measured(self) -> Turn:
        states = {one.state for one in self.turn.tried}
        if "budget" in states:
            return self._end(
                "budget", t("the budget was used up before any recipe was measured on the whole of dev"),
                t("run it again, or with a larger --budget: what was made and answered is remembered"),
            )  # fmt: skip
        if states == {"serves"}:
            return self._end("nothing-better", t("every recipe makes what serves already"), self._more())
        name, why = next(((one.name, one.why) for one in self.turn.tried if one.why), ("-", "-"))
        return self._end(
            "all-failed", t("every recipe failed; the first: {name}: {why}", name=name, why=why),
            t("`slipway check` looks at models and tuners"),
        )  # fmt: skip

    def _not_better(self) -> Turn:
        found = self.turn.compared
        if found is not None and found.outcome == "too-small":
            return self._end(
                "dev-too-small", t("dev has {n} examples, too few to show that anything is better", n=found.n),
                t("add examples: `slipway data draft`, or label traffic"),
            )  # fmt: skip
        return self._end(
            "nothing-better", t("nothing is shown on dev to be better than what serves; gate was not looked at"),
            self._more(),
        )  # fmt: skip

    def _more(self) -> str:
        return t("more feedback, or another candidate in slipway.yaml, gives it more to try")

    # -- gate ---------------------------------------------------------------------------------------------------------

    def _judge(self, recipe: Recipe, champion: list[Score], scores: list[Score]) -> Turn:
        turn, context = self.turn, self.context
        ids = gate_ids(context, self.examples)
        rivals = {turn.channel: champion}
        known = Known(scores=scores, rivals=rivals, meanings=self.loop.meanings, currency=self._currency(scores))
        rules = {name: rule for name, rule in self.rules.items() if rule.against in (None, turn.channel)}
        looks = [one for one in earlier_looks(context, ids) if not self._same(one.candidates)]
        turn.look = plan_look(
            rules, self.metric, known, places(context, self.examples), self.examples.size, looks,
            context.project.release.looks, self.config.power,
        )  # fmt: skip
        candidate = self.attempts.candidates[recipe.name]
        if not turn.look.worth:
            return self._end(
                "gate-too-small", t("gate would hardly show a gain of this size, so no look was spent"),
                t("it needs about {n} gate examples: label traffic, or let improve.power be lower",
                  n=turn.look.needed or "-"),
            )  # fmt: skip
        (report,) = reports_on(self.loop, [candidate], self.examples, "dev")
        if not keeps_bounds({name: self._bounds(rule) for name, rule in self.rules.items()}, report):
            return self._end("refused", t("{name} does not keep the gate's bounds on dev; gate was not looked at",
                                          name=recipe.name), t("change the gate, or what is tried"))  # fmt: skip
        self.records.promise(candidate.digest, recipe, [LEARNT] if turn.learnt else [])
        return self._release(recipe, candidate, report)

    def _same(self, candidates: Sequence[str]) -> bool:
        """Whether an earlier look is the one that a killed turn had begun."""
        return bool(self.records.promised) and tuple(candidates) == (self.records.promised,)

    def _release(self, recipe: Recipe, candidate: Candidate, report: Report) -> Turn:
        from slipway.project.schema import GateRule

        turn, loop = self.turn, self.loop
        gate = {name: GateRule(**msgspec.to_builtins(rule)) for name, rule in self.rules.items()}
        loop.project = loop.project.model_copy(update={"gate": gate, "candidates": {recipe.name: recipe.config}})
        loop.outcome.reports["dev"] = {recipe.name: report}
        release(loop, {recipe.name: candidate}, self.examples)
        outcome = loop.outcome
        turn.verdict, turn.release, turn.promoted = outcome.verdict, outcome.release, outcome.promoted
        if outcome.release is None:
            self.records.forget()
            ended: Ended = "refused" if outcome.verdict is not None else "used-up"
            return self._end(ended, outcome.refused, outcome.hint)
        turn.file = self.records.fulfil(candidate.digest)
        turn.now = recipe.name
        return self._end("released", t("{name} is better than {before} and was released", name=recipe.name,
                                       before=turn.serves))  # fmt: skip

    def _currency(self, scores: Sequence[Score]) -> str:
        return next((one.answer.currency for one in scores if one.answer.currency), "")

    def _ended_by(self, error: SlipwayError) -> Turn:
        return self._end("used-up", error.message, error.hint)

    def _end(self, ended: Ended, why: str, hint: str = "") -> Turn:
        self.turn.ended, self.turn.why, self.turn.hint = ended, why, hint
        self.turn.now = self.turn.now or self.turn.serves
        return self.turn
