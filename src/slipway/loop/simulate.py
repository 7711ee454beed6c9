"""Users who are not there yet: questions of a pool with known answers, sent to what serves, and what is said of them.

A user says what the truth and a coin say: right answers are praised and wrong ones blamed, with errors at rate `noise`;
some of those who are not content write what would have been right. Adversarial users praise what is wrong, blame what
is right, and correct to something wrong. What is asked is no example of dev, gate or reserve, nor close to one.
"""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec

from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.core.metrics import MetricInfo, metric_info
from slipway.core.protocols import Scorer
from slipway.core.report import Aggregate
from slipway.core.trace import Feedback, Trace
from slipway.data.examples import read_entries
from slipway.data.heldout import Heldout
from slipway.data.imports.training_files import prompt_of
from slipway.errors import ConfigError, SlipwayError
from slipway.evaluate.aggregate import meanings
from slipway.evaluate.scoring import evaluate, make_scorers, score
from slipway.i18n import t
from slipway.loop.context import Context
from slipway.loop.drift import Drift, Drifting, Mix, Visit, visits
from slipway.loop.feedback import heldout
from slipway.loop.improve.gate_rules import metric_of
from slipway.project.data import DataConfig, ExampleSource
from slipway.runtime.respond import answer
from slipway.stats.samples import aggregate
from slipway.store.catalog import now

RIGHT = 0.5  # of the metric: from here up an answer is right
_BATCH = 64


@dataclass(frozen=True)
class Traffic:
    """`noise`: of what is said, the share that is mistaken; `adversarial`: of users, those who lie; `said`: of answers,
    those of which anything is said; `corrections`: of those who are not content, those who write what is right. `rate`:
    requests a second, at random moments (a Poisson process); None: one after the other. `languages`: language -> share
    of the users who ask in it, 1 together; None: as the pool has them.
    """

    requests: int = 100
    seed: int = 7
    rate: float | None = None
    said: float = 1.0
    corrections: float = 0.5
    noise: float = 0.1
    adversarial: float = 0.0
    languages: Mapping[str, float] | None = None


class Pool(msgspec.Struct, frozen=True):
    """`asked`: what may be asked, in its order. `untouched`: never asked, and nothing asked is close to it: quality is
    measured on it. `refused`: rows left out, by reason.
    """

    asked: list[Example]
    untouched: list[Example]
    refused: dict[str, int]


class Simulated(msgspec.Struct, kw_only=True):
    """What was asked and said. `lies`: by adversarial users; `mistakes`: by honest ones; `wrong`: corrections to
    something wrong; `languages`: of the questions, how many.
    """

    requests: int = 0
    failed: int = 0
    right: int = 0
    up: int = 0
    down: int = 0
    refused: dict[str, int] = {}
    corrections: int = 0
    wrong: int = 0
    lies: int = 0
    mistakes: int = 0
    languages: dict[str, int] = {}


class Asked(msgspec.Struct, frozen=True):
    """One request: when (seconds since 1970, or since the first), and what came of it. `length`: of the answer, in
    characters; `language`: of the question.
    """

    at: float
    language: str
    right: bool = False
    down: bool = False
    failed: bool = False
    seconds: float = 0.0
    length: int = 0


class Asking(Protocol):
    """How a question reaches what serves."""

    def ask(self, example: Example, visit: Visit, changed: Callable[[Answer], Answer]) -> tuple[Answer, str]:
        """The answer, and the id of its trace. `changed`: what is made of an answer before it is recorded, where that
        can be. Raises SlipwayError for one that failed.
        """
        ...

    def say(self, feedback: Feedback) -> None:
        """What a user says of a trace."""
        ...

    def done(self) -> None:
        """No more is asked."""
        ...


class InProcess:
    """The channel's release, asked here; traces and feedback are written as a server writes them."""

    def __init__(self, context: Context) -> None:
        self._context, self._candidate = context, context.champion()
        self._release = context.store.catalog.channels()[context.project.serve.channel]
        self._traces: list[Trace] = []
        self._feedback: list[Feedback] = []

    def ask(self, example: Example, visit: Visit, changed: Callable[[Answer], Answer]) -> tuple[Answer, str]:
        """By the code that serves."""
        context, id = self._context, uuid.uuid4().hex
        text = prompt_of(example.input, context.task.inputs)
        began = time.monotonic()
        given = changed(context.wait(answer(self._candidate, example.input, context.session)))
        self._traces.append(
            Trace(
                id=id, at=visit.at or now(), endpoint="/v1/chat/completions", channel=context.project.serve.channel,
                release=self._release, status=200,
                request={"messages": [{"role": "user", "content": text}], "user": visit.user},
                answer=given, seconds=given.seconds or time.monotonic() - began,
            )
        )  # fmt: skip
        return given, id

    def say(self, feedback: Feedback) -> None:
        """Kept until there are enough for a transaction."""
        self._feedback.append(feedback)
        if len(self._feedback) >= _BATCH:
            self.done()

    def done(self) -> None:
        """Write what was kept."""
        if self._traces or self._feedback:
            self._context.store.catalog.add_traces(self._traces, self._feedback)
        self._traces, self._feedback = [], []


