"""Run a step, or find that it need not be run. The only place that records Runs.

A step's key is the digest of its inputs, its configuration and the code that does it (`slipway.code`). A finished run
with that key whose output is still in the store is used again. Knows nothing of what steps do.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from slipway.core.artifact import Artifact
from slipway.core.material import Dataset
from slipway.core.ref import Ref, digest_of
from slipway.core.report import Report
from slipway.core.run import Run
from slipway.errors import IntegrityError, NotFound, SlipwayError
from slipway.i18n import said_of, say
from slipway.loop.at_work import Live
from slipway.loop.context import Context
from slipway.store.catalog import now

NOUNS = ("dataset", "artifact", "candidate", "report", "verdict", "release")


class Steps:
    """The steps of one `slipway run`, in order; counts what ran and what was used again."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.ran: list[str] = []
        self.cached: list[str] = []
        self._forget_interrupted()

    def step(
        self,
        name: str,
        inputs: Sequence[Ref],
        config: Any,
        code: str,
        work: Callable[[], Ref],
        whole: Callable[[Ref], bool] | None = None,
    ) -> Ref:
        """The output of a step, from an earlier run with the same key or from running `work` now.

        `whole`: whether an output that was made earlier can still be used; by default, whether its noun is there and
        every blob it names has the bytes that it should have. A failure is recorded and raised; what the step had
        stored by then stays and is found by the next try.
        """
        listener, catalog = self._context.listener, self._context.store.catalog
        key = self._key(name, inputs, config, code)
        done = self.finished(name, inputs, config, code, whole)
        if done is not None and done.output is not None:
            self.cached.append(name)
            listener.step(name, "cached", done.seconds)
            return done.output
        run = Run(id=uuid.uuid4().hex, step=name, status="running", started=now(), key=key, inputs=tuple(inputs))
        catalog.record(run)
        if isinstance(listener, Live):
            listener.run = run.id
        listener.step(name, "running")
        started = time.monotonic()

        def end(status: Any, **more: Any) -> float:
            seconds = time.monotonic() - started
            catalog.record(msgspec.structs.replace(run, status=status, seconds=seconds, **more))
            return seconds

        try:
            output = work()
        except KeyboardInterrupt:
            end("interrupted")
            listener.step(name, "interrupted")
            raise
        except BaseException as error:
            end("failed", error=(error.said if isinstance(error, SlipwayError) else said_of(repr(error)),))
            listener.step(name, "failed")
            raise
        seconds = end("done", output=output)
        self.ran.append(name)
        listener.step(name, "done", seconds)
        return output

    def finished(
        self,
        name: str,
        inputs: Sequence[Ref],
        config: Any,
        code: str,
        whole: Callable[[Ref], bool] | None = None,
    ) -> Run | None:
        """The earlier run that makes a step needless, if there is one."""
        done = self._context.store.catalog.finished(self._key(name, inputs, config, code))
        return done if done is not None and done.output is not None and (whole or self._whole)(done.output) else None

    def _key(self, name: str, inputs: Sequence[Ref], config: Any, code: str) -> str:
        return digest_of([name, [str(ref) for ref in inputs], config, code])

    def _whole(self, ref: Ref) -> bool:
        """Whether an output can still be used: its noun is there, and its blobs are there and undamaged."""
        if ref.kind not in NOUNS:
            return True
        store = self._context.store
        try:
            if ref.kind == "artifact":
                blobs = list(store.catalog.get("artifact", ref.digest, Artifact).files.values())
            elif ref.kind == "dataset":
                dataset = store.catalog.get("dataset", ref.digest, Dataset)
                blobs = [dataset.items, dataset.changes]
            elif ref.kind == "report":
                blobs = [store.catalog.get("report", ref.digest, Report).scores]
            else:
                return store.catalog.has(ref.kind, ref.digest)
        except (NotFound, IntegrityError):
            return False
        return all(store.blobs.sound(digest) for digest in blobs if digest)

    def _forget_interrupted(self) -> None:
        """Runs that a killed process left `running` are marked; the lock is held, so no one else is running."""
        for run in self._context.store.catalog.runs(status="running"):
            self._context.store.catalog.record(ended(run))


def ended(run: Run) -> Run:
    """A run that is kept as running, and whose process is gone."""
    return msgspec.structs.replace(run, status="interrupted", error=(say("the process ended before the step did"),))
