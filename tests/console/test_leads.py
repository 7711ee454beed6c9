"""Every number of the console leads to what is behind it, and nothing leads to what the gate holds."""

from __future__ import annotations

import re
import shutil
from collections import deque
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from hosting import context

from served import Running, serving
from slipway import api
from slipway.core.artifact import Artifact
from slipway.core.ref import Ref
from slipway.core.report import Report
from slipway.core.run import Run
from slipway.loop.context import Context
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
    (to,) = {one for one in hrefs(page) if "metric=token_f1" in one and "language" not in one}
    listed = get(shown, to)
    values = [float(one) for one in re.findall(r"token_f1 ([0-9.]+)", listed)]
    assert len(values) == len(api.items(twice, found))
    assert values == sorted(values)
    example = next(one for one in hrefs(listed) if re.search(r"/examples/[0-9a-f]{16}$", one))
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


def test_an_item_leads_to_what_it_was_cut_from(twice: Context, shown: Running) -> None:
    chunks = api.find(twice, "dataset", "chunks")
    page = get(shown, f"/console/data/{chunks.digest}")
    item = get(shown, next(one for one in hrefs(page) if "/items/" in one))
    document = get(shown, next(one for one in hrefs(item) if "/items/" in one))
    assert "text/markdown" in document
    assert shown.get(f"/console/data/{chunks.digest}/items/100000").status == 404


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
        if path in seen or "/language/" in path or "/assets/" in path:
            continue
        seen.add(path)
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
    assert "data-live" not in get(shown, "/console/runs")
    twice.store.catalog.record(Run(id="now1", step="evaluate", status="running", started=now()))
    assert "data-live" in get(shown, "/console/runs")
    assert "data-live" in get(shown, "/console/runs/now1")
    twice.store.catalog.record(Run(id="now1", step="evaluate", status="failed", started=now(), error="no"))
    assert shown.get("/console/runs/nope").status == 404


@pytest.mark.slow
def test_each_number_of_a_report_leads_to_as_many_examples_as_it_was_measured_on(
    twice: Context, shown: Running
) -> None:
    found = dev(twice)
    listed = hrefs(get(shown, f"/console/reports/{found.digest}"))
    for metric, whole in found.metrics.items():
        (to,) = [one for one in listed if f"metric={metric}" in one and "language" not in one]
        assert f"{whole.n} examples" in get(shown, to), metric


def test_the_projects_own_metrics_come_first_and_the_worst_are_the_worst_of_them(
    twice: Context, shown: Running
) -> None:
    page = get(shown, "/console/reports")
    titles = re.findall(r"<th(?: [^>]*)?>([^<]*)", page)
    assert titles[3:5] == ["token_f1", "retrieval_recall"]
    found = dev(twice)
    assert any(f"/reports/{found.digest}/examples?metric=token_f1" in one for one in hrefs(page))
    one, two = dev(twice, "plain"), found
    compared = get(shown, f"/console/compare?before={one.digest}&after={two.digest}")
    assert "examples whose token_f1 changed most" in unescape(compared)
    to = [each for each in hrefs(compared) if "/examples/" in each]
    assert {each.split("/")[3] for each in to} == {one.digest, two.digest}
    assert "expected" in get(shown, to[0])
    worst = get(shown, f"/console/reports/{found.digest}").partition("The worst examples")[2]
    values = [float(value) for value in re.findall(r"token_f1 ([0-9.]+)", worst)]
    assert values == sorted(values)
