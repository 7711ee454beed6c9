"""What a run works in: the project, its folder and state, the event loop that answers, and someone to tell.

Knows no stage.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Coroutine, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

from slipway.code import Code
from slipway.core.candidate import Candidate, ModelPin
from slipway.core.protocols import Task
from slipway.errors import MissingPrerequisite
from slipway.i18n import t
from slipway.loop.loop_thread import LoopThread
from slipway.loop.model_lock import Lock, locate
from slipway.loop.rates import pinned
from slipway.plugins import Plugins
from slipway.privacy.secrets import named
from slipway.project.plugin_options import check_options
from slipway.project.schema import Project
from slipway.runtime.cost import Rate, make_cost
from slipway.runtime.session import Session
from slipway.store.store import Store

T = TypeVar("T")


class Listener(Protocol):
    """Who is told what happens. The command line draws bars; tests collect; a library user may ignore it all."""

    def say(self, text: str) -> None:
        """One line a person may want to read."""
        ...

    def step(self, name: str, state: str, seconds: float = 0.0) -> None:
        """A step is `running`, `done`, `cached` or `failed`."""
        ...

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Within the running step: `done` of `total` (None: unknown)."""
        ...


class Silent:
    """A listener that does not listen."""

    def say(self, text: str) -> None:
        """Ignore."""

    def step(self, name: str, state: str, seconds: float = 0.0) -> None:
        """Ignore."""

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Ignore."""


class Context:
    """An open project. Use as a context manager: leaving it stops every engine and closes the store."""

    def __init__(self, project: Project, file: Path, listener: Listener | None = None) -> None:
        self.project = project
        self.root = file.parent
        self.file = file
        self.listener: Listener = listener or Silent()
        self.store = Store(self.root / ".slipway", project.store.address(self.root))
        self.code = Code(self.store.catalog)
        self.plugins = Plugins(self.root, self.code)
        self.lock_file = Lock(self.root / "slipway.lock")
        self._loop = LoopThread()
        self._session: Session | None = None

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *_: object) -> None:
        if self._session is not None:
            self._loop.run(self._session.close())
        self._loop.close()
        self.store.close()

    @property
    def session(self) -> Session:
        """Engines and retrievers of this run, on this context's event loop."""
        if self._session is None:
            self._session = Session(
                self.store, self.locate, make_cost(self.project, self.rate_of), self.tell, self.plugins
            )
        return self._session

    @property
    def secrets(self) -> list[str]:
        """What this project names that must never be shown: the keys of its models, the password of its database."""
        options: list[Mapping[str, Any]] = [model.options for model in self.project.models.values()]
        options.append(dataclasses.asdict(self.project.store.address(self.root)))
        return [secret for one in options for secret in named(one)]

    @cached_property
    def task(self) -> Task:
        """What the project's candidates do."""
        config = self.project.task
        return self.plugins.make("tasks", config.name, config.options, "task")

    def check_options(self) -> None:
        """Raise ConfigError, with line and column, for plug-ins that are not there or take other options."""
        check_options(self.project, self.plugins, self.file)

    def tell(self, event: str, details: Mapping[str, Any]) -> None:
        """One line about what an engine did by itself."""
        self.listener.say(f"  {event} " + " ".join(f"{k}={v}" for k, v in details.items()))

    def locate(self, pin: ModelPin) -> Mapping[str, Path]:
        """Where a model's files lie, checked against its pins; those of an artifact lie in the store."""
        if pin.source.startswith("artifact:"):
            return self.store.named(pin.files)
        return locate(pin, self.root)

    def rate_of(self, pin: ModelPin | None) -> Rate | None:
        """How fast a model is, as slipway.lock says; None where that was not measured, or without a model."""
        return pinned(self.lock_file, pin) if pin else None

    def champion(self) -> Candidate:
        """What the project's channel serves. Raises MissingPrerequisite where nothing does."""
        channel, catalog = self.project.serve.channel, self.store.catalog
        digest = catalog.channels().get(channel)
        if digest is None:
            raise MissingPrerequisite(
                t("nothing serves on '{channel}' yet", channel=channel), t("`slipway run` makes the first release")
            )
        return catalog.get("candidate", catalog.release(digest).candidate.digest, Candidate)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run asynchronous work to its end, from any thread: the one bridge between the loop and the runtime."""
        return self._loop.run(work)


def whoami() -> str:
    """Who is recorded as having decided: SLIPWAY_USER, or the operating system's user name."""
    import getpass

    try:
        return os.environ.get("SLIPWAY_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container may run under a user id without a name
        return f"uid:{os.getuid()}"
