"""Jinja2 templates that cannot run away: what a rendering does is counted, and it stops at a fixed amount of work.

The amount counts turns of loops, operations and characters, not seconds: a template that works where it was measured
works where it is served, however busy that machine is. Nothing outside the sandbox can be reached, nothing random is
in it, and no single operation is large. Knows nothing of prompts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateRuntimeError, TemplateSyntaxError, nodes, pass_context
from jinja2.filters import FILTERS
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from slipway.i18n import t

MAX_WORK = 200_000  # well under a second, see docs/design/013-trust.md
MAX_CHARS = 1_000_000  # of a rendering, and of any text made on the way
MAX_NODES = 5_000  # parts of a template; compiling them takes about a second
_MAX_TOKENS = 20_000
MAX_SIZE = 10_000  # of a number given to a filter, a method or a repetition
_CHARS = 100  # characters that cost as much as one operation
_BITS = 4096  # of a whole number

_FILTERS = (
    "abs", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "format",
    "indent", "int", "items", "join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr",
    "replace", "reverse", "round", "safe", "select", "selectattr", "sort", "string", "title", "tojson", "trim",
    "truncate", "unique", "upper", "urlencode", "wordcount", "wordwrap",
)  # fmt: skip
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(
        (
            "capitalize",
            "casefold",
            "count",
            "endswith",
            "find",
            "isalnum",
            "isalpha",
            "isdecimal",
            "isdigit",
            "islower",
            "isnumeric",
            "isspace",
            "isupper",
            "join",
            "lower",
            "lstrip",
            "partition",
            "removeprefix",
            "removesuffix",
            "replace",
            "rfind",
            "rpartition",
            "rsplit",
            "rstrip",
            "split",
            "splitlines",
            "startswith",
            "strip",
            "swapcase",
            "title",
            "upper",
        )
    ),  # fmt: skip
    list: frozenset(("count", "index")),
    tuple: frozenset(("count", "index")),
    dict: frozenset(("get", "items", "keys", "values")),
    int: frozenset(),
    float: frozenset(),
    bytes: frozenset(),
    range: frozenset(),
}
_REFUSED = (
    nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block, nodes.Macro, nodes.CallBlock,
)  # fmt: skip


class TooMuch(TemplateRuntimeError):
    """The template does more than a rendering may."""


class _Budget:
    """What one rendering has left. `largest`: size of the largest value it holds; what is not counted grows with it."""

    def __init__(self) -> None:
        self.work, self.chars, self.largest = MAX_WORK, MAX_CHARS, 0

    def spend(self, work: int, chars: int = 0) -> None:
        """Take some of it; raises TooMuch when it is used up."""
        self.work -= work
        self.chars -= chars
        if self.work < 0:
            raise TooMuch(t("it does more than {n} operations", n=MAX_WORK))
        if self.chars < 0:
            raise TooMuch(t("it writes more than {n} characters", n=MAX_CHARS))

    def pay(self, value: Any) -> Any:
        """Pay for a value, down to the last text in it; returns it."""
        size, todo = 0, [value]
        while todo:
            item = todo.pop()
            if isinstance(item, str | bytes):
                size += len(item)
                self.spend(1 + len(item) // _CHARS)
            else:
                self.spend(1)
            if isinstance(item, list | tuple):
                todo += item  # pyright: ignore[reportUnknownVariableType]
            elif isinstance(item, dict):
                todo += item.values()
            elif isinstance(item, int) and item.bit_length() > _BITS:
                raise TooMuch(t("a number in it is too long"))
            size += 1
        _expect(size)
        self.largest = max(self.largest, size)
        return value


_budget: ContextVar[_Budget] = ContextVar("budget")


@dataclass(frozen=True)
class Prompt:
    """A template, compiled. `work`, `chars`: what stands in it outside of loops' repetitions."""

    template: Template
    work: int
    chars: int

    def render(self, values: Mapping[str, Any]) -> str:
        """The text; raises a TemplateError, or what Python raises for the template's mistakes (TypeError, ...)."""
        budget = _Budget()
        budget.largest = _longest(values)
        token = _budget.set(budget)
        try:
            budget.spend(self.work, self.chars)
            return "".join(self.template.generate(values))
        finally:
            _budget.reset(token)


