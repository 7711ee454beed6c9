"""The first question to a server that has just started: printed as a `curl`, or asked (`up --once`)."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from slipway.cli import terminal
from slipway.core.material import Example
from slipway.errors import SlipwayError
from slipway.i18n import t

if TYPE_CHECKING:
    from slipway.loop.context import Context


def best(opened: Context) -> Example | None:
    """Of the dev split, what the release in service answered best by the first metric of quality. The gate's examples
    are not shown: they would come back as traces. None where there is no such report, or it cannot be read.
    """
    from slipway.api.finding import candidate_of, find, scored

    with suppress(SlipwayError):
        serving = candidate_of(opened, find(opened, "release", opened.project.serve.channel))
        report = find(opened, "report", serving.name, "dev")
        rows = [(one, score) for one, score in scored(opened, report) if not score.answer.error]
        meanings = (report.meaning(name) for name in report.metrics)
        if found := next((one for one in meanings if one.kind == "quality"), None):
            sign = 1 if found.higher_is_better else -1
            rows.sort(key=lambda row: sign * row[1].metrics.get(found.name, found.worst), reverse=True)
        return next((one for one, score in rows if not score.answer.abstained), None)
    return None


def text(opened: Context) -> str:
    """What is asked first, so that the first answer is a good one; a plain question where nothing was measured."""
    found = best(opened)
    return found.text if found else "What can you answer?"


def curl(opened: Context, url: str) -> str:
    """A command line to try; where the server asks for a key, with a place for it."""
    from slipway import api

    key = " -H 'Authorization: Bearer KEY'" if api.keys(opened) else ""
    body = json.dumps(_body(opened), ensure_ascii=False).replace("'", "'\\''")
    return f"  curl -s {url}/v1/chat/completions -H 'Content-Type: application/json'{key} -d '{body}'"


def _body(opened: Context) -> dict[str, Any]:
    return {"model": opened.project.name, "messages": [{"role": "user", "content": text(opened)}]}


def _wait(url: str, seconds: float = 120) -> None:
    """Until the release is verified and its model loaded; the question itself reports what is wrong if it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=10):
                return
        except OSError:
            time.sleep(0.2)


def ask_and_stop(opened: Context, url: str) -> None:
    """Ask once over HTTP from another thread, print the answer, then stop the server as SIGTERM would."""
    body = json.dumps(_body(opened)).encode()
    example = best(opened)

    def ask() -> None:
        try:
            _wait(url)
            request = urllib.request.Request(
                f"{url}/v1/chat/completions", data=body, headers={"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=120) as answer:
                found = json.load(answer)
                if example:
                    terminal.out(t("one of the dev examples, of those that it answered best:"))
                terminal.out(t("input: {text}", text=json.loads(body)["messages"][0]["content"]))
                terminal.block(t("answer: {text}", text=found["choices"][0]["message"]["content"]))
                if example and example.expected:
                    terminal.block(t("expected: {text}", text=example.expected[0]))
                for citation in found.get("slipway", {}).get("citations", []):
                    terminal.out(f"  {citation['source']}#{' > '.join(citation['path'])}")
                terminal.out(t("trace: {id}", id=answer.headers["x-slipway-trace"]))
        except OSError as error:
            terminal.out(t("the served API did not answer: {why}", why=error))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=ask, daemon=True).start()
