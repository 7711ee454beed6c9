"""The first question to a server that has just started: printed as a `curl`, or asked (`up --once`)."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.request
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

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
        if report.candidate.digest != serving.digest:  # of another version of it
            return None
        rows = [(one, score) for one, score in scored(opened, report) if not score.answer.error]
        meanings = (report.meaning(name) for name in report.metrics)
        if found := next((one for one in meanings if one.kind == "quality"), None):
            sign = 1 if found.higher_is_better else -1
            rows.sort(key=lambda row: sign * row[1].metrics.get(found.name, found.worst), reverse=True)
        return next((one for one, score in rows if not score.answer.abstained), None)
    return None


def curl(opened: Context, url: str) -> str:
    """A command line to try; where the server asks for a key, with a place for it."""
    from slipway import api

    key = " -H 'Authorization: Bearer KEY'" if api.keys(opened) else ""
    body = json.dumps(_body(opened, best(opened)), ensure_ascii=False).replace("'", "'\\''")
    return f"  curl -s {url}/v1/chat/completions -H 'Content-Type: application/json'{key} -d '{body}'"


def _body(opened: Context, example: Example | None) -> dict[str, Any]:
    """A plain question where nothing was measured."""
    text = example.text if example else "What can you answer?"
    return {"model": opened.project.name, "messages": [{"role": "user", "content": text}]}


def _wait(url: str, seconds: float = 120) -> None:
    """Until the release is verified and its model loaded; the question itself reports what is wrong if it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=10):
                return
        except OSError:
            time.sleep(0.2)


class Once:
    """Asks once over HTTP from another thread, prints the answer, then stops the server as SIGTERM would."""

    def __init__(self, opened: Context) -> None:
        self._example = best(opened)
        self._body = _body(opened, self._example)
        self._trouble: SlipwayError | None = None

    def __call__(self, url: str) -> None:
        """The server at this address takes requests."""
        threading.Thread(target=self._ask, args=(url,), daemon=True).start()

    def check(self) -> None:
        """Raise SlipwayError where there was no answer."""
        if self._trouble is not None:
            raise self._trouble

    def _ask(self, url: str) -> None:
        self._trouble = SlipwayError(t("the server was stopped before it answered"))
        try:
            _wait(url)
            request = urllib.request.Request(
                f"{url}/v1/chat/completions", json.dumps(self._body).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=120) as answer:
                self._show(json.load(answer), answer.headers["x-slipway-trace"])
            self._trouble = None
        except (OSError, ValueError, LookupError) as error:
            self._trouble = _why(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    def _show(self, found: dict[str, Any], trace: str) -> None:
        if self._example:
            terminal.out(t("one of the dev examples, of those that it answered best:"))
        terminal.out(t("input: {text}", text=self._body["messages"][0]["content"]))
        said, abstained = found["choices"][0]["message"]["content"], found.get("slipway", {}).get("abstained")
        terminal.block(t("answer: {text}", text=t("it abstained") if abstained else said))
        if self._example and self._example.expected:
            terminal.block(t("expected: {text}", text=self._example.expected[0]))
        for citation in found.get("slipway", {}).get("citations", []):
            heading = " > ".join(citation["path"])
            terminal.out(f"  {citation['source']}{'#' if heading else ''}{heading}")
        terminal.out(t("trace: {id}", id=trace))


def _why(error: Exception) -> SlipwayError:
    if isinstance(error, HTTPError) and error.code == HTTPStatus.UNAUTHORIZED:
        return SlipwayError(
            t("the server asks for a key"),
            t("ask it with a key that `slipway keys create NAME` makes: `slipway up` without --once shows how"),
        )
    return SlipwayError(t("the served API did not answer: {why}", why=error), t("its log, above, says more"))
