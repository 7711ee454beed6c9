"""`kill -9` at random instants of `slipway run` with the real models: does it resume, is all that is visible whole?

    python bench/kill_run.py [--kills 50] [--seed 1] [--project FOLDER]

Starts `slipway run` on a project made by `slipway init` (or a copy of FOLDER), kills it after a random time, looks at
the state, and starts it again, until so many kills have happened; whenever a run finishes, its state is deleted and the
next begins from nothing. After each kill it checks that every noun in the catalog matches its digest, that every
blob a dataset or report names is whole, and that no process of the run is left after two seconds. At the end one run
must finish and its release must verify. Prints one line a kill and a summary; exit 1 when a check failed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from slipway import api
from slipway.core.material import Dataset
from slipway.core.report import Report
from slipway.store.store import Store


def family(group: int) -> list[int]:
    """Processes of the run that are still there: same session, or children that left it (they name our folder)."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                environ = (entry / "environ").read_bytes()
            except OSError:
                continue
            if stat[0] != "Z" and (int(stat[2]) == group or f"SLIPWAY_KILL_TEST={group_tag}".encode() in environ):
                found.append(int(entry.name))
    return found


group_tag = f"{os.getpid()}"


def whole(state: Path) -> str:
    """What is wrong with a state folder, or an empty string."""
    if not (state / "catalog.db").exists():
        return ""
    store = Store(state)
    try:
        for _, dataset in store.catalog.list("dataset", Dataset):
            store.catalog.get("dataset", dataset.digest, Dataset)
            store.blobs.verify(dataset.items)
        for _, report in store.catalog.list("report", Report):
            store.blobs.verify(report.scores)
        for _, release, _ in [(0, store.catalog.release(d), 0) for d in store.catalog.channels().values()]:
            for what, digest in release.pins.items():
                if what.startswith("blob:"):
                    store.blobs.verify(digest)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the finding
        return repr(error)
    finally:
        store.close()
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--longest", type=float, default=25.0, help="seconds; instants are drawn log-uniformly from 0.1"
    )
    parser.add_argument("--project", type=Path, help="a project to copy; default a new one from the template")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "demo"
        if options.project:
            shutil.copytree(options.project, folder, ignore=shutil.ignore_patterns(".slipway"))
        else:
            api.init(folder)
        command = [sys.executable, "-m", "slipway", "run", "-C", str(folder)]
        environment = os.environ | {"SLIPWAY_KILL_TEST": group_tag}
        kills = bad = finished = 0
        while kills < options.kills:
            wait = 0.1 * (options.longest / 0.1) ** chance.random()
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                     start_new_session=True, env=environment)  # fmt: skip
            try:
                _, said = child.communicate(timeout=wait)
            except subprocess.TimeoutExpired:
                os.kill(child.pid, signal.SIGKILL)
                child.communicate()
                kills += 1
                end = time.monotonic() + 2
                while (left := family(child.pid)) and time.monotonic() < end:
                    time.sleep(0.05)
                damage = whole(folder / ".slipway")
                bad += bool(left or damage)
                print(
                    f"kill {kills:3d} after {wait:6.2f} s: orphans {len(left)}, state {damage or 'whole'}", flush=True
                )
                continue
            if child.returncode not in (0, 1):
                bad += 1
                print(f"a run ended with {child.returncode}: {said[-300:]}", flush=True)
            finished += 1
            shutil.rmtree(folder / ".slipway")
        last = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        with api.open_project(folder) as project:
            checked = len(api.verify(project, "production")) if last.returncode == 0 else 0
        print(f"{kills} kills, {finished} runs finished between them, {bad} bad; "
              f"the last run: exit {last.returncode}, {checked} pins verified")  # fmt: skip
        return 1 if bad or last.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
