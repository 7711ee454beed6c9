"""The project's models: pulled, pinned in `slipway.lock`, found again. Knows the models cache, not the engines.

`slipway.lock` is JSON beside the project file, meant to be committed: source -> file -> sha256, written at the first
pull (trust on first use) and enforced from then on. A `sha256:` in the project file is enforced from the beginning.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from slipway.core.candidate import ModelPin
from slipway.errors import ConfigError, IntegrityError, MissingPrerequisite
from slipway.files import UNDECODABLE, inside, open_regular, read, real
from slipway.i18n import t
from slipway.plugins import Plugins
from slipway.project.places import allowed_roots
from slipway.project.schema import ModelConfig, Project
from slipway.runtime.session import engine_config
from slipway.store import models
from slipway.store.blobs import write_aside

Progress = Callable[[str, int, int | None], None]
_LARGEST = 10_000_000  # bytes of a lock file


class Lock:
    """`slipway.lock`, read once and written when a new model is pinned."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pins: dict[str, dict[str, str]] = {}
        if os.path.lexists(path):
            try:
                data = read(open_regular(path), _LARGEST)
                self._pins = msgspec.json.decode(data, type=dict[str, dict[str, str]])
            except (OSError, *UNDECODABLE) as error:
                why = (isinstance(error, OSError) and error.strerror) or error
                raise ConfigError(
                    t("{path} is damaged: {why}", path=path.name, why=why),
                    t("restore it from version control, or delete it to pin the models again"),
                ) from error

    def get(self, key: str) -> dict[str, str] | None:
        """The pinned files of a source, or None."""
        return self._pins.get(key)

    def pin(self, key: str, files: Mapping[str, str]) -> None:
        """Remember the files of a source; raises IntegrityError when they are pinned and differ."""
        known = self._pins.get(key)
        if known == dict(files):
            return
        if known is not None:
            raise IntegrityError(
                t("{source} is not the model that {lock} pins", source=key, lock=self.path.name),
                t("if the change is wanted, delete its entry there and run again"),
            )
        self.put(key, files)

    def put(self, key: str, values: Mapping[str, str]) -> None:
        """Write an entry, whatever stood there."""
        self._pins[key] = dict(values)
        write_aside(self.path, msgspec.json.format(msgspec.json.encode(self._pins, order="sorted"), indent=2) + b"\n")


def pin_models(
    project: Project, root: Path, lock: Lock, progress: Progress | None = None, plugins: Plugins | None = None
) -> dict[str, ModelPin]:
    """Every model of the project as a pin: options checked, files pulled when they are not here, digests enforced."""
    pins: dict[str, ModelPin] = {}
    for name, config in project.models.items():
        engine_config(name, config.engine, config.options, plugins)
        files: dict[str, str] = {}
        source = absolute(config.source, root)
        if source:
            model = models.find(source, config.quantize) or models.pull(
                source, sha256=_expected(config, lock), quantize=config.quantize, progress=progress
            )
            lock.pin(lock_key(config), model.sha256)
            files = dict(model.sha256)
        pins[name] = ModelPin(
            name=name, engine=config.engine, source=config.source, quantize=config.quantize or "", files=files,
            options=config.options,
        )  # fmt: skip
    return pins


def _expected(config: ModelConfig, lock: Lock) -> Mapping[str, str] | None:
    # A quantised file is derived here: its own digest is checked by `Lock.pin` after it was made.
    return config.sha256 or (lock.get(lock_key(config)) if config.quantize is None else None)


def lock_key(config: ModelConfig) -> str:
    """How `slipway.lock` names a model."""
    return f"{config.source}#{config.quantize}" if config.quantize else config.source


def absolute(source: str, root: Path) -> str:
    """A `file:` source relative to the project as an absolute one; any other as it is.

    Raises ConfigError when it, or a link in it, leads out of the project.
    """
    if not source.startswith("file:") or source.startswith("file:/"):
        return source
    path = source.removeprefix("file:")
    place, roots = real(root / path), allowed_roots(path, root)
    for folder, _, names in os.walk(place) if place.is_dir() else [(place, [], [""])]:
        for name in names:
            if not inside(real(os.path.join(folder, name)), roots):
                raise ConfigError(
                    t("{source}: {name} leads out of the project", source=source, name=name or path),
                    t("move the file into the project, or write its whole path, from / on"),
                )
    return f"file:{place}"


def locate(pin: ModelPin, root: Path) -> Mapping[str, Path]:
    """Where a pinned model's files lie. Raises MissingPrerequisite, or IntegrityError when they are other bytes."""
    if not pin.files:
        return {}
    model = models.find(absolute(pin.source, root), pin.quantize or None)
    if model is None:
        raise MissingPrerequisite(
            t("the model '{name}' ({source}) is not on this machine", name=pin.name, source=pin.source),
            "slipway models pull",
        )
    if model.sha256 != pin.files:
        raise IntegrityError(
            t("the model '{name}' on this machine is not the one that was measured", name=pin.name),
            t("remove it with `slipway models rm`, then `slipway models pull`"),
        )
    return model.files
