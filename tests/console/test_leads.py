"""Every number of the console leads to what is behind it, and nothing leads to what the gate holds."""

from __future__ import annotations

import re
import shutil
from collections import deque
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import msgspec
import pytest
from hosting import context

from served import Running, serving
from slipway import api
from slipway.console.material import TEXT, in_parts
from slipway.core.artifact import Artifact
from slipway.core.ref import Ref
from slipway.core.report import Report
from slipway.core.run import Run
from slipway.data.folds import fold_name
from slipway.loop.at_work import at_work
from slipway.loop.context import Context
from slipway.render.cells import Link
from slipway.render.document import Passage
from slipway.store.catalog import now


@pytest.fixture(scope="module")
def twice(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """The project run again after a document and an example changed: two versions of everything."""
    there = tmp_path_factory.mktemp("twice") / "demo"
    shutil.copytree(folder, there)
    (there / "docs" / "mast.md").write_text("# The mast\n\nIt is new.\n", "utf-8")
    (there / "docs" / "empty.md").write_text("", "utf-8")
    with api.open_project(there) as project:
        api.run(project)
    with api.open_project(there) as project:
        yield project


@pytest.fixture(scope="module")
def shown(twice: Context) -> Iterator[Running]:
    with serving(context(twice)) as server:
        server.until("/readyz")
        yield server


def get(server: Running, path: str) -> str:
    reply = server.get(path)
    assert reply.status == 200, (path, reply.body[-800:])
    return reply.body.decode()


def hrefs(text: str) -> list[str]:
    return [unescape(one) for one in re.findall(r'href="(/console[^"#]*)"', text)]


def dev(project: Context, name: str = "grounded") -> Report:
    return api.find(project, "report", name, "dev")


@pytest.mark.slow
def test_a_number_leads_to_its_examples_the_worst_first(twice: Context, shown: Running) -> None:
    found = dev(twice)
    page = get(shown, f"/console/reports/{found.digest}")
    (to,) = {one for one in hrefs(page) if "examples?metric=token_f1" in one and "language" not in one}
    listed = get(shown, to)
    values = [float(one) for one in re.findall(r"token_f1 ([0-9.]+)", listed)]
    assert len(values) == len(api.items(twice, found))
    assert values == sorted(values)
    example = next(one for one in hrefs(listed) if re.search(r"/examples/[0-9a-f]{16}\?", one))
    whole = get(shown, example)
    assert "expected" in whole
    assert "questions.jsonl" in whole, "where it came from"
    assert shown.get(f"/console/reports/{found.digest}/examples?metric=nope").status == 404
    assert shown.get(f"/console/reports/{found.digest}/examples/ffff").status == 404


def test_two_reports_are_compared_on_their_examples(twice: Context, shown: Running) -> None:
    one, two = dev(twice, "plain"), dev(twice)
    page = get(shown, f"/console/compare?before={one.digest}&after={two.digest}&metric=token_f1")
    assert "changed most" in page
    assert "effect, 95% interval" in page


def walked(server: Running, path: str, rel: str) -> list[str]:
    """What is reached from a page by its links of this relation, page after page."""
    found = list[str]()
    while path and len(found) < 200:
        found.append(path)
        leads = re.search(rf'<a rel="{rel}" href="([^"]*)"', get(server, path))
        path = unescape(leads[1]) if leads else ""
    return found


def test_examples_are_walked_in_the_order_and_the_part_that_was_listed(twice: Context, shown: Running) -> None:
    report = dev(twice)
    for asked in ("metric=token_f1", "metric=retrieval_recall&language=en", "facet=x&value=y&metric=token_f1"):
        listed = [one for one in hrefs(get(shown, f"/console/reports/{report.digest}/examples?{asked}"))
                  if re.search(r"/examples/[0-9a-f]{16}\?", one)]  # fmt: skip
        if asked.startswith("facet"):
            assert listed == []
            continue
        assert len(listed) == 8
        assert walked(shown, listed[0], "next") == listed
        assert walked(shown, listed[-1], "prev") == listed[::-1]
        assert f"?{asked.split('&')[0]}" in get(shown, listed[3]), "and back to the list"
        assert "(4 / 8)" in get(shown, listed[3])
    worst = [
        one for one in hrefs(get(shown, f"/console/reports/{report.digest}")) if re.search(r"/examples/\w{16}", one)
    ]
    assert walked(shown, worst[0], "next")[: len(worst)] == worst
    bare = worst[0].partition("?")[0]
    assert "(1 / 8)" in get(shown, bare)
    assert "rel=" not in get(shown, f"{bare}?language=zh").partition("<main")[2], "it is not among those"


def test_what_changed_most_is_walked_with_both_answers(twice: Context, shown: Running) -> None:
    two = f"before={dev(twice, 'plain').digest}&after={dev(twice).digest}&metric=token_f1"
    changed = [one for one in hrefs(get(shown, f"/console/compare?{two}")) if "/compare/" in one]
    assert len(changed) > 2
    assert walked(shown, changed[0], "next") == changed
    assert walked(shown, changed[-1], "prev") == changed[::-1]
    page = get(shown, changed[0])
    assert page.count("<h2>answer</h2>") + page.count("<h3>answer</h3>") == 2
    assert unescape(page).count(f"/console/compare?{two}") == 1
    assert shown.get(f"/console/compare/ffff?{two}").status == 404


def test_items_are_walked_past_those_that_are_held_back(twice: Context, shown: Running) -> None:
    for name in ("examples", "chunks"):
        found = api.find(twice, "dataset", name)
        items = api.items(twice, found)
        free = [n for n, one in enumerate(items) if getattr(one, "split", "") not in ("gate", "reserve")]
        at = f"/console/data/{found.digest}/items/"
        assert walked(shown, f"{at}{free[0]}", "next") == [f"{at}{n}" for n in free]
        assert walked(shown, f"{at}{free[-1]}", "prev") == [f"{at}{n}" for n in free[::-1]]
    assert shown.get(f"{at}-1").status == 404


def test_an_item_leads_to_what_it_was_cut_from(twice: Context, shown: Running) -> None:
    chunks = api.find(twice, "dataset", "chunks")
    page = get(shown, f"/console/data/{chunks.digest}")
    item = get(shown, next(one for one in hrefs(page) if "/items/" in one))
    of = next(one for one in hrefs(item) if "/items/" in one and chunks.digest not in one)
    document = get(shown, of)
    assert "text/markdown" in document
    assert shown.get(f"/console/data/{chunks.digest}/items/100000").status == 404


def test_a_long_document_comes_in_parts_that_are_the_whole_of_it() -> None:
    lines = "".join(f"line {n} of a long document\n" for n in range(12_000))
    for text in (lines, lines.replace("\n", " ")):
        read, to = "", "/items/0"
        while to:
            parts = in_parts(text, "/items/0", int(to.partition("?start=")[2] or 0))
            [passage] = [one.text for one in parts if isinstance(one, Passage)]
            assert len(passage) <= TEXT + 2_000
            assert parts[0] == f"characters {len(read) + 1:,} to {len(read) + len(passage):,} of {len(text):,}"
            read += passage
            to = next((one.to for one in parts if isinstance(one, Link) and one == "next part"), "")
        assert read == text
    [held] = [one for one in in_parts(lines, "/items/0", lines.index("line 8000 ")) if isinstance(one, Passage)]
    assert "line 8000 " in held.text
    assert in_parts("short", "/items/0", 7) == [Passage("short", whole=True)]
    assert any(isinstance(one, Passage) and one.text for one in in_parts(lines, "/items/0", 10**9))


def test_what_was_dropped_and_what_changed_between_versions(twice: Context, shown: Running) -> None:
    documents = api.find(twice, "dataset", "documents")
    page = get(shown, f"/console/data/{documents.digest}")
    assert "docs/empty.md" in get(shown, next(one for one in hrefs(page) if "/changes?reason=" in one))
    before = api.find(twice, "dataset", "documents~1")
    difference = get(shown, f"/console/versions?before={before.digest}&after={documents.digest}")
    assert re.search(r"changed.*docs/mast\.md", difference, re.DOTALL)


def test_nothing_that_can_be_reached_shows_what_the_gate_holds(twice: Context, shown: Running) -> None:
    looks = len(api.gate_looks(twice))
    examples = api.find(twice, "dataset", "examples")
    held = [one.text for one in api.items(twice, examples) if getattr(one, "split", "") == "gate"]  # type: ignore[union-attr]
    assert len(held) > 3
    todo, seen = deque(["/console"]), set[str]()
    while todo:
        path = todo.popleft()
        one = re.sub(r"(/examples/[0-9a-f]+)\?.*", r"\1", path)  # by whatever list: only what is next differs
        if one in seen or "/language/" in path or "/assets/" in path:
            continue
        seen.add(one)
        text = get(shown, path)
        assert [one for one in held if one in unescape(text)] == [], path
        todo.extend(hrefs(text))
    assert len(seen) > 60
    gate = api.find(twice, "report", "grounded", "gate")
    for path in (f"/reports/{gate.digest}/examples", f"/reports/{gate.digest}/examples/{'0' * 16}",
                 f"/compare?before={gate.digest}&after={gate.digest}"):  # fmt: skip
        assert shown.get(f"/console{path}").status == 403, path
    numbers = [n for n, one in enumerate(api.items(twice, examples)) if getattr(one, "split", "") == "gate"]
    assert shown.get(f"/console/data/{examples.digest}/items/{numbers[0]}").status == 404
    assert shown.get(f"/console/data/{examples.digest}/changes").status == 404
    before = api.find(twice, "dataset", "examples")
    page = get(shown, f"/console/versions?before={before.digest}&after={examples.digest}")
    assert [one for one in held if one in unescape(page)] == []
    assert len(api.gate_looks(twice)) == looks


def test_a_report_on_the_gate_shows_each_rule(twice: Context, shown: Running) -> None:
    gate = api.find(twice, "report", "grounded", "gate")
    page = get(shown, f"/console/reports/{gate.digest}")
    assert "at least 0.050" in page
    assert "<svg" in page


def test_a_training_shows_its_losses_and_its_log(twice: Context, shown: Running) -> None:
    lines = b"".join(b'{"done": %d, "loss": %f}\n' % (n, 2 / n) for n in range(1, 20)) + b"not json <b>\n"
    made = Artifact(name="tuned", kind="model", files={}, tuner="sft", log=twice.store.blobs.put(lines))
    twice.store.catalog.put("artifact", "tuned", made)
    done = Run(id="done1", step="adapt/tuned", status="done", started=now(), seconds=3.0,
               output=Ref("artifact", "tuned", made.digest))  # fmt: skip
    twice.store.catalog.record(done)
    page = get(shown, "/console/runs/done1")
    assert "Loss by step" in page
    assert "not json &lt;b&gt;" in page
    assert "data-live" not in page
    with at_work(twice):
        twice.store.catalog.record(Run(id="now1", step="evaluate", status="running", started=now()))
        assert "data-live" in get(shown, "/console/runs/now1")
        for path in ("", "/releases", "/data", "/reports", "/monitor"):
            get(shown, f"/console{path}")
    assert "interrupted" in get(shown, "/console/runs/now1"), "nobody is at work any more"
    twice.store.catalog.record(Run(id="now1", step="evaluate", status="failed", started=now(), error="no"))
    assert shown.get("/console/runs/nope").status == 404


@pytest.mark.slow
def test_each_number_of_a_report_leads_to_as_many_examples_as_it_was_measured_on(
    twice: Context, shown: Running
) -> None:
    found = dev(twice)
    listed = hrefs(get(shown, f"/console/reports/{found.digest}"))
    for metric, whole in found.metrics.items():
        (to,) = [one for one in listed if f"examples?metric={metric}" in one and "language" not in one]
        assert f"{whole.n} examples" in get(shown, to), metric


def test_the_projects_own_metrics_come_first_and_the_worst_are_the_worst_of_them(
    twice: Context, shown: Running
) -> None:
    page = get(shown, "/console/reports")
    titles = re.findall(r"<th(?: [^>]*)?>([^<]*)", page.replace("<wbr>", ""))
    assert titles[3:5] == ["token_f1", "retrieval_recall"]
    found = dev(twice)
    assert any(f"/reports/{found.digest}/examples?metric=token_f1" in one for one in hrefs(page))
    one, two = dev(twice, "plain"), found
    compared = get(shown, f"/console/compare?before={one.digest}&after={two.digest}")
    assert "examples whose token_f1 changed most" in unescape(compared)
    to = next(each for each in hrefs(compared) if each.startswith("/console/compare/"))
    assert "expected" in get(shown, to)
    worst = get(shown, f"/console/reports/{found.digest}").partition("The worst examples")[2]
    values = [float(value) for value in re.findall(r"token_f1 ([0-9.]+)", worst)]
    assert values == sorted(values)


def test_the_sets_of_a_cross_validation_are_one_line_that_leads_to_each(twice: Context, shown: Running) -> None:
    whole = api.find(twice, "dataset", "examples")
    names = [fold_name("examples", n, 3) for n in range(3)]
    for name in names:
        made = msgspec.structs.replace(whole, name=name, lineage=(whole.ref,))
        twice.store.catalog.put("dataset", name, made)
    page = get(shown, "/console/data")
    assert page.count("examples [3 folds]") == 1
    assert "fold-1-of-3" not in page
    assert "examples [3 折]" in shown.get("/console/data", **{"accept-language": "zh"}).body.decode()
    each = get(shown, next(one for one in hrefs(page) if "folds=" in one))
    assert all(name in each for name in names)
    assert whole.ref.short not in each
    assert "nothing yet" in get(shown, "/console/data?folds=<b>")