class OverHttp:
    """A running server, asked as any client asks it. `key`: an API key where it wants one."""

    def __init__(self, context: Context, url: str, key: str = "") -> None:
        import httpx

        self._context = context
        self._task = context.session.task(context.champion())
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=context.project.serve.deadline + 5)
        self._model = context.project.name
        if context.project.serve.channel != "production":
            self._model += f"@{context.project.serve.channel}"

    def ask(self, example: Example, visit: Visit, changed: Callable[[Answer], Answer]) -> tuple[Answer, str]:
        """POST /v1/chat/completions. What is answered cannot be changed here."""
        text = prompt_of(example.input, self._context.task.inputs)
        body = {"model": self._model, "messages": [{"role": "user", "content": text}], "user": visit.user}
        headers, found = self._post("/v1/chat/completions", body)
        said = str(found["choices"][0]["message"]["content"])
        try:
            output = self._task.output(said)
        except ValueError:
            return Answer(text=said, raw=said), headers.get("x-slipway-trace", "")
        made = Answer(text=output.text, raw=said, label=output.label, abstained=output.abstained)
        return made, headers.get("x-slipway-trace", "")

    def say(self, feedback: Feedback) -> None:
        """POST /v1/feedback."""
        said = {"trace": feedback.trace, "thumb": feedback.thumb}
        self._post("/v1/feedback", said | ({"correction": feedback.correction} if feedback.correction else {}))

    def done(self) -> None:
        """Close the connection."""
        self._client.close()

    def _post(self, path: str, body: object) -> tuple[dict[str, str], dict[str, list[dict[str, dict[str, str]]]]]:
        import httpx

        try:
            reply = self._client.post(path, json=body)
            found = reply.json()
        except (httpx.HTTPError, ValueError) as error:
            raise SlipwayError(
                t("{url} does not answer: {why}", url=self._client.base_url, why=error or type(error).__name__),
                t("`slipway serve` starts the project's server"),
            ) from error
        if reply.status_code != 200:
            why = found.get("error", {}).get("message", "") if isinstance(found, dict) else ""
            raise SlipwayError(t("{url} refused: {why}", url=self._client.base_url, why=why or reply.status_code))
        return dict(reply.headers), found


def pool_of(context: Context, path: Path, untouched: float = 0.0, seed: int = 7) -> Pool:
    """The rows of a file of examples, in an order drawn by `seed`, without those close to what is held out.

    `untouched`: the share that is kept to measure with. Raises ConfigError where nothing is left to ask.
    """
    fields = next((one.fields for one in context.project.data.examples if one.split is None), {})
    source = ExampleSource(path=str(path.resolve()), fields=fields)
    entries = read_entries(DataConfig(examples=[source]), context.root, context.store, context.task, [])
    rows = sorted((entry.example for entry in entries if entry.example.expected), key=lambda one: one.id)
    random.Random(seed).shuffle(rows)
    held = heldout(context)
    refused, free = Counter[str](), list[Example]()
    known = Heldout([context.task.text(one.input) for one in held], parts=[str(one.split) for one in held])
    for one in rows:
        close = known.close(context.task.text(one.input))
        if close is None:
            free.append(one)
        else:
            refused[close.reason] += 1
    size = round(untouched * len(free))
    kept, rest = free[:size], free[size:]
    near = Heldout([context.task.text(one.input) for one in kept])
    asked = [one for one in rest if near.close(context.task.text(one.input)) is None]
    refused["untouched"] += len(rest) - len(asked)
    if not asked:
        raise ConfigError(
            t("{path} has nothing left to ask: {n} rows are close to examples that are held out", path=path.name,
              n=sum(refused.values())),
            t("name a file of questions with references that are no examples of the project"),
        )  # fmt: skip
    return Pool(asked, kept, {reason: n for reason, n in refused.items() if n})


