"""Nothing phones home: the whole loop in a network namespace, and not one packet sent towards the outside."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slipway import api
from slipway.errors import SlipwayError
from slipway.testing.projects import write_project

LOOPBACK = "ip link set lo up"
# A way out that leads nowhere: an attempt to reach anything (a name server, a socket) is sent and counted here.
COUNTED = (
    f"{LOOPBACK}; ip link add out type veth peer name far; "
    "for n in out far; do echo 1 > /proc/sys/net/ipv6/conf/$n/disable_ipv6; ip link set $n up; done; "
    "ip addr add 192.0.2.1/24 dev out; ip route add default via 192.0.2.2"
)
COUNT = "echo packets=$(awk '$1 == \"out:\" {print $11}' /proc/net/dev)"  # transmitted, address resolution included


def inside(setup: str, *commands: str) -> subprocess.CompletedProcess[str]:
    script = f"set -e; {setup}; " + "; ".join(commands)
    return subprocess.run(
        ["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, timeout=900, check=False
    )


@pytest.fixture(scope="module", autouse=True)
def namespaces() -> None:
    if not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("needs unshare and ip (packages util-linux and iproute2)")
    if inside(COUNTED, COUNT).returncode:
        pytest.skip("this machine does not let us make a network namespace")


def up(folder: Path) -> str:
    return f"{sys.executable} -m slipway up {folder} --once"


@pytest.mark.slow
def test_packets_out_are_counted() -> None:
    """The measure itself works: one attempt to reach something is seen."""
    reach = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('198.51.100.1', 53))"
    done = inside(COUNTED, f'{sys.executable} -c "{reach}"', "sleep 0.2", COUNT)
    assert "packets=" in done.stdout
    assert "packets=0" not in done.stdout


@pytest.mark.slow
def test_the_loop_with_echo_on_loopback_only_and_counted(tmp_path: Path) -> None:
    done = inside(LOOPBACK, up(write_project(tmp_path / "a").parent))
    assert done.returncode == 0, done.stderr
    assert "trace:" in done.stdout
    done = inside(COUNTED, up(write_project(tmp_path / "b").parent), COUNT)
    assert done.returncode == 0, done.stderr
    assert "packets=0" in done.stdout


@pytest.mark.slow
def test_the_loop_with_the_real_models(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    api.init(folder)
    try:
        with api.open_project(folder) as project:
            api.pull_models(project)
    except SlipwayError as error:
        pytest.skip(f"the models cannot be fetched: {error}")
    done = inside(COUNTED, up(folder), COUNT)
    assert done.returncode == 0, done.stderr
    assert "packets=0" in done.stdout, done.stdout
    assert "trace:" in done.stdout
