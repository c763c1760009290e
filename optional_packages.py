"""Packages that only some outputs need: imported when those are asked for, or a clear error.

    trimesh = load_package("trimesh", "--outputs=obj", "requirements-export.txt")

Covered by tests/test_exports.py.
"""

from __future__ import annotations

import importlib
from typing import Any

from errors import MissingDependencyError


def load_package(module: str, wanted_by: str, requirements: str) -> Any:
    """Imports a module of an optional package.

    Args:
        module: its full name.
        wanted_by: the flag that cannot do without it.
        requirements: the file that installs it.

    Raises:
        MissingDependencyError: it is not installed, or the installed one cannot be loaded.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{wanted_by} needs a package that cannot be loaded ({error}); this installs it: "
            f".venv/bin/pip install -r {requirements}"
        ) from error