def parse(text: str) -> nodes.Template:
    """The tree of a template; raises TemplateSyntaxError, with the line, also for what a prompt may not hold."""
    try:
        tokens = sum(1 for _ in islice(_environment.lex(text), _MAX_TOKENS + 1))
        if tokens > _MAX_TOKENS:
            raise _too_large(tokens)
        tree = _environment.parse(text)
        parts = list(tree.find_all(nodes.Node))
    except (RecursionError, ValueError, MemoryError) as error:
        raise _too_deep() from error
    if len(parts) > MAX_NODES:
        raise _too_large(len(parts))
    for part in parts:
        if isinstance(part, _REFUSED) or (isinstance(part, nodes.For) and part.recursive):
            name = type(part).__name__.lower()
            raise TemplateSyntaxError(t("'{name}' cannot be used in a prompt", name=name), part.lineno)
    return tree


def compile_prompt(text: str) -> Prompt:
    """A template, ready to render; raises TemplateSyntaxError."""
    tree = parse(text)
    work, chars = _weigh(tree)
    try:
        code = _environment.compile(_counting(tree))
    except TemplateSyntaxError:
        raise
    except (SyntaxError, RecursionError, ValueError, MemoryError) as error:  # more loops in loops than Python takes
        raise _too_deep() from error
    return Prompt(Template.from_code(_environment, code, dict(_environment.globals)), work, chars)


def _too_large(parts: int) -> TemplateSyntaxError:
    return TemplateSyntaxError(t("it has {n} parts or more; {most} are the most", n=parts, most=MAX_NODES), 1)


def _too_deep() -> TemplateSyntaxError:
    return TemplateSyntaxError(t("it is nested too deeply, or a number in it is too long"), 1)


def _weigh(node: nodes.Node) -> tuple[int, int]:
    """(operations, characters of constant text) of going once through a part of a template."""
    chars = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
    return 1 + sum(1 for _ in node.find_all(nodes.Node)) + chars // _CHARS, chars


# The tree is changed before it is compiled, so that whatever Python would do unseen is seen ------------------------
def _counting(tree: nodes.Template) -> nodes.Template:
    """The same template: every loop's turns are counted, every list and every joined text paid for."""
    for loop in list(tree.find_all(nodes.For)):
        work, chars = _weigh(loop)
        loop.iter = _filter("_turns", loop.iter, nodes.Const(work), nodes.Const(chars))
    _replace(tree)
    tree.set_environment(_environment)
    return tree


def _replace(node: nodes.Node) -> None:
    for field, value in node.iter_fields():
        if isinstance(value, nodes.Node):
            setattr(node, field, _replaced(value))
        elif isinstance(value, list):
            items: list[Any] = [_replaced(v) if isinstance(v, nodes.Node) else v for v in value]
            setattr(node, field, items)


def _replaced(node: nodes.Node) -> nodes.Node:
    _replace(node)
    if isinstance(node, nodes.Concat):
        return _filter("_joined", nodes.List(node.nodes, lineno=node.lineno))
    made = isinstance(node, nodes.List | nodes.Dict) or (isinstance(node, nodes.Tuple) and node.ctx == "load")
    return _filter("_made", node) if made else node


def _filter(name: str, value: Any, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(arguments), [], None, None, lineno=value.lineno)


