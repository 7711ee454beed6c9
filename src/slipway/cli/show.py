"""What a command found, as tables for a person or JSON for a program. Decides nothing; computes nothing but widths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from slipway.cli import terminal
from slipway.cli.terminal import Mark, cell_text, table
from slipway.cli.terminal import json as as_json
from slipway.cli.terminal import out as text
from slipway.i18n import t, told


def lines(found: Sequence[str], after: str, *, json: bool) -> None:
    """A list, then a sentence."""
    if json:
        as_json(found)
        return
    text(*(f"  {line}" for line in found), after)


def _when(at: str) -> str:
    return at[:19].replace("T", " ")


def number(found: Any) -> str:
    """An aggregate with its interval: `0.412 [0.331, 0.493]`."""
    return "" if found is None else f"{found.value:.3g} [{found.low:.3g}, {found.high:.3g}]"


# check, run ----------------------------------------------------------------------------------------------------
def findings(found: Sequence[Any], *, json: bool) -> None:
    """What `check` found, worst first."""
    if json:
        as_json(found)
        return
    table("", ["", t("finding"), t("what to do")], [[Mark(f.level), f.what, f.how] for f in found])


def outcome(found: Any, *, json: bool) -> None:
    """What a run did: data, dev reports, the gate, the release."""
    if json:
        as_json(found)
        return
    if found.datasets:
        rows = [[d.name, d.size, _counts(d.counts), d.digest[:12]] for d in found.datasets.values()]
        table(t("Data"), [t("dataset"), t("items"), t("counts"), t("digest")], rows)
    for split, measured in found.reports.items():
        titles = {"dev": t("On the dev split (choose)"), "gate": t("On the gate split (confirm)")}
        _reports(titles[split], list(measured.values()), found.metrics)
        if split == "dev" and found.chosen:
            text(t("chosen: {name}", name=found.chosen), *([f"  {found.why}"] if found.why else []))
    if found.verdict:
        currency = next((r.currency for r in found.reports.get("gate", {}).values()), "")
        verdict(found.verdict, json=False, currency=currency)
    if found.release:
        text(t("release {ref}", ref=found.release.ref.short) + (f" · {t('promoted')}" if found.promoted else ""))
    if found.refused:
        text(t("nothing was released: {why}", why=found.refused), f"  → {found.hint}")
    if not found.ran:
        text(t("everything is up to date; no step was run"))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{k} {v}" for k, v in counts.items())


def _reports(title: str, found: Sequence[Any], metrics: Sequence[str]) -> None:
    """Metrics down, candidates across; each language by itself below the whole. `metrics`: what was asked for."""
    from slipway.evaluate.render import ranking_table

    made = ranking_table({r.candidate.name: r for r in found})
    shown = [m for m in made.columns[1:] if m in metrics] or made.columns[1:]
    languages = sorted({language for r in found for language in r.by_language})
    rows: list[list[str]] = []
    for metric in shown:
        place = made.columns.index(metric)
        rows.append([metric, *(row[place] for row in made.rows)])
        for language in languages if len(languages) > 1 else ():
            part = {
                r.candidate.name: msgspec.structs.replace(r, metrics=r.by_language.get(language, {})) for r in found
            }
            table_of = ranking_table(part)
            if metric in table_of.columns:
                at = table_of.columns.index(metric)
                rows.append([f"  {language}", *(row[at] for row in table_of.rows)])
    n = max((a.n for r in found for a in r.metrics.values()), default=0)
    table(f"{title}, {t('{n} examples', n=n)}", [t("metric"), *(r.candidate.name for r in found)], rows)


def verdict(found: Any, *, json: bool, currency: str = "") -> None:
    """The gate, rule by rule, in words."""
    if json:
        as_json(found)
        return
    from slipway.evaluate.render import verdict_table

    rendered(verdict_table(found, currency))


def rendered(made: Any) -> None:
    """A table that `evaluate.render` made, with its notes."""
    table(made.title, made.columns, made.rows)
    text(*(f"  {note}" for note in made.notes))


# data ----------------------------------------------------------------------------------------------------------
def datasets(found: Sequence[tuple[str, Any]], *, json: bool) -> None:
    """Datasets, newest first."""
    if json:
        as_json([{"at": at, "digest": d.digest, "dataset": d} for at, d in found])
        return
    rows = [[_when(at), d.name, d.kind, d.size, _counts(d.counts), d.digest[:12]] for at, d in found]
    table(t("Datasets"), [t("when"), t("name"), t("kind"), t("items"), t("counts"), t("digest")], rows)


def dataset(found: Any, items: Sequence[Any], changes: Sequence[Any], *, json: bool) -> None:
    """One dataset: counts, changes by reason, first items."""
    if json:
        as_json({"dataset": found, "items": items, "changes": changes})
        return
    text(f"{found.ref.short}: {found.size} · {_counts(found.counts)}")
    by = Counter((c.step, c.action, c.reason) for c in changes)
    table(t("Dropped, changed or flagged"), [t("step"), t("action"), t("reason"), t("items")],
          [[*key, n] for key, n in by.most_common()])  # fmt: skip
    table(t("First items"), [t("item"), t("language"), t("text")], [_item(i) for i in items])


def _item(item: Any) -> list[Any]:
    if hasattr(item, "input"):
        return [f"{item.split or '-'} {item.id}", item.language, _short(item.text)]
    where = item.source + (f"#{item.path[-1]}" if getattr(item, "path", None) else "")
    return [where, item.language, _short(item.text)]


def _short(value: str, most: int = 100) -> str:
    flat = " ".join(value.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def changes(found: Sequence[Any], limit: int, *, json: bool) -> None:
    """Each dropped or changed item with its reason."""
    if json:
        as_json(found)
        return
    rows = [[c.action, c.reason, c.item, c.step, c.detail] for c in found[:limit]]
    table(t("Dropped, changed or flagged"), [t("action"), t("reason"), t("item"), t("step"), t("detail")], rows)
    if len(found) > limit:
        text(t("and {n} more; --limit shows them", n=len(found) - limit))


def difference(found: Any, limit: int, *, json: bool) -> None:
    """Added, removed, changed."""
    if json:
        as_json(found)
        return
    rows = [[t("added"), item, ""] for item in found["added"]]
    rows += [[t("removed"), item, ""] for item in found["removed"]]
    rows += [[t("changed"), one["item"], one["fields"]] for one in found["changed"]]
    table(t("Differences"), [t("change"), t("item"), t("fields")], rows[:limit])
    counts = {k: len(found[k]) for k in ("added", "removed", "changed")}
    text(t("{added} added, {removed} removed, {changed} changed, {same} the same", **counts, same=found["same"]))


# models --------------------------------------------------------------------------------------------------------
def pins(found: Mapping[str, Any], *, json: bool) -> None:
    """The project's models, pinned."""
    if json:
        as_json(found)
        return
    rows = [
        [n, p.engine, p.source, file, sha[:12]] for n, p in found.items() for file, sha in (p.files or {"": ""}).items()
    ]
    table(t("Models"), [t("name"), t("engine"), t("source"), t("file"), "sha256"], rows)


