"""How deep a page is nested, counted before it is parsed: a parser's time grows with the square of the depth.

Counts elements as the HTML standard opens and closes them (https://html.spec.whatwg.org/multipage/parsing.html, section
13.2.6), as far as depth needs it: void elements, end tags that are left out, self-closed elements of SVG and MathML,
comments, and text in which tags are no tags. Where it cannot know, it counts too little: the limits of the child that
parses stand behind it.
"""

from __future__ import annotations

import re
from collections import Counter

_TAG = re.compile(
    r"<(?:!--(?s:.*?)(?:-->|\Z)|(/?)([a-zA-Z][^\s/>]*+)((?:=\s*+(?:\"[^\"]*+\"|'[^']*+')|[^>])*+)>?)", re.S
)
# Void, or closed by what follows: their nesting is bound to that of the lists, tables and containers around them.
_NEVER_DEEP = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
     "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option", "optgroup", "colgroup", "rp", "rt",
     "html", "head", "body"}
)  # fmt: skip
_RAW = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.I)
    for name in ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes")
}
_FOREIGN = frozenset({"svg", "math"})
_HTML_WITHIN = frozenset(  # elements of SVG and MathML that hold HTML again
    {"foreignobject", "desc", "title", "mi", "mo", "mn", "ms", "mtext", "annotation-xml"}
)
_ENDS_FOREIGN = frozenset(
    {"b", "big", "blockquote", "body", "br", "center", "code", "dd", "div", "dl", "dt", "em", "embed", "h1", "h2", "h3",
     "h4", "h5", "h6", "head", "hr", "i", "img", "li", "listing", "menu", "meta", "nobr", "ol", "p", "pre", "ruby", "s",
     "small", "span", "strong", "strike", "sub", "sup", "table", "tt", "u", "ul", "var"}
)  # fmt: skip
_FORMATTING = frozenset(
    {"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"}
)  # fmt: skip
_PHRASING = _FORMATTING | {
    "abbr",
    "bdo",
    "cite",
    "dfn",
    "kbd",
    "label",
    "mark",
    "q",
    "samp",
    "span",
    "sub",
    "sup",
    "var",
}


def too_deep(text: str, most: int) -> bool:
    """Whether more than `most` elements are open at once. Time in proportion to the length."""
    tree = _Open()
    at = 0
    while (tag := _TAG.search(text, at)) is not None:
        at = tag.end()
        if tag[2] is None:
            continue
        name = tag[2].lower()
        if tag[1]:
            tree.close(name)
        elif not tree.open(name, tag[3].endswith("/")) and name in _RAW:
            end = _RAW[name].search(text, at)
            at = end.start() if end else len(text)
        if len(tree.names) > most:
            return True
    return False


class _Open:
    """The elements that are open, from the outermost, and whether each holds foreign content (SVG, MathML)."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._foreign: list[bool] = []
        self._count: Counter[str] = Counter()

    def open(self, name: str, closed: bool) -> bool:
        """Take a start tag; returns whether it stands in foreign content."""
        within = bool(self._foreign) and self._foreign[-1]
        if within and name in _ENDS_FOREIGN:
            while self._foreign and self._foreign[-1]:
                self._pop()
            within = False
        foreign = within or name in _FOREIGN
        if (foreign and closed) or (not foreign and name in _NEVER_DEEP):
            return foreign
        self.names.append(name)
        self._foreign.append(foreign and not (within and name in _HTML_WITHIN))
        self._count[name] += 1
        return foreign

    def close(self, name: str) -> None:
        """Take an end tag: what it names ends, with all that is open within; one that names nothing open is ignored.

        A phrase does not end the block that was opened within it: `<b><div></b>` leaves the `div` open.
        """
        if not self._count[name]:
            return
        at = len(self.names) - 1
        while self.names[at] != name:
            if name in _PHRASING and self.names[at] not in _PHRASING:
                if name in _FORMATTING:
                    self._forget(name)
                return
            at -= 1
        while len(self.names) > at:
            self._pop()

    def _forget(self, name: str) -> None:
        """End one element alone: what is open within stays open (the standard's adoption agency)."""
        at = next(n for n in range(len(self.names) - 1, -1, -1) if self.names[n] == name)
        del self.names[at], self._foreign[at]
        self._count[name] -= 1

    def _pop(self) -> None:
        self._foreign.pop()
        self._count[self.names.pop()] -= 1
