"""What training needs beyond the core: the extra `train`."""

from __future__ import annotations

from importlib.util import find_spec

from slipway.errors import MissingPrerequisite
from slipway.i18n import t


def present(package: str) -> bool:
    """Whether a package can be imported; imports nothing."""
    return find_spec(package) is not None


def require(*packages: str) -> None:
    """Raise MissingPrerequisite, naming the extra, for the first package that is not installed."""
    for package in packages:
        if not present(package):
            raise MissingPrerequisite(
                t("training needs the package '{package}', which is not installed", package=package),
                "pip install 'slipway-ai[train]'",
            )
