"""`serve.telemetry` of the project file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from slipway.project.fields import Seconds, Strict, WebAddress


class TelemetryConfig(Strict):
    """Traces and metrics for an OpenTelemetry collector, by OTLP over HTTP. Docs: telemetry."""

    endpoint: WebAddress | None = None  # such as http://localhost:4318; without one nothing is sent
    headers_env: str = ""  # the environment variable with headers for it: name=value, with commas between them
    sample: float = Field(default=1.0, ge=0, le=1)  # share of requests whose spans are sent; metrics tell of all
    bodies: list[Literal["input", "answer", "passages"]] = []  # texts that go with spans: personal data
    queue: int = Field(default=2048, ge=1, le=100_000)  # requests that may wait to be sent; what is more is dropped
    every: Annotated[Seconds, Field(ge=0.1, le=3600)] = 5.0
