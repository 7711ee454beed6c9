"""What every catalog does alike with queues of items to label: a part of `catalogs.CatalogContract`."""

# ruff: noqa: D102 -- the name of a test says what it tests

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slipway.core.labelling import Item, Judgement, Queue
from slipway.testing.at_once import AT, TEXTS, at_once

if TYPE_CHECKING:
    from slipway.core.catalog import Catalog


def queue_of(name: str, items: int = 3, **more: Any) -> tuple[Queue, list[Item]]:
    """A queue that asks for a label, and its items."""
    fields: dict[str, Any] = {"kind": "label", "source": "traces", "created": AT, "by": "ada", "labels": ("a", "b")}
    made = [Item(id=f"{name}-{n}", input={"text": TEXTS[n % 4]}, text=TEXTS[n % 4]) for n in range(items)]
    return Queue(name=name, **{**fields, **more}), made


def judgement_of(item: Item, by: str, label: str = "a", **more: Any) -> Judgement:
    """A label of somebody's."""
    return Judgement(id=uuid.uuid4().hex, item=item.id, by=by, at=AT, value={"label": label}, **more)


class LabelContract:
    """Needs the fixtures `catalog` and `other`: the same one, opened twice."""

    def test_a_queue_comes_back_in_its_order_and_its_name_is_taken(self, catalog: Catalog, other: Catalog) -> None:
        queue, items = queue_of("q", 5)
        assert catalog.labels.add(queue, items)
        assert not other.labels.add(*queue_of("q", 1))
        assert other.labels.add(*queue_of("r", 0))
        assert [one.name for one in catalog.labels.queues()] == ["r", "q"]
        assert other.labels.queues()[1] == queue
        assert other.labels.items("q") == items
        assert catalog.labels.items("r") == []

    def test_a_judgement_is_replaced_only_by_who_has_seen_it(self, catalog: Catalog, other: Catalog) -> None:
        queue, (item, *_) = queue_of("q")
        catalog.labels.add(queue, [item])
        first, second = judgement_of(item, "ada"), judgement_of(item, "ada", "b")
        assert catalog.labels.judge("q", first) == first
        assert other.labels.judge("q", second) == first, "it was not known, so it stands"
        assert other.labels.judge("q", judgement_of(item, "bob")) is not None
        assert other.labels.judge("q", second, first.id) == second
        assert catalog.labels.judge("q", first, first.id) == second
        settled = judgement_of(item, "ada", settles=True)
        assert catalog.labels.judge("q", settled) == settled
        assert other.labels.judge("q", judgement_of(item, "bob", settles=True)) == settled
        assert len(catalog.labels.judgements("q")) == 3
        assert catalog.labels.judge("q", judgement_of(Item(id="gone", input={}, text=""), "ada")) is None
        assert catalog.labels.judge("other", judgement_of(item, "cy")) is None

    def test_two_who_judge_at_once_are_both_heard(self, catalog: Catalog, other: Catalog) -> None:
        queue, items = queue_of("q", 12)
        catalog.labels.add(queue, items)

        def work(where: Catalog, by: str) -> Callable[[], None]:
            def label() -> None:
                while item := where.labels.claim("q", by, AT, AT, 2):
                    where.labels.judge("q", judgement_of(item, by))

            return label

        at_once(work(catalog, "ada"), work(other, "bob"), work(catalog, "cy"), work(other, "ada"))
        said = catalog.labels.judgements("q")
        assert len(said) == len({(one.item, one.by) for one in said}) == 24

    def test_an_item_is_held_for_whoever_looks_at_it(self, catalog: Catalog, other: Catalog) -> None:
        queue, items = queue_of("q", 2)
        catalog.labels.add(queue, items)
        later = AT.replace("03:04", "09:00")
        assert catalog.labels.claim("q", "ada", AT, AT, 1) == items[0]
        assert other.labels.claim("q", "ada", AT, AT, 1) == items[0], "it is still hers"
        assert other.labels.claim("q", "bob", AT, AT, 1) == items[1]
        assert other.labels.claim("q", "cy", AT, AT, 1) is None
        assert other.labels.claim("q", "cy", later, later, 1) == items[0], "nobody came back to it"
        catalog.labels.judge("q", judgement_of(items[0], "cy"))
        assert catalog.labels.claim("q", "ada", later, later, 1) == items[1]

    def test_the_last_judgement_is_taken_back_and_queues_go_whole(self, catalog: Catalog, other: Catalog) -> None:
        queue, items = queue_of("q")
        catalog.labels.add(queue, items)
        given = [judgement_of(one, by) for one in items for by in ("ada", "bob")]
        for one in given:
            catalog.labels.judge("q", one)
        assert other.labels.withdraw("q", "ada") == given[4]
        assert other.labels.withdraw("q", "ada") == given[2]
        assert other.labels.withdraw("q", "nobody") is None
        catalog.labels.erase(items=[items[0].id], judgements=[given[3].id])
        assert other.labels.judgements() == [given[5]]
        assert other.labels.items("q") == items[1:]
        catalog.labels.erase(queues=["q"])
        assert (other.labels.queues(), other.labels.items("q"), other.labels.judgements("q")) == ([], [], [])