def models(found: Sequence[Any], *, json: bool) -> None:
    """Models in the cache folder."""
    if json:
        as_json(found)
        return
    rows = [[m.source, m.quantize, f"{m.size / 1e6:.0f} MB", m.license, len(m.files)] for m in found]
    table(t("Models"), [t("source"), t("quantised"), t("size"), t("licence"), t("files")], rows)


def model(found: Sequence[Any], *, json: bool) -> None:
    """Files of a model, verified."""
    if json:
        as_json(found)
        return
    rows = [[m.source, m.quantize, name, m.sha256[name][:16], path] for m in found for name, path in m.files.items()]
    table(t("Models"), [t("source"), t("quantised"), t("file"), "sha256", t("path")], rows)


# evaluation ----------------------------------------------------------------------------------------------------
def reports(found: Sequence[tuple[str, Any]], *, json: bool) -> None:
    """Reports, newest first."""
    if json:
        as_json([{"at": at, "digest": r.digest, "report": r} for at, r in found])
        return
    metrics = list(dict.fromkeys(m for _, r in found for m in r.metrics))
    rows = [
        [_when(at), r.candidate.name, r.split, r.digest[:12], *[number(r.metrics.get(m)) for m in metrics]]
        for at, r in found
    ]
    table(t("Reports"), [t("when"), t("candidate"), t("split"), t("digest"), *metrics], rows)


