"""Feedback becomes a better release, and users who are not there yet are simulated."""

from __future__ import annotations

from slipway.api.served import mine_feedback
from slipway.loop.context import Context
from slipway.loop.improve.record import Turn
from slipway.loop.improve.turn import Options
from slipway.loop.improve.turn import improve as _improve
from slipway.project.fields import Budget


def improve(project: Context, budget: str | None = None, *, dry_run: bool = False) -> Turn:
    """One turn: rows from feedback, candidates within the budget (`10m`, `5 CNY`; default improve.budget), the best of
    them on dev through the gate, a release. `Turn.ended` says how it ended, and everything that was tried is in it.

    Raises Busy while another run is at work, MissingPrerequisite when nothing serves yet, ConfigError for a budget that
    is none.
    """
    options = Options(budget=_budget(budget), dry_run=dry_run)
    return _improve(project, lambda: mine_feedback(project), options)


def _budget(text: str | None) -> Budget | None:
    from pydantic import ValidationError

    from slipway.errors import ConfigError
    from slipway.i18n import t

    if text is None:
        return None
    try:
        return Budget.model_validate(text)
    except ValidationError as error:
        why = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
        raise ConfigError(t("--budget: {why}", why=why), t("for example --budget 10m, or --budget '5 CNY'")) from error
