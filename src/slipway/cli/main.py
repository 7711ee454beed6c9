"""The entry point: choose the language before any help text is made, and turn every error into words and an exit code.

Exit codes: 0 ok, 1 the gate said no, 2 usage or config, 3 a missing prerequisite, 4 a step failed, 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from slipway.cli.terminal import catch_logs, failed
from slipway.errors import SlipwayError
from slipway.i18n import LANGUAGES, set_language, t

INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 still gets every word
    arguments = list(sys.argv[1:] if argv is None else argv)
    set_language(_language(arguments))
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit code. Unexpected errors are written to a file, with how to report them."""
    from slipway.cli import translation

    translation.adopt()
    catch_logs()
    import typer

    from slipway.cli.app import app

    translation.adopt_help()

    try:
        result = app(arguments, prog_name="slipway", standalone_mode=False)
        code = result if isinstance(result, int) else 0
        if code == INTERRUPTED:  # typer may turn Ctrl-C into this code by itself
            raise KeyboardInterrupt
        return code
    except SlipwayError as error:
        failed(error.message, error.hint)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        failed(t("stopped; run the same command again to go on where it was"))
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        from slipway.store.failing import of_system

        told = of_system(error, error.filename or t("this command's output"))
        failed(told.message, told.hint)
        return told.exit_code
    except Exception as error:  # noqa: BLE001  # the last resort: a person never sees a traceback
        if hasattr(
            error, "format_message"
        ):  # a usage error; typer carries its own click, so its class has no public name
            _usage(error)
            return 2
        if os.environ.get("SLIPWAY_TRACEBACK"):
            raise
        failed(
            t("a defect in Slipway: {kind}: {why}", kind=type(error).__name__, why=error),
            t("nothing that was finished is lost. SLIPWAY_TRACEBACK=1 shows where it happened; please report it"),
        )
        return 4


def _language(arguments: list[str]) -> str | None:
    """The value of --lang, taken out of the arguments: it must be known before help texts are made."""
    for place, word in enumerate(arguments):
        if word == "--":
            break
        if word == "--lang" and place + 1 < len(arguments):
            value = arguments[place + 1]
            del arguments[place : place + 2]
        elif word.startswith("--lang="):
            value = word.removeprefix("--lang=")
            del arguments[place]
        else:
            continue
        if value not in LANGUAGES:
            failed(f"--lang {value}: en, zh")
            sys.exit(2)
        return value
    return None


def _usage(error: object) -> None:
    context = getattr(error, "ctx", None)
    hint = t("`{command} --help` shows how it is used", command=context.command_path if context else "slipway")
    from slipway.cli.usage import told

    failed(told(str(getattr(error, "format_message", lambda: error)())), hint)
