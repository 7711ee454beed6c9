"""Every model that can be considered: the table of facts, the user's cache folder, and the models of the project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from slipway.gguf import Header, Unsound, read_header
from slipway.i18n import t
from slipway.loop.choosing.estimating import Estimator, quantization
from slipway.loop.choosing.facts import Facts, known
from slipway.loop.context import Context
from slipway.loop.model_lock import absolute
from slipway.loop.model_size import cache_of, memory_of, weights_of
from slipway.store import models
from slipway.store.models import Model

_ENCODERS = ("bert", "clip", "t5encoder", "jina")  # beginnings of GGUF architectures that write nothing
_PARTS = ("adapter", "mmproj", "vocab", "imatrix")  # types of GGUF files that are no models by themselves


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """A model in one quantisation. Bytes, tokens a second, None: not known. `languages`: empty: not known.

    `here`: on this machine. `measured`: its speed and memory are, too. `unfit`: why it cannot be asked at all.
    """

    name: str
    quantize: str = ""
    parameters: float | None = None
    weights: float | None = None
    memory: float | None = None
    context: int | None = None
    languages: tuple[str, ...] = ()
    more: bool = False  # its card claims more languages than these
    licence: str = ""
    obtain: str = ""
    reading: float | None = None
    writing: float | None = None
    engine: str = ""
    here: bool = False
    measured: bool = False
    remote: bool = False
    unfit: str = ""
    source: str = ""  # where the facts come from
    date: str = ""

    @property
    def title(self) -> str:
        """Name and quantisation."""
        return f"{self.name} {self.quantize}".strip()


def options(context: Context | None, estimator: Estimator, tokens: int) -> list[Option]:
    """What is here first, then what can be had. `tokens`: the context that memory is computed for."""
    found: list[Option] = []
    for model in models.list_models():
        found += _local(model, estimator, tokens)
    here = {(one.name, one.quantize) for one in found}
    for facts in known():
        found += [one for one in _remembered(facts, estimator, tokens) if (one.name, one.quantize) not in here]
    return [*found, *_served(context)]


def _remembered(facts: Facts, estimator: Estimator, tokens: int) -> Iterator[Option]:
    for quantize, obtain in facts.obtain.items():
        weights = facts.weights(quantize)
        reading, writing = estimator.speed(facts.parameters, weights, quantize)
        yield Option(
            name=facts.name, quantize=quantize, parameters=facts.parameters, weights=weights,
            memory=memory_of(weights, facts.cache(tokens)), context=facts.context, languages=facts.languages,
            more=facts.more, licence=facts.licence, obtain=obtain, reading=reading, writing=writing,
            source=facts.source, date=facts.date,
        )  # fmt: skip


def _local(model: Model, estimator: Estimator, tokens: int) -> Iterator[Option]:
    name = model.source.removeprefix("file:").rsplit("/", 1)[-1]
    files = [path for path in model.files.values() if path.suffix.lower() == ".gguf"]
    if len(files) != 1:
        what = t("it is no single GGUF file: an encoder, or weights that the local engines do not load")
        yield Option(name=name, here=True, unfit=what, obtain=model.source)
        return
    header = _read(files[0])
    if header is None:
        yield Option(name=name, here=True, unfit=t("its file cannot be read"), obtain=model.source)
        return
    kind, form = (str(header.scalars.get(f"general.{key}", "")) for key in ("architecture", "type"))
    if kind.startswith(_ENCODERS) or form in _PARTS or not header.tensors:
        told = form if form in _PARTS else kind if header.tensors else "vocab"
        yield Option(name=name, here=True, unfit=t("it writes no text ({kind})", kind=told), obtain=model.source)
        return
    parameters, weights = weights_of(header)
    facts = _facts_of(header, files[0], model)
    quantize = model.quantize or quantization(files[0].name)
    speed = estimator.measured(model.sha256)
    reading, writing = (speed.reading, speed.writing) if speed else estimator.speed(parameters, weights, quantize)
    memory = memory_of(weights, cache_of(header, tokens))
    context = header.scalars.get(f"{kind}.context_length")
    yield Option(
        name=facts.name if facts else name, quantize=quantize, parameters=parameters, weights=weights,
        memory=max(memory, speed.memory or 0.0) if speed else memory,
        context=context if isinstance(context, int) else None, languages=facts.languages if facts else (),
        more=facts.more if facts else False,
        licence=model.license or (facts.licence if facts else ""),
        obtain=f"{model.source}#{model.quantize}" if model.quantize else model.source,
        reading=reading, writing=writing, engine=speed.engine if speed else "", here=True, measured=speed is not None,
        source=facts.source if facts else "", date=facts.date if facts else "",
    )  # fmt: skip


def _served(context: Context | None) -> Iterator[Option]:
    """Models of the project that run elsewhere."""
    if context is None:
        return
    for name, config in context.project.models.items():
        if not config.source and config.engine not in ("echo", "replay"):
            yield Option(name=name, engine=config.engine, remote=True, obtain=absolute(config.source, context.root))


def _read(path: Path) -> Header | None:
    try:
        with path.open("rb") as file:
            return read_header(file)
    except (OSError, Unsound):
        return None


def _facts_of(header: Header, path: Path, model: Model) -> Facts | None:
    """The line of the table that a file is of, by its name: `general.name`, else what the file or its source says."""
    names = [str(header.scalars.get("general.name", "")), path.name, model.source]
    plain = [re.sub(r"[^a-z0-9]+", "", name.lower()) for name in names]
    fitting = [one for one in known() if any(re.sub(r"[^a-z0-9]+", "", one.name.lower()) in name for name in plain)]
    counted = weights_of(header)[0]
    return next((one for one in fitting if abs(one.parameters / counted - 1) < 0.4), None)
