"""Lets OpenDR 0.78 and chumpy 0.70, last touched in 2018, import on today's Python and numpy.

    opendr = load_opendr()
    opendr.ColoredRenderer, opendr.ProjectPoints, opendr.LambertianPointLight

What newer versions removed is given back while the two are imported, and taken away again.
Covered by tests/test_opendr_compat.py.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import inspect
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from errors import MissingDependencyError

INSTALL_COMMAND = (
    "sudo apt-get update && sudo apt-get install -y build-essential python3-dev libosmesa6-dev "
    "libgl1-mesa-dev libglu1-mesa-dev && "
    ".venv/bin/pip install Cython setuptools wheel -r requirements.txt && "
    ".venv/bin/pip install --no-build-isolation -r requirements-opendr.txt"
)

_importing = threading.Lock()


class OpenDR(NamedTuple):
    """The parts of OpenDR that draw a mesh."""

    ColoredRenderer: Callable[..., Any]
    ProjectPoints: Callable[..., Any]
    LambertianPointLight: Callable[..., Any]


@functools.cache
def load_opendr() -> OpenDR:
    """Imports OpenDR.

    Raises:
        MissingDependencyError: it is not installed, or the installed one cannot be loaded.
    """
    with _importing, _what_newer_versions_removed():
        try:
            chumpy = importlib.import_module("chumpy.ch")
            renderer = importlib.import_module("opendr.renderer")
            camera = importlib.import_module("opendr.camera")
            lighting = importlib.import_module("opendr.lighting")
        except ImportError as error:
            raise MissingDependencyError(
                f"--renderer=opendr needs OpenDR, which cannot be loaded ({error}); on Debian and "
                f"Ubuntu this installs it: {INSTALL_COMMAND}"
            ) from error
    # chumpy asks for the arguments of functions later too, whenever one of its objects is made.
    chumpy.__dict__["inspect"] = types.SimpleNamespace(**vars(inspect), **_missing_from_inspect())
    renderer.__dict__["draw_boundaryid_image"] = _none_where_none(renderer.draw_boundaryid_image)
    return OpenDR(renderer.ColoredRenderer, camera.ProjectPoints, lighting.LambertianPointLight)


@contextlib.contextmanager
def _what_newer_versions_removed() -> Iterator[None]:
    """Gives it back; afterwards every other module finds numpy and inspect as they were."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        # Escapes in docstrings, and scipy's old name for scipy.sparse.linalg.LinearOperator.
        warnings.simplefilter("ignore")
        for owner, missing in ((np, _missing_from_numpy()), (inspect, _missing_from_inspect())):
            for name, value in missing.items():
                setattr(owner, name, value)
                stack.callback(delattr, owner, name)
        stack.enter_context(_opendr_constants())
        yield


def _missing_from_numpy() -> dict[str, type]:
    """`chumpy/__init__.py` imports these names from numpy, where they were Python's own types.

    numpy 1.24 removed them; 2.0 brought `bool` back, as its own.
    """
    types_by_name: dict[str, type] = {
        "bool": bool,
        "int": int,
        "float": float,
        "complex": complex,
        "object": object,
        "unicode": str,
        "str": str,
    }
    return {name: value for name, value in types_by_name.items() if name not in vars(np)}


def _missing_from_inspect() -> dict[str, Callable[..., Any]]:
    """`chumpy/ch.py` calls getargspec, removed in Python 3.11, for the names of arguments."""
    return {} if hasattr(inspect, "getargspec") else {"getargspec": inspect.getfullargspec}


def _none_where_none(draw_boundaryid_image: Callable[..., Any]) -> Callable[..., Any]:
    """Where a mesh has no boundary edge, `opendr/renderer.py` multiplies an int32 by 2³² − 1.

    That went round to −1 before numpy 2, and raises OverflowError since.
    """

    def draw(gl: Any, *rest: Any) -> Any:
        try:
            return draw_boundaryid_image(gl, *rest)
        except OverflowError:
            return np.full((gl.height, gl.width), 2**32 - 1, np.uint32)

    return draw


@contextlib.contextmanager
def _opendr_constants() -> Iterator[None]:
    """`opendr/contexts/ctx_mesa` imports the `_constants` beside it as if it were top-level.

    Python 2 looked beside the module first; Cython 3 no longer does.
    """
    spec = importlib.util.find_spec("opendr")
    if spec is None:
        yield
        return
    name = "_constants"
    before = sys.modules.get(name)
    sys.modules[name] = importlib.import_module("opendr.contexts._constants")
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
