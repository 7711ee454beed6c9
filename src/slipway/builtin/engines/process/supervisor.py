"""The child process of an engine, kept alive and within its limits. Owns spawning, the end of it, restarts, and the
HTTP session to it.

Does not know what is asked of the child (`http` carries it). The child listens on a unix socket in a folder that only
this user may enter; nothing else can reach it. The child's own side is `child`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.builtin.engines.process.limits import Account, Limits
from slipway.core.protocols import OnEvent
from slipway.errors import EngineError
from slipway.i18n import t

if TYPE_CHECKING:
    import aiohttp

GRACE_SECONDS = 1.0  # between the end of the child's input, SIGTERM, and SIGKILL
NOTICE_SECONDS = 5.0
LOOK_SECONDS = 0.2  # between two looks at the child: what fills a gigabyte a second is caught in time
PING_SECONDS = 1.0
SUSPECT_SECONDS = 5.0
CRASH_WINDOW_SECONDS = 60.0
PAUSE_SECONDS = 60.0  # after too many crashes, before the next try
FOLDER = "slipway-engine-"
SOCKET = "engine.sock"  # llama.cpp listens on a unix socket only when the name ends so


@dataclass(frozen=True)
class ChildSettings:
    """What the child is started with.

    `name`: of the model; `engine` and `runtime`: what to call the engine and what runs in the child; `module`: run with
    `python -m`; `line`: the settings that the module asks for, sent with the socket's path added; `environment`: what
    must be there before native code is loaded. `ping`: a path that is answered by whatever does the work, between two
    pieces of it; `health`: one that is answered while it works, if there is any.
    """

    name: str
    engine: str
    runtime: str
    module: str
    line: Mapping[str, Any]
    load_seconds: float
    max_crashes: int
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    limits: Limits = Limits()
    ping: str = "/alive"
    health: str = "/alive"

    @property
    def names(self) -> dict[str, str]:
        """What messages call the model and what runs it."""
        return {"runtime": self.runtime, "name": self.name}


class _Child:
    """One process that has answered `ready`, and the session to it."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, session: aiohttp.ClientSession) -> None:
        self.process = process
        self.folder = folder
        self.session = session
        self.stderr: deque[str] = deque(maxlen=50)
        self.reader: asyncio.Task[None] | None = None
        self.watch: asyncio.Task[None] | None = None
        self.account: Account | None = None
        self.why = ""  # it was killed

    async def read_stderr(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.read(4096):
            self.stderr.extend(line.decode("utf-8", "replace").splitlines())

    async def end(self) -> None:
        """End of input, then SIGTERM, then SIGKILL; the process is gone and reaped when this returns."""
        if self.watch is not None:
            self.watch.cancel()
        await self.session.close()
        if self.process.stdin is not None:
            self.process.stdin.close()
        for kill in (signal.SIGTERM, signal.SIGKILL, None):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), GRACE_SECONDS if kill else None)
                break
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(kill or signal.SIGKILL)
        if self.reader is not None:
            await asyncio.wait([self.reader], timeout=GRACE_SECONDS)
            self.reader.cancel()
        shutil.rmtree(self.folder, ignore_errors=True)


