r"""How text from outside is shown: what would act on a terminal or a log becomes visible, and acts no more.

Text of users, documents, models and other servers is data wherever it is shown. ESC, the other control characters
(C0, DEL, C1), direction marks, line separators and lone surrogates become escapes such as `\x1b`. Pure functions;
knows no terminal and no log. HTML needs escaping besides, which `render.html` does.
"""

from __future__ import annotations

import re
import unicodedata

_ACTING = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_JOINERS = "\u200c\u200d"  # needed to write Persian, Hindi and some emoji; they move nothing


def _acts(character: str) -> bool:
    return unicodedata.category(character) in _ACTING and character not in _JOINERS


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def line(text: str) -> str:
    r"""`text` in one line that nothing in it can leave: newlines and tabs are escaped too (`\n`, `\t`)."""
    if text.isprintable():
        return text
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return "".join(named.get(c) or _escape(c) if _acts(c) else c for c in text)


def block(text: str) -> str:
    """`text` with its newlines, every line as `line` shows it. A tab is four spaces."""
    if text.isprintable():
        return text
    return "\n".join(line(part) for part in text.expandtabs(4).replace("\r\n", "\n").split("\n"))


def paragraph(text: str, indent: str = "    ") -> str:
    """`block`, where only the first line begins at the margin: what follows cannot pass for a line of ours."""
    return block(text).replace("\n", f"\n{indent}")


def json_text(text: str) -> str:
    r"""JSON whose strings hold nothing that acts, as JSON's own escapes (`\u001b`): still the same JSON.

    Only DEL and what stands outside ASCII is left to do here: encoders escape the rest. The newlines and spaces that
    lay the JSON out stay.
    """
    return text if text.isascii() and "\x7f" not in text else _BEYOND.sub(_json_escape, text)


_BEYOND = re.compile(r"[^\x00-\x7e]")


def _json_escape(found: re.Match[str]) -> str:
    character = found[0]
    if not _acts(character):
        return character
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
