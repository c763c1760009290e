"""Every renderer there is, for the tests that run over all of them."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy.typing as npt
import pytest

from opendr_compat import load_opendr
from opendr_renderer import OpenDRRenderer
from renderer import FastRenderer, MeshRenderer

MakeRenderer = Callable[[npt.NDArray[Any]], MeshRenderer]

# CI sets REQUIRE_OPENDR=1, and a missing OpenDR is a failure there.
_without_opendr = pytest.mark.skipif(
    importlib.util.find_spec("opendr") is None and os.environ.get("REQUIRE_OPENDR") != "1",
    reason="OpenDR is not installed; README.md has the command that installs it",
)


def antialiased(faces: npt.NDArray[Any]) -> MeshRenderer:
    return FastRenderer(faces, antialias=True)


def hide(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a package or module look as if it were not installed."""
    for name in list(sys.modules):
        if name.partition(".")[0] in {"opendr", "chumpy", package}:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    load_opendr.cache_clear()


needs_opendr = [_without_opendr]
RENDERERS = [
    pytest.param(FastRenderer, id="fast"),
    pytest.param(antialiased, id="antialiased"),
    pytest.param(OpenDRRenderer, id="opendr", marks=needs_opendr),
]
