"""robots.txt, addresses, links and sitemaps as their specifications have them, and as attackers write them."""

from __future__ import annotations

import gzip
import ipaddress
import time

import pytest

from slipway.data.collect.web.links import find_links
from slipway.data.collect.web.reach import Reach
from slipway.data.collect.web.robots import parse_robots
from slipway.data.collect.web.sitemap import parse_sitemap
from slipway.data.collect.web.urls import Scope, normal

RULES = b"""\xef\xbb\xbfUser-Agent: other
Disallow: /
User-agent: SLIPWAY/2.0
User-agent: third  # with a comment
Disallow: /a
Allow: /a/b
Disallow: *.gif$
Disallow: /q?x=*&y
Disallow: /%7euser
Disallow: /caf\xc3\xa9
Crawl-delay: 1.5
Sitemap: http://h/map.xml
User-agent: slipway
Disallow: /second
Disallow:
nonsense
"""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", True), ("/a", False), ("/ab", False), ("/a/b/c", True), ("/x/y.gif", False), ("/x/y.gif?z", True),
        ("/q?x=1&y=2", False), ("/q?x=1", True), ("/~user", False), ("/%7Euser/x", False), ("/caf%C3%A9", False),
        ("/caf%c3%a9", False), ("/second", False), ("/third", True), ("/robots.txt", True),
    ],
)  # fmt: skip
def test_rules_of_our_groups_the_longest_decides(path: str, allowed: bool) -> None:
    robots = parse_robots(RULES)
    assert robots.allows(path) is allowed
    assert (robots.delay, robots.sitemaps) == (1.5, ("http://h/map.xml",))


def test_without_a_group_of_ours_that_for_all_holds() -> None:
    assert not parse_robots(b"User-agent: *\nDisallow: /x\n").allows("/x")
    assert parse_robots(b"User-agent: other\nDisallow: /\n").allows("/x")
    assert parse_robots(b"User-agent: *\nDisallow: /x\n\nUser-agent: slipway\nDisallow:\n").allows("/x")
    assert parse_robots(b"Disallow: /\n").allows("/x")  # a rule of no group
    assert parse_robots(b"User-agent: *\nDisallow: /x\nAllow: /x\n").allows("/x")  # as long as each other
    assert parse_robots(b"").allows("/x")


def test_rules_made_to_be_slow_are_not() -> None:
    robots = parse_robots(b"User-agent: *\nDisallow: /" + b"*a" * 200_000 + b"$\n" + b"Disallow: /*a*a*a*a*b\n" * 5000)
    before = time.process_time()
    assert robots.allows("/" + "a" * 1500)
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    ("address", "base", "written"),
    [
        ("HTTP://Ex.com:80/a/../b?x=1#f", "", "http://ex.com/b?x=1"),
        ("b.html", "http://h/x/a.html", "http://h/x/b.html"),
        ("/%2e%2e/s", "http://h/d/", "http://h/s"),
        ("a%2F..%2Fb", "http://h/d/", None),
        ("?a=b:c", "http://h/p", "http://h/p?a=b:c"),
        ("中文.html", "http://h/", "http://h/%E4%B8%AD%E6%96%87.html"),
        ("p;jsessionid=AB?utm_source=1&z=2&PHPSESSID=3", "http://h/", "http://h/p?z=2"),
        ("\n a.html\t", "http://h/", "http://h/a.html"),
        ("javascript:alert(1)", "http://h/", None), ("mailto:a@b", "http://h/", None), ("file:///etc/passwd", "", None),
        ("http://u:p@h/", "", None), ("http://h:99999/", "", None), ("http:///x", "", None), ("http://h\\@e/", "", None),
        ("http://h/\x00", "", None), ("http://h/" + "a" * 3000, "", None), ("http://[::1", "", None),
    ],
)  # fmt: skip
def test_an_address_has_one_form(address: str, base: str, written: str | None) -> None:
    assert normal(address, base) == written


def test_a_scope_ends_where_a_name_ends() -> None:
    scope = Scope(["https://h/docs", "http://i:81/"], ["https://h/docs/old/"])
    inside = ["https://h/docs", "http://h/docs/a", "https://h/docs?x", "http://i:81/any"]
    outside = [
        "https://h/docs-2/a",
        "https://h/",
        "https://h.evil/docs/a",
        "https://h/docs/old/a",
        "http://i/any",
        "http://i:811/",
    ]
    assert [url for url in inside + outside if scope.holds(url)] == inside


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("1.1.1.1", True), ("2606:4700::1", True), ("127.0.0.1", False), ("10.1.2.3", False), ("192.168.0.1", False),
        ("172.16.0.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("::", False),
        ("::1", False), ("fe80::1", False), ("fc00::1", False), ("::ffff:127.0.0.1", False), ("::ffff:1.1.1.1", True),
        ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("224.0.0.1", False), ("ff02::1", False),
        ("255.255.255.255", False), ("198.18.0.1", False),
    ],
)  # fmt: skip
def test_only_public_addresses_unless_they_are_named(address: str, public: bool) -> None:
    assert Reach([]).allows(ipaddress.ip_address(address)) is public
    assert Reach([ipaddress.ip_network(address)]).allows(ipaddress.ip_address(address))


def test_links_of_a_page() -> None:
    found = find_links(
        '<base href="/base/"><!-- <a href="no1"> --><script>"<a href=no2>"</script><a href="one?a=1&amp;b=2#x">1</a>'
        "<A\nclass=x HREF='two'>2</A><a href=three >3</a><a rel='x nofollow' href=no3>4</a><area href=four><a>5</a>"
        '<iframe src="five"></iframe><a href="one?a=1&b=2">again</a><a title=">" href="six">6</a>',
        "http://h/x/y.html",
    )
    assert found.urls == tuple(f"http://h/base/{n}" for n in ("one?a=1&b=2", "two", "three", "four", "five", "six"))
    assert find_links('<meta content="NOINDEX, nofollow" name=ROBOTS><a href=x>', "http://h/") == type(found)((), False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [
        "<a ",
        "<a '",
        '<a "',
        "<!--",
        "<script>",
        "<a href=",
        "<a x='\"",
        "<base href=a>",
        "<a href='x",
        "&amp;",
        "<a a a ",
    ],
)
def test_pages_made_to_be_slow_are_not(piece: str) -> None:
    before = time.process_time()
    find_links(piece * (1_000_000 // len(piece)), "http://h/")
    assert time.process_time() - before < 5


@pytest.mark.slow
def test_sitemaps_in_all_forms_and_broken_ones() -> None:
    pages = b"<urlset><url><loc> http://h/a?x=1&amp;y=2 </loc></url><url><loc><![CDATA[http://h/b]]></loc></url>"
    assert parse_sitemap(pages, "").pages == ("http://h/a?x=1&y=2", "http://h/b")  # not even closed
    assert parse_sitemap(gzip.compress(pages), "").pages == ("http://h/a?x=1&y=2", "http://h/b")
    assert parse_sitemap(b"http://h/a\nhttp://h/b\nnothing\n", "").pages == ("http://h/a", "http://h/b")
    assert parse_sitemap(b'<?xml version="1.0"?><s:sitemapindex><s:loc>http://h/c</s:loc>', "").more == ("http://h/c",)
    assert parse_sitemap(b"\x1f\x8bnot gzip", "").pages == ()
    assert parse_sitemap(gzip.compress(b"<loc>" * 20_000_000), "").pages == ()
