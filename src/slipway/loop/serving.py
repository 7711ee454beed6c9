"""Join the project to the server: channels, raw models, prices, and the check before a release serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slipway.errors import NotFound
from slipway.i18n import t
from slipway.loop.context import Context
from slipway.loop.indexing import indexing
from slipway.loop.model_lock import pin_models
from slipway.loop.retain import daily, retention
from slipway.release.bundle import verify
from slipway.runtime.cost import make_cost
from slipway.runtime.session import Session
from slipway.serve.resources import ServeContext
from slipway.serve.server import run
from slipway.serve.telemetry.headers import read_headers


def serve(
    context: Context,
    host: str | None,
    port: int | None,
    ready: Callable[[str], None] | None,
    console: Callable[[Any], Any] | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; `ready` is told the base URL when requests are accepted. `console`: as in
    `ServeContext`.

    Raises NotFound when there is nothing to serve: no release in any channel, and no model.
    """
    project, store = context.project, context.store
    config = project.serve.model_copy(update={k: v for k, v in (("host", host), ("port", port)) if v is not None})
    if not store.catalog.channels() and not project.models:
        raise NotFound(t("there is nothing to serve: no release, no model"), "slipway run")
    context.check_options()
    pins = pin_models(project, context.root, context.lock_file, context.listener.progress, context.plugins)
    session = Session(store, context.locate, make_cost(project, context.rate_of), context.tell, context.plugins)
    session.own.learn(context.secrets)
    headers = read_headers(config.telemetry.headers_env if config.telemetry.endpoint else "")
    with daily(store, retention(project)), indexing(store):
        run(
            ServeContext(
                project=project.name,
                config=config,
                store=store,
                session=session,
                verify=lambda release: verify(release, store, context.locate),
                models=pins,
                console=console,
                telemetry_headers=headers,
            ),
            ready,
        )
