"""A short run of the fuzzer; the long one is `python bench/fuzz_server.py`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "bench" / "fuzz_server.py"


@pytest.mark.slow
def test_requests_made_from_the_openapi_document_find_nothing() -> None:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    program = shutil.which("schemathesis", path=path)
    if program is None:
        pytest.skip("schemathesis is not installed")
    command = [sys.executable, str(BENCH), "--seconds", "25", "--examples", "40", "--schemathesis", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
