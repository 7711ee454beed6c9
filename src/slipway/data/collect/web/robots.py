"""robots.txt as RFC 9309 reads it: groups by product token, the longest rule wins, `*` and `$`. Fetches nothing.

`Crawl-delay` and `Sitemap` are no part of the RFC, and are read as search engines do.
"""

from __future__ import annotations

import re
from urllib.parse import quote

import msgspec

TOKEN = "slipway"
MOST = 512_000  # bytes that are read; the RFC asks for at least 500 KiB
_MOST_RULES = 5_000
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")


class Rule(msgspec.Struct, frozen=True):
    """What may be fetched, or not: a path with `*` and a closing `$`."""

    allow: bool
    path: str


class Robots(msgspec.Struct, frozen=True):
    """What holds for us. `delay`: seconds between two requests that the site asks for."""

    rules: tuple[Rule, ...] = ()
    delay: float = 0.0
    sitemaps: tuple[str, ...] = ()

    def allows(self, path: str) -> bool:
        """Whether a path with its query may be fetched: the rule with the longest path decides, allow before disallow.

        Without a rule that matches, it may.
        """
        path = _octets(path)
        if path == "/robots.txt":
            return True
        found = [rule for rule in self.rules if _matches(rule.path, path)]
        return max(found, key=lambda rule: (len(rule.path), rule.allow)).allow if found else True


EVERYTHING = Robots()
NOTHING = Robots(rules=(Rule(allow=False, path="/"),))


def parse_robots(data: bytes) -> Robots:
    """The rules of the groups that name us, else of those for `*`. Lines that make no sense are passed over."""
    groups: dict[str, list[Rule]] = {}
    delays: dict[str, float] = {}
    sitemaps: list[str] = []
    agents: list[str] = []
    open_for_agents = False
    for line in data[:MOST].decode("utf-8-sig", "replace").splitlines():
        name, colon, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon:
            continue
        if name == "sitemap":
            sitemaps.append(value)
        elif name == "user-agent":
            agents = [*agents, value] if open_for_agents else [value]
            agents = [_token(agent) for agent in agents]
            open_for_agents = True
            groups.update((agent, groups.get(agent, [])) for agent in agents)
        elif name in ("allow", "disallow", "crawl-delay"):
            open_for_agents = False
            _add(name, value, agents, groups, delays)
    ours = TOKEN if TOKEN in groups else "*"
    return Robots(tuple(groups.get(ours, ())), delays.get(ours, 0.0), tuple(sitemaps))


def _add(name: str, value: str, agents: list[str], groups: dict[str, list[Rule]], delays: dict[str, float]) -> None:
    for agent in agents:
        if name == "crawl-delay":
            if re.fullmatch(r"\d{1,6}(?:\.\d{1,6})?", value):
                delays[agent] = max(delays.get(agent, 0.0), float(value))
        elif value.startswith(("/", "*")) and len(groups[agent]) < _MOST_RULES:  # an empty rule says nothing
            groups[agent].append(Rule(name == "allow", _octets(re.sub(r"\*+", "*", value))))


def _token(agent: str) -> str:
    if agent == "*":
        return agent
    found = re.match(r"[A-Za-z_-]+", agent)
    return found[0].lower() if found else ""


def _octets(path: str) -> str:
    """Percent-encoded where it must be, and only there: RFC 9309, section 2.2.2."""

    def shown(found: re.Match[str]) -> str:
        char = chr(int(found[1], 16))
        return char if _UNRESERVED.fullmatch(char) else found[0].upper()

    return re.sub(r"%([0-9A-Fa-f]{2})", shown, quote(path, safe="%/?#[]@!$&'()*+,;=:-._~"))


def _matches(rule: str, path: str) -> bool:
    """Whether a path begins as the rule says. Each piece is looked for once: no rule makes this slow."""
    whole = rule.endswith("$")
    first, *pieces = rule.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    if not pieces:
        return at == len(path) or not whole
    *middle, last = pieces
    for piece in middle:
        at = path.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    if whole:
        return len(path) - len(last) >= at and path.endswith(last)
    return path.find(last, at) >= 0
