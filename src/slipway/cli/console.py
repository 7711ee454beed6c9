"""Whether a project's console is served already. Asks the address that the project file names, nothing else."""

from __future__ import annotations

import http.client
from html import escape

from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.text import visible

SECONDS = 5.0


def address(host: str, port: int) -> str:
    """Where a browser finds what listens there."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def served(project: str, host: str, port: int) -> bool:
    """Whether a server of this project answers there; False where nothing does.

    Raises ConfigError where something else does: another project's server, or another program.
    """
    asked = http.client.HTTPConnection(address(host, port).removeprefix("http://"), timeout=SECONDS)
    try:
        asked.request("GET", "/console/sign-in")
        text = asked.getresponse().read(1 << 20).decode("utf-8", "replace")
    except ConnectionRefusedError:
        return False
    except (OSError, http.client.HTTPException):
        text = ""
    finally:
        asked.close()
    if f'<p class="project">{escape(visible.line(project))}</p>' in text:
        return True
    raise ConfigError(
        t("something else answers at {url}", url=address(host, port)),
        t("choose another port for this project: `slipway console --port 8090`, or serve.port"),
    )
