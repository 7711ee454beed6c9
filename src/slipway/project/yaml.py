"""YAML as a project file may use it: read in bounded time and memory, every error with its line and column.

Aliases and merge keys may multiply only so far, nesting is bounded, tags that make anything but texts, numbers, lists
and mappings are refused, and so is what hides from a reader: NUL, halves of characters, marks that turn the direction
of text. Knows nothing of projects.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from slipway.i18n import t

MAX_DEPTH = 50
MAX_NODES = 100_000  # with what aliases repeat; 256 KB hold fewer without them
_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")
_HIDDEN = re.compile(r"[\x00\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq", "merge", "timestamp")
)
_NUMBER = 100  # characters of a number


def _source() -> Any:
    """What turns text into events: libyaml where PyYAML was built with it, which is forty times as fast."""
    from yaml import cyaml, parser, reader, scanner

    if hasattr(cyaml, "CParser"):
        return cyaml.CParser  # pyright: ignore[reportAttributeAccessIssue]

    class Source(reader.Reader, scanner.Scanner, parser.Parser):
        def __init__(self, stream: str) -> None:
            reader.Reader.__init__(self, stream)
            scanner.Scanner.__init__(self)
            parser.Parser.__init__(self)

    return Source


_Source: Any = _source()


class Mark(NamedTuple):
    """A place in the text, counted from 0."""

    line: int
    column: int


class Unreadable(ValueError):
    """What is wrong (the message), and where, as far as it is known."""

    def __init__(self, what: str, mark: Any = None) -> None:
        super().__init__(what)
        self.mark = None if mark is None else Mark(mark.line, mark.column)


def compose(text: str) -> yaml.Node | None:
    """The tree of the only document in `text`, None when it is empty. Raises Unreadable."""
    hidden = _HIDDEN.search(text)
    if hidden:
        raise Unreadable(_character(hidden[0]), _place(text, hidden.start()))
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_node()
        finally:
            if hasattr(loader, "dispose"):
                loader.dispose()
    except yaml.reader.ReaderError as error:
        at = error.position if isinstance(error.position, int) else 0
        raise Unreadable(_character(text[at : at + 1]), _place(text, at)) from error
    except yaml.MarkedYAMLError as error:
        raise _unreadable(error) from error
    except yaml.YAMLError as error:
        raise Unreadable(str(error)) from error


def construct(node: yaml.Node) -> Any:
    """The tree as texts, numbers, lists and mappings. Raises Unreadable."""
    try:
        return _Constructor().construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise _unreadable(error) from error


class _Loader(_Source, Composer, Resolver):  # pyright: ignore[reportUntypedBaseClass, reportGeneralTypeIssues]
    """A composer that counts. Its own methods stand before libyaml's, which would compose in C."""

    get_single_node = Composer.get_single_node
    compose_document = Composer.compose_document

    def __init__(self, text: str) -> None:
        _Source.__init__(self, text)
        Composer.__init__(self)
        Resolver.__init__(self)
        self.depth = self.count = 0
        self.sizes: dict[str, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """One node and all below it."""
        event: Any = self.peek_event()
        before = self.count
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self.anchors and event.anchor not in self.sizes:
                raise _error(t("'*{name}' contains itself", name=event.anchor), event)
            self._counted(self.sizes.get(event.anchor, 0), event)
            return Composer.compose_node(self, parent, index)
        self._counted(1, event)
        if self.depth >= MAX_DEPTH:
            raise _error(_too_deep(), event)
        self.depth += 1
        node = Composer.compose_node(self, parent, index)
        self.depth -= 1
        if event.anchor is not None:
            self.sizes[event.anchor] = self.count - before
        _check(node)
        return node

    compose_scalar_node = Composer.compose_scalar_node
    compose_sequence_node = Composer.compose_sequence_node
    compose_mapping_node = Composer.compose_mapping_node

    def _counted(self, more: int, event: Any) -> None:
        self.count += more
        if self.count > MAX_NODES:
            raise _error(t("too much: aliases and values together are more than {n}", n=MAX_NODES), event)


def _check(node: Any) -> None:
    if node.tag not in _TAGS:
        raise _error(t("the tag {tag} is not allowed here", tag=node.tag), node)
    if isinstance(node, yaml.ScalarNode):
        if node.tag.endswith((":int", ":float")) and len(node.value) > _NUMBER:
            raise _error(t("a number of {n} digits", n=len(node.value)), node)
        if hidden := _NO_TEXT.search(node.value):  # what an escape such as "\\u202e" makes is seen in the file
            raise _error(_character(hidden[0]), node)
    elif isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _error(t("a key must be text"), key)


class _Constructor(SafeConstructor):
    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """A value; what Python makes nothing of is said with its place."""
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            raise _error(t("'{value}' is not a value of its kind", value=str(node.value)[:80]), node) from error


_plain: Any = _Constructor  # its types know PyYAML's own loaders only
# Dates stay the text that was written: no key of a project file is one.
_plain.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def _unreadable(error: yaml.MarkedYAMLError) -> Unreadable:
    what = error.problem or str(error)
    # libyaml has a limit of its own, and may meet it while it looks ahead
    return Unreadable(_too_deep() if "nesting depth" in what else what, error.problem_mark or error.context_mark)


def _too_deep() -> str:
    return t("it is nested too deeply: {n} levels are the most", n=MAX_DEPTH)


def _error(what: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=at.start_mark)


def _character(char: str) -> str:
    code = f"U+{ord(char or chr(0)):04X}"
    return t("the character {code} is not allowed: it hides what is there", code=code)


def _place(text: str, at: int) -> Mark:
    before = text[:at]
    return Mark(before.count("\n"), at - before.rfind("\n") - 1)
