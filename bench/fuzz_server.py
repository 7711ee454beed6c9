"""Fuzz the server by its own OpenAPI document: no 5xx, no crash, no hang, no status that is not written down.

    python bench/fuzz_server.py [--seconds 240] [--seed 1]

Needs schemathesis (pip install schemathesis), beside this Python or where --schemathesis says. Serves a release and a
raw model of the echo engine in a child process, sends requests of valid and of invalid shape for the given time, and
ends with 1 on any finding: a server error, a status or a content type that the document does not have, a body that its
schema does not describe, an answer slower than 5 s, or a server that no longer answers afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method", "allow_header_conformance",
)  # fmt: skip


def serve(folder: str) -> None:
    """The server's process: one release, one raw model, both echo."""
    from slipway.core.candidate import Candidate, ModelPin
    from slipway.core.message import Sampling
    from slipway.core.ref import Ref
    from slipway.core.release import Release
    from slipway.project.schema import ServeConfig
    from slipway.runtime.session import Session
    from slipway.serve.resources import ServeContext
    from slipway.serve.server import run
    from slipway.store.store import Store

    store = Store(Path(folder))
    pin = ModelPin(name="writer", engine="echo", source="", options={})
    candidate = Candidate(
        name="plain", task="answer", model=pin, prompt="{{ question }}", sampling=Sampling(max_tokens=64)
    )
    store.catalog.put("candidate", "plain", candidate)
    release = Release(
        name="fuzzed", candidate=candidate.ref, report=Ref("report", "fuzz", "0" * 64),
        verdict=Ref("verdict", "fuzz", "0" * 64), pins={}, created="", created_by="bench", slipway="0",
    )  # fmt: skip
    store.catalog.put("release", "fuzzed", release)
    store.catalog.promote("production", release.digest, by="bench", why="bench")
    context = ServeContext(
        project="fuzzed",
        config=ServeConfig(port=0),
        store=store,
        session=Session(store, lambda pin: {}),
        verify=lambda release: None,
        models={"writer": pin},
    )
    run(context, lambda address: print(address, flush=True))


def program() -> str:
    """schemathesis beside this Python, or on the path."""
    beside = Path(sys.executable).parent / "schemathesis"
    return str(beside) if beside.exists() else "schemathesis"


def document(address: str, folder: Path) -> Path:
    """The server's OpenAPI document, with names and an id that exist: made-up ones would only ever test the 404."""
    with urllib.request.urlopen(f"{address}/openapi.json", timeout=10) as answer:
        found = json.load(answer)
    asked = json.dumps({"model": "fuzzed", "messages": [{"role": "user", "content": "hello"}]}).encode()
    head = {"content-type": "application/json"}
    request = urllib.request.Request(f"{address}/v1/chat/completions", data=asked, headers=head)
    for _ in range(100):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                trace = answer.headers["x-slipway-trace"]
                break
        except urllib.error.HTTPError:  # the release is still being loaded
            time.sleep(0.1)
    else:
        sys.exit("the server never answered")
    schemas = found["components"]["schemas"]
    for name in ("ChatRequest", "CompletionRequest", "EmbeddingRequest"):
        schemas[name]["properties"]["model"] = {"type": "string", "enum": ["fuzzed", "writer"]}
    schemas["FeedbackBody"]["properties"]["trace"] = {"type": "string", "enum": [trace]}
    path = folder / "openapi.json"
    path.write_text(json.dumps(found))
    return path


def fuzz(address: str, args: argparse.Namespace) -> int:
    """Run schemathesis against a server; returns its exit code."""
    folder = Path(args.folder)
    command = [
        args.schemathesis or program(), "run", str(document(address, folder)), "--url", address,
        "--checks", ",".join(CHECKS), "--max-time", str(args.seconds), "--seed", str(args.seed),
        "--continue-on-failure", "--max-response-time", "5", "--request-timeout", "30", "--no-color",
        "--warnings", "off", "--phases", "examples,coverage,fuzzing", "--max-examples", str(args.examples),
    ]  # fmt: skip
    return subprocess.run(command, cwd=folder, check=False, timeout=args.seconds + 120).returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=int, default=240)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--schemathesis", help="the program, when it is not beside this Python")
    parser.add_argument("--serve", metavar="FOLDER", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        args.folder = folder
        command = [sys.executable, __file__, "--serve", f"{folder}/state"]
        with Path(folder, "log").open("wb") as errors:
            server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
        assert server.stdout is not None
        address = server.stdout.readline().decode().strip()
        try:
            code = fuzz(address, args)
            with urllib.request.urlopen(f"{address}/healthz", timeout=5) as answer:
                alive = answer.status == 200
        finally:
            server.send_signal(signal.SIGTERM)
            ended = server.wait(60)
        log = Path(folder, "log").read_text("utf-8")
    defects = [line for line in log.splitlines() if "Traceback" in line or '"level": "error"' in line]
    print("\n".join(defects[:20]))
    print(f"schemathesis: {code}; answered afterwards: {alive}, ended with {ended}; errors logged: {len(defects)}")
    sys.exit(1 if code or not alive or ended or defects else 0)


if __name__ == "__main__":
    os.environ.setdefault("SLIPWAY_LANG", "en")
    main()
