"""What being watched costs: requests a second and CPU of a gateway that sends every request to a collector and has a
monitor beside it, next to a gateway without the two.

    python bench/telemetry.py [--pairs 60] [--seconds 1] [--connections 50] [--only otlp|monitor] [--apart] [--json]
    python bench/telemetry.py --base FILE.gguf --connections 4 --pairs 4 --seconds 20  # a small model answers

Needs `wrk` (apt-get install wrk). Two gateways run at once, each with a store of its own, in front of the stub of
`stub_server.py`, which answers at once: nothing hides what being watched takes. With `--base` a model answers instead.
They are asked in turn for a second each, the order changing with each pair, so that what else the machine does falls on
both: a shared machine is a fifth faster or slower from one minute to the next. What counts is the ratio of all requests
to all requests, with an interval by drawing pairs anew (percentile bootstrap). All processes share two cores.
`--apart` gives one of them to the gateways and the monitor, and the other to what runs on other machines where Slipway
is used: whoever asks, the server of the model, the collector. CPU is that of the gateway's process, from /proc. The
collector is a process of its own that reads and counts; a run fails when a span is neither there nor told as dropped.

The monitor is `slipway monitor`, started as `slipway serve` starts it. It looks every second here (60 by default) and
is behind with reading all the time, so it takes the most that it may: a twentieth of a core. It is stopped (SIGSTOP)
while the other gateway is asked. A run fails when it read nothing.

Goal: at most 10% fewer requests a second.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from gateway import PROJECT, cpu, load, start, wait_ready

HERE = Path(__file__).parent
GOAL = 0.9
WATCHED = """slipway: 1
name: assistant
task: answer
models: {stub: {engine: openai, base_url: "STUB/v1", model: stub}}
candidates: {plain: {model: stub, prompt: prompt.md}}
monitor: {every: 1}
"""


def collect() -> None:
    """The collector's process: it takes everything, and says how many spans came when it is asked."""
    import asyncio

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    bodies: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
                )
                body = await reader.readexactly(length)
                said = b""
                if head.startswith(b"POST /v1/traces"):
                    bodies.append(body)
                elif head.startswith(b"GET"):
                    said = str(sum(map(spans, bodies))).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(said), said))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def spans(body: bytes) -> int:
        read = ExportTraceServiceRequest.FromString(body)
        return sum(len(scope.spans) for resource in read.resource_spans for scope in resource.scope_spans)

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def on(cores: list[int]) -> Generator[None]:
    """What is started inside runs on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start_monitor(root: Path, stub_url: str) -> subprocess.Popen[bytes]:
    """`slipway monitor` of a gateway whose store is in `root`."""
    (root / "slipway.yaml").write_text(WATCHED.replace("STUB", stub_url), "utf-8")
    (root / "prompt.md").write_text("{{ question }}", "utf-8")
    command = [sys.executable, "-m", "slipway", "monitor", "-C", str(root)]
    return subprocess.Popen(command, start_new_session=True)  # as `slipway serve` does, which makes it nice


def monitored(root: Path) -> int:
    """Requests that the monitor has read."""
    from slipway import api
    from slipway.loop.monitor.status import status

    with api.open_project(root) as opened:
        return status(api.monitor(opened)).read


def dropped(url: str) -> int:
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    name = 'slipway_telemetry_spans_total{result="dropped"} '
    return int(float(next((line.removeprefix(name) for line in lines if line.startswith(name)), "0")))


def pairs_of(
    gateways: dict[str, tuple[Any, str]], monitor: Any, args: argparse.Namespace, folder: Path
) -> list[dict[str, dict[str, float]]]:
    """(requests a second, CPU microseconds a request) of each gateway, in turn."""
    script = folder / "post.lua"
    for _, url in gateways.values():
        wait_ready(url)
    for _, url in gateways.values():  # imports, connections, caches
        load(url, (PROJECT, ""), args.connections, 2, script, args.tokens)
    pairs: list[dict[str, dict[str, float]]] = []
    for n in range(args.pairs):
        pair: dict[str, dict[str, float]] = {}
        for name in ("off", "on") if n % 2 == 0 else ("on", "off"):
            process, url = gateways[name]
            if monitor:
                monitor.send_signal(signal.SIGCONT if name == "on" else signal.SIGSTOP)
            before = cpu(process.pid)
            found = load(url, (PROJECT, ""), args.connections, args.seconds, script, args.tokens)
            if found["bad"]:
                sys.exit(f"{name}: {found['bad']:.0f} requests failed")
            time.sleep(1.0)  # what is in the queue belongs to it
            found["cpu_us"] = (cpu(process.pid) - before) / max(found["requests"], 1) * 1e6
            pair[name] = found
        pairs.append(pair)
    return pairs


def ratio_of(pairs: Sequence[dict[str, dict[str, float]]]) -> float:
    """Of all requests a second with, to those without."""
    on, off = (sum(pair[name]["rps"] for pair in pairs) for name in ("on", "off"))
    return on / off


def interval(pairs: Sequence[dict[str, dict[str, float]]], draws: int = 2_000) -> list[float]:
    """95%, of `ratio_of`."""
    random = Random(1)
    drawn = sorted(ratio_of(random.choices(pairs, k=len(pairs))) for _ in range(draws))
    return [drawn[round(0.025 * draws)], drawn[round(0.975 * draws) - 1]]


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All of it, and whether each span and each request is accounted for."""
    cores = sorted(os.sched_getaffinity(0))
    ours, others = (cores[:1], cores[1:]) if args.apart else (cores, cores)
    os.sched_setaffinity(0, others)
    stub, line = start(str(HERE / "stub_server.py"), "0")
    stub_url = f"http://127.0.0.1:{line.split()[-1]}"
    collector, collector_url = start(__file__, "--collect")
    gateways: dict[str, tuple[Any, str]] = {}
    send = () if args.only == "monitor" else ("--collector", collector_url)
    for name, more in (("off", ()), ("on", send)):
        with on(ours):
            gateways[name] = start(
                str(HERE / "gateway.py"), "--serve", str(folder / name / ".slipway"), "--stub", stub_url,
                "--durability", args.durability, "--base", args.base, *more,
            )  # fmt: skip
    with on(ours):
        monitor = None if args.only == "otlp" else start_monitor(folder / "on", stub_url)
    try:
        pairs = pairs_of(gateways, monitor, args, folder)
        lost = dropped(gateways["on"][1]) if send else 0
        gateways["on"][0].send_signal(signal.SIGTERM)
        gateways["on"][0].wait(60)
        with urllib.request.urlopen(collector_url, timeout=60) as answer:
            came = int(answer.read())
    finally:
        started = [*(process for process, _ in gateways.values()), collector, stub, *([monitor] if monitor else [])]
        for process in started:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait(60)
    seen = monitored(folder / "on") if monitor else 0
    if monitor and not seen:
        sys.exit("the monitor read nothing")
    asked = int(sum(pair["on"]["requests"] for pair in pairs))
    if send and came + lost < 2 * asked:
        sys.exit(f"{asked} requests were answered; {came} spans came and {lost} were dropped: some are unaccounted for")
    return {
        "pairs": [{name: pair[name]["rps"] for name in ("off", "on")} for pair in pairs],
        "ratio": ratio_of(pairs),
        "interval": interval(pairs),
        "cpu_us": {name: statistics.median(pair[name]["cpu_us"] for pair in pairs) for name in ("off", "on")},
        "spans": came,
        "dropped": lost,
        "monitored": seen,
        "load": os.getloadavg()[0],
    }


