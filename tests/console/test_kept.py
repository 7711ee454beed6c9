"""The page of what is kept: the rules, what there is, what was deleted when and why; and deleting, in two steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from test_console import Acting, context, page, submit

from served import Running, serving
from slipway import api
from slipway.core.erasure import Erasure
from slipway.loop.context import Context
from slipway.store.gc import expire_records
from slipway.store.retention import Retention
from slipway.testing.catalogs import feedback_of, trace_of
from slipway.testing.projects import write_project

WHO = "Paulina Quistgaard"
RULES = ["serve.bodies=0.25", "store.retention.traces=90d", "store.retention.size=2 GB"]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Context]:
    folder = write_project(tmp_path / "demo").parent
    with api.open_project(folder, RULES) as found:
        asked = trace_of(request={"messages": [{"role": "user", "content": f"I am {WHO}"}]})
        found.store.catalog.add_traces([asked, trace_of()], [feedback_of(asked, thumb="down")])
        yield found


@pytest.fixture
def server(project: Context) -> Iterator[Running]:
    with serving(context(project)) as found:
        yield found


def deletions(project: Context) -> list[Erasure]:
    return api.kept(project).deleted


def test_rules_and_what_there_is_are_shown_in_both_languages(server: Running) -> None:
    english, chinese = (page(server, "/kept", **{"accept-language": language}) for language in ("en", "zh"))
    for text in ("90 days", "2 GB", "25%", "without limit", "Nothing was deleted yet", "No telemetry is sent"):
        assert text in english, text
    assert "Nothing was deleted yet" not in chinese
    assert not Acting(english).found
    assert "aria-current=page" in english


def test_what_would_go_is_told_first_and_goes_when_it_is_confirmed(server: Running, project: Context) -> None:
    given = {"way": "matching", "what": WHO, "why": "asked for by letter"}
    told = submit(server, "/forget", given)
    assert told.status == 200
    assert b"Would be deleted" in told.body
    assert b"--yes" not in told.body
    assert len(project.store.catalog.traces(10)) == 2
    assert submit(server, "/forget/confirmed", given).status == 400
    assert len(project.store.catalog.traces(10)) == 2
    done = submit(server, "/forget/confirmed", {**given, "confirmed": "yes"})
    assert (done.status, done.headers["location"]) == (303, "/console/kept")
    assert len(project.store.catalog.traces(10)) == 1
    note = deletions(project)[0]
    assert (note.kind, note.why, note.traces, note.feedback) == ("forget", "asked for by letter", 1, 1)
    shown = page(server, "/kept")
    assert "asked for by letter" in shown
    assert WHO not in shown
    again = submit(server, "/forget", given)
    assert b"nothing of it is here" in again.body
    assert submit(server, "/forget/confirmed", {**given, "confirmed": "yes"}).status == 303
    assert len(deletions(project)) == 1


@pytest.mark.parametrize(
    "wrong", [{}, {"way": "yes", "what": "x", "why": "y"}, {"way": "user", "what": " ", "why": "y"},
              {"way": "user", "what": "x", "why": ""}, {"way": "user", "what": "nobody", "why": "y"}],
)  # fmt: skip
def test_a_form_that_lacks_something_is_refused_in_words(server: Running, wrong: dict[str, str]) -> None:
    for path in ("/forget", "/forget/confirmed"):
        reply = submit(server, path, {**wrong, "confirmed": "yes"})
        assert reply.status in (400, 404)
        assert b"Traceback" not in reply.body


def test_hostile_reasons_and_texts_are_inert(server: Running) -> None:
    hostile = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    given = {"way": "matching", "what": hostile, "why": hostile, "confirmed": "yes"}
    assert not Acting(submit(server, "/forget", given).body.decode()).found
    assert submit(server, "/forget/confirmed", {**given, "what": WHO}).status == 303
    assert not Acting(page(server, "/kept")).found


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null"])
def test_a_form_of_another_page_deletes_nothing(server: Running, project: Context, origin: str | None) -> None:
    for path in ("/forget", "/forget/confirmed"):
        given = {"way": "matching", "what": WHO, "why": "x", "confirmed": "yes"}
        assert submit(server, path, given, origin).status == 403
    assert len(project.store.catalog.traces(10)) == 2


def test_only_an_admin_deletes(project: Context) -> None:
    keys = {scope: api.create_key(project, scope, [scope])[1] for scope in ("ask", "read", "admin")}
    given = {"way": "matching", "what": WHO, "why": "x", "confirmed": "yes"}
    with serving(context(project)) as server:
        for scope in ("ask", "read"):
            for path in ("/forget", "/forget/confirmed"):
                assert submit(server, path, given, authorization=f"Bearer {keys[scope]}").status == 403
        assert server.get("/console/kept", authorization=f"Bearer {keys['read']}").status == 200
        assert len(project.store.catalog.traces(10)) == 2
        assert submit(server, "/forget/confirmed", given, authorization=f"Bearer {keys['admin']}").status == 303
    assert deletions(project)[0].by == "admin"


def test_what_goes_by_itself_is_noted_once_and_says_why(server: Running, project: Context) -> None:
    expire_records(project.store, Retention(traces=1e-6))
    expire_records(project.store, Retention(traces=1e-6))
    (note,) = deletions(project)
    assert (note.kind, note.traces, note.feedback) == ("retention", 2, 1)
    assert "over its time or its size" in page(server, "/kept")
