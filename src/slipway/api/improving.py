"""Feedback becomes a better release, and users who are not there yet are simulated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from slipway.api.project import open_project
from slipway.api.served import mine_feedback
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.loop import simulate as _simulate
from slipway.loop.context import Context, Listener
from slipway.loop.drift import Drift, Drifting, Mix
from slipway.loop.feedback import Reading
from slipway.loop.improve.record import Turn
from slipway.loop.improve.turn import Options
from slipway.loop.improve.turn import improve as _improve
from slipway.project.fields import Budget
from slipway.project.load import in_words

PLAIN = _simulate.Traffic()
STEADY = Drift()
UNTOUCHED = 0.3  # of a pool, kept to measure with


def improve(project: Context, budget: str | None = None, *, dry_run: bool = False, shared: Sequence[str] = ()) -> Turn:
    """One turn: rows from feedback, candidates within the budget (`10m`, `5 CNY`; default improve.budget), the best of
    them on dev through the gate, a release. `Turn.ended` says how it ended, and everything that was tried is in it.

    `shared`: keys behind which many people ask, as for `mine_feedback`. Raises Busy while another run is at work,
    MissingPrerequisite when nothing serves yet, ConfigError for a budget that is none.
    """
    options = Options(budget=_budget(budget), dry_run=dry_run)
    return _improve(project, lambda: mine_feedback(project, Reading(shared=shared)), options)


def simulate(
    project: Context,
    pool: Path,
    traffic: _simulate.Traffic = PLAIN,
    url: str = "",
    key: str = "",
    drift: Drift = STEADY,
    other: Path | None = None,
    seen: Callable[[_simulate.Asked], None] | None = None,
) -> _simulate.Simulated:
    """Ask what serves the questions of a file of examples, and say of each answer what users would.

    `url`: of a running server of the project; without it the channel is asked here. Rows close to an example of dev,
    gate or reserve are not asked. `drift`: what changes on the way, and the days that the traffic spans; `other`: a
    file of questions of another topic; `seen` is told of each request. Raises ConfigError where none is left,
    MissingPrerequisite when nothing serves.
    """
    asking = _simulate.OverHttp(project, url, key) if url else _simulate.InProcess(project)
    found = _simulate.pool_of(project, pool, seed=traffic.seed)
    usual = Mix(found.asked, traffic.languages, 0, traffic.seed).usual
    elsewhere = _simulate.pool_of(project, other, seed=traffic.seed).asked if other is not None else []
    drifting = Drifting(drift, found.asked, elsewhere, traffic.seed, usual)
    drifting.check(over_http=bool(url))
    return _simulate.simulate(project, found, traffic, asking, drifting=drifting, seen=seen)


def learning_curve(
    folder: str | Path,
    pool: Path,
    traffic: _simulate.Traffic = PLAIN,
    turns: int = 5,
    budget: str | None = None,
    overrides: Sequence[str] = (),
    listener: Listener | None = None,
    told: Callable[[_simulate.Curve], None] | None = None,
) -> _simulate.Curve:
    """Simulate and improve in turn, and measure what serves each time on a share of the pool that is never asked.

    `told` gets the curve after each point.
    """
    _budget(budget)
    with open_project(folder, overrides, listener) as project:
        found = _simulate.pool_of(project, pool, UNTOUCHED, traffic.seed)
        if not found.untouched:
            raise ConfigError(
                t("{path} has too few rows to keep some to measure with", path=pool.name), t("name a larger file")
            )
        Mix(found.asked, traffic.languages, 0, traffic.seed)  # raises for a mix that there cannot be
        curve = _simulate.Curve(metric="", n=len(found.untouched))
        _measure(project, curve, found, 0, told)
    for turn in range(1, turns + 1):
        with open_project(folder, overrides, listener) as project:
            first = (turn - 1) * traffic.requests
            curve.traffic.append(_simulate.simulate(project, found, traffic, _simulate.InProcess(project), first))
        with open_project(folder, overrides, listener) as project:
            ended = improve(project, budget).ended
        with open_project(folder, overrides, listener) as project:
            _measure(project, curve, found, turn, told, ended)
    return curve


def _measure(
    project: Context,
    curve: _simulate.Curve,
    pool: _simulate.Pool,
    turn: int,
    told: Callable[[_simulate.Curve], None] | None,
    ended: str = "",
) -> None:
    curve.metric, value = _simulate.quality(project, pool.untouched)
    said = sum(one.up + one.down for one in curve.traffic)
    point = _simulate.Point(
        turn=turn, feedback=said, candidate=project.champion().name, value=value.value, low=value.low,
        high=value.high, ended=ended,
    )  # fmt: skip
    curve.points.append(point)
    if told is not None:
        told(curve)


def _budget(text: str | None) -> Budget | None:
    from pydantic import ValidationError

    if text is None:
        return None
    try:
        return Budget.model_validate(text)
    except ValidationError as error:
        why = in_words(dict(error.errors(include_url=False)[0]))
        raise ConfigError(t("--budget: {why}", why=why), t("for example --budget 10m, or --budget '5 CNY'")) from error
