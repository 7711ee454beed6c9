"""What the gateway costs: requests a second and latency in front of an OpenAI-compatible stub, beside the stub alone.

    python bench/gateway.py [--seconds 8] [--rounds 3] [--durability strict] [--json]

Needs `wrk` (apt-get install wrk). Stub, gateway and load share two cores. One process serves; every answer's trace is
durable (fsync) before it is sent. Three ways are measured, each with 50 connections and with 1: `stub` alone, `raw`
(a model by its name), `release` (the channel, whose candidate is a plain prompt), both through the `openai` engine.
Rounds are interleaved; the best round counts, since other work on the machine only ever makes a round worse. CPU is
the gateway's own, from /proc, so it depends little on what else runs. Each run checks that every answer was a 200 and
that every acknowledged one has its trace.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PROJECT, STREAM = "assistant", '"stream":true,'
LUA = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"model":"%s",%s"max_tokens":TOKENS,' ..
  '"messages":[{"role":"user","content":"What are the three verdicts of the gate?"}]}'
function done(summary, latency, requests)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  print(string.format('{"requests":%%d,"seconds":%%f,"p50":%%f,"p99":%%f,"bad":%%d}', summary.requests,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, bad))
end
"""
GOALS = {"raw": (700, 3.0)}


def serve(folder: str, stub: str, durability: str, collector: str = "", base: str = "") -> None:
    """The gateway's process. `collector`: where it sends telemetry, which is otherwise off. `base`: a model's GGUF file
    that answers in place of the stub.
    """
    from slipway.core.candidate import Candidate, ModelPin
    from slipway.core.message import Sampling
    from slipway.core.ref import Ref
    from slipway.core.release import Release
    from slipway.project.schema import ServeConfig
    from slipway.project.telemetry import TelemetryConfig
    from slipway.runtime.session import Session
    from slipway.serve.resources import ServeContext
    from slipway.serve.server import run
    from slipway.store.store import Store

    store = Store(Path(folder))
    pin = ModelPin(name="stub", engine="openai", source="", options={"base_url": f"{stub}/v1", "model": "stub"})
    if base:
        sha256 = hashlib.sha256(Path(base).read_bytes()).hexdigest()
        options = {"context": 1024, "parallel": 4, "measure": False}
        pin = ModelPin(
            name="stub",
            engine="llama",
            source="",
            options=options,
            files={Path(base).name: sha256},
        )
    candidate = Candidate(
        name="plain", task="answer", model=pin, sampling=Sampling(max_tokens=64),
        prompt="Answer in few words.\n\nQuestion: {{ question }}\nAnswer:",
    )  # fmt: skip
    store.catalog.put("candidate", "plain", candidate)
    release = Release(
        name=PROJECT, candidate=candidate.ref, report=Ref("report", "bench", "0" * 64),
        verdict=Ref("verdict", "bench", "0" * 64), pins={}, created="", created_by="bench", slipway="0",
    )  # fmt: skip
    store.catalog.put("release", PROJECT, release)
    store.catalog.promote("production", release.digest, by="bench", why="bench")
    context = ServeContext(
        project=PROJECT,
        config=ServeConfig(
            port=0, parallel=64, durability=durability, telemetry=TelemetryConfig(endpoint=collector or None)
        ),  # type: ignore[arg-type]
        store=store,
        session=Session(store, lambda pin: {Path(base).name: Path(base)} if base else {}),
        verify=lambda release: None,
        models={"stub": pin},
    )
    run(context, lambda address: print(address, flush=True))


def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    """A child that prints its address in its first line."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        sys.exit(f"{arguments[0]} did not start")
    return process, line


def cpu(pid: int) -> float:
    """CPU seconds of a process so far, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(
    url: str, body: tuple[str, str], connections: int, seconds: int, script: Path, tokens: int = 64
) -> dict[str, float]:
    """One run of wrk."""
    script.write_text(LUA.replace("TOKENS", str(tokens)) % body)
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "60", "-s", str(script)]
    wrk.append(f"{url}/v1/chat/completions")
    found = json.loads(subprocess.run(wrk, check=True, capture_output=True, text=True).stdout.strip().split("\n")[-1])
    return {**found, "rps": found["requests"] / found["seconds"]}


