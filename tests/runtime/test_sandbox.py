"""A template stops at a fixed amount of work, wherever it is rendered; what templates are for still works."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from everyday import some
from slipway.builtin.tasks.answer import AnswerTask
from slipway.core.answer import Citation
from slipway.errors import ConfigError
from slipway.runtime.prompt import build_messages, check_template

QUESTION = "question " * 11_000  # the longest that is let in
PASSAGES = [Citation(chunk="c", source="a.md", path=("A", "B"), start=0, end=1, text="A text. " * 100, score=1.0)] * 20
EXAMPLES = [{"question": f"q{n}", "answer": f"a{n}"} for n in range(5)]
Q = "{{ question }}"


def twice(name: str, expression: str) -> str:
    return f"{{% set {name} = {expression} %}}" * 60


HOSTILE = {
    "loops": "{% for a in range(9999) %}" * 3 + "{% endfor %}" * 3,
    "loop over text": "{% for a in question %}{% for b in question %}{% endfor %}{% endfor %}",
    "repetition": "{{ 'a' * 10**9 }}",
    "list": "{{ ([1] * 10**9)|length }}",
    "power": "{{ 10**(10**10) }}",
    "squares": "{% set n = namespace(x=99) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}",
    "join": "{% set x = question %}" + twice("x", "x ~ x"),
    "sum": "{% set x = question %}" + twice("x", "x + x"),
    "join in a loop": "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "lists in lists": "{% set x = [1] %}" + twice("x", "[x, x]") + "{{ x }}",
    "dicts in dicts": "{% set x = 1 %}" + twice("x", "{'a': x, 'b': x}") + "{{ x|string }}",
    "dicts by a call": "{% set x = 1 %}" + twice("x", "dict(a=x, b=x)") + "{{ x }}",
    "comparison": "{% set x = [1] %}{% set y = [1] %}" + twice("x", "[x, x]") + twice("y", "[y, y]") + "{{ x == y }}",
    "format": "{{ '%999999999d'|format(1) }}",
    "format star": "{{ '%*d'|format(9999, 1) }}",
    "percent": "{{ '%999999999d' % 1 }}",
    "str.format": "{{ '{:>999999999}'.format(1) }}",
    "str.format_map": "{{ '{a:>999999999}'.format_map({'a': 1}) }}",
    "ljust": "{{ 'a'.ljust(10**9) }}",
    "to_bytes": "{{ (1).to_bytes(10**9, 'big') }}",
    "center": "{{ 'a'|center(10**9) }}",
    "center by map": "{{ ['a']|map('center', 10**9)|list }}",
    "indent": "{{ ('a\n' * 9999)|indent(9999) }}",
    "wordwrap": "{{ question|wordwrap(1, wrapstring='x' * 9999) }}",
    "replace": "{{ ('a' * 9999)|replace('a', 'b' * 9999) }}",
    "str.replace": "{{ ('a' * 9999).replace('a', 'b' * 9999) }}",
    "join by text": "{{ range(9999)|join('x' * 9999) }}",
    "str.join": "{{ ('x' * 9999).join(['a'] * 9999) }}",
    "tojson": "{{ range(9999)|list|tojson(indent=9999) }}",
    "lipsum": "{{ lipsum(n=10**9) }}",
    "macro": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "recursive": "{% for a in [1] recursive %}{{ loop([1, 1]) }}{% endfor %}",
    "parentheses": "{{" + "(" * 3000 + "1" + ")" * 3000 + "}}",
    "deep loops": "{% for i in [1] %}" * 25 + "{% endfor %}" * 25,
    "digits": "{{" + "9" * 5000 + "}}",
    "capture": "{% set x %}{% for i in range(9999) %}{{ question }}{% endfor %}{% endset %}",
    "constant text": "{% set x %}{% for i in range(9999) %}" + "y" * 90_000 + "{% endfor %}{% endset %}",
    "search": "{% for i in range(99999) %}{% if 'zz' in question %}{% endif %}{% endfor %}",
    "search by select": "{{ range(99999)|map('string')|select('in', question)|list|length }}",
    "upper": "{% for i in range(99999) %}{% set x = question|upper %}{% endfor %}",
    "sorts": "{{ (range(99999)|list|sort)|length }}",
    "many parts": "{{ 1 }}" * 90_000,
    "long list": "{% set x = [" + "1," * 300_000 + "] %}",
    "cycler": "{% set c = cycler(1, 2) %}{% for i in range(99999) %}{{ c.next() }}{% endfor %}",
    "include": "{% include '/etc/passwd' %}",
    "attr": "{{ question|attr('__class__') }}",
    "class": "{{ question.__class__ }}",
    "globals": "{{ cycler.__init__.__globals__ }}",
    "loop's": "{% for i in [1] %}{{ loop._iterator.gi_frame }}{% endfor %}",
}


@pytest.mark.slow
@pytest.mark.parametrize("template", some(HOSTILE, 12))
def test_a_template_that_runs_away_is_stopped(template: str) -> None:
    tracemalloc.start()
    try:
        started = time.monotonic()
        with pytest.raises(ConfigError):
            build_messages(template + Q, "", {"question": QUESTION}, PASSAGES, EXAMPLES)
        seconds = time.monotonic() - started
        with pytest.raises(ConfigError):
            check_template(template + Q, "p.md", AnswerTask)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    assert seconds < 10  # half a second on an idle machine; memory is being traced here


def test_check_says_what_is_too_much_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match="p.md: the template cannot be used: it does more than 200000 operations"):
        check_template(HOSTILE["loops"] + Q, "p.md", AnswerTask)
    with pytest.raises(ConfigError, match="p.md:2: 'macro' cannot be used in a prompt"):
        check_template("\n{% macro f() %}{% endmacro %}" + Q, "p.md", AnswerTask)


ORDINARY = {
    "{% for p in passages %}[{{ p.n }}] {{ p.heading|upper }}: {{ p.text|trim|replace('A', 'B')|truncate(9) }}\n{% endfor %}"
    + Q: "[20] A > B: B...",
    "{% for e in examples %}{{ loop.index }}/{{ loop.length }} {{ e.answer }}{{ ', ' if not loop.last }}{% endfor %}": "5/5 a4",
    "{{ passages|map(attribute='n')|join(', ') }}": "18, 19, 20",
    "{{ question.strip().split(' ')[0] }}{{ question[:3] }}{{ '%02d'|format(7) }}": "questionque07",
    "{{ 'a' ~ 1 ~ 'b' }}{% set x, y = 1, 2 %}{{ x + y * 2 - 1 }}{{ {'en': 'x'}.get(language, 'z') }}": "a1b4z",
    "{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}{% filter upper %}q{% endfilter %}": "a1Q",
    "{% set x %}abc{% endset %}{{ x }}{% for i in range(3) if i %}{{ i }}{% else %}n{% endfor %}": "abc12",
    "{{ passages|selectattr('n', 'gt', 18)|map(attribute='n')|list }}{{ question is string }}": "[19, 20]True",
    "{{ cycler('a', 'b').next() }}{{ (passages|sort(attribute='n', reverse=true)|first).n }}": "a20",
}  # fmt: skip


@pytest.mark.parametrize(("template", "expected"), ORDINARY.items())
def test_what_prompts_do_works(template: str, expected: str) -> None:
    check_template(template + Q, "p.md", AnswerTask)
    text = build_messages(template + Q, "", {"question": QUESTION}, PASSAGES, EXAMPLES)[0].content
    assert expected in text


def test_the_longest_question_and_the_most_passages_fit() -> None:
    template = "{% for p in passages %}{{ p.n }} {{ p.source }} {{ p.heading }}\n{{ p.text }}\n{% endfor %}" * 2 + Q
    build_messages(template, "", {"question": QUESTION}, PASSAGES * 5, EXAMPLES * 10)
