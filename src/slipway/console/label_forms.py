"""The forms of labelling: what asks for a judgement, what comes back, what makes a queue. HTML of ours, texts escaped.

Every button works without a script; `data-key` names the key that presses it with one. What is asked about stands in
the document before the form (`render.pages.labelling.item`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import msgspec

from slipway.console import page
from slipway.console.page import ROOT
from slipway.core.labelling import DECISIONS, Item, Judgement, Queue, Value
from slipway.i18n import t
from slipway.loop.labelling.values import spans_of, written
from slipway.render.pages.labelling import said, value
from slipway.serve.refuse import Refused
from slipway.text import visible

BUTTONS = 60  # labels that have a button; more are typed


def flipped(item: Item, who: str) -> bool:
    """Whether somebody sees the second answer first: half of all do, so that the place of an answer decides nothing."""
    return bool(hashlib.sha256(f"{item.id} {who}".encode()).digest()[0] & 1)


def judge(
    queue: Queue, item: Item, where: str, mine: Judgement | None, *, reveal: bool = False, flip: bool = False
) -> str:
    """The form. `where`: the address that takes it; `mine`: what stands, which it replaces; `reveal`: the model's label
    is shown now, to somebody who said something before.
    """
    hidden = f'<input type="hidden" name="seen" value="{escape(mine.id if mine else "")}">'
    match queue.kind:
        case "answer":
            body = _answer(queue, item, mine, reveal=reveal)
        case "label":
            body = _labels(queue, item, mine, reveal=reveal)
        case "compare":
            order = ("second", "first", "both", "neither") if flip else ("first", "second", "both", "neither")
            names = [said()[one] for one in ("first", "second", "both", "neither")]
            body = _choices(
                _button("do", one, name, str(n)) for n, (one, name) in enumerate(zip(order, names, strict=True), 1)
            )
        case "spans":
            body = _spans(queue, item, mine)
        case "rubric":
            body = _rubric(queue, mine)
    skip = "" if reveal else _choices([_button("do", "skip", t("I cannot tell"), "s", " formnovalidate")])
    return f'<form class="judge" method="post" action="{escape(where)}">{hidden}{body}{skip}</form>'


def _button(name: str, given: str, text: str, key: str = "", more: str = "") -> str:
    shown = f"<kbd>{escape(key)}</kbd> " if key else ""
    keyed = f' data-key="{escape(key)}"' if key else ""
    return f'<button name="{name}" value="{_exact(given)}"{keyed}{more}>{shown}{page.line(text)}</button>'


def _exact(text: str) -> str:
    """An attribute that comes back as it was: labels are printable, in one line."""
    return escape(text)


def _choices(buttons: Iterable[str]) -> str:
    return f'<div class="choices">{"".join(buttons)}</div>'


def _area(name: str, label: str, text: str, rows: int = 4, more: str = "") -> str:
    # A newline right after the tag is left out by browsers, so that one of the text stays.
    shown = escape(visible.block(text))
    return f'<label>{page.line(label)} <textarea name="{name}" rows="{rows}"{more}>\n{shown}</textarea></label>'


def _answer(queue: Queue, item: Item, mine: Judgement | None, *, reveal: bool) -> str:
    if queue.blind and not reveal:
        own = _area("text", t("Your own answer"), "", more=' autofocus required=""')
        return own + _choices([_button("do", "correct", t("This is my answer"), more=" data-written")])
    mine_said = str(mine.value.get("text", "")) if mine else ""
    names = (t("It is right"), t("Use the text below"), t("It is wrong"))
    keys, marks = ("1", "2", "3"), ("", " data-write data-written", "")
    buttons = [_button("do", d, n, k, m) for d, n, k, m in zip(DECISIONS, names, keys, marks, strict=True)]
    area = _area("text", t("Corrected answer (Ctrl+Enter sends it)"), mine_said or item.answer)
    return _choices(buttons) + area


def _labels(queue: Queue, item: Item, mine: Judgement | None, *, reveal: bool) -> str:
    first = ""
    if reveal and mine:
        keep = t("Keep mine: {label}", label=mine.value.get("label", ""))
        first = _choices([_button("label", str(mine.value.get("label", "")), keep, "Enter")])
    shown = queue.labels[:BUTTONS]
    buttons = [_button("label", one, one, str(n) if n < 10 else "") for n, one in enumerate(shown, 1)]
    typed = ""
    if len(queue.labels) > 9:
        options = "".join(f'<option value="{_exact(one)}"></option>' for one in queue.labels)
        field = page.field("typed", t("Label"), list="labels", autocomplete="off")
        send = _button("do", "typed", t("Use it"), more=" data-written")
        typed = f'{field}<datalist id="labels">{options}</datalist>{send}'
    return first + _choices(buttons) + typed


def _spans(queue: Queue, item: Item, mine: Judgement | None) -> str:
    told = page.line(t("Text: select a part of it, then press the number of a label"))
    text = f'<label>{told} <textarea class="marked" readonly rows="10">\n{escape(item.text)}</textarea></label>'
    buttons = [
        f'<button type="button" data-label="{_exact(one)}"{f" data-key={n}" if n < 10 else ""}>'
        f"{f'<kbd>{n}</kbd> ' if n < 10 else ''}{page.line(one)}</button>"
        for n, one in enumerate(queue.labels, 1)
    ]
    marked = written(mine.value.get("spans", [])) if mine else ""
    lines = _area("spans", t("Marked, one a line: `label 10-25`, or `label: words` of the text"), marked)
    return text + _choices(buttons) + lines + _choices([_button("do", "spans", t("Done"), "Enter", " data-written")])


def _rubric(queue: Queue, mine: Judgement | None) -> str:
    given: Mapping[str, int] = mine.value.get("scores", {}) if mine else {}
    lines = [
        f"<fieldset><legend>{page.line(one.name)}</legend>"
        + "".join(
            f'<label><input type="radio" name="score-{n}" value="{points}" required'
            f"{' checked' if given.get(one.name) == points else ''}> {points}</label>"
            for points in range(one.low, one.high + 1)
        )
        + "</fieldset>"
        for n, one in enumerate(queue.rubric)
    ]
    return "".join(lines) + _choices([_button("do", "rubric", t("Done"), "Enter")])


def judged(queue: Queue, item: Item, given: Mapping[str, str]) -> Value:
    """The value that a form brings. Raises ConfigError for marks that cannot be read."""
    do = given.get("do", "")
    if do == "skip":
        return {"skip": True}
    match queue.kind:
        case "answer":
            return {"decision": do, "text": given.get("text", "")}
        case "label":
            return {"label": given.get("label") or given.get("typed", "").strip()}
        case "compare":
            return {"choice": do}
        case "spans":
            return {"spans": spans_of(given.get("spans", ""), item)}
        case "rubric":
            points = {one.name: given.get(f"score-{n}", "") for n, one in enumerate(queue.rubric)}
            return {"scores": {name: int(one) for name, one in points.items() if one.isdecimal() and len(one) < 3}}


def undo(name: str) -> str:
    """Takes back the last judgement."""
    button = _button("do", "undo", t("Undo"), "u")
    return f'<form method="post" action="{ROOT}/labelling/{name}/undo">{button}</form>'


def stands(queue: Queue, mine: Judgement, *, flip: bool = False) -> str:
    """What somebody said of an item that they look at again, in the order of answers that they see."""
    other = {"first": "second", "second": "first"}.get(mine.value.get("choice", ""))
    if flip and other:
        mine = msgspec.structs.replace(mine, value={"choice": other})
    return page.notice(t("You said: {value}", value=value(queue, mine)))


def create(labels: Sequence[str], name: str) -> str:
    """What makes a queue: yesterday's bad answers, unless something else is chosen."""
    kinds = [("", t("by the task")), ("answer", t("accept or correct")), ("label", t("pick a label")),
             ("compare", t("compare two")), ("spans", t("mark spans")), ("rubric", t("score by a rubric"))]  # fmt: skip
    picks = [("thumbs-down", t("thumbs down")), ("low-confidence", t("low confidence")),
             ("disagreement", t("disagreement")), ("novelty", t("novelty")),
             ("all", t("all of these in turn")), ("random", t("at random only"))]  # fmt: skip
    sources = [("traces", t("traces")), ("examples", t("examples")), ("documents", t("documents"))]
    times = [("1d", t("day")), ("1h", t("hour")), ("7d", t("week")), ("30d", t("30 days")), ("", t("all"))]
    blind = [("", t("at once")), ("yes", t("after the person's own"))]
    more = (
        page.choice("kind", t("What is asked"), kinds)
        + page.choice("source", t("From"), sources)
        + page.field("share", t("Share at random"), "0.2", inputmode="decimal", size="5")
        + page.field("annotators", t("Judgements for each item"), "1", inputmode="numeric", size="3")
        + page.choice("blind", t("The model's label is shown"), blind)
        + _area("labels", t("Labels, one a line"), "\n".join(labels), 3)
        + _area("rubric", t("Rubric, one a line, such as helpful:1-5"), "", 3)
        + _area("instructions", t("Instructions"), "", 2)
    )
    return page.form(
        f"{ROOT}/labelling", t("Make a queue"),
        page.field("name", t("Name"), name, required="", pattern="[a-z0-9][a-z0-9_\\-]*"),
        page.choice("pick", t("Wanted"), picks), page.choice("since", t("in the last"), times, "1d"),
        page.field("size", t("Items"), "50", inputmode="numeric", size="5"),
        f"<details><summary>{page.line(t('More'))}</summary>{more}</details>", method="post",
    )  # fmt: skip


def number(given: Mapping[str, str], name: str, default: str) -> float:
    """A number of a form. Raises Refused (400)."""
    text = given.get(name, "").strip() or default
    try:
        found = float(text)
    except ValueError:
        raise Refused(400, t("'{value}' is no number", value=text[:40])) from None
    if not 0 <= found < 1e6:
        raise Refused(400, t("'{value}' is no number that fits here", value=text[:40]))
    return found
