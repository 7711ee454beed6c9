"""One file over HTTP, resumable. Knows the protocol (RFC 9110: ranges and conditions), not what the file is for.

A broken download leaves `NAME.part` and, beside it, the validator the server gave; the next try asks for the rest on
the condition that the file is still the same (`If-Range`), and begins again when it is not.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path
from typing import IO, Any

from slipway.errors import IntegrityError, MissingPrerequisite, NotFound, SlipwayError
from slipway.i18n import t
from slipway.store.models.sources import check_url, no_space, require_space

Progress = Callable[[str, int, "int | None"], None]
_CHUNK = 1 << 18
_TIMEOUT = 30.0  # seconds without a byte
_TRIES = 5  # in a row without one new byte
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but only to addresses that `check_url` allows; credentials stay with their host."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # pyright: ignore[reportArgumentType]


def open_url(url: str, headers: Mapping[str, str] | None = None, token: str = "") -> Any:
    """Ask for a URL; the answer is a stream to close. `token` is sent to that host only, not to where it leads.

    Raises urllib.error.HTTPError and OSError as urllib does.
    """
    check_url(url)
    request = urllib.request.Request(
        url, headers={"User-Agent": "slipway", "Accept-Encoding": "identity", **(headers or {})}
    )
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return urllib.request.build_opener(_Redirects()).open(request, timeout=_TIMEOUT)


def download(url: str, target: Path, name: str, progress: Progress | None = None, token: str = "") -> None:
    """Fetch `url` into `target`, going on from `target.part` where that is possible.

    Tries again, with growing pauses, while the connection breaks; the pauses start over with every new byte. Raises
    NotFound (404), MissingPrerequisite (no network, no space, no permission), IntegrityError (shorter than announced).
    """
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)

    def size() -> int:
        return part.stat().st_size if part.exists() else 0

    _persist(url, lambda: _attempt(url, part, name, progress, token), size, part.parent)
    os.replace(part, target)
    _validator_file(part).unlink(missing_ok=True)


def _persist(url: str, attempt: Callable[[], None], received: Callable[[], int], folder: Path | None) -> None:
    """Call `attempt` until it succeeds, with growing pauses; they start over whenever `received` has grown."""
    failures = 0
    while True:
        before = received()
        try:
            return attempt()
        except urllib.error.HTTPError as error:
            if error.code not in (408, 425, 429, 500, 502, 503, 504):
                raise http_error(url, error) from error
            last: Exception = error
        except (OSError, http.client.HTTPException) as error:
            _refuse_hopeless(url, error, folder)
            last = error
        failures = 0 if received() > before else failures + 1
        if failures >= _TRIES:
            raise unreachable(url, last) from last
        time.sleep(min(8.0, 0.25 * 2**failures))


def _refuse_hopeless(url: str, error: Exception, folder: Path | None) -> None:
    """Raise at once for what another try cannot fix."""
    if folder is not None and isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise no_space(folder) from error
    reason = getattr(error, "reason", error)
    if isinstance(reason, ConnectionRefusedError | ssl.SSLCertVerificationError):
        raise unreachable(url, error) from error


def _attempt(url: str, part: Path, name: str, progress: Progress | None, token: str) -> None:
    start, headers = _resumption(part)
    try:
        answer = open_url(url, headers, token)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not start:
            raise
        part.unlink()  # what we have is longer than the file there: it is not the same file
        return _attempt(url, part, name, progress, token)
    with answer:
        ranged = _RANGE.match(answer.headers.get("Content-Range") or "") if answer.status == 206 else None
        if ranged is None or int(ranged[1]) != start:
            start = 0
        total = _announced(answer.headers.get("Content-Length"), start)
        if total is not None:
            require_space(part.parent, total - start)
        if start == 0:
            _remember_validator(part, answer.headers)
        _receive(answer, part, start, total, name, progress)


def _resumption(part: Path) -> tuple[int, dict[str, str]]:
    """From which byte to go on, and the headers that ask for it; a part without a validator is begun again."""
    try:
        validator = _validator_file(part).read_text("utf-8")
        start = part.stat().st_size
    except (OSError, ValueError):
        return 0, {}
    return (start, {"Range": f"bytes={start}-", "If-Range": validator}) if start else (0, {})


def _validator_file(part: Path) -> Path:
    return part.with_name(part.name + ".validator")


def _remember_validator(part: Path, headers: Message) -> None:
    """Keep the strong ETag, or else Last-Modified: RFC 9110 allows no weak one in If-Range."""
    etag = headers.get("ETag", "")
    validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
    _validator_file(part).unlink(missing_ok=True)
    if validator:
        _validator_file(part).write_text(validator, "utf-8")


def _announced(length: str | None, start: int) -> int | None:
    return int(length) + start if length and length.isdigit() else None


def _receive(
    answer: IO[bytes], part: Path, start: int, total: int | None, name: str, progress: Progress | None
) -> None:
    with part.open("r+b" if start else "wb") as out:
        out.seek(start)
        out.truncate()
        while block := answer.read(_CHUNK):
            out.write(block)
            if progress:
                progress(name, out.tell(), total)
        size = out.tell()
    if total is not None and size < total:
        raise ConnectionResetError(t("{n} of {total} bytes arrived", n=size, total=total))
    if total is not None and size > total:
        part.unlink()
        raise IntegrityError(t("{file} is longer than the server announced", file=name))


def http_error(url: str, error: urllib.error.HTTPError) -> SlipwayError:
    """What a status means to the person who asked for the model."""
    if error.code in (404, 410):
        return NotFound(t("there is nothing at {url}", url=url), t("check the address"))
    if error.code in (401, 403):
        return MissingPrerequisite(
            t("{url} may not be read without permission (HTTP {code})", url=url, code=error.code),
            t("for a gated repository accept its terms and set HF_TOKEN; or download the file and use file:"),
        )
    return SlipwayError(t("{url} answered with HTTP {code}", url=url, code=error.code), t("try again later"))


def unreachable(url: str, error: Exception) -> MissingPrerequisite:
    """No network, or none to that host."""
    return MissingPrerequisite(
        t("{url} cannot be reached: {error}", url=url, error=getattr(error, "reason", None) or error),
        t("run the command again to go on where it stopped; without network, bring the file here and use file:"),
    )


def get_json(url: str, token: str = "", limit: int = 32 << 20) -> dict[str, Any]:
    """A JSON object from a URL, of at most `limit` bytes. Errors as `download`."""
    raw = bytearray()

    def attempt() -> None:
        raw.clear()
        with open_url(url, {"Accept": "application/json"}, token) as answer:
            raw.extend(answer.read(limit))
            total = _announced(answer.headers.get("Content-Length"), 0)
        if total is not None and len(raw) < min(total, limit):
            raise ConnectionResetError(t("{n} of {total} bytes arrived", n=len(raw), total=total))

    _persist(url, attempt, lambda: 0, None)
    try:
        value = json.loads(bytes(raw))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise SlipwayError(t("{url} did not answer with JSON", url=url), t("check HF_ENDPOINT"))
    return value  # pyright: ignore[reportUnknownVariableType]
