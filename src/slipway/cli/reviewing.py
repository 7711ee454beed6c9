"""Drafts decided in a terminal, one key each. Every decision is on disk before the next draft is shown.

What documents say is shown as `terminal` shows everything: it cannot act on the terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from slipway.cli import terminal
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.text import visible

if TYPE_CHECKING:
    from slipway.data.drafts.draft import Draft
    from slipway.loop.drafting import Review

_QUIT = ("q", "\x03", "\x04", "\x1b", "")


def at_terminal(review: Review) -> None:
    """Ask about each draft that waits. Raises ConfigError, with what to do, where nobody can press a key."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError(
            t("{n} drafts wait, and there is no terminal to ask at", n=len(review.waiting)),
            t("`slipway data review --csv FILE` writes a sheet to fill, --from FILE reads it back"),
        )
    with _single_keys():
        ask(review, _key, _line)


def ask(review: Review, key: Callable[[], str], line: Callable[[str, str], str]) -> None:
    """Show each waiting draft and do what a key says. `key` reads one key, `line(label, text)` an edited line."""
    waiting = review.waiting
    at = 0
    while at < len(waiting):
        number = waiting[at]
        draft = review.drafts[number]
        _show(draft, at + 1, len(waiting))
        pressed = key().lower()
        if pressed == "a":
            review.decide(number, msgspec.structs.replace(draft, status="accepted"))
        elif pressed == "r":
            review.decide(number, msgspec.structs.replace(draft, status="refused"))
        elif pressed == "e":
            edited = _edited(draft, line)
            if edited is None:
                continue
            review.decide(number, edited)
        elif pressed == "u":
            back = review.undo()
            at = waiting.index(back) if back is not None else max(0, at - 1)
            continue
        elif pressed in _QUIT:
            return
        elif pressed != "s":
            continue
        at += 1


def _show(draft: Draft, number: int, of: int) -> None:
    terminal.out("", f"[{number}/{of}] {draft.rule} · {draft.source}")
    terminal.out(f"  {t('question')}: {draft.question}")
    terminal.block(visible.paragraph(f"  {t('answer')}: {draft.answer}"))
    if draft.passage and draft.passage != draft.answer:
        terminal.out(f"  {t('from')}: {draft.passage[:400]}")
    terminal.out(t("a accept · e edit · r refuse · s skip · u undo · q quit"))


def _edited(draft: Draft, line: Callable[[str, str], str]) -> Draft | None:
    """The draft in a person's words; None when one of them was left empty."""
    question = line(t("question"), draft.question).strip()
    answer = line(t("answer"), draft.answer).strip() if question else ""
    if not question or not answer:
        terminal.out(t("nothing was changed: an example needs a question and an answer"))
        return None
    if (question, answer) == (draft.question, draft.answer):
        return msgspec.structs.replace(draft, status="accepted")
    return msgspec.structs.replace(draft, status="fixed", question=question, answer=answer)


@contextmanager
def _single_keys(*, on: bool = True) -> Generator[None]:
    """Keys arrive without Enter and unseen, where the system can; not `on`: whole lines, seen. Nothing is lost."""
    try:
        import termios
    except ImportError:
        yield
        return
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    wanted = termios.tcgetattr(handle)
    flags = termios.ECHO | termios.ICANON
    wanted[3] = wanted[3] & ~flags if on else wanted[3] | flags
    try:
        termios.tcsetattr(handle, termios.TCSADRAIN, wanted)
        yield
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


def _key() -> str:
    """One key; empty for a closed input. Nothing is read ahead: what follows may be for `_line`."""
    try:
        return os.read(sys.stdin.fileno(), 1).decode("latin-1")
    except KeyboardInterrupt:
        return "q"


def _line(label: str, text: str) -> str:
    """A line that starts with what is there. Enter without a change keeps it."""
    shown = visible.line(text)
    try:
        import readline
    except ImportError:
        return input(f"  {label} [{shown}]: ") or text
    readline.set_startup_hook(lambda: readline.insert_text(shown))
    try:
        with _single_keys(on=False):
            given = input(f"  {label}: ")
    except (EOFError, KeyboardInterrupt):
        return ""
    finally:
        readline.set_startup_hook(None)
    return text if given == shown else given
