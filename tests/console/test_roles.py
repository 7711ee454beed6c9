"""Keys for one thing only: each lands on a page that it may see, and is offered what it may do."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path

import msgspec
from hosting import context

from served import Reply, serving
from slipway import api
from slipway.core.answer import Answer
from slipway.loop.context import Context
from slipway.loop.labelling.room import Person, Plan
from slipway.testing.catalogs import feedback_of, trace_of


def test_each_key_sees_what_it_is_for(folder: Path, tmp_path: Path) -> None:
    there = Path(shutil.copytree(folder, tmp_path / "demo"))
    with api.open_project(there) as project:
        asked = {"reader": ["read"], "labeller": ["label"], "asker": ["ask"], "boss": ["read", "admin"]}
        keys = {name: api.create_key(project, name, scopes)[1] for name, scopes in asked.items()}
        digest = project.store.catalog.channels()["production"]
        with serving(context(project)) as server:
            server.until("/readyz")

            def get(name: str, path: str = "") -> tuple[int, str]:
                reply = server.get(f"/console{path}", authorization=f"Bearer {keys[name]}")
                return reply.status, reply.headers.get("location", "") or reply.body.decode()

            assert get("labeller") == (303, "/console/labelling")
            assert get("asker") == (303, "/console/playground")
            _, labelling = get("labeller", "/labelling")
            assert 'href="/console/labelling"' in labelling
            assert 'href="/console/traces"' not in labelling, "it leads to a refusal"
            assert get("labeller", "/traces")[0] == 403
            disputed(project)
            queue = "asked"
            status, listed = get("reader", "/labelling")
            assert (status, f'href="/console/labelling/{queue}"' in listed) == (200, True)
            assert 'href="/console/labelling"' in get("reader")[1], "how a queue stands needs the scope read"
            assert f'href="/console/labelling/{queue}/work"' in get("labeller", "/labelling")[1]
            for name, may in (("reader", False), ("boss", True)):
                status, shown = get(name, f"/releases/{digest}")
                assert status == 200
                assert ("/promote" in shown) is may, name
                assert ("/console/rollback" in get(name, "/releases")[1]) is may, name
                assert ("/console/forget" in get(name, "/kept")[1]) is may, name


def test_no_page_leads_to_a_refusal(folder: Path, tmp_path: Path) -> None:
    """Whatever a key may see, no link on it leads to what the key is not for, and no form is shown that is refused."""
    there = Path(shutil.copytree(folder, tmp_path / "demo"))
    scopes = {"reader": ["read"], "labeller": ["label"], "asker": ["ask"], "both": ["label", "read"]}
    with api.open_project(there) as project:
        keys = {name: api.create_key(project, name, of)[1] for name, of in scopes.items()}
        disputed(project)
        with serving(context(project)) as server:
            server.until("/readyz")
            for name, key in keys.items():
                reached = follow(lambda path, key=key: server.get(path, authorization=f"Bearer {key}"))
                assert [path for path, status, _ in reached if status == 403] == [], name
                assert len(reached) > 1, name
                forms = {
                    action for _, _, text in reached for action in re.findall(r'method="post" action="([^"]+)"', text)
                }
                mine = {
                    "labeller": r"/labelling/|/language|/sign-out",
                    "both": r"/labelling/\w+/(items|undo)|/language|/sign-out",
                    "reader": r"/language|/sign-out",
                    "asker": r"/playground|/language|/sign-out",
                }[name]
                assert [one for one in forms if not re.search(mine, one)] == [], name


def follow(get: Callable[[str], Reply]) -> list[tuple[str, int, str]]:
    """(path, status, page) of what can be reached by links, few of each kind."""
    todo, kinds, found = ["/console"], dict[str, int](), list[tuple[str, int, str]]()
    seen = {*todo}
    for path in todo:
        kind = re.sub(r"/\d+$|[0-9a-f]{12,}", "ID", path.partition("?")[0])
        kinds[kind] = kinds.get(kind, 0) + 1
        if kinds[kind] > 2 or "/export" in path or "/language" in path:
            continue
        reply = get(path)
        text = reply.body.decode() if reply.status == 200 else ""
        found.append((path, reply.status, text))
        links = [reply.headers.get("location", ""), *re.findall(r'href="(/console[^"#]*)', text)]
        for link in map(unescape, links):
            if link.startswith("/console") and link not in seen:
                seen.add(link)
                todo.append(link)
    return found


def disputed(project: Context) -> None:
    """A queue that is done, with an item that two people do not agree on."""
    trace = trace_of(
        request={"messages": [{"role": "user", "content": "When is it open?"}]},
        answer=Answer(text="never", raw="never"),
    )
    project.store.catalog.add_traces([trace], [feedback_of(trace, thumb="down")])
    queues = api.labelling(project)
    queues.create(Plan(name="asked", picks=("thumbs-down",), annotators=2))
    for name, verdict in (("ann", "accept"), ("bob", "wrong")):
        work = queues.next("asked", Person(name))
        assert work is not None
        queues.judge("asked", work.item.id, Person(name), {"decision": verdict})


def test_two_releases_are_compared_the_newest_with_the_one_before(folder: Path, tmp_path: Path) -> None:
    there = Path(shutil.copytree(folder, tmp_path / "demo"))
    with api.open_project(there) as project:
        (_, first, _) = api.releases(project)[0]
        second = msgspec.structs.replace(first, note="again")
        project.store.catalog.put("release", second.name, second)
        order = [one.digest for _, one, _ in api.releases(project)]
        with serving(context(project)) as server:
            server.until("/readyz")
            page = server.get("/console/releases").body.decode()
        chosen = re.search(r'name="before">.*?value="(\w+)" selected', page)
        assert chosen is not None
        assert chosen[1] == order[1]
