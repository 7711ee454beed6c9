"""What a person typed into a form that was not taken: it is told, and nothing of it is lost.

A browser forgets the fields of a page that must not be stored, so the answer to a form that failed holds them again:
to read, to send once more, and, where the session has ended, to carry over the sign-in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slipway.console import page
from slipway.console.page import ROOT
from slipway.i18n import t
from slipway.render import html
from slipway.render.document import Document, Part, Passage, Section

Fields = Mapping[str, Sequence[str]]
AGAIN = frozenset((429, 500, 502, 503, 504))
"""Statuses after which the very same may be taken a moment later."""
MOST = 260_000  # bytes of a sign-in that carries a form over
_SENT, _TO, _FROM = "sent.", "sent-to", "sent-from"


def told(fields: Fields) -> str:
    """What was sent, to be read and copied."""
    texts = [(name, one) for name, values in fields.items() for one in values if one.strip()]
    parts: list[Part] = [Section(name, [Passage(one, whole=True)], 3) for name, one in texts]
    if not parts:
        return ""
    return html.body(Document(None, [Section(t("What you sent"), parts)]))


def refused(path: str, where: str, fields: Fields, status: int) -> str:
    """Below the reason why a form was not taken. `path`: what it was sent to; `where`: the page it stood on."""
    again = _form(path, t("Send it again"), fields) if status in AGAIN else ""
    back = f'<p class="around"><a href="{page.line(where)}">{page.line(t("back to the form"))}</a></p>'
    return again + back + told(fields)


def ended(path: str, where: str, fields: Fields, why: str) -> str:
    """Asks a person whose session is over for the key, and carries what they sent. `why`: said above."""
    kept = _hidden({_TO: [path], _FROM: [where], **{f"{_SENT}{name}": values for name, values in fields.items()}})
    note = page.notice(why, "bad")
    return note + sign_in(where, kept) + told(fields)


def sign_in(where: str, more: str = "") -> str:
    """The form that takes the key, then leads on to a page. `more`: HTML of ours."""
    asked = page.field("key", t("API key"), type="password", required="", autocomplete="current-password")
    hidden = _hidden({"next": [where]}) + '<input type="text" name="user" autocomplete="username" hidden>'
    return page.form(f"{ROOT}/sign-in", t("Sign in"), hidden + more, asked, method="post")


def carried(given: Fields) -> tuple[str, str, dict[str, Sequence[str]]]:
    """(path, page of the form, fields) that a sign-in brought along; of another one, nothing."""
    path, where = (next(iter(given.get(name, ())), "") for name in (_TO, _FROM))
    return path, where, {name.removeprefix(_SENT): one for name, one in given.items() if name.startswith(_SENT)}


def resumed(path: str, where: str, fields: Fields) -> str:
    """After the sign-in: what was sent before, to be sent now."""
    note = page.notice(t("You are signed in again. What you sent before was not taken yet."))
    return note + refused(path, where, fields, 503)


def _form(path: str, label: str, fields: Fields) -> str:
    return page.form(path, label, _hidden(fields), method="post")


def _hidden(fields: Fields) -> str:
    """Fields that come back as they are: a new line stays one."""
    return "".join(
        f'<textarea name="{page.line(name)}" hidden>\n{page.raw(value)}</textarea>'
        for name, values in fields.items()
        for value in values
    )
