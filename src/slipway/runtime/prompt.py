"""From an input to the messages a model reads: sandboxed templates, few-shot examples, history. Calls no model.

A template is Jinja2 in a sandbox with a fixed amount of work (`sandbox`), rendered with `question`,
`passages` (each `.n`, `.source`, `.heading`, `.text`), `examples` (each `.question`, `.answer`) and `language`, that of
the question, found here: so evaluation and serving find the same.
What is constant should stand first in the file: engines keep the prefix of a prompt in a cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError
from jinja2.exceptions import SecurityError
from jinja2.meta import find_undeclared_variables

from slipway.core.answer import Citation
from slipway.core.message import Message
from slipway.errors import ConfigError, nearest
from slipway.i18n import t
from slipway.runtime.sandbox import Prompt, TooMuch, compile_prompt, parse
from slipway.text.language import of_question

VARIABLES = ("question", "passages", "examples", "language")
MAX_QUESTION = 100_000  # characters; a longer one is refused before any work is done

_FAILURES = (
    TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError,
    NameError,  # Jinja2 writes 1e999 into its Python as `inf`
)  # fmt: skip


@lru_cache(maxsize=256)
def _compiled(template: str) -> Prompt:
    return compile_prompt(template)


def check_template(template: str, where: str) -> None:
    """Raise ConfigError, naming line and variable, when a template cannot work; `where` names its file."""
    try:
        used = find_undeclared_variables(parse(template))
        prompt = _compiled(template)
    except TemplateSyntaxError as error:
        raise ConfigError(
            t("{where}:{line}: {what}", where=where, line=error.lineno, what=error.message),
            t("prompts are Jinja2 templates: {{ question }} is a variable, {% for p in passages %} a loop"),
        ) from error
    for name in sorted(used - set(VARIABLES) - {"range", "dict", "cycler", "joiner", "namespace"}):
        near = nearest(name, VARIABLES)
        raise ConfigError(
            t("{where}: the template uses '{name}', which does not exist", where=where, name=name),
            (t("did you mean '{near}'?", near=near) + " " if near else "")
            + t("known: {names}", names=", ".join(VARIABLES)),
        )
    if "question" not in used:
        raise ConfigError(
            t("{where}: the template never uses the question", where=where), t("put {{ question }} where it belongs")
        )
    _try(prompt, where)


def _try(prompt: Prompt, where: str) -> None:
    """Render once with ordinary values: what is too much does not depend on them, other mistakes may."""
    text = "An ordinary sentence of some words. " * 10
    passages = [{"n": n, "source": "a.md", "heading": "A > B", "text": text} for n in range(1, 6)]
    examples = [{"question": text, "answer": text}] * 5
    try:
        prompt.render({"question": text, "passages": passages, "examples": examples, "language": "en"})
    except (TooMuch, SecurityError) as error:
        raise ConfigError(
            t("{where}: the template cannot be used: {why}", where=where, why=error),
            t("a prompt writes text and repeats it for each passage; compute elsewhere"),
        ) from error
    except _FAILURES:
        return


def question_of(input: Mapping[str, Any]) -> str:
    """The question of an input; raises ConfigError when there is none, or it is absurdly long."""
    question = input.get("question")
    if not isinstance(question, str) or not question.strip():
        raise ConfigError(t("the input has no question"), t("send text in the field 'question'"))
    if len(question) > MAX_QUESTION:
        raise ConfigError(
            t("the question has {n} characters; {most} is the most", n=len(question), most=MAX_QUESTION),
            t("shorten it, or add it as a document to search"),
        )
    return question


def language_of(input: Mapping[str, Any]) -> str:
    """The language an input names, else that of its question; a BCP 47 tag, `und` when it cannot be told."""
    named = input.get("language")
    return named if isinstance(named, str) and named else of_question(question_of(input))


def build_messages(
    template: str,
    system: str,
    input: Mapping[str, Any],
    passages: Sequence[Citation],
    examples: Sequence[Mapping[str, str]],
) -> tuple[Message, ...]:
    """System text, earlier turns, then the rendered template as the user's turn."""
    question = question_of(input)
    shown = [
        {"n": n, "source": p.source, "heading": " > ".join(p.path), "text": p.shown or p.text}
        for n, p in enumerate(passages, 1)
    ]
    try:
        text = _compiled(template).render(
            {"question": question, "passages": shown, "examples": list(examples), "language": language_of(input)}
        )
    except _FAILURES as error:
        raise ConfigError(
            t("the prompt template failed on this input: {why}", why=error),
            t("`slipway check` tries every template"),
        ) from error
    history = tuple(Message(turn["role"], turn["content"]) for turn in input.get("history", ()))
    first = (Message("system", system),) if system else ()
    return (*first, *history, Message("user", text.strip()))
