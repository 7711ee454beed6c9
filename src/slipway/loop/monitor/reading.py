"""From traces, feedback and the gate's answers to values: the project's own scorers where they need no reference, and
what was measured anyway. What a client did wrong, or broke off, says nothing about the service and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from slipway.core.answer import Answer
from slipway.core.candidate import Candidate
from slipway.core.material import Example
from slipway.core.protocols import Compares, Scorer
from slipway.core.report import Score
from slipway.core.trace import Feedback, Trace
from slipway.data.imports.training_files import inputs_of
from slipway.errors import SlipwayError
from slipway.evaluate.scoring import make_scorers, score
from slipway.loop.monitor.questions import hashed, read
from slipway.loop.monitor.seen import Seen
from slipway.loop.monitor.watcher import seconds
from slipway.text.language import of_short_text
from slipway.text.words import weigh, words

if TYPE_CHECKING:
    from slipway.loop.context import Context
    from slipway.stats.grouping import Floats

_FEW = 4  # words: a shorter answer has no language that could be told
_ELSEWHERE = frozenset(("citation_support", "coverage"))  # watched under names of their own


def free_scorers(context: Context) -> dict[str, Scorer]:
    """Metric -> scorer, of the project's metrics that say something of an answer alone."""
    made = make_scorers(context.project.evaluate.metrics, context.plugins)
    probe = Example(input={context.task.inputs[0]: "?"}), Answer(text="?", raw="?")
    found: dict[str, Scorer] = {}
    for name, scorer in made.items():
        if name in _ELSEWHERE or isinstance(scorer, Compares):
            continue
        try:
            if name in score(*probe, {name: scorer}).metrics:
                found[name] = scorer
        except SlipwayError:
            continue  # it needs what the probe has not
    return found


class Reader:
    """For one candidate of a project. `shared`: keys behind which many people ask."""

    def __init__(self, context: Context, candidate: Candidate, scorers: Mapping[str, Scorer]) -> None:
        self._inputs = context.task.inputs
        self._shared = frozenset(context.project.monitor.shared)
        self._scorers = dict(scorers)
        if candidate.retrieve is not None:
            self._scorers["citation_support"] = context.plugins.make("scorers", "citation_support", {}, "monitor")

    def seen(self, trace: Trace, vector: Floats | None = None) -> Seen | None:
        """One request; None for what says nothing about the service."""
        if 400 <= trace.status < 500:
            return None
        asked = trace.asked
        question = read(asked, vector) if trace.kept else None  # without texts, only what was measured says something
        language = question.language if question else None
        values = self._values(trace.answer, trace.status >= 500, language, asked)
        return Seen(seconds(trace.at), values, self._unit(trace), trace.id, trace.release, question)

    def said(self, feedback: Feedback, trace: Trace | None) -> Seen | None:
        """A thumb, of the unit of whoever judges: who asked, as a rule, and who judges what others asked has a key."""
        if feedback.thumb is None or trace is None:
            return None
        values = {"thumbs_down": float(feedback.thumb == "down")}
        other = feedback.by not in ("", trace.key, *self._shared)
        unit = f"key:{feedback.by}" if other else self._unit(trace)
        return Seen(seconds(feedback.at), values, f"thumb:{unit}", trace.id, trace.release)

    def released(self, scores: Iterator[Score]) -> list[dict[str, float]]:
        """The gate's answers: metric -> mean, one mapping a group of examples."""
        groups: dict[str, dict[str, list[float]]] = {}
        for one in scores:
            values = self._values(one.answer, False, one.language, "")
            values |= {name: one.metrics[name] for name in self._scorers if name in one.metrics}
            into = groups.setdefault(one.group or one.example, {})
            for name, value in values.items():
                into.setdefault(name, []).append(value)
        return [{name: sum(all_) / len(all_) for name, all_ in one.items()} for one in groups.values()]

    def _unit(self, trace: Trace) -> str:
        """Who asks: the user that the request names (simulated traffic only: a server keeps none), else its key, else
        the conversation.
        """
        user = trace.request.get("user")
        if isinstance(user, str) and user:
            return f"user:{hashed(trace.key + chr(0) + user):x}"
        if trace.key and trace.key not in self._shared:
            return f"key:{trace.key}"
        turns = trace.turns
        first = turns[0][1] if turns else ""
        return f"talk:{hashed(first):x}:{trace.id if len(turns) < 2 else ''}"

    def _values(self, answer: Answer | None, failed: bool, language: str | None, asked: str) -> dict[str, float]:
        """`language`: of the question; None where no text was kept."""
        wrong = failed or answer is None or bool(answer.error)
        values = {"error_rate": float(wrong)}
        if wrong or answer is None:
            return values
        values["abstained"] = float(answer.abstained)
        values |= _measured(answer)
        if not answer.abstained and language is not None:
            example = Example(input=inputs_of(asked, self._inputs), language=language)
            values |= score(example, answer, self._scorers).metrics
            values |= _said(answer, language)
        return values


def _measured(answer: Answer) -> dict[str, float]:
    values = {"latency": answer.seconds}
    if answer.first_token_seconds > 0:
        values["ttft"] = answer.first_token_seconds
        if answer.usage.completion_tokens > 1:
            writing = max(0.0, answer.seconds - answer.first_token_seconds)
            values["seconds_per_token"] = writing / (answer.usage.completion_tokens - 1)
    if answer.currency:
        values["cost_per_query"] = answer.cost
    if answer.citations:
        values["retrieval_score"] = max(one.score for one in answer.citations)
    return values


def _said(answer: Answer, language: str) -> dict[str, float]:
    values = {"answer_length": weigh(answer.text)}
    own = of_short_text(answer.text) if len(words(answer.text)) >= _FEW else "und"
    if "und" not in (own, language):
        values["other_language"] = float(own != language.partition("-")[0])
    return values
