"""What the command-line library says of a wrong command line, in the language in force: its own are English."""

from __future__ import annotations

import re
from collections.abc import Callable

from slipway.errors import nearest
from slipway.i18n import t

_Teller = Callable[[re.Match[str]], str]


def told(message: str) -> str:
    """The message in our own words; one that is not known stays as it is."""
    for pattern, tell in _TELLERS:
        found = re.fullmatch(pattern, message, re.DOTALL)
        if found:
            return tell(found)
    return message


def _wrong_value(found: re.Match[str]) -> str:
    return t("invalid value for {option}: {why}", option=found[1], why=_reason(found[2]))


def _reason(why: str) -> str:
    chosen = re.fullmatch(r"(?:Value error, )?'(.*)' is not one of (.*?)\.?", why, re.DOTALL)
    if chosen:
        near = nearest(chosen[1], re.findall(r"'([^']*)'", chosen[2]))
        what = t("'{value}' is not one of {names}", value=chosen[1][:80], names=chosen[2])
        return what + (t("; did you mean '{near}'?", near=near) if near else "")
    limit = re.fullmatch(r"Input should be (greater|less) than or equal to (\S+)", why)
    if limit and limit[1] == "greater":
        return t("it must be greater than or equal to {n}", n=limit[2])
    if limit:
        return t("it must be less than or equal to {n}", n=limit[2])
    if why.startswith("Input should be a valid integer"):
        return t("must be a whole number")
    return t("must be a number") if why.startswith("Input should be a valid number") else why


def _possible(found: re.Match[str]) -> str:
    near = re.findall(r"--?[\w-]+", found[2] or "")
    return t("No such option: {name}", name=found[1]) + (t("; did you mean '{near}'?", near=near[0]) if near else "")


_TELLERS: tuple[tuple[str, _Teller], ...] = (
    (r"Invalid value for (.*?): (.*)", _wrong_value),
    (r"No such option: (\S+?)(?:[. ] ?((?:Did you mean|\(Possible).*))?", _possible),
    (r"Option (\S+) requires (?:an|\d+) arguments?\.", lambda m: t("the option {name} needs a value", name=m[1])),
    (r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", lambda m: t("too many arguments: {names}", names=m[1])),
    (r"Missing (?:argument|option|parameter)s?:? ?(.*?)\.?", lambda m: t("missing: {name}", name=m[1])),
)