def measure(args: argparse.Namespace, folder: str) -> dict[str, Any]:
    stub, line = start(str(HERE / "stub_server.py"), "0")
    stub_url = f"http://127.0.0.1:{line.split()[-1]}"
    gateway, url = start(__file__, "--serve", folder, "--stub", stub_url, "--durability", args.durability)
    script = Path(folder) / "post.lua"
    ways = {"stub": (stub_url, "stub", ""), "raw": (url, "stub", ""), "release": (url, PROJECT, "")}
    if args.stream:
        ways["stub, streamed"] = (stub_url, "stub", STREAM)
        ways["release, streamed"] = (url, PROJECT, STREAM)
    best: dict[str, Any] = {}
    sent = 0
    try:
        wait_ready(url)
        for name, connections in [(name, c) for _ in range(args.rounds) for c in (50, 1) for name in ways]:
            address, *body = ways[name]
            before = cpu(gateway.pid)
            found = load(address, (body[0], body[1]), connections, args.seconds, script)
            found["cpu_us"] = (cpu(gateway.pid) - before) / max(found["requests"], 1) * 1e6
            if found["bad"]:
                sys.exit(f"{name}: {found['bad']:.0f} requests failed")
            sent += 0 if address == stub_url else int(found["requests"])
            slot = best.setdefault(f"{name} x{connections}", found)
            if found["rps"] > slot["rps"]:
                best[f"{name} x{connections}"] = found
    finally:
        for process in (gateway, stub):
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    best["traces"] = count_traces(folder)
    if best["traces"] < sent:
        sys.exit(f"{sent} answers were acknowledged, {best['traces']} have a trace")
    return best


def wait_ready(url: str) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit("the gateway never got ready")


def count_traces(folder: str) -> int:
    import sqlite3

    with sqlite3.connect(f"{folder}/catalog.db") as database:
        return int(database.execute("SELECT count(*) FROM traces").fetchone()[0])


def show(found: dict[str, Any]) -> None:
    print(f"{'':24}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU us/req':>12}{'of stub':>9}")
    for name, row in found.items():
        if name == "traces":
            continue
        stub = found[("stub, streamed x" if "streamed" in name else "stub x") + name.rpartition("x")[2]]
        own = "" if name.startswith("stub") else f"{row['cpu_us']:.0f}"
        print(f"{name:24}{row['rps']:12.0f}{row['p50']:9.2f}{row['p99']:9.2f}{own:>12}{row['rps'] / stub['rps']:9.3f}")
    print(f"traces on disk: {found['traces']}; load average {os.getloadavg()[0]:.1f}")
    for way, (least, most) in GOALS.items():
        good = found[f"{way} x50"]["rps"] >= least and found[f"{way} x1"]["p50"] <= most
        print(f"{way}: at least {least} requests/s at 50 and p50 at most {most} ms at 1: {'yes' if good else 'NO'}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--durability", default="strict", choices=("strict", "relaxed"))
    parser.add_argument("--stream", action="store_true", help="measure streamed answers as well")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--stub", help=argparse.SUPPRESS)
    parser.add_argument("--collector", default="", help=argparse.SUPPRESS)
    parser.add_argument("--base", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve(args.serve, args.stub, args.durability, args.collector, args.base)
    if not shutil.which("wrk"):
        sys.exit("this benchmark needs wrk: apt-get install wrk")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # children inherit it
    with tempfile.TemporaryDirectory() as folder:
        found = measure(args, folder)
    print(json.dumps(found)) if args.json else show(found)
    return None


if __name__ == "__main__":
    main()
