"""One page: navigation, forms, the document in between. All that others wrote is escaped; what may act is our own.

A page loads its style sheet and its script from this server and nothing else from anywhere (Content-Security-Policy):
no inline style or script runs, no image is fetched, forms are sent to this server only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from functools import cache
from html import escape
from importlib.resources import files

from starlette.responses import HTMLResponse

from slipway.i18n import language, t
from slipway.render import html
from slipway.render.document import Document
from slipway.serve.auth.caller import SCOPES, Scope
from slipway.text import visible

ROOT = "/console"
ASSETS = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "labelling.js": "text/javascript; charset=utf-8",
}
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


NEEDS: dict[str, tuple[Scope, ...]] = {"/labelling": ("label", "read"), "/playground": ("ask",)}
"""Page of the navigation -> the scopes of which it needs one, where that is not `read`."""


@cache
def asset(name: str) -> bytes:
    """A file of ours. The style sheet is that of reports, and what only a console needs."""
    own = files("slipway.console").joinpath("assets", name).read_bytes()
    return html.style().encode() + b"\n" + own if name.endswith(".css") else own


def page(
    title: str,
    document: Document | str,
    *,
    project: str,
    at: str = "",
    before: str = "",
    after: str = "",
    signed_in: bool = False,
    scopes: Collection[str] = SCOPES,
    status: int = 200,
) -> HTMLResponse:
    """A whole page. `document`: what it shows, or HTML of ours; `before`, `after`: HTML of ours around it (forms).

    `at`: the path of this page, for its place in the navigation and for the same page in the other language. `scopes`:
    of who looks; pages that need another one are not in the navigation.
    """
    body = document if isinstance(document, str) else html.body(document)
    other, named = ("zh", "中文") if language() == "en" else ("en", "English")
    text = f"""<!DOCTYPE html>
<html lang="{"zh-CN" if language() == "zh" else "en"}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{line(title)} · {line(project)}</title>
<link rel="stylesheet" href="{_address("console.css")}">
<script src="{_address("console.js")}" defer></script>
</head>
<body>
<a class="skip" href="#main">{line(t("Skip to the content"))}</a>
<header><p class="project">{line(project)}</p>
<nav aria-label="{line(t("Pages"))}"><ul>{_links(at, scopes)}</ul></nav>
<div class="session"><a href="{ROOT}/language/{other}" hreflang="{other}" lang="{other}">{named}</a>
{_sign_out() if signed_in else ""}</div></header>
<main id="main" tabindex="-1">
<h1>{line(title)}</h1>
{before}
{body}
{after}
</main>
</body>
</html>
"""
    return HTMLResponse(text, status, HEADERS)


def line(text: str) -> str:
    """A text of somebody else in one line of HTML, also as the value of an attribute."""
    return escape(visible.line(text))


def raw(text: str) -> str:
    """A text as the content of a field, which gives it back exactly; what would act stands in it as a number."""
    shown = escape(text)
    if shown.isprintable():
        return shown
    return "".join(one if one in "\n\r\t" or one.isprintable() else f"&#{ord(one)};" for one in shown)


def field(name: str, label: str, value: str = "", **attributes: str) -> str:
    """A labelled input. `attributes`: of ours, such as `type="password"`."""
    more = "".join(f' {key.rstrip("_")}="{escape(given)}"' for key, given in attributes.items())
    return f'<label>{line(label)} <input name="{name}" value="{line(value)}"{more}></label>'


def choice(name: str, label: str, options: Sequence[tuple[str, str]], value: str = "") -> str:
    """A labelled list to choose one of: (value, text)."""
    found = "".join(
        f'<option value="{line(key)}"{" selected" if key == value else ""}>{line(text)}</option>'
        for key, text in options
    )  # fmt: skip
    return f'<label>{line(label)} <select name="{name}">{found}</select></label>'


def area(name: str, label: str, value: str = "") -> str:
    """A labelled field of several lines."""
    text = escape(visible.block(value))
    return f'<label class="broad">{line(label)} <textarea name="{name}" rows="4" required>\n{text}</textarea></label>'


def box(name: str, value: str, label: str, *, checked: bool) -> str:
    """A labelled box to tick."""
    mark = " checked" if checked else ""
    return f'<label class="box"><input type="checkbox" name="{name}" value="{line(value)}"{mark}> {line(label)}</label>'


def group(title: str, fields: str) -> str:
    """Fields under a title."""
    return f"<fieldset><legend>{line(title)}</legend>{fields}</fieldset>"


def button(name: str, value: str, label: str) -> str:
    """One of several that send a form."""
    return f'<button name="{name}" value="{line(value)}">{line(label)}</button>'


def form(action: str, button: str, *fields: str, method: str = "get") -> str:
    """A form that is sent to this server."""
    return (
        f'<form method="{method}" action="{escape(action)}">{"".join(fields)}<button>{line(button)}</button></form>'
    )  # fmt: skip


def around(*links: tuple[str, str, str]) -> str:
    """Links above a page: (relation, address, text); one without an address is left out. The keys n, p and u follow
    the relations `next`, `prev` and `up`.
    """
    kept = [(f'rel="{rel}" ' if rel else "", escape(to), line(text)) for rel, to, text in links if to]
    shown = " ".join(f'<a {rel}href="{to}">{text}</a>' for rel, to, text in kept)
    return f'<p class="around">{shown}</p>' if shown else ""


def script(name: str) -> str:
    """A script of ours that one kind of page needs."""
    return f'<script src="{_address(name)}" defer></script>'


def notice(text: str, kind: str = "good") -> str:
    """A sentence that a screen reader says at once."""
    return f'<p class="notice {kind}" role="status">{line(text)}</p>'


def _address(name: str) -> str:
    """With a mark of its content, so that a browser may keep it."""
    return f"{ROOT}/assets/{name}?{hashlib.sha256(asset(name)).hexdigest()[:12]}"


def _links(at: str, scopes: Collection[str]) -> str:
    pages = (
        ("", t("Overview")), ("/traces", t("Traces")), ("/feedback", t("Feedback")), ("/reports", t("Reports")),
        ("/releases", t("Releases")), ("/data", t("Data")), ("/runs", t("Runs")),
        ("/labelling", t("Labelling")), ("/playground", t("Playground")), ("/monitor", t("Monitor")),
        ("/kept", t("Kept data")),
    )  # fmt: skip
    here = "/" + at.removeprefix(ROOT).strip("/").partition("/")[0] if at.removeprefix(ROOT).strip("/") else ""
    return "".join(
        f'<li><a href="{ROOT}{path}"{" aria-current=page" if path == here else ""}>{line(text)}</a></li>'
        for path, text in pages
        if any(scope in scopes for scope in NEEDS.get(path, ("read",)))
    )


def _sign_out() -> str:
    return form(f"{ROOT}/sign-out", t("Sign out"), method="post")