def simulate(
    context: Context, pool: Pool, traffic: Traffic, asking: Asking, first: int = 0, drifting: Drifting | None = None,
    seen: Callable[[Asked], None] | None = None,
) -> Simulated:  # fmt: skip
    """Send the traffic. `first`: where in the pool it begins; past the end it begins again, as people ask again.
    `seen` is told of each request.
    """
    tell = seen or (lambda one: None)
    mix = Mix(pool.asked, traffic.languages, first, traffic.seed + first)
    drifting = drifting or Drifting(Drift(), pool.asked, (), traffic.seed)
    who = visits(traffic.requests, drifting.drift.days, traffic.seed + first)
    rng = random.Random(traffic.seed + first)
    metric, scorers = _judges(context)
    found, began, at = Simulated(refused=pool.refused), time.monotonic(), 0.0
    progress = context.listener.progress
    try:
        for n in range(traffic.requests):
            example = mix.next(who[n].user)
            if traffic.rate:
                at += rng.expovariate(traffic.rate)
                time.sleep(max(0.0, began + at - time.monotonic()))
            share = n / traffic.requests
            example = drifting.asked(example, share)
            found.requests += 1
            found.languages[example.language] = found.languages.get(example.language, 0) + 1
            draws = [rng.random() for _ in range(4)]
            wrong = _other(pool.asked, example, rng)
            when = datetime.fromisoformat(who[n].at).timestamp() if who[n].at else time.monotonic() - began
            try:
                given, trace = asking.ask(example, who[n], partial(drifting.answer, share=share))
            except SlipwayError as error:
                found.failed += 1
                tell(Asked(when, example.language, failed=True))
                if found.failed == found.requests and found.failed >= 5:
                    raise
                context.listener.say(f"  {error.message}")
                continue
            right = score(example, given, scorers).metrics.get(metric.name, 0.0) >= RIGHT
            found.right += right
            before = found.down
            if draws[0] < traffic.said:
                said = _said(traffic, found, trace, right, (example.expected[0], wrong), draws)
                asking.say(msgspec.structs.replace(said, at=who[n].at or said.at))
            down = found.down > before
            tell(Asked(when, example.language, right, down, False, given.seconds, len(given.text)))
            progress("simulate", n + 1, traffic.requests)
    finally:
        asking.done()
    return found


def _said(
    traffic: Traffic, found: Simulated, trace: str, right: bool, words: tuple[str, str], draws: Sequence[float]
) -> Feedback:
    """What one user says. `words`: the truth, and something else."""
    lies = draws[1] < traffic.adversarial
    mistaken = not lies and draws[2] < traffic.noise
    content = right != (lies or mistaken)
    found.lies, found.mistakes = found.lies + lies, found.mistakes + mistaken
    found.up, found.down = found.up + content, found.down + (not content)
    correction = None
    if not content and draws[3] < traffic.corrections:
        false = lies or mistaken
        correction = words[1] if false else words[0]
        found.corrections, found.wrong = found.corrections + 1, found.wrong + false
    thumb = "up" if content else "down"
    return Feedback(id=uuid.uuid4().hex, trace=trace, at=now(), thumb=thumb, correction=correction)


def _other(pool: Sequence[Example], example: Example, rng: random.Random) -> str:
    """A reference of another example that is none of this one."""
    for _ in range(20):
        one = pool[rng.randrange(len(pool))].expected[0]
        if one not in example.expected:
            return one
    return f"not {example.expected[0]}"


def _judges(context: Context) -> tuple[MetricInfo, dict[str, Scorer]]:
    """The metric that quality means, and the scorers that tell it."""
    known = meanings(context.project, context.plugins)
    name = metric_of(context.project, known)
    return known.get(name) or metric_info(name), make_scorers(context.project.evaluate.metrics, context.plugins)


def quality(context: Context, examples: Sequence[Example]) -> tuple[str, Aggregate]:
    """(the metric, its value with a 95% interval) of what serves, on examples that nothing learnt from."""
    metric, _ = _judges(context)
    scores = context.wait(evaluate(context.champion(), examples, context.session, context.project.evaluate, "simulate"))
    found = aggregate(scores, metric)
    assert found is not None, "the examples have references"
    return metric.name, found


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """What serves after so much feedback, on the untouched examples. `ended`: how the turn before it ended."""

    turn: int
    feedback: int
    candidate: str
    value: float
    low: float | None
    high: float | None
    ended: str = ""


class Curve(msgspec.Struct, kw_only=True):
    """The learning curve: the first point is what served at the beginning. `n`: untouched examples."""

    metric: str
    n: int
    points: list[Point] = []
    traffic: list[Simulated] = []
