"""A PostgreSQL server for tests, from the distribution's binaries: on loopback, in a temporary folder, never as root."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.core.database import Address

PASSWORD = "not-the-one-you-think-0815"


def binaries() -> Path:
    """Where initdb and postgres lie; skips the test where there are none."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = [Path(os.path.realpath(path)).parent for path in (shutil.which("initdb"),) if path]
    for place in (*places, *found):
        if (place / "initdb").is_file() and (place / "postgres").is_file():
            return place
    pytest.skip("PostgreSQL is not installed here (Debian: apt install postgresql)")


def with_vectors() -> Path:
    """The same of a server that has pgvector: Debian's, or the one in the wheel `pgserver`."""
    for place in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        version = place.parent.name
        if (place / "initdb").is_file() and Path(f"/usr/share/postgresql/{version}/extension/vector.control").is_file():
            return place
    found = importlib.util.find_spec("pgserver")
    if found is not None and found.origin:
        return Path(found.origin).parent / "pginstall" / "bin"
    pytest.skip("no PostgreSQL with pgvector here (pip install pgserver, or Debian: postgresql-17-pgvector)")


@contextlib.contextmanager
def running(*options: str, programs: Path | None = None) -> Iterator[Server]:
    """A new server, gone afterwards. Not below pytest's folders: those are root's alone."""
    with tempfile.TemporaryDirectory(prefix="slipway-postgres-", ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder), programs)
        server.start(*options)
        try:
            yield server
        finally:
            server.kill()  # nobody needs what is in it


class Server:
    """One server in an empty folder; `kill` is `kill -9` of all its processes."""

    def __init__(self, folder: Path, programs: Path | None = None) -> None:
        self.folder, self._bin = folder, programs or binaries()
        with contextlib.closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._who = "nobody" if os.getuid() == 0 else None
        if self._who:
            user = pwd.getpwnam(self._who)
            os.chown(folder, user.pw_uid, user.pw_gid)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        self._run(
            "initdb", "-D", str(folder / "data"), "-U", "slipway", "--pwfile", str(folder / "password"), "-A", "scram-sha-256",
            "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--wal-segsize", "4",
        )  # fmt: skip
        self.databases = 0

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / name), *arguments],
            capture_output=True,
            text=True,
            user=self._who,
            cwd="/",
            env={},
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers."""
        command = [str(self._bin / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), "-k", ""]
        command += [
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "shared_buffers=16MB",
            "-c",
            "max_connections=40",
            *options,
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, user=self._who, cwd="/", env={}, start_new_session=True
            )
        end = time.monotonic() + 60
        while self.sql("SELECT 1", check=False) is None:
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """As a machine that loses its power, but for what the kernel had not yet written."""
        if self._process is None or self._process.poll() is not None:
            return
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()  # each in a session of its own
        for one in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        self._process.wait()
        end = time.monotonic() + 10
        while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < end:
            time.sleep(0.01)

    def stop(self) -> None:
        """As `systemctl stop` does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def sql(self, statement: str, database: str = "postgres", *, check: bool = True) -> list[tuple] | None:
        """Run a statement as the owner; None when it could not be run and `check` is false."""
        import psycopg

        try:
            with psycopg.connect(
                host="127.0.0.1", port=self.port, user="slipway", password=PASSWORD, dbname=database, autocommit=True
            ) as connection:
                found = connection.execute(statement)
                return found.fetchall() if found.description else []
        except psycopg.Error:
            if check:
                raise
            return None

    def database(self, more: str = "") -> Address:
        """A new, empty database."""
        self.databases += 1
        name = f"d{self.databases}"
        self.sql(f"CREATE DATABASE {name} {more}")
        os.environ["SLIPWAY_TEST_DB_PASSWORD"] = PASSWORD
        return Address(f"postgresql+psycopg://slipway@127.0.0.1:{self.port}/{name}", "SLIPWAY_TEST_DB_PASSWORD")