def report(found: Any, scores: Sequence[tuple[Any, Any]], limit: int, *, json: bool) -> None:
    """One report with its examples."""
    if json:
        as_json({"report": found, "scores": [{"example": e, "score": s} for e, s in scores]})
        return
    from slipway.evaluate.render import report_table

    rendered(report_table(found))
    rows = [[s.example, s.language, _short(e.text, 60), _short(" | ".join(e.expected), 40),
             _short(told(s.answer.error) or s.answer.text, 60), ", ".join(f"{m} {v:.2f}" for m, v in s.metrics.items())]
            for e, s in scores[:limit]]  # fmt: skip
    columns = [t("example"), t("language"), t("input"), t("expected"), t("answer"), t("scores")]
    table(t("Examples"), columns, rows)


def comparison(
    names: tuple[str, str], found: Any, changed: Sequence[Any], examples: Mapping[str, Any], *, json: bool
) -> None:
    """The paired effect, and the examples that changed most with their questions."""
    if json:
        as_json({"comparison": found, "changed": changed})
        return
    from slipway.evaluate.render import changed_table, comparison_table

    currency = next((c.challenger.answer.currency for c in changed), "")
    rendered(comparison_table([found], names[0], names[1], currency))
    made = changed_table(changed, found.metric, names[0], names[1])
    inputs = [_short(examples[c.example].text, 60) for c in changed]
    rows = [[row[0], text, *row[1:]] for row, text in zip(made.rows, inputs, strict=True)]
    table(made.title, [made.columns[0], t("input"), *made.columns[1:]], rows)


# gate ----------------------------------------------------------------------------------------------------------
def looks(found: Sequence[Any], budget: int, *, json: bool) -> None:
    """Every look at the present gate examples, and what the next one takes."""
    from slipway.release.looks import alpha_at, price

    alpha = alpha_at(found)
    if json:
        as_json({"looks": found, "budget": budget, "alpha": alpha, "price": price(alpha)})
        return
    kinds = {"verdict": t("the gate judged"), "comparison": t("compared on the gate split"),
             "answers": t("answers were shown"), "use": t("counted by an older version")}  # fmt: skip
    rows = [[_when(one.at), kinds[one.kind], [c[:12] for c in one.candidates], one.who, one.project] for one in found]
    table(t("Looks"), [t("when"), t("what"), t("candidates"), t("by"), t("project")], rows)
    text(
        t("{n} of {budget} looks at these gate examples are used", n=len(found), budget=budget),
        t("the next is decided at alpha {alpha} and needs {times} times the examples of the first",
          alpha=f"{alpha:.2g}", times=f"{price(alpha):.1f}"),
    )  # fmt: skip


def rotated(found: Any, *, json: bool) -> None:
    """The examples after the reserve became the gate."""
    if json:
        as_json({"digest": found.digest, "dataset": found})
        return
    text(t("the reserve is the gate now, and what was the gate is dev: {counts}", counts=_counts(found.counts)))
    text(t("slipway.lock says so; commit it"))


# releases ------------------------------------------------------------------------------------------------------
def releases(
    found: Sequence[tuple[str, Any, list[str]]], history: Sequence[Mapping[str, Any]], head: str = "", *, json: bool
) -> None:
    """Releases, the record of promotions, and the head of the history."""
    if json:
        as_json({"releases": [{"at": at, "digest": r.digest, "channels": c, "release": r} for at, r, c in found],
                 "history": history, "head": head})  # fmt: skip
        return
    rows = [[_when(r.created), r.digest[:12], r.candidate.name, r.created_by, c] for _, r, c in found]
    table(t("Releases"), [t("when"), t("digest"), t("candidate"), t("by"), t("channels")], rows)
    rows = [[_when(h["at"]), h["action"], h["channel"], h["release"][:12], h["by"], _reason(h["why"])] for h in history]
    table(t("Promotions"), [t("when"), t("action"), t("channel"), t("release"), t("by"), t("why")], rows)
    if head:
        text(t("head of the history: {head}", head=head))


