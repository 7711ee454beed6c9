"""The queues of a project while people label: made, handed out, judged, undone, adjudicated."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from slipway.core.labelling import KINDS, Criterion, Item, Judgement, Kind, Pick, Queue, Source, Value
from slipway.core.protocols import Labelled
from slipway.core.trace import Wanted
from slipway.errors import ConfigError, NotFound, Overtaken, instead
from slipway.i18n import t
from slipway.loop.context import Context, whoami
from slipway.loop.feedback import MINED
from slipway.loop.labelling.drawing import LEAST_RANDOM, Unit, draw
from slipway.loop.labelling.units import references_of, units_of
from slipway.loop.labelling.values import Final, checked, picked, same_as_model, settle
from slipway.loop.row_files import FOLDER
from slipway.privacy.redact import Redactor
from slipway.store.catalog import now

HOLD = timedelta(minutes=15)  # that an item is kept for whoever looks at it
MOST = 10_000  # items of a queue
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a queue is made. `kind`: empty is `label` for a task of labels, else `answer`. `share`: of the items, drawn
    at random at least. `wanted`: which traces; `split`: which examples.
    """

    name: str
    source: Source = "traces"
    kind: Kind | None = None
    size: int = 50
    picks: tuple[Pick, ...] = ()
    share: float = 0.2
    labels: tuple[str, ...] = ()
    rubric: tuple[Criterion, ...] = ()
    instructions: str = ""
    annotators: int = 1
    blind: bool = False
    wanted: Wanted = Wanted()
    split: str = "train"
    seed: int = 0


class Person(msgspec.Struct, frozen=True):
    """Who labels: name and id of the key; on a server without keys, and on the command line, the user's name."""

    name: str
    key: str = ""

    @property
    def id(self) -> str:
        """What tells people apart, as `Judgement.who`."""
        return self.key or self.name

    @classmethod
    def here(cls) -> Person:
        """Whoever runs this process."""
        return cls(whoami())


class Work(msgspec.Struct, frozen=True):
    """One item in somebody's hands. `mine`: what they said of it; `reveal`: they said it blind, then see the model."""

    queue: Queue
    item: Item
    mine: Judgement | None = None
    reveal: bool = False


