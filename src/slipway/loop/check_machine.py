"""What `slipway check` says of the machine: models and their memory, cores, disk, and the port. Runs no model."""

from __future__ import annotations

import errno
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from slipway.core.metrics import rounded
from slipway.errors import SlipwayError
from slipway.files import why
from slipway.i18n import t
from slipway.loop.finding import Finding
from slipway.loop.model_lock import absolute
from slipway.loop.model_size import need
from slipway.machine import free_bytes, usable_cores
from slipway.project.schema import ModelConfig, Project
from slipway.store import models

GENERATING = ("openvino", "llama")  # engines of models whose memory and speed can be told


def check_models(project: Project, root: Path) -> Iterator[Finding]:
    """Whether each model is here, and whether it fits into the memory. `root`: the project's folder."""
    for name, model in project.models.items():
        try:
            if not model.source:
                continue
            models.parse(absolute(model.source, root))
            here = models.find(absolute(model.source, root), model.quantize)
        except SlipwayError as error:
            yield Finding("error", error.message, error.hint)
            continue
        if model.engine in GENERATING:
            yield from _needs(name, model, root)
        if here is None:
            yield Finding(
                "warning", t("the model '{name}' is not on this machine yet", name=name), "slipway models pull"
            )
        else:
            size = f"{here.size / 1e6:.0f} MB"
            yield Finding("ok", t("the model '{name}' is here ({size})", name=name, size=size))


def _needs(name: str, model: ModelConfig, root: Path) -> Iterator[Finding]:
    """Memory and speed of a local model, where they can be told; a warning for one that does not fit."""
    context = model.options.get("context")
    needed = need(absolute(model.source, root), model.quantize, context if isinstance(context, int) else None)
    if needed is None:
        return
    free, (slow, fast), (slow_read, fast_read) = free_bytes(), needed.generated, needed.read
    text = t(
        "the model '{name}': {weights:.1f} GB of weights, about {memory:.1f} GB of memory; on this machine about "
        "{slow} to {fast} tokens a second generated, {slow_read} to {fast_read} read",
        name=name, weights=needed.weights / 1e9, memory=needed.memory / 1e9,
        slow=rounded(slow), fast=rounded(fast), slow_read=rounded(slow_read), fast_read=rounded(fast_read),
    )  # fmt: skip
    if needed.memory > free:
        yield Finding(
            "warning", text,
            t("{free:.1f} GB are free: take a smaller model or quantisation, or free memory", free=free / 1e9),
        )  # fmt: skip
    else:
        yield Finding("ok", text, t("guessed from the name of its source") if needed.guessed else "")


def check_machine(root: Path) -> Iterator[Finding]:
    """Cores, memory, and what is free on the disk of `root`."""
    cores, memory = usable_cores(), free_bytes() / 1e9
    free = shutil.disk_usage(root).free / 1e9
    text = t("{cores} cores, {memory:.1f} GB of memory free, {disk:.0f} GB of disk free", cores=cores, memory=memory,
             disk=free)  # fmt: skip
    if free < 1:
        yield Finding("error", text, t("free at least 1 GB of disk"))
    elif memory < 1.5:
        yield Finding("warning", text, t("1.5 GB of free memory is advised"))
    else:
        yield Finding("ok", text)


def check_port(project: Project) -> Iterator[Finding]:
    """Whether the server could listen now."""
    serve = project.serve
    try:
        with socket.create_server((serve.host, serve.port)):
            yield Finding("ok", t("port {port} is free", port=serve.port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            yield Finding(
                "warning", t("port {port} of {host} is already in use", port=serve.port, host=serve.host),
                t("choose another with serve.port or --port"),
            )  # fmt: skip
            return
        yield Finding(
            "warning",
            t("{host}:{port} cannot be listened on: {why}", host=serve.host, port=serve.port, why=why(error)),
            t("choose another with serve.port or --port"),
        )
