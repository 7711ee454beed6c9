"""Choosing a model: what fits the needs, and what is measured when models are asked."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.loop.choosing import bench as _bench
from slipway.loop.choosing import recommend as _recommend
from slipway.loop.context import Context, Listener
from slipway.project.fields import Money


def bench(
    models: Sequence[str],
    project: Context | None = None,
    prompts: Sequence[str] = (),
    examples: int = 20,
    *,
    engine: str | None = None,
    key_env: str = "",
    per_hour: str = "",
    listener: Listener | None = None,
) -> _bench.Bench:
    """Ask models (names of the project, sources, files, URL#model) with prompts (candidates or files), on dev.

    Without a project a built-in set of texts is asked, for speed only. `engine` loads local models that the project
    does not have; `key_env` names the variable that holds a server's key. `per_hour`: what the machine costs,
    `0.50 CNY`.
    """
    asking = _bench.Asking(
        models=models, prompts=prompts, examples=examples, engine=engine, key_env=key_env,
        per_hour=Money.model_validate(per_hour) if per_hour else None,
    )  # fmt: skip
    return _bench.bench(asking, project, listener)


def recommend(needs: _recommend.Needs, project: Context | None = None) -> _recommend.Advice:
    """Known and local models against needs; each that is left out with its reasons. Fetches and loads nothing."""
    return _recommend.recommend(needs, project)
