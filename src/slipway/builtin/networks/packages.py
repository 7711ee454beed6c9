"""What training needs beyond the core: the extra `train`."""

from __future__ import annotations

from importlib.util import find_spec

from slipway.errors import MissingPrerequisite
from slipway.i18n import t


def require(*packages: str) -> None:
    """Raise MissingPrerequisite for the first package that is not installed."""
    for package in packages:
        try:
            found = find_spec(package) is not None
        except (ImportError, ValueError):
            found = False
        if not found:
            raise MissingPrerequisite(
                t("training needs the package '{package}', which is not installed", package=package),
                "pip install 'slipway-ai[train]'",
            )
