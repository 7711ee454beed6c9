"""Which parts of an HTML page are not its content: hidden, navigation, banners, link lists. Changes the tree only.

Rules, in order: elements that never show text; roles and tags of navigation; names (class, id) of banners, menus and
the like, unless they hold a large part of the page; then the smallest element that holds most of the running text.
The idea of text against link density is Kohlschütter et al. 2010 (Boilerplate detection using shallow text features).
"""

from __future__ import annotations

import re
from typing import Any

_NEVER = "script,style,noscript,template,svg,iframe,object,embed,canvas,audio,video,button,select,textarea,input,map"
_HIDDEN = "[hidden],[aria-hidden=true],[style*='display:none'],[style*='display: none'],[style*='visibility:hidden']"
_ROLES = "nav,aside,footer,menu,dialog," + ",".join(
    f"[role={role}]"
    for role in ("navigation", "banner", "contentinfo", "complementary", "search", "dialog", "alertdialog", "menu")
)
_NAMES = re.compile(
    r"(?:^|[\s_-])(?:nav(?:bar|header|footer|igation)?|menus?|breadcrumbs?|sidebars?|side-?bar|footer|foot|masthead|"
    r"cookies?|consent|gdpr|banner|newsletter|subscri\w*|sign-?up|social|share(?:bar|tools)?|sharing|addthis\w*|"
    r"related|recommend\w*|read-?more|more-?(?:stories|news|articles|from|like)|trending|popular|"
    r"most-?(?:read|popular|viewed)|"
    r"comments?|disqus\w*|comment-?list|respond|advert\w*|ads?|adslot|sponsor\w*|promo\w*|outbrain|taboola|"
    r"pop-?ups?|modal|overlay|paywall|tags?|tag-?list|pagination|pager|skip-?link|toolbar|tooltip|print-?only|"
    r"author-?(?:bio|box|info)|byline|dateline|timestamp|post-?meta|entry-?meta|meta|credits?|copyright|"
    r"widgets?|headerlink|edit-?link|toc|table-of-contents|teasers?|hatnote|editsection)"
    r"(?:$|[\s_-])",
    re.I,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_KEPT_TAGS = frozenset({"html", "body", "main", "article", "h1", "h2", "h3", "h4", "h5", "h6", "table", "code", "pre"})
_LARGE = 0.4  # an element that holds this share of the page's text is not dropped for its name
_NAMED_TAGS = frozenset(  # what can be a part of a page; others mark places in its text
    {"div", "section", "aside", "ul", "ol", "dl", "form", "p", "figure", "fieldset", "span", "a", "li", "center",
     "details", "small", "time", "address"}
)  # fmt: skip
_INLINE = frozenset({"span", "a", "small", "time"})
_BOOK = re.compile(
    r"(?:^|\s)(?:ref)?(?:sect\d|entry|chapter|appendix|preface)(?:$|\s)"
)  # classes of DocBook's sections
_CARD = 400  # characters of a teaser, at most
_MOST = 0.8  # the content is the smallest element that holds this share of the running text

_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")

Node = Any  # selectolax has no types for its nodes


def drop_boilerplate(tree: Any) -> tuple[Node, int]:
    """Remove it from the tree; returns the element that holds the content and how many characters were dropped."""
    body = tree.body
    before = _length(body)
    _remove(body, _ROLES, before)
    for header in body.css("header"):
        if not _inside(header, ("article", "main", "section")) or len(header.css("a")) > 5:
            _remove_node(header, before)
    for node in body.css("[class],[id]"):
        if node.tag in _NAMED_TAGS and _named(node):
            _remove_node(node, before)
    _drop_link_lists(body, before)
    _drop_cards(body, before)
    root = _content(body)
    return root, max(0, before - _length(root))


def drop_hidden(tree: Any) -> None:
    """Remove what a browser would not show as text."""
    for node in tree.css(_NEVER):
        node.decompose()
    for node in tree.css(_HIDDEN):
        if node.tag not in ("html", "body", "main", "article"):
            node.decompose()


def _length(node: Node) -> int:
    return len(node.text(deep=True, separator="", strip=True)) if node is not None else 0


def _remove(body: Node, selector: str, whole: int) -> None:
    for node in body.css(selector):
        _remove_node(node, whole)


def _remove_node(node: Node, whole: int) -> None:
    if node.parent is not None and node.tag not in _KEPT_TAGS and _length(node) < _LARGE * whole:
        node.decompose()


def _named(node: Node) -> bool:
    """Whether class or id name a banner, a menu or the like. The id of a section of a text says what it is about."""
    attributes = node.attributes
    classes, name = attributes.get("class") or "", attributes.get("id") or ""
    if node.tag in _INLINE and _inside(node, tuple(_HEADINGS)):
        return "headerlink" in classes or "edit" in classes
    if name and _is_section(node):
        name = ""
    return _NAMES.search(_CAMEL.sub("-", f"{classes} {name}")) is not None


def _is_section(node: Node) -> bool:
    """Whether an element is a section of a text: by DocBook's classes, or by an id made from its heading.

    A number may stand before the heading.
    """
    classes, name = node.attributes.get("class") or "", node.attributes.get("id") or ""
    if _BOOK.search(classes):
        return True
    heading = node.css_first(",".join(_HEADINGS)) if name and "section" in (node.tag, classes) else None
    return heading is not None and _slug(heading.text(deep=True)).endswith(_slug(name))


def _slug(text: str) -> str:
    return "".join(re.findall(r"[^\W_]+", text)).casefold()


def _inside(node: Node, tags: tuple[str, ...]) -> bool:
    above = node.parent
    while above is not None:
        if above.tag in tags:
            return True
        above = above.parent
    return False


def _drop_link_lists(body: Node, page: int) -> None:
    """Lists and tables that are mostly links, three or more, with short texts; not the page that is such a list."""
    for node in body.css("ul,ol,dl,table"):
        if node.parent is None:
            continue
        links = node.css("a")
        if len(links) < 3:
            continue
        linked, whole = sum(_length(link) for link in links), _length(node)
        if (
            0 < whole < _LARGE * page
            and linked / whole > 0.75
            and whole / len(links) < 120
            and not node.css_first("h1,h2,h3,pre")
        ):
            node.decompose()


def _drop_cards(body: Node, page: int) -> None:
    """Teasers of other pages: three or more neighbours, each short and with a heading or picture that is a link."""
    parents: dict[int, list[Node]] = {}
    for link in body.css("h2 > a,h3 > a,h4 > a,h5 > a,a h2,a h3,a h4,a h5,a > div,a > p"):
        card = _card(link) if _leads_away(link) else None
        if card is not None:
            found = parents.setdefault(card.parent.mem_id, [])
            if all(card.mem_id != other.mem_id for other in found):
                found.append(card)
    for cards in parents.values():
        if len(cards) >= 3 and sum(map(_length, cards)) < _LARGE * page:
            for card in cards:
                if card.parent is not None:
                    card.decompose()


def _leads_away(node: Node) -> bool:
    """Whether a link, or the link around this, leads to another page: not an anchor, not a jump within the page."""
    while node is not None and node.tag != "a":
        node = node.parent
    target = (node.attributes.get("href") or "") if node is not None else ""
    return bool(target) and not target.startswith("#")


def _card(link: Node) -> Node | None:
    """The largest element around a linked heading that is still short and has neighbours of its own kind."""
    found = None
    node = link
    while node.parent is not None and node.parent.tag not in _KEPT_TAGS and _length(node) <= _CARD:
        if node.tag in ("li", "div", "article", "section", "a") and _alike_neighbours(node) >= 2:
            found = node
        node = node.parent
    return found


def _alike_neighbours(node: Node) -> int:
    names = node.attributes.get("class")
    count, other = -1, node.parent.first_child
    while other is not None:
        count += other.tag == node.tag and other.attributes.get("class") == names
        other = other.next
    return count


def _running(body: Node) -> dict[int, int]:
    """Characters of running text below each element, by its address: paragraphs and others with few links."""
    weights: dict[int, int] = {}
    for node in body.css("p,pre,td,dd,blockquote,li,h2,h3,h4,div"):
        own = _own_length(node)
        if own < 25 and node.tag not in ("h2", "h3", "h4"):
            continue
        linked = sum(len(link.text(strip=True)) for link in node.css("a")) if node.tag != "div" else 0
        if linked > 0.5 * max(own, 1):
            continue
        above = node
        while above is not None and above.tag != "html":
            weights[above.mem_id] = weights.get(above.mem_id, 0) + own
            above = above.parent
    return weights


_BLOCKS = frozenset(
    {"p", "pre", "td", "dd", "blockquote", "li", "div", "ul", "ol", "dl", "table", "section", "article"}
)


def _own_length(node: Node) -> int:
    """Characters directly in this element and its inline children, not in blocks within it."""
    total = 0
    child = node.first_child
    while child is not None:
        if child.tag not in _BLOCKS:
            total += len(child.text(deep=True, strip=True))
        child = child.next
    return total


def _content(body: Node) -> Node:
    weights = _running(body)
    total = weights.get(body.mem_id, 0)
    if total < 200:
        return body
    node = _marked(body, weights) or body
    while True:
        child = node.first_child
        heaviest, weight = None, 0
        while child is not None:
            if weights.get(child.mem_id, 0) > weight:
                heaviest, weight = child, weights[child.mem_id]
            child = child.next
        if heaviest is None or weight < _MOST * weights.get(node.mem_id, total) or heaviest.tag in _LEAVES:
            return node
        if _is_section(node) or _part_of_text(node, heaviest, weights):
            return node
        node = heaviest


def _part_of_text(node: Node, heaviest: Node, weights: dict[int, int]) -> bool:
    """Whether the neighbours of the heaviest child are of the same text.

    They are when one is a section like it, or when a heading or a paragraph leads up to it.
    """
    names = heaviest.attributes.get("class")
    other, before = node.first_child, True
    while other is not None:
        if other.mem_id == heaviest.mem_id:
            before = False
        elif weights.get(other.mem_id, 0) > 0:
            same = other.tag == heaviest.tag and other.attributes.get("class") == names
            if same and (names or other.tag == "section"):
                return True
            if before and (other.tag in ("p", *_HEADINGS) or _opens_text(other)):
                return True
        other = other.next
    return False


def _marked(body: Node, weights: dict[int, int]) -> Node | None:
    """What the page itself marks as its content, when it does so once and credibly."""
    for selector, share in (("[itemprop=articleBody]", 0.1), ("article", 0.3), ("main,[role=main]", 0.3)):
        nodes = sorted(body.css(selector), key=lambda node: weights.get(node.mem_id, 0), reverse=True)
        if not nodes:
            continue
        first = weights.get(nodes[0].mem_id, 0)
        second = max((weights.get(node.mem_id, 0) for node in nodes[1:] if not _holds(nodes[0], node)), default=0)
        if first >= max(200, share * weights[body.mem_id]) and first > 2 * second:
            return nodes[0]
    return None


def _opens_text(node: Node) -> bool:
    """Whether it is what AsciiDoc writes before a text: `<div id="header">` with the title and the first section."""
    return node.attributes.get("id") == "header" and node.css_first("h1") is not None


def _holds(outer: Node, inner: Node) -> bool:
    while inner is not None:
        if inner.mem_id == outer.mem_id:
            return True
        inner = inner.parent
    return False


_LEAVES = frozenset({"p", "pre", "td", "th", "tr", "tbody", "thead", "li", "dd", "ul", "ol", "dl", "blockquote", "h2"})