def _reason(why: str) -> str:
    """A person's own words; ours in the reader's language."""
    from slipway.release.promote import PASSED

    return t("passed the gate") if why == PASSED else why


def release(found: Any, judged: Any, *, json: bool) -> None:
    """A manifest and its verdict."""
    if json:
        as_json({"digest": found.digest, "release": found, "verdict": judged})
        return
    text(found.ref.short, f"  {found.candidate.short}", f"  {found.report.short}",
         f"  {_when(found.created)} {found.created_by} (slipway {found.slipway})")  # fmt: skip
    if found.history:
        text("  " + t("head of the history: {head}", head=found.history))
    table(t("Pins"), [t("what"), "sha256"], sorted(found.pins.items()))
    verdict(judged, json=False)


def release_difference(found: Mapping[str, tuple[Any, Any]], *, json: bool) -> None:
    """Field by field."""
    if json:
        as_json(found)
        return
    rows = [[k, _short(cell_text(a), 70), _short(cell_text(b), 70)] for k, (a, b) in found.items()]
    table(t("Differences"), [t("field"), t("before"), t("after")], rows)


# traces, feedback, keys, runs, answers -------------------------------------------------------------------------
def traces(found: Sequence[Any], *, json: bool) -> None:
    """Served requests."""
    if json:
        as_json(found)
        return
    rows = [[_when(f.at), f.id, f.channel, f.status, f"{f.seconds:.2f}",
             _short(f.answer.text if f.answer else told(f.error), 60)] for f in found]  # fmt: skip
    columns = [t("when"), t("trace"), t("channel"), t("status"), t("seconds"), t("answer")]
    table(t("Traces"), columns, rows)


def trace(found: Any, said: Sequence[Any], *, json: bool) -> None:
    """One served request."""
    if json:
        as_json({"trace": found, "feedback": said})
        return
    as_json(found)
    feedback(said, json=False)


def feedback(found: Sequence[Any], *, json: bool) -> None:
    """What users said."""
    if json:
        as_json(found)
        return
    rows = [[_when(f.at), f.trace, f.thumb, f.score, f.correction, f.comment] for f in found]
    columns = [t("when"), t("trace"), t("thumb"), t("score"), t("correction"), t("comment")]
    table(t("Feedback"), columns, rows)


def keys(found: Sequence[Mapping[str, Any]], *, json: bool) -> None:
    """API keys."""
    if json:
        as_json(found)
        return
    rows = [
        [k["id"], k["name"], k["scopes"] or t("everything"), k["tenant"], _when(k["at"]), _when(k["revoked"] or "")]
        for k in found
    ]
    table(t("Keys"), ["id", t("name"), t("for"), t("tenant"), t("when"), t("revoked")], rows)


def runs(found: Sequence[Any], *, json: bool) -> None:
    """Executed steps."""
    if json:
        as_json(found)
        return
    rows = [
        [_when(r.started), r.step, r.status, f"{r.seconds:.1f}", r.output.short if r.output else told(r.error)]
        for r in found
    ]
    table(t("Runs"), [t("when"), t("step"), t("status"), t("seconds"), t("output")], rows)


def answer(found: Any, *, json: bool) -> None:
    """An answer and where it comes from."""
    if json:
        as_json(found)
        return
    terminal.block(found.text)
    for n, c in enumerate(found.citations, 1):
        mark = "◀" if c.cited else " "
        text(f"  [{n}]{mark} {c.source}#{c.path[-1] if c.path else ''} ({c.score:.3f})")
    tokens = found.usage.prompt_tokens + found.usage.completion_tokens
    spent = f", {found.cost:.6f} {found.currency}" if found.currency else ""
    text(t("{seconds:.2f} s, {tokens} tokens", seconds=found.seconds, tokens=tokens) + spent)
