"""Headings of reStructuredText and AsciiDoc; what looks like one in a table or a listing is none."""

from __future__ import annotations

import pytest

from slipway.data.parsing.media import media_type
from slipway.data.parsing.parse import Settings, parse_bytes

RST = """======
Manual
======

Install
-------
Run the installer as root.

=====  =====
Name   Value
=====  =====
a      1
=====  =====

::

   Not a title
   -----------

----

First steps
~~~~~~~~~~~
Press start.

Care
----
Oil it.
"""
ADOC = """= Manual
:toc:

== Install

Run the installer as root.

----
== not a title
----

|===
|Name |Value
|===

=== First steps
Press start.

== Care
Oil it.
"""


@pytest.mark.parametrize(("name", "text"), [("a.rst", RST), ("a.adoc", ADOC)])
def test_titles_are_headings_with_their_levels(name: str, text: str) -> None:
    kind = media_type(name)
    assert kind is not None
    [document] = parse_bytes(text.encode(), kind, Settings()).documents
    assert [section.path for section in document.sections] == [
        ("Manual",), ("Manual", "Install"), ("Manual", "Install", "First steps"), ("Manual", "Care"),
    ]  # fmt: skip
    assert document.title == "Manual"
    assert "Run the installer as root." in document.text
    assert "not a title" in document.text.lower()
