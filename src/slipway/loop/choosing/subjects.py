"""What `slipway bench MODEL` may name: a model or tuned candidate of the project, a source, a file, URL#model."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from slipway.errors import ConfigError, NotFound, nearest
from slipway.i18n import t
from slipway.project.schema import ModelConfig
from slipway.store import models

_WEIGHTS = (".gguf", ".safetensors", ".whl")


@dataclass(frozen=True)
class Subject:
    """A model that is asked. `name`: as it was given; `ours`: the project calls it so; without `config` it is a tuned
    candidate of the project, which is asked as it is.
    """

    name: str
    config: ModelConfig | None
    ours: bool = False


def subjects(
    names: Sequence[str],
    known: Mapping[str, ModelConfig],
    engine: str | None = None,
    key_env: str = "",
    tuned: Collection[str] = (),
) -> list[Subject]:
    """Each name read, in order, without repetitions. Raises NotFound for one that names nothing.

    `engine` loads local models that the project does not have; `key_env` names the environment variable with the key
    of servers that it does not have; `tuned`: names of candidates that are tuned, where no model is called so.
    """
    return [
        Subject(name, None, ours=True)
        if name in tuned and name not in known
        else _subject(name, known, engine or local_engine(), key_env, tuned)
        for name in dict.fromkeys(names)
    ]


def local_engine() -> str:
    """`openvino` where it is installed, else `llama`."""
    return "openvino" if importlib.util.find_spec("openvino_genai") else "llama"


def _subject(name: str, known: Mapping[str, ModelConfig], engine: str, key_env: str, tuned: Collection[str]) -> Subject:
    if name in known:
        return Subject(name, known[name], ours=True)
    base, _, more = name.partition("#")
    if base.startswith(("http://", "https://")) and not urlsplit(base).path.lower().endswith(_WEIGHTS):
        return Subject(name, _served(base, more, key_env))
    path = Path(base).expanduser()
    if not base.startswith(("pypi:", "hf:", "file:", "http://", "https://")):
        if not base.strip() or (not path.exists() and not base.lower().endswith(_WEIGHTS)):
            near = nearest(name, [*known, *tuned])
            raise NotFound(
                t("no model is called '{name}'", name=name[:200]),
                t("did you mean '{near}'?", near=near)
                if near
                else t(
                    "name a model or tuned candidate of the project, a source (pypi:, hf:, file:, https:), a file, "
                    "URL#model"
                ),
            )
        base = f"file:{path.resolve()}"
    models.parse(base)
    if more and more not in models.QUANTIZATIONS:
        raise ConfigError(
            t("'{kind}' is not a quantisation Slipway can make", kind=more),
            t("known: {names}", names=", ".join(models.QUANTIZATIONS)),
        )
    return Subject(name, ModelConfig.model_validate({"engine": engine, "source": base, "quantize": more or None}))


def _served(base: str, model: str, key_env: str) -> ModelConfig:
    if not model:
        raise ConfigError(
            t("{url} names a server and no model", url=base[:200]),
            t("write URL#model, for example {example}", example="http://127.0.0.1:8000/v1#qwen"),
        )
    options = {"engine": "openai", "base_url": base, "model": model, "api_key_env": key_env}
    return ModelConfig.model_validate(options)
