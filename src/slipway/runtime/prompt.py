"""From an input to the messages a model reads: sandboxed templates, few-shot examples, history. Calls no model.

A template is Jinja2 in a sandbox with a fixed amount of work (`sandbox`), rendered with the fields of the task's input,
`passages` (each `.n`, `.source`, `.heading`, `.text`), `examples` (each with the fields of input and reference),
`language`, that of the input, and in a task of labels `labels` (each `.name` and `.meaning`, which may be empty).
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
from slipway.core.protocols import Input, Labelled, Task
from slipway.errors import ConfigError, instead
from slipway.i18n import t
from slipway.runtime.sandbox import Prompt, TooMuch, compile_prompt, parse

VARIABLES = ("passages", "examples", "language")  # in addition to the fields of the task's input

_FAILURES = (
    TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError,
    NameError,  # Jinja2 writes 1e999 into its Python as `inf`
)  # fmt: skip


@lru_cache(maxsize=256)
def _compiled(template: str) -> Prompt:
    return compile_prompt(template)


def check_template(template: str, where: str, task: type[Task] | Task) -> None:
    """Raise ConfigError, naming line and variable, when a template cannot work; `where` names its file."""
    known = (*task.inputs, *VARIABLES, *(("labels",) if isinstance(task, Labelled) else ()))
    try:
        used = find_undeclared_variables(parse(template))
        prompt = _compiled(template)
    except TemplateSyntaxError as error:
        raise ConfigError(
            t("{where}:{line}: {what}", where=where, line=error.lineno, what=error.message),
            t("prompts are Jinja2 templates: {{ name }} is a variable, {% for p in passages %} a loop"),
        ) from error
    for name in sorted(used - set(known) - {"range", "dict", "cycler", "joiner", "namespace"}):
        raise ConfigError(
            t("{where}: the template uses '{name}', which does not exist", where=where, name=name),
            instead(name, known),
        )
    if task.inputs[0] not in used:
        raise ConfigError(
            t("{where}: the template never uses '{name}'", where=where, name=task.inputs[0]),
            t("put {variable} where it belongs", variable=f"{{{{ {task.inputs[0]} }}}}"),
        )
    _try(prompt, where, task)


def _try(prompt: Prompt, where: str, task: type[Task] | Task) -> None:
    """Render once with ordinary values: what is too much does not depend on them, other mistakes may."""
    text = "An ordinary sentence of some words. " * 10
    passages = [{"n": n, "source": "a.md", "heading": "A > B", "text": text} for n in range(1, 6)]
    input: dict[str, Any] = dict.fromkeys(task.inputs, text)
    if isinstance(task, Labelled):
        input["labels"] = [{"name": text[:20], "meaning": text}] * 10
    try:
        prompt.render(
            {**input, "passages": passages, "examples": [{**input, task.reference: text}] * 5, "language": "en"}
        )
    except (TooMuch, SecurityError) as error:
        raise ConfigError(
            t("{where}: the template cannot be used: {why}", where=where, why=error),
            t("a prompt writes text and repeats it for each passage; compute elsewhere"),
        ) from error
    except _FAILURES:
        return


def build_messages(
    template: str,
    system: str,
    input: Input,
    passages: Sequence[Citation],
    examples: Sequence[Mapping[str, Any]],
    language: str = "und",
    task: Task | None = None,
) -> tuple[Message, ...]:
    """System text, earlier turns (`history` of the input), then the rendered template as the user's turn.

    `task`: whose labels the template may name. Raises ConfigError when the template fails on this input.
    """
    more: dict[str, Any] = {}
    if isinstance(task, Labelled):
        more["labels"] = [{"name": name, "meaning": meaning} for name, meaning in task.labels.items()]
    shown = [
        {"n": n, "source": p.source, "heading": " > ".join(p.path), "text": p.shown or p.text}
        for n, p in enumerate(passages, 1)
    ]
    try:
        text = _compiled(template).render(
            {**input, "passages": shown, "examples": list(examples), "language": language, **more}
        )
    except _FAILURES as error:
        raise ConfigError(
            t("the prompt template failed on this input: {why}", why=error),
            t("`slipway check` tries every template"),
        ) from error
    history = tuple(Message(turn["role"], turn["content"]) for turn in input.get("history", ()))
    first = (Message("system", system),) if system else ()
    return (*first, *history, Message("user", text.strip()))
