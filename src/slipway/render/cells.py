"""How a value is written: the only place where a number, a time or a digest becomes text.

`shown` is for people, `plain` for programs that read a table. Text from outside is not escaped here: each writer knows
what acts in its own form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.core.metrics import METRICS, MetricInfo, format_value, rounded
from slipway.core.report import Aggregate
from slipway.i18n import t
from slipway.render.document import Column
from slipway.render.layout import beginning

SHORT = 12  # characters of a digest that are shown


class Mark(str):
    """A level or an outcome, which a writer may show by its sign: ok, warning, error; pass, fail, insufficient."""


class Link(str):
    """A text that leads to a page of the same server, in a form that has links: `to` is a path that we made."""

    __slots__ = ("to",)
    to: str

    def __new__(cls, text: str, to: str) -> Link:
        """Raises ValueError for what is no path."""
        if not to.startswith("/") or to.startswith("//"):
            raise ValueError(to)
        made = super().__new__(cls, text)
        made.to = to
        return made


@dataclass(frozen=True)
class Amount:
    """A measured number with its unit."""

    value: float
    info: MetricInfo
    currency: str = ""
    signed: bool = False


@dataclass(frozen=True)
class Estimate(Amount):
    """An amount with its interval; None where so few examples give no bound."""

    low: float | None = None
    high: float | None = None


def info_of(metric: str, meanings: Mapping[str, MetricInfo] | None = None) -> MetricInfo:
    """What a metric's numbers mean; one that is not known any more has no unit."""
    return (meanings or {}).get(metric) or METRICS.get(metric) or MetricInfo(name=metric)


def estimate(found: Aggregate | None, info: MetricInfo, currency: str) -> Estimate | None:
    """An aggregate as a cell."""
    return found and Estimate(found.value, info, currency, low=found.low, high=found.high)


def shown(cell: Any, column: Column) -> str:
    """A cell as people read it."""
    if cell is None or cell == "":
        return "-" if column.kind == "measure" else ""
    if isinstance(cell, Amount):
        return amount(cell)
    match column.kind:
        case "time":
            return moment(cell)
        case "digest":
            return cell[:SHORT]
        case "excerpt":
            return excerpt(text(cell), column.most)
        case "bytes":
            return size(cell)
        case "seconds":
            return f"{cell:.2f}" if not 0 < abs(cell) < 0.1 else rounded(cell)
        case "probability":
            return f"{cell:.2g}"
        case _:
            return text(cell)


def plain(cell: Any) -> list[str | int | float]:
    """A cell as programs read it: whole texts, bare numbers; an estimate is value, low and high."""
    if isinstance(cell, Estimate):
        return [cell.value, *("" if bound is None else bound for bound in (cell.low, cell.high))]
    if isinstance(cell, Amount):
        return [cell.value]
    if isinstance(cell, int | float):
        return [cell]
    return [text(cell)]


def amount(cell: Amount) -> str:
    """`0.412`, `1.31 s`; with its interval `0.412 [0.331, 0.493]`, without an upper bound `1.31 s [1.2, ∞)`."""
    value = format_value(cell.info, cell.value, cell.currency, signed=cell.signed)
    return f"{value} {interval(cell)}" if isinstance(cell, Estimate) else value


def duration(seconds: float) -> str:
    """`1.31 s`, `0.0029 s`."""
    return format_value(METRICS["latency_p50"], seconds)


def price(value: float, currency: str) -> str:
    """What one answer cost: `0.0041 CNY`, `0.00000049 CNY`; empty where nothing is known."""
    return format_value(METRICS["cost_per_query"], value, currency) if currency else ""


def interval(cell: Estimate) -> str:
    """Without the unit, which stands beside it."""
    low, high = (
        None if bound is None else format_value(cell.info, bound, cell.currency, signed=cell.signed).split(" ")[0]
        for bound in (cell.low, cell.high)
    )
    return f"{'(-∞' if low is None else f'[{low}'}, {'∞)' if high is None else f'{high}]'}"


def unbounded(cells: Any) -> list[str]:
    """The note below a table in which an interval has no end."""
    open_ = any(isinstance(cell, Estimate) and (cell.low is None or cell.high is None) for cell in cells)
    return [t("∞: so few examples give no bound on this side")] if open_ else []


def text(value: Any) -> str:
    """Any other value."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and 1e4 <= abs(value) < 1e12 else f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(text, value))
    return str(value)


def part(done: int, total: int | None) -> str:
    """How far something is: `12 / 40`, or megabytes when the numbers are bytes of a download."""
    if total is not None and total > 1_000_000:
        return f"{done / 1e6:.0f} / {total / 1e6:.0f} MB"
    return f"{done} / {total}" if total is not None else str(done)


def left(seconds: float) -> str:
    """How long something still takes at its pace."""
    if seconds < 120:
        return t("about {n:.0f} s left", n=seconds)
    return t("about {n:.0f} min left", n=seconds / 60)


def moment(at: str) -> str:
    """A point in time to the second, UTC."""
    return at[:19].replace("T", " ")


def excerpt(value: str, most: int) -> str:
    """The beginning, in one line."""
    flat = " ".join(value.split())
    return flat if len(flat) <= most else beginning(flat, most - 1) + "…"


def size(n: float) -> str:
    """Bytes in decimal units: `12.3 MB`."""
    if n < 1000:
        return f"{n:.0f} B"
    for unit in ("KB", "MB"):
        n /= 1000
        if n < 1000:
            return f"{rounded(n, 3)} {unit}"
    return f"{rounded(n / 1000, 3)} GB"