@pass_context
def _turns(_: Context, value: Any, work: int, chars: int) -> Iterator[Any]:
    budget = _budget.get()
    for item in value:
        budget.spend(work * (1 + budget.largest // (100 * _CHARS)), chars)
        yield item


@pass_context
def _joined(_: Context, parts: list[Any]) -> str:
    budget = _budget.get()
    texts = [str(budget.pay(part)) for part in parts]
    _expect(sum(map(len, texts)))
    return budget.pay("".join(texts))


@pass_context
def _made(_: Context, value: Any) -> Any:
    return _budget.get().pay(value)


def _written(value: Any) -> Any:
    """Every value that is written passes here."""
    budget = _budget.get(None)
    if budget is None:  # constant text, while the template is compiled
        return value
    text = value if isinstance(value, str) else str(budget.pay(value))
    budget.spend(len(text) // _CHARS, len(text))
    return text


def _expect(size: int) -> None:
    """Refuse an operation before it makes a value of this size."""
    if size > MAX_CHARS:
        raise TooMuch(t("it makes a text of {n} characters", n=size))


def _longest(value: Any) -> int:
    """Characters of the longest text among the values given."""
    if isinstance(value, str):
        return len(value)
    items: Any = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return max(map(_longest, items), default=0)


# Filters, methods, operators ---------------------------------------------------------------------------------------
def _check_arguments(arguments: list[Any]) -> None:
    for argument in arguments:
        if isinstance(argument, int) and abs(argument) > MAX_SIZE:
            raise TooMuch(t("{n} is too large for a count or a width; {most} is the most", n=argument, most=MAX_SIZE))
        _budget.get().pay(argument)


def _size(name: str, value: Any, arguments: list[Any]) -> int:
    """Characters that a filter or method makes, where they may be many times what it is given."""
    text = value if isinstance(value, str) else ""
    texts = [len(a) for a in arguments if isinstance(a, str)]
    widths = [a for a in arguments if isinstance(a, int)]
    if name == "replace" and len(arguments) > 1:
        return (text.count(str(arguments[0])) + 1) * len(str(arguments[1]))
    if name == "indent":
        return (text.count("\n") + 1) * max([*widths, *texts, 4])
    if name == "wordwrap":
        return len(text) * max([*texts, 1])
    if name == "join":
        return len(value) * max([*texts, 0]) if isinstance(value, list | tuple | str | dict) else 0
    if name == "tojson":
        return max([*widths, 0]) * MAX_CHARS // 8  # an indent of up to 8
    return 0


def _paying(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that pays, and is never run while a template is compiled."""
    wants = getattr(call, "jinja_pass_arg", None)

    @pass_context
    def paying(context: Context, value: Any, *arguments: Any, **options: Any) -> Any:
        first = {"context": context, "eval_context": context.eval_ctx, "environment": context.environment}
        before = [first[wants.name]] if wants else []
        if name == "join" and not isinstance(value, str | dict):
            value = list(value)
        given = [*arguments, *options.values()]
        _budget.get().pay(value)
        _check_arguments(given)
        _expect(_size(name, value, given))
        if name == "format" and re.search(r"\d{4,}|\*", str(value)):
            raise TooMuch(t("a width of more than three digits"))
        return _budget.get().pay(call(*before, value, *arguments, **options))

    return paying


def _paying_test(test: Callable[..., bool]) -> Callable[..., bool]:
    @pass_context
    def paying(_: Context, *values: Any) -> bool:
        _budget.get().pay(values)
        return test(*values)

    return paying


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(("*", "**", "+", "-", "%", "//"))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Of the values that templates work on, only methods whose cost is known."""
        for kind, known in _METHODS.items():
            if isinstance(obj, kind):
                return attr in known
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """`str.format` stays what it is, and so is refused: the filter `format` does its work."""
        return

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """A function or method, paid for."""
        given = [*args, *kwargs.values()]
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            _expect(_size(getattr(__obj, "__name__", ""), given[0] if __obj.__name__ == "join" else owner,
                          [owner] if __obj.__name__ == "join" else given))  # fmt: skip
            _budget.get().pay(owner)
        if owner is not None:
            _check_arguments(given)
        else:
            _budget.get().pay(given)
        return _budget.get().pay(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operation whose result may be large, looked at first."""
        budget = _budget.get()
        for one, other in ((left, right), (right, left)):
            if operator == "*" and isinstance(one, str | bytes | list | tuple) and isinstance(other, int):
                _expect(len(one) * other)  # pyright: ignore[reportUnknownArgumentType]
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            _expect(left.bit_length() * abs(right) * MAX_CHARS // _BITS)
        if operator == "%" and isinstance(left, str):
            raise TooMuch(t("'%' of texts cannot be used in a prompt; use the filter 'format'"))
        budget.pay([left, right])
        return budget.pay(super().call_binop(context, operator, left, right))


def _make_environment() -> _Environment:
    made = _Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False, finalize=_written)
    tests: dict[str, Any] = {name: _paying_test(test) for name, test in TESTS.items() if name not in ("filter", "test")}
    made.tests.clear()
    made.tests.update(tests)
    made.filters = {name: _paying(name, FILTERS[name]) for name in _FILTERS}
    made.filters |= {"_turns": _turns, "_joined": _joined, "_made": _made}
    del made.globals["lipsum"]  # random
    return made


_environment = _make_environment()
