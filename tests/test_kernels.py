"""Covers kernels.py."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numba
import pytest

from kernels import kernel, while_compiling


def double(value: int) -> int:
    return 2 * value


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """numba finds no place for its cache but the one that it is given."""
    njit = numba.njit

    def fail_without_folder(*arguments: Any, **options: Any) -> Any:
        if options.get("cache") and not getattr(numba.config, "CACHE_DIR", ""):
            raise RuntimeError("cannot cache function 'double': no locator available for file")
        return njit(*arguments, **options)

    monkeypatch.setattr(numba, "njit", fail_without_folder)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path / f"temporal-3d-pose-kinetics-{os.getuid()}"


def test_a_private_folder_serves_where_nothing_else_can_be_written(nowhere: Path) -> None:
    assert kernel(double)(21) == 42
    assert nowhere.stat().st_mode & 0o777 == 0o700
    assert list(nowhere.rglob("*.nbi"))


def test_a_folder_that_others_can_write_to_is_not_used(nowhere: Path) -> None:
    nowhere.mkdir()
    nowhere.chmod(0o777)
    assert kernel(double)(21) == 42
    assert list(nowhere.iterdir()) == []


def test_a_link_is_not_followed(nowhere: Path, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    nowhere.symlink_to(tmp_path / "target")
    assert kernel(double)(21) == 42
    assert list((tmp_path / "target").iterdir()) == []


def test_other_errors_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> Any:
        raise RuntimeError("something else")

    monkeypatch.setattr(numba, "njit", fail)
    with pytest.raises(RuntimeError, match="something else"):
        kernel(double)


def test_compiling_is_told_and_loading_is_not(nowhere: Path) -> None:
    told: list[str] = []
    with while_compiling(lambda: told.append("first")):
        kernel(double)(21)
    assert set(told) == {"first"}
    assert list(nowhere.rglob("*.nbi"))
    with while_compiling(lambda: told.append("again")):
        assert kernel(double)(21) == 42
    kernel(lambda value: value)(1)
    assert set(told) == {"first"}
