from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from renderers import hide, needs_opendr

from errors import MissingDependencyError
from opendr_compat import INSTALL_COMMAND, load_opendr

PROJECT = Path(__file__).parents[1]

AFTERWARDS = """
import inspect, sys, warnings
import numpy as np
before = dict(vars(np)), dict(vars(inspect)), list(warnings.filters), "_constants" in sys.modules
from opendr_compat import load_opendr
opendr = load_opendr()
assert opendr is load_opendr()
after = dict(vars(np)), dict(vars(inspect)), list(warnings.filters), "_constants" in sys.modules
# Submodules and numpy's own lazy names may have been imported; nothing else.
for was, now in zip(before[:2], after[:2]):
    new = {name for name in now.keys() - was.keys() if not inspect.ismodule(now[name])}
    assert not new, new
    assert all(now[name] is was[name] for name in was)
assert before[2:] == after[2:]
print(opendr.ColoredRenderer.__module__)
"""


@pytest.mark.parametrize("options", [[], ["-W", "error"]], ids=["", "warnings are errors"])
@pytest.mark.parametrize("needed", [pytest.param(None, marks=needs_opendr)])
def test_loading_leaves_nothing_behind(options: list[str], needed: None) -> None:
    del needed
    process = subprocess.run(
        [sys.executable, *options, "-c", AFTERWARDS],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.stdout, process.stderr) == ("opendr.renderer\n", "")


@pytest.mark.parametrize("package", ["opendr", "chumpy"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(package, monkeypatch)
    names = set(vars(np)), set(vars(inspect))
    with pytest.raises(MissingDependencyError) as caught:
        load_opendr()
    assert INSTALL_COMMAND in str(caught.value)
    assert "--renderer=opendr" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (set(vars(np)), set(vars(inspect))) == names
    assert "_constants" not in sys.modules


def test_the_readme_has_the_same_command() -> None:
    assert INSTALL_COMMAND in (PROJECT / "README.md").read_text()
