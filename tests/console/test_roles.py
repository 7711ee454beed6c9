"""Keys for one thing only: each lands on a page that it may see, and is offered what it may do."""

from __future__ import annotations

import shutil
from pathlib import Path

from hosting import context

from served import serving
from slipway import api


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
            for name, may in (("reader", False), ("boss", True)):
                status, shown = get(name, f"/releases/{digest}")
                assert status == 200
                assert ("/promote" in shown) is may, name
                assert ("/console/rollback" in get(name, "/releases")[1]) is may, name
                assert ("/console/forget" in get(name, "/kept")[1]) is may, name
