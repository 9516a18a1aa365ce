"""What a command of the torch half needs, asked for before anything heavy is imported."""

from __future__ import annotations

import importlib.util

from aliaug_edge.errors import MissingDependencyError
from aliaug_edge.extras import CLONE_HINT, install_line, python_fault


def require(packages: tuple[str, ...], extra: str) -> None:
    """Refuse early, with the line that mends it, where a part of the torch half is absent.

    Raises:
        MissingDependencyError: names the packages that are missing and the extras that have them.
    """
    missing = [name for name in packages if not _importable(name)]
    if not missing:
        return
    remedy = python_fault() or f"run: {install_line(extra, missing)} ({CLONE_HINT})"
    raise MissingDependencyError(
        f"this command needs {', '.join(missing)}, not installed here; {remedy}"
    )


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # the module is blocked: sys.modules holds None for it
        return False
