"""What `slipway check` says of serving: what is sent to a collector, and whether it can be."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.errors import SlipwayError
from slipway.i18n import t
from slipway.loop.finding import Finding
from slipway.project.schema import Project
from slipway.serve.telemetry.headers import read_headers


def check_serving(project: Project) -> Iterator[Finding]:
    """Nothing is sent or asked here."""
    telemetry = project.serve.telemetry
    if telemetry.endpoint is None:
        return
    try:
        headers = read_headers(telemetry.headers_env)
    except SlipwayError as error:
        yield Finding("error", error.message, error.hint)
        return
    if headers and telemetry.endpoint.startswith("http://"):
        yield Finding(
            "warning",
            t(
                "serve.telemetry.headers_env: what it holds is sent to {address} unencrypted",
                address=telemetry.endpoint,
            ),
            t("use https, unless the collector is on this machine"),
        )
    if telemetry.bodies:
        yield Finding(
            "warning",
            t("serve.telemetry.bodies: {what} of users go to {address}", what=", ".join(telemetry.bodies),
              address=telemetry.endpoint),
            t("they are personal data; serve.redact masks what looks like some"),
        )  # fmt: skip
