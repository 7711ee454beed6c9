"""Everything that a project reads: files as they lie, and snapshots of sites and databases. Opens no connection."""

from __future__ import annotations

from pathlib import Path

from slipway.data.collect.found import Found
from slipway.data.collect.paths import collect_files
from slipway.data.collect.snapshot import Snapshot
from slipway.data.parsing.blocks import Note
from slipway.errors import ConfigError, MissingPrerequisite
from slipway.i18n import t
from slipway.project.data import DataConfig


def collect(config: DataConfig, root: Path) -> tuple[list[Found], list[tuple[str, Note]]]:
    """Files in the order of the project file, then of each site and table what was fetched; and what is not read, why.

    Raises ConfigError (an entry matches nothing, two files would have the same source) and MissingPrerequisite (a site
    or a table was never fetched).
    """
    found, refused = collect_files(config.documents, root, config.roots)
    sources = {file.source for file in found}
    for name, source in config.fetched.items():
        snapshot = Snapshot(root, name)
        pages = snapshot.pages()
        if pages is None:
            raise MissingPrerequisite(
                t("'{name}' has not been fetched yet, or not to the end", name=name), "slipway data fetch"
            )
        for page in pages:
            if page.url in sources:
                raise ConfigError(
                    t("'{name}' and another entry of data both hold {url}", name=name, url=page.url),
                    t("narrow the scope of one of them with 'within' or 'exclude'"),
                )
            sources.add(page.url)
            path = snapshot.place(page.sha256) if not page.reason else None
            if path is not None:
                found.append(Found(page.url, path, page.media_type, source.language or "", page.sha256))
            else:
                reason = page.reason or "outside"
                refused.append((page.url, Note("collect", "dropped", reason, page.detail)))
    return found, refused