def show(found: dict[str, Any]) -> None:
    for name in ("off", "on"):
        print(f"{name}: {statistics.median(pair[name] for pair in found['pairs']):.0f} requests/s, median")
    off, on = found["cpu_us"]["off"], found["cpu_us"]["on"]
    print(f"CPU of a request: {off:.0f} us without, {on:.0f} us watched ({on / off - 1:+.1%})")
    print(f"spans there {found['spans']}, dropped {found['dropped']}; the monitor read {found['monitored']} requests")
    print(f"load average {found['load']:.1f}")
    least, most = found["interval"]
    good = "yes" if found["ratio"] >= GOAL else "NO"
    print(f"requests/s, on to off: {found['ratio']:.3f} [{least:.3f}, {most:.3f}], {len(found['pairs'])} pairs")
    print(f"at least {GOAL}: {good}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--only", choices=("otlp", "monitor"), help="one of the two ways of being watched")
    parser.add_argument("--apart", action="store_true", help="a core for the gateways, another for everything else")
    parser.add_argument("--durability", default="strict", choices=("strict", "relaxed"))
    parser.add_argument("--base", default="", help="a model's GGUF file, which answers in place of the stub")
    parser.add_argument("--tokens", type=int, default=16, help="of an answer of that model, at most")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--collect", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.collect:
        return collect()
    if not shutil.which("wrk"):
        sys.exit("this benchmark needs wrk: apt-get install wrk")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # children inherit it
    with tempfile.TemporaryDirectory() as folder:
        found = measure(args, Path(folder))
    print(json.dumps(found)) if args.json else show(found)
    return None


if __name__ == "__main__":
    main()
