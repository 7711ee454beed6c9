"""Rows to train on, made of what users said: examples, pairs of answers of which one is preferred, and single thumbs.

Feedback is weighed by input. Each user has one vote on each answer to it, the newest; a correction is a vote for its
own text and one against what was answered. What has the most votes, and more for than against, is the reference; a
tie is a conflict and makes no row. A pair is the reference and an answer that more voted against than for; a thumb is
an answer with its majority. Texts are cleaned as examples are, and are only ever data. Stores and writes nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from slipway.core.protocols import Labelled, Task
from slipway.core.ref import canonical
from slipway.core.trace import Feedback, Trace
from slipway.data.clean import clean_text
from slipway.data.leaks import alike
from slipway.errors import ConfigError
from slipway.text.words import answer_key, normalize_label

LIKED, DISLIKED = 0.7, 0.3  # a score from here up, or down to here, is a thumb
PER_USER = 200  # inputs that one key may decide, unless it is told to stand for many people
LONGEST = 20_000  # characters of a text that is trained on
SAME = 0.9  # weighted Jaccard of two inputs with the same reference, of which one is enough
KINDS = ("examples", "preferences", "thumbs")

Row = dict[str, Any]
Said = Iterable[tuple[Feedback, Trace]]


class Mined(msgspec.Struct):
    """Rows by kind. `made`: rows of examples by `from`. `left`: traces left out, by reason: `no-reference`, `conflict`,
    `input`, `history`, `reference`, `too-large`, `capped`, `not-kept` where what was asked was not written down
    (`serve.bodies`), and `repeat` for those that are part of another row.
    `dropped`: rows left out, by kind and reason: `near-repeat`, and `exact`, `near`, `meaning` for what is held out.
    """

    examples: list[Row] = []
    preferences: list[Row] = []
    thumbs: list[Row] = []
    made: Counter[str] = msgspec.field(default_factory=Counter[str])
    left: Counter[str] = msgspec.field(default_factory=Counter[str])
    dropped: dict[str, Counter[str]] = msgspec.field(default_factory=lambda: {kind: Counter[str]() for kind in KINDS})

    def rows(self, kind: str) -> list[Row]:
        """Those of a kind."""
        return getattr(self, kind)

    def keep(self, why: Callable[[Row], str]) -> None:
        """Leave out each row for which `why` gives a reason."""
        for kind in KINDS:
            kept: list[Row] = []
            for row in self.rows(kind):
                if reason := why(row):
                    self.dropped[kind][reason] += 1
                else:
                    kept.append(row)
            setattr(self, kind, kept)
        self.made = Counter(row["from"] for row in self.examples)


class _Text(msgspec.Struct):
    """One text said in reply to an input, and who is for it and against it."""

    text: str
    votes: dict[str, int] = {}  # voter -> 1 or -1, the newest
    corrected: bool = False  # somebody wrote it
    answered: bool = False  # a release answered it
    traces: dict[str, str] = {}  # trace -> release

    @property
    def net(self) -> int:
        return sum(self.votes.values())

    def vote(self, voter: str, vote: int, trace: Trace) -> None:
        self.votes.setdefault(voter, vote)
        self.traces.setdefault(trace.id, trace.release)


class _Asked(msgspec.Struct):
    """One input, the texts said in reply to it by what they say (`key`), and the traces in which it was asked."""

    input: Row
    texts: dict[str, _Text] = {}
    traces: list[str] = []

    def text(self, text: str, key: str) -> _Text:
        return self.texts.setdefault(key, _Text(text))


def mine(task: Task, said: Said, per_user: int = PER_USER, shared: frozenset[str] = frozenset()) -> Mined:
    """What feedback, given newest first, says of inputs. `shared`: keys behind which many people ask: each of their
    traces counts as a user of its own, as without keys; any other key has one vote, and decides `per_user` inputs.
    """
    found, asked = Mined(), dict[bytes, _Asked]()
    decided: defaultdict[str, set[bytes]] = defaultdict(set)
    inputs: dict[str, tuple[bytes, Row] | str] = {}
    for one, trace in said:
        if trace.id not in inputs:
            inputs[trace.id] = input_of(task, trace)
            if isinstance(inputs[trace.id], str):
                found.left[str(inputs[trace.id])] += 1
        given = inputs[trace.id]
        if isinstance(given, str):
            continue
        key, input = given
        known = bool(one.by) and one.by not in shared
        if known and key not in decided[one.by] and len(decided[one.by]) >= per_user:
            found.left["capped"] += 1
            continue
        decided[one.by].add(key)
        thing = asked.setdefault(key, _Asked(input))
        if trace.id not in thing.traces:
            thing.traces.append(trace.id)
        _hear(thing, one, trace, one.by if known else f"trace:{trace.id}", key_by(task))
    for thing in asked.values():
        _weigh(task, thing, found)
    without_repeats(task, found)
    return found


def without_repeats(task: Task, found: Mined) -> None:
    """Leave out rows that say what another says of nearly the same input."""
    for kind in KINDS:
        _without_near(task, kind, found)


def input_of(task: Task, trace: Trace) -> tuple[bytes, Row] | str:
    """What names the input, and its fields; or why it is none that stands by itself."""
    if not trace.kept:
        return "not-kept"
    turns = [(role, clean_text(text, Counter())) for role, text in trace.turns if role in ("user", "assistant", "")]
    if len(turns) > 1:
        return "history"
    if any(len(text) > LONGEST for _, text in turns):
        return "too-large"
    try:
        given = task.conversation([{"role": role or "user", "content": text} for role, text in turns])
        text = task.text(given)
    except ConfigError:
        return "input"
    input = {name: given[name] for name in task.inputs if name in given}
    others = [input[name] for name in task.inputs[1:] if name in input]
    return canonical([answer_key(text), others]), input


def key_by(task: Task) -> Callable[[str], str]:
    """What says whether two references of a task, or two answers, say the same."""
    return normalize_label if isinstance(task, Labelled) else answer_key


def _hear(thing: _Asked, one: Feedback, trace: Trace, voter: str, key: Callable[[str], str]) -> None:
    answer = clean_text(trace.said, Counter()) if trace.status == 200 else ""
    correction = clean_text(one.correction or "", Counter())
    vote = {"up": 1, "down": -1}.get(one.thumb or "", 0)
    if not vote and one.score is not None:
        vote = 1 if one.score >= LIKED else -1 if one.score <= DISLIKED else 0
    if correction:
        vote = 1 if key(correction) == key(answer) else -1
    if answer and vote:
        text = thing.text(answer, key(answer))
        text.answered = True
        text.vote(voter, vote, trace)
        if text.votes[voter] > vote:
            return  # who likes by now what they corrected takes the correction back
    if correction and not any(t.corrected and voter in t.votes for t in thing.texts.values()):
        text = thing.text(correction, key(correction))  # the newest correction of each user
        text.corrected = True
        text.vote(voter, 1, trace)


def _weigh(task: Task, thing: _Asked, found: Mined) -> None:
    """Add the rows of one input."""
    best = max((text.net for text in thing.texts.values()), default=0)
    leading = [text for text in thing.texts.values() if text.net == best]
    reason = ""
    if best < 1 or len(leading) > 1:
        disputed = best >= 1 or any(1 in t.votes.values() and t.net == 0 for t in thing.texts.values())
        reason = "conflict" if disputed else "no-reference"
    elif len(leading[0].text) > LONGEST:
        reason = "too-large"
    elif not _valid(task, leading[0].text):
        reason = "reference"
    if reason:
        found.left[reason] += len(thing.traces)
    else:
        chosen = leading[0]
        origin = "correction" if chosen.corrected else "thumb-up"
        row = thing.input | {task.reference: chosen.text}
        found.examples.append(row | _lineage([chosen]) | {"review": "open", "from": origin, "votes": chosen.net})
        found.made[origin] += 1
        found.left["repeat"] += len(thing.traces) - 1
        for other in thing.texts.values():
            if other.net < 0 and other.answered and len(other.text) <= LONGEST:
                found.preferences.append(_pair(thing.input, chosen, other))
    for text in thing.texts.values():
        if text.answered and text.net and len(text.text) <= LONGEST:
            row = thing.input | {"completion": text.text, "label": text.net > 0}
            found.thumbs.append(row | _lineage([text]) | {"votes": abs(text.net)})


def _valid(task: Task, reference: str) -> bool:
    try:
        task.expected(reference)
    except ConfigError:
        return False
    return True


def _pair(input: Row, chosen: _Text, other: _Text) -> Row:
    releases = set(chosen.traces.values()) - set(other.traces.values())
    origin = "correction" if chosen.corrected else "candidates" if releases else "thumbs"
    pair = input | {"chosen": chosen.text, "rejected": other.text}
    return pair | _lineage([chosen, other]) | {"from": origin, "votes": chosen.net - other.net}


def _lineage(texts: Iterable[_Text]) -> Row:
    traces = {trace: release for text in texts for trace, release in text.traces.items()}
    releases = dict.fromkeys(release for release in traces.values() if release)
    return {"lineage": " ".join(f"trace:{trace}" for trace in traces), "release": " ".join(releases)}


def _without_near(task: Task, kind: str, found: Mined) -> None:
    """Of inputs that are nearly alike, and whose rows say the same otherwise, the first."""
    rows = found.rows(kind)
    rest = [said_of(task, row) for row in rows]
    gone = {late for early, late in alike([task.text(row) for row in rows], SAME) if rest[early] == rest[late]}
    found.dropped[kind]["near-repeat"] += len(gone)
    setattr(found, kind, [row for number, row in enumerate(rows) if number not in gone])
    if kind == "examples":
        found.made = Counter(row["from"] for row in found.examples)


def said_of(task: Task, row: Row) -> list[str]:
    """What a row says of its input, to compare."""
    told = (task.reference, "chosen", "rejected", "completion", "label")
    return [key_by(task)(str(row[name])) for name in told if name in row]


def left_out(found: Mined) -> dict[str, int]:
    """Traces left out by reason, without those of which there are none."""
    return {reason: n for reason, n in found.left.items() if n}
