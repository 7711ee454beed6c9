"""The files of `slipway dashboards`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from slipway.errors import ConfigError
from slipway.files import why
from slipway.i18n import t
from slipway.render.dashboards.alerts import rules, scraping
from slipway.render.dashboards.grafana import dashboard
from slipway.store.new_file import new_file

GRAFANA, RULES, PROMETHEUS = "slipway-grafana.json", "slipway-rules.yml", "slipway-prometheus.yml"


def write_dashboards(folder: Path, address: str) -> dict[str, str]:
    """Write all three into a folder, which is made; returns file -> what to do with it. Raises ConfigError for a file
    that is there already: it may have been changed by hand.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            t("{path} cannot be written: {why}", path=folder, why=why(error)), t("name a folder you own")
        ) from error
    for name in (GRAFANA, RULES, PROMETHEUS):
        if (folder / name).exists():
            raise ConfigError(t("{path} is there already", path=folder / name), t("name another folder"))
    made = {
        GRAFANA: (json.dumps(dashboard(), indent=1, ensure_ascii=False), t("import it in Grafana")),
        RULES: (_yaml(rules()), t("name it under rule_files of Prometheus")),
        PROMETHEUS: (
            _yaml(scraping(address)),
            t("a configuration to begin with; put a key with the scope `read` into slipway.key beside it"),
        ),
    }
    told: dict[str, str] = {}
    for name, (text, todo) in made.items():
        with new_file(folder / name) as file:
            file.write(text.encode().rstrip() + b"\n")
        (folder / name).chmod(0o644)  # nothing in it is secret, and Prometheus runs as somebody else
        told[str(folder / name)] = todo
    return told


def _yaml(value: dict[str, Any]) -> str:
    return yaml.safe_dump(json.loads(json.dumps(value)), sort_keys=False, width=1000, allow_unicode=True)