class Room:
    """The queues of an open project. Safe for several threads and processes."""

    def __init__(self, context: Context, redactor: Redactor) -> None:
        self.context, self.labels, self._redactor = context, context.store.catalog.labels, redactor

    def redacted(self, text: str) -> str:
        """A text from outside, without personal data."""
        return self._redactor.text(text)

    # queues ----------------------------------------------------------------------------------------------------
    def create(self, plan: Plan, by: str = "") -> Queue:
        """Draw a queue's items. Raises ConfigError for what cannot be, MissingPrerequisite where there is nothing."""
        kind = plan.kind or ("label" if isinstance(self.context.task, Labelled) else "answer")
        labels, rubric = self._asked(plan, kind)
        found = units_of(self.context, plan.source, kind, plan.wanted, plan.split, self._redactor)
        queue = Queue(
            name=plan.name, kind=kind, source=plan.source, created=now(), by=by or whoami(), labels=labels,
            rubric=rubric, instructions=plan.instructions, annotators=plan.annotators, blind=plan.blind,
            population=len(found.units), left_out=dict(found.left), seed=plan.seed,
        )  # fmt: skip
        drawn = draw(found.units, plan.size, plan.picks, plan.share, plan.seed)
        self.keep(queue, [_item(unit, pick, probability) for unit, pick, probability in drawn])
        return queue

    def keep(self, queue: Queue, items: Sequence[Item]) -> None:
        """Store a queue that is whole. Raises ConfigError where its name is taken or is none."""
        if not _NAME.fullmatch(queue.name) or queue.name == MINED:
            raise ConfigError(
                t("'{name}' cannot name a queue", name=queue.name[:80]),
                t("use small letters, digits, '-' and '_'; the name is that of its files, too"),
            )
        if next((self.context.root / FOLDER).glob(f"{queue.name}.*.jsonl"), None) is not None:
            raise ConfigError(
                t("there are rows of that name: {folder}/{name}.*.jsonl", folder=FOLDER, name=queue.name),
                t("choose another name"),
            )
        if not self.labels.add(queue, items):
            raise ConfigError(t("there is a queue called '{name}'", name=queue.name), t("choose another name"))

    def _asked(self, plan: Plan, kind: Kind) -> tuple[tuple[str, ...], tuple[Criterion, ...]]:
        """Labels and rubric. Raises ConfigError for a plan that asks for nothing or for too much."""
        if kind not in KINDS:
            raise ConfigError(t("no kind of queue is called '{name}'", name=kind), instead(kind, KINDS))
        picked(plan.picks)
        if not 0 < plan.size <= MOST or not 1 <= plan.annotators <= 20 or not LEAST_RANDOM <= plan.share <= 1:
            raise ConfigError(
                t("a queue has 1 to {most} items, 1 to 20 annotators, and a random share from {least} to 1",
                  most=MOST, least=LEAST_RANDOM),
                t("without a share at random nothing can be said of what was not labelled"),
            )  # fmt: skip
        task, labels = self.context.task, plan.labels
        if kind == "label" and not labels and isinstance(task, Labelled):
            labels = tuple(task.labels) or self._learned()
        if plan.blind and kind not in ("answer", "label"):
            raise ConfigError(
                t("a queue of the kind '{kind}' shows no label of the model's", kind=kind), t("leave out --blind")
            )
        if kind in ("label", "spans") and (
            not labels or len(set(labels)) < len(labels) or not all(map(_sound, labels))
        ):
            raise ConfigError(
                t("a queue of this kind needs labels, each once and in one line"), "--label date --label name"
            )
        if kind == "rubric" and (
            not plan.rubric
            or len({one.name for one in plan.rubric}) < len(plan.rubric)
            or any(not _sound(one.name) or not 0 <= one.low < one.high <= 9 for one in plan.rubric)
        ):
            raise ConfigError(
                t("a rubric needs criteria, each once, with points from 0 to 9"), "--criterion helpful:1-5"
            )
        return labels if kind in ("label", "spans") else (), plan.rubric if kind == "rubric" else ()

    def _learned(self) -> tuple[str, ...]:
        task, references = self.context.task, references_of(self.context)
        assert isinstance(task, Labelled)
        return tuple(task.learned(references).get("labels", ())) if references else ()

    def queues(self) -> list[Queue]:
        """The newest first."""
        return self.labels.queues()

    def queue(self, name: str) -> Queue:
        """By name. Raises NotFound."""
        found = self.labels.queues()
        for one in found:
            if one.name == name:
                return one
        raise NotFound(t("no queue is called '{name}'", name=name[:80]), instead(name, [one.name for one in found]))

    def item(self, queue: str, id: str) -> Item:
        """By its id. Raises NotFound."""
        for one in self.labels.items(queue):
            if one.id == id:
                return one
        raise NotFound(t("this item is not in the queue any more"), t("go on with the next one"))

    def remove(self, name: str) -> None:
        """Delete a queue with its items and all that was said of them; rows that were written stay."""
        self.labels.erase(queues=[self.queue(name).name])

    # labelling -------------------------------------------------------------------------------------------------
    def next(self, name: str, person: Person) -> Work | None:
        """What somebody has to do now: the second look at what they judged blind, else an item that is kept for them
        for some minutes; None where nothing is left for them.
        """
        queue = self.queue(name)
        for one in self.labels.judgements(name):
            if one.open and one.who == person.id and not one.settles:
                return Work(queue, self.item(name, one.item), one, reveal=True)
        since = (datetime.now(UTC) - HOLD).isoformat(timespec="microseconds").replace("+00:00", "Z")
        item = self.labels.claim(name, person.id, now(), since, queue.annotators)
        return None if item is None else Work(queue, item)

    def look(self, name: str, id: str, person: Person) -> Work:
        """One item as somebody sees it, also one that they judged already. Raises NotFound."""
        mine = next((one for one in self.judgements(name, id) if one.who == person.id and not one.settles), None)
        return Work(self.queue(name), self.item(name, id), mine, reveal=bool(mine and mine.guess))

    def judge(self, name: str, id: str, person: Person, value: Value, seen: str = "") -> Judgement:
        """Store what somebody says of an item. `seen`: id of their judgement that they had before them, if any.

        Raises ConfigError for a value that the queue does not ask for, NotFound, and Overtaken where they said
        something else in the meantime, in another window: that stands, and nothing is overwritten.
        """
        queue, item = self.queue(name), self.item(name, id)
        if any(one.settles for one in self.judgements(name, id)):
            raise Overtaken(t("this item was adjudicated in the meantime"), t("go on with the next one"))
        before = next((one for one in self.judgements(name, id) if one.id == seen and one.who == person.id), None)
        value, guess, open_ = checked(queue, item, value, self.context.task), before.guess if before else None, False
        if queue.blind and before is None and queue.kind in ("answer", "label") and not value.get("skip"):
            agreed = same_as_model(queue, item, value)
            guess, value, open_ = value, agreed or value, agreed is None and bool(item.answer)
        made = Judgement(id=uuid.uuid4().hex, item=item.id, by=person.name, key=person.key, at=now(), value=value,
                         guess=guess, open=open_)  # fmt: skip
        return self._stored(name, made, seen)

    def undo(self, name: str, person: Person) -> Judgement | None:
        """Take back the last judgement of somebody. Raises Overtaken where the item was adjudicated since."""
        mine = [one for one in self.labels.judgements(name) if one.who == person.id and not one.settles]
        if mine and any(one.settles for one in self.judgements(name, mine[-1].item)):
            raise Overtaken(
                t("this item was adjudicated in the meantime"), t("it can be changed by an adjudication only")
            )
        return self.labels.withdraw(name, person.id)

    # adjudication ----------------------------------------------------------------------------------------------
    def judgements(self, name: str, item: str) -> list[Judgement]:
        """All that was said of one item."""
        return self.labels.judgements(name, item)

    def finals(self, name: str) -> list[tuple[Item, list[Judgement], Final]]:
        """Every item of a queue with what was said of it, and what that comes to."""
        queue, said = self.queue(name), dict[str, list[Judgement]]()
        for one in self.labels.judgements(name):
            said.setdefault(one.item, []).append(one)
        items = self.labels.items(name)
        return [(item, said.get(item.id, []), settle(queue, said.get(item.id, []))) for item in items]

    def conflicts(self, name: str) -> list[tuple[Item, list[Judgement]]]:
        """Items whose annotators disagree, for an adjudicator."""
        return [(item, said) for item, said, final in self.finals(name) if final.state == "conflict"]

    def adjudicate(self, name: str, id: str, person: Person, value: Value, seen: str = "") -> Judgement:
        """Decide an item for all of its annotators, once; `seen`: the adjudication that this one replaces.

        Raises Overtaken where somebody else did in the meantime.
        """
        queue, item = self.queue(name), self.item(name, id)
        value = checked(queue, item, value, self.context.task)
        made = Judgement(id=uuid.uuid4().hex, item=item.id, by=person.name, key=person.key, at=now(), value=value,
                         settles=True)  # fmt: skip
        return self._stored(name, made, seen)

    def _stored(self, name: str, made: Judgement, seen: str) -> Judgement:
        stands = self.labels.judge(name, made, seen)
        if stands is made:
            return made
        if stands is None:
            raise Overtaken(
                t("this was taken back, or the item is gone, in another window"), t("go on with the next one")
            )
        if stands.value == made.value:
            return stands  # sent twice
        raise Overtaken(
            t(
                "this item was judged in the meantime, by {who}; that stands, and nothing was overwritten",
                who=stands.by,
            ),
            t("go on with the next one, or undo"),
        )


def _item(unit: Unit, pick: Pick, probability: float | None) -> Item:
    return Item(
        id=uuid.uuid4().hex, input=unit.input, text=unit.text, answer=unit.answer, other=unit.other,
        passages=unit.passages, confidence=unit.confidence, lineage=unit.lineage, release=unit.release, pick=pick,
        probability=probability,
    )  # fmt: skip


def _sound(name: str) -> bool:
    return 0 < len(name) <= 80 and name.isprintable() and name.strip() == name
