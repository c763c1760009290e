"""Calls ActivityNet's `download_clip` in a process of its own; `downloaders.py` starts it.

    python activitynet_runner.py third_party/activity_net/download.py '{"video_identifier": …}'

Exits with 0 when the clip was downloaded; otherwise prints what the script answered.
Covered by tests/test_downloaders.py.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import types


def main(script: str, request: str) -> int:
    """Loads the script and calls it once with the arguments in `request`, a JSON object."""
    for name in ("joblib", "pandas"):
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = _stand_in(name)
    spec = importlib.util.spec_from_file_location("activitynet_download", script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    status, message = module.download_clip(**json.loads(request))
    if status:
        return 0
    print(message.decode(errors="replace") if isinstance(message, bytes) else message)
    return 1


def _stand_in(name: str) -> types.ModuleType:
    """A module in which every name is None: the script imports it for its batch mode only."""
    module = types.ModuleType(name)
    module.__getattr__ = lambda _: None  # type: ignore[method-assign]  # PEP 562
    return module


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
