"""The protocols are typed so that a wrong call is found before it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CALLS = """
from slipway.core.message import GenerateRequest
from slipway.core.protocols import Completes, Engine, OnEvent, OutOfVocabulary, TellsTrouble

async def right(tell: OnEvent, engine: Engine, request: GenerateRequest) -> None:
    tell("engine.uncounted", {"model": "remote"})
    if isinstance(engine, Completes):
        print((await engine.complete(request)).text)
    if isinstance(engine, OutOfVocabulary):
        print(await engine.out_of_vocabulary("text") > 0.5)

async def wrong(tell: OnEvent, engine: Engine, request: GenerateRequest) -> None:
    tell("the server of 'remote' reports no token usage")  # error
    tell({"model": "remote"}, "engine.uncounted")  # error
    tell("engine.uncounted", model="remote")  # error
    await engine.complete(request)  # error
    if isinstance(engine, Completes):
        await engine.complete("hello")  # error
    if isinstance(engine, TellsTrouble):
        print(await engine.trouble() > 0)  # error
"""


@pytest.mark.slow
def test_pyright_finds_wrong_calls(tmp_path: Path) -> None:
    pytest.importorskip("pyright")
    source = Path(__file__).parents[2] / "src"
    (tmp_path / "calls.py").write_text(CALLS)
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps({"extraPaths": [str(source)], "typeCheckingMode": "strict"})
    )
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "-p", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright does not run here: {done.stderr[-300:]}")
    found = {one["range"]["start"]["line"] for one in json.loads(done.stdout)["generalDiagnostics"]}
    assert found == {at for at, line in enumerate(CALLS.splitlines()) if line.endswith("# error")}
