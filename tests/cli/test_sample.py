"""The command that a server that begins tells people to try."""

from __future__ import annotations

import shlex
from pathlib import Path

from slipway import api
from slipway.cli.sample import curl


def test_it_has_a_place_for_the_key_that_the_server_asks_for(ran: Path) -> None:
    with api.open_project(ran) as project:
        assert "Authorization" not in curl(project, "http://127.0.0.1:8080")
        api.create_key(project, "ann")
        words = shlex.split(curl(project, "http://127.0.0.1:8080"))
        assert "Authorization: Bearer KEY" in words
