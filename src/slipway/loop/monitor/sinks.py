"""The four ways an alert takes. Each raises SlipwayError where it did not arrive; none follows a redirect, none has a
shell.

Secrets come from the environment and never stand in what is sent, kept or shown.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import smtplib
import ssl
import subprocess
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

import msgspec

from slipway.core.alert import Alert
from slipway.errors import MissingPrerequisite, SlipwayError
from slipway.files import why as why_of
from slipway.i18n import t
from slipway.loop.loop_thread import LoopThread
from slipway.loop.monitor import message
from slipway.project.monitoring import CommandSink, EmailSink, Sink, WebhookSink

log = logging.getLogger("slipway.monitor")


class NotDelivered(SlipwayError):
    """An alert did not arrive; it is tried again."""


def send(sink: Sink, alert: Alert, root: Path) -> None:
    """By the one way that the sink is."""
    if sink.webhook is not None:
        thread = LoopThread()  # the caller may have a running loop itself
        try:
            thread.run(_post(sink.webhook, alert))
        finally:
            thread.close()
    elif sink.email is not None:
        _mail(sink.email, alert)
    elif sink.command is not None:
        _run(sink.command, alert, root)
    else:
        log.warning(message.subject(alert), extra={"alert": msgspec.to_builtins(alert)})


def payload(alert: Alert) -> bytes:
    """JSON: the fields of an Alert, and `text` for people and chats."""
    fields = {name: getattr(alert, name) for name in alert.__struct_fields__}
    return msgspec.json.encode({"text": f"{message.subject(alert)}\n{message.body(alert)}", **fields})


async def _post(sink: WebhookSink, alert: Alert) -> None:
    import aiohttp

    url = sink.url or _secret(sink.url_env)
    headers = {"content-type": "application/json", "idempotency-key": alert.id}
    if sink.token_env:
        headers["authorization"] = f"Bearer {_secret(sink.token_env)}"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=sink.timeout), trust_env=False) as session,
            session.post(url, data=payload(alert), headers=headers, allow_redirects=False) as reply,
        ):
            status = reply.status
    except (aiohttp.ClientError, OSError, ValueError) as error:  # its text may hold the address, which may be a secret
        raise NotDelivered(t("the webhook did not answer: {why}", why=type(error).__name__)) from None
    if not 200 <= status < 300:
        raise NotDelivered(t("the webhook answered with status {status}", status=status))


def _mail(sink: EmailSink, alert: Alert) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = message.subject(alert), sink.sender, ", ".join(sink.to)
    mail["Date"] = format_datetime(datetime.fromisoformat(alert.at))
    mail["Message-ID"] = f"<{alert.id}@{sink.sender.partition('@')[2]}>"
    mail.set_content(message.body(alert))
    trusted = ssl.create_default_context()
    try:
        if sink.security == "tls":
            server = smtplib.SMTP_SSL(sink.host, sink.port, timeout=sink.timeout, context=trusted)
        else:
            server = smtplib.SMTP(sink.host, sink.port, timeout=sink.timeout)
        try:
            if sink.security == "starttls":
                server.starttls(context=trusted)
            if sink.password_env:
                server.login(sink.user, _secret(sink.password_env))
            server.send_message(mail)
            with contextlib.suppress(smtplib.SMTPException, OSError):  # it was taken, however they part
                server.quit()
        finally:
            server.close()
    except (smtplib.SMTPException, OSError) as error:
        raise NotDelivered(t("the mail was not taken: {why}", why=type(error).__name__)) from None


def _run(sink: CommandSink, alert: Alert, root: Path) -> None:
    try:
        child = subprocess.Popen(
            sink.run, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise NotDelivered(t("the command did not start: {why}", why=why_of(error))) from None
    try:
        child.communicate(payload(alert), timeout=sink.timeout)
    except subprocess.TimeoutExpired:
        raise NotDelivered(t("the command took longer than {s:g} s and was ended", s=sink.timeout)) from None
    finally:
        with contextlib.suppress(ProcessLookupError):  # and whatever it left behind
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.returncode:
        raise NotDelivered(t("the command ended with code {code}", code=child.returncode))


def _secret(name: str) -> str:
    found = os.environ.get(name, "")
    if not found:
        raise MissingPrerequisite(
            t("the environment variable {name} is not set", name=name), t("set it where the monitor is started")
        )
    return found