class EngineProcess:
    """A child that is running whenever `session` returns; one that died is started again, with backoff."""

    def __init__(self, settings: ChildSettings, on_event: OnEvent | None = None) -> None:
        self.settings = settings
        self._on_event = on_event
        self._child: _Child | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._broken: EngineError | None = None
        self._crashes: deque[float] = deque()
        self._suspect: tuple[asyncio.Task[None], float] | None = None
        self.killed: tuple[int, str] = (0, "")  # the last child that was killed for passing a limit, and why

    @property
    def pid(self) -> int | None:
        """Of the running child."""
        return self._child.process.pid if self._child else None

    @property
    def complaints(self) -> str:
        """The last lines the child wrote about what went wrong."""
        return "\n".join(self._child.stderr) if self._child else ""

    async def start(self) -> None:
        """Load the model; raises EngineError when the first load fails, without trying again."""
        self._child = await self._spawn()
        self._ready.set()
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """End the child for good. Idempotent."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        if self._suspect is not None:
            self._suspect[0].cancel()
        child, self._child = self._child, None
        self._ready.set()
        if child is not None:
            await child.end()

    @property
    def stopped(self) -> bool:
        """Whether it was ended for good: what its child leaves unanswered then is no crash."""
        return self._keeper is None

    async def session(self) -> aiohttp.ClientSession:
        """The session to a running child, waiting for a restart if need be. Raises EngineError when there is none."""
        await self._ready.wait()
        if self._child is None:
            raise self._broken or closed(self.settings.name)
        return self._child.session

    async def left(self, pid: int | None) -> None:
        """Wait until the child `pid` is known to be gone; not forever, in case it lives after all."""
        deadline = time.monotonic() + NOTICE_SECONDS
        while self._child is not None and self._child.process.pid == pid and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    def kill(self, why: str) -> None:
        """Kill a child that hangs or takes too much; it is then started again like one that crashed."""
        child = self._child
        if child is not None and child.process.returncode is None:
            child.why = child.why or why
            self.killed = (child.process.pid, child.why)
            self._ready.clear()  # no request is sent to it any more
            child.process.kill()

    async def trouble(self) -> str:
        """Why the child cannot answer now, empty when it can; takes at most a second. Work, however long, is none."""
        child = self._child
        if child is None:
            if self._broken is not None:
                return self._broken.message
            return t("{runtime} is being started again for '{name}'", **self.settings.names)
        hangs = t("{runtime} does not answer for '{name}'", **self.settings.names)
        assert child.account is not None
        if child.account.is_late() or (self._suspect and time.monotonic() - self._suspect[1] > SUSPECT_SECONDS):
            return hangs
        if child.account.beat.since:
            return ""
        if await self._answers(child, self.settings.health, PING_SECONDS):
            return ""
        return "" if child.account.beat.since and not child.account.is_late() else hangs

    def check_back(self, seconds: float) -> None:
        """Kill the child unless it takes up other work within so many seconds; returns at once."""
        child = self._child
        if child is None or (self._suspect and not self._suspect[0].done()):
            return
        self._suspect = (asyncio.create_task(self._check(child, seconds)), time.monotonic())

    async def _check(self, child: _Child, seconds: float) -> None:
        answered = await self._answers(child, self.settings.ping, seconds)
        self._suspect = None
        if not answered and child is self._child:
            self.kill(t("{runtime} did not come back from a request to '{name}'", **self.settings.names))

    async def _answers(self, child: _Child, path: str, seconds: float) -> bool:
        import aiohttp

        try:
            async with asyncio.timeout(seconds), child.session.get(path):
                return True
        except (TimeoutError, aiohttp.ClientError, OSError):
            return False

    async def _watch(self, child: _Child) -> None:
        """Kill the child when it passes a limit."""
        assert child.account is not None
        while not (why := child.account.excess()):
            await asyncio.sleep(LOOK_SECONDS)
        if child is self._child:
            self.kill(why)

    async def _keep(self) -> None:
        """Start the child again each time it dies."""
        while self._child is not None:
            code = await self._child.process.wait()
            self._ready.clear()
            child, self._child = self._child, None
            await child.end()
            self._tell("engine.crashed", code=code, why=child.why, complaints=list(child.stderr)[-5:])
            self._child = await self._restart(child.why or _how(code))
            self._broken = None
            self._ready.set()
            self._tell("engine.restarted", pid=self._child.process.pid)

    async def _restart(self, how: str) -> _Child:
        """The next child. After `max_crashes` within the window requests get an error until one more try succeeds."""
        while True:
            now = time.monotonic()
            self._crashes.append(now)
            while now - self._crashes[0] > CRASH_WINDOW_SECONDS:
                self._crashes.popleft()
            crashes = len(self._crashes)
            if crashes > self.settings.max_crashes:
                await self._pause(crashes, how)
            else:
                await asyncio.sleep(0.1 * 2 ** (crashes - 1) if crashes > 1 else 0)
            try:
                return await self._spawn()
            except (EngineError, OSError) as error:
                self._tell("engine.load_failed", error=str(error))
                how = str(error)

    async def _pause(self, crashes: int, how: str) -> None:
        """Tell callers that there is no child, for a while."""
        self._broken = EngineError(
            t(
                "{runtime} died {n} times within {seconds} s while serving '{name}' (the last time: {how})",
                n=crashes, seconds=int(CRASH_WINDOW_SECONDS), how=how, **self.settings.names,
            ),
            t("it is tried again every minute; look for a request that it cannot take in the log; "
              "`slipway check` checks memory"),
            status=503,
        )  # fmt: skip
        self._tell("engine.gave_up", error=str(self._broken))
        self._ready.set()
        await asyncio.sleep(PAUSE_SECONDS)

    async def _spawn(self) -> _Child:
        import aiohttp

        _sweep()
        folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-", dir=_short_folder()))
        settings = self.settings
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", settings.module,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **settings.environment},
            start_new_session=True,
        )  # fmt: skip
        session = aiohttp.ClientSession(
            "http://engine",
            connector=aiohttp.UnixConnector(str(folder / SOCKET), limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=None),
            raise_for_status=False,
        )
        child = _Child(process, folder, session)
        child.reader = asyncio.create_task(child.read_stderr())
        try:
            await self._await_ready(child)
            child.account = Account(process.pid, folder, settings.limits, settings.names)
            if why := child.account.excess():
                raise EngineError(why, t("raise memory_gb in the model's options"), status=503)
            child.watch = asyncio.create_task(self._watch(child))
        except BaseException:
            await asyncio.shield(child.end())
            raise
        return child

    async def _await_ready(self, child: _Child) -> None:
        settings = self.settings
        assert child.process.stdin is not None
        assert child.process.stdout is not None
        line = {**settings.line, "parent": os.getpid(), "socket": str(child.folder / SOCKET)}
        try:
            child.process.stdin.write(json.dumps(line).encode() + b"\n")
            report = await asyncio.wait_for(child.process.stdout.readline(), settings.load_seconds)
        except TimeoutError:
            raise EngineError(
                t("{runtime} did not load '{name}' within {s} s", s=settings.load_seconds, **settings.names),
                t("a smaller context or model loads faster; `load_seconds` in the model's options allows more"),
                status=503,
            ) from None
        if report and json.loads(report)["event"] == "ready":
            return
        raise await self._load_error(child, report)

    async def _load_error(self, child: _Child, report: bytes) -> EngineError:
        code = await child.process.wait()
        if child.reader is not None:
            await asyncio.wait([child.reader], timeout=GRACE_SECONDS)
        said = [line for line in child.stderr if " E " in line or "rror" in line][:4]  # the first says why
        if report:
            said.append(json.loads(report).get("error", ""))
        return EngineError(
            t("{runtime} could not load '{name}' ({how})", how=_how(code), **self.settings.names),
            "\n".join(said) or t("its file is whole; free memory, or lower `context` and `parallel`"),
            status=503,
        )

    def _tell(self, event: str, **fields: Any) -> None:
        if self._on_event is not None:
            self._on_event(event, {"engine": self.settings.engine, "model": self.settings.name, **fields})


def closed(name: str) -> EngineError:
    """The error of asking an engine that is not running."""
    return EngineError(
        t("the engine of '{name}' is not running", name=name), t("start it first"), retryable=True, status=503
    )


def _how(code: int) -> str:
    """How a process ended, in words: `SIGSEGV`, or `exit status 1`."""
    if code == -signal.SIGKILL:
        return t("killed, which is what the system does when memory runs out")
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return t("exit status {code}", code=code)


def _short_folder() -> str:
    """A folder for sockets whose path leaves room: unix(7) allows 107 bytes."""
    folder = tempfile.gettempdir()
    return folder if len(folder) < 60 else "/tmp"


def _sweep() -> None:
    """Take away the socket folders of processes that were killed before they could do it."""
    for folder in Path(_short_folder()).glob(f"{FOLDER}*"):
        pid = folder.name.removeprefix(FOLDER).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)
