"""`slipway console`: where the console of a project is, whether or not it is served already."""

from __future__ import annotations

import http.server
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import slipway
from served import Running
from slipway.cli.console import address, served
from slipway.errors import ConfigError


@pytest.fixture
def other() -> Iterator[int]:
    """The port of a program that is none of ours."""
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made.server_port
    made.shutdown()
    made.server_close()


def test_a_server_that_runs_is_found(server: Running, folder: Path) -> None:
    port = server.address.rpartition(":")[2]
    done = slipway("console", "-C", str(folder), "--port", port)
    assert (done.returncode, done.stdout.strip()) == (0, f"the console is at {server.address}/console")


def test_another_program_is_not_taken_for_it(server: Running, other: int) -> None:
    with pytest.raises(ConfigError, match="something else answers"):
        served("demo", "127.0.0.1", other)
    with pytest.raises(ConfigError, match="something else answers"):
        served("another-project", "127.0.0.1", int(server.address.rpartition(":")[2]))
    assert address("0.0.0.0", 8080) == "http://127.0.0.1:8080"
    assert address("::", 1) == "http://[::1]:1"
    assert address("fd00::1", 1) == "http://[fd00::1]:1"


@pytest.mark.slow
def test_where_none_runs_it_serves(folder: Path) -> None:
    command = [sys.executable, "-m", "slipway", "console", "-C", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+/console", process.stdout.readline())
            assert found
            with urllib.request.urlopen(found[0], timeout=20) as page:
                assert b"<h1>" in page.read()
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
