"""What serving is given: made by the caller that starts a server, so that nothing here looks for projects or models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.core.candidate import ModelPin
from slipway.core.release import Release
from slipway.project.schema import ServeConfig
from slipway.runtime.session import Session
from slipway.store.store import Store


@dataclass(frozen=True)
class ServeContext:
    """`verify` re-hashes what a release pins and raises IntegrityError; it runs in a thread, before a release serves.

    `models` are the raw models, asked by their own names. `session` is closed by the server when it ends. `console`:
    makes what answers under `/console`, of the parts of the server (`serve.admin.routes.Inside`).
    `telemetry_headers`: what a collector is sent besides, such as a token.
    """

    project: str
    config: ServeConfig
    store: Store
    session: Session
    verify: Callable[[Release], object]
    console: Callable[[Any], Any] | None = None
    models: Mapping[str, ModelPin] = field(default_factory=dict[str, ModelPin])
    telemetry_headers: Mapping[str, str] = field(default_factory=dict[str, str])
