"""The gallery in a real browser, opened from disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from many_clips import name_of, write_clips
from test_gallery import HOSTILE, report

from batch import BatchOptions, visualise_batch
from downloaders import DownloadOptions
from gallery import write_gallery
from inputs import ClipInputs
from options import VisualiseOptions

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None and os.environ.get("REQUIRE_CHROMIUM") != "1":
    pytest.skip("no Chromium: apt-get install chromium", allow_module_level=True)

DRAWN = 6


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 not needed without Chromium

    with sync_playwright() as playwright:
        # Containers allow no sandbox; the pages are our own.
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that must log no error and ask for nothing but files."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(_failure(request)))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(("file:", "data:")) else said.append(request.url)
        ),
    )
    yield page
    page.close()
    assert [line for line in said if line] == []


def _failure(request: Any) -> str:
    """A video that is no longer wanted is given up."""
    return "" if request.failure == "net::ERR_ABORTED" else f"{request.url}: {request.failure}"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips that were drawn and two that failed."""
    folder = tmp_path_factory.mktemp("gallery")
    pickles = write_clips(folder / "in", DRAWN + 2)
    for path in pickles[DRAWN:]:
        path.with_suffix(".mp4").unlink()
    offline = DownloadOptions(downloader="none")
    options = VisualiseOptions(output_dir=folder / "re sults#1", download=offline)
    visualise_batch(ClipInputs([str(folder / "in")]), options, BatchOptions(jobs=2))
    return options.output_dir


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten thousand reports, without pictures."""
    folder = tmp_path_factory.mktemp("large")
    for number in range(10_000):
        name = f"clip{number:07d}_{number}_{number + 10}"
        report(
            folder,
            name,
            outputs={},
            frames_labelled=number % 251,
            residual_px={"median": (number * 7919 % 10_000) / 100},
            jitter_mm=float(number % 97),
            person_size=None if number % 3 == 0 else (number % 100) / 100,
            warnings=["odd"] if number % 10 == 0 else [],
        )
    report(folder, "zz", status="failed", error={"type": "E", "message": HOSTILE}, outputs={})
    write_gallery(folder)
    return folder


def opened(page: Any, folder: Path) -> Any:
    page.goto((folder / "index.html").as_uri())
    page.wait_for_selector(".card")
    return page


def names(page: Any) -> list[str]:
    """The cards that exist, in the order that they are seen in."""
    found: list[str] = page.eval_on_selector_all(
        ".card",
        """cards => cards
            .map(card => [card.offsetTop, card.offsetLeft, card.dataset.clip])
            .sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(place => place[2])""",
    )
    return found


def is_playing(page: Any, selector: str) -> None:
    page.wait_for_function(
        "selector => { const v = document.querySelector(selector);"
        " return v && v.readyState >= 2 && !v.paused && v.currentTime > 0; }",
        arg=selector,
    )


def test_it_loads_with_its_posters(page: Any, results: Path) -> None:
    opened(page, results)
    assert names(page) == [name_of(number) for number in range(DRAWN + 2)]
    assert page.inner_text("#count") == "8 clips, 2 failed"
    page.wait_for_function(
        "count => [...document.images].filter(i => i.complete && i.naturalWidth > 0).length"
        " === count",
        arg=DRAWN,
    )
    assert page.inner_text(".card .facts") is not None
    assert "100 %" in page.locator(".card").first.inner_text()


def test_a_video_plays_under_the_pointer(page: Any, results: Path) -> None:
    opened(page, results)
    page.locator(".card").nth(1).hover()
    is_playing(page, ".card video")
    page.mouse.move(1, 1)
    page.wait_for_function("() => !document.querySelector('.card video')")


def test_a_click_opens_a_clip(page: Any, results: Path) -> None:
    opened(page, results)
    page.locator(".card").nth(2).click()
    is_playing(page, "dialog video")
    assert page.inner_text("dialog h2") == name_of(2)
    page.keyboard.press("ArrowRight")
    assert page.inner_text("dialog h2") == name_of(3)
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.querySelector('dialog').open")
    page.wait_for_function("() => !document.querySelector('dialog video')")


def test_failures_have_reasons(page: Any, results: Path) -> None:
    opened(page, results)
    page.select_option("#status", "failed")
    assert names(page) == [name_of(DRAWN), name_of(DRAWN + 1)]
    assert "VideoNotFoundError" in page.locator(".card").first.inner_text()
    assert page.inner_text("#reasons button") == "VideoNotFoundError2"
    page.locator(".card").first.click()
    assert "no video file: looked for" in page.inner_text("dialog .error")


def test_keys_alone_suffice(page: Any, results: Path) -> None:
    opened(page, results)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute(".card.current", "data-clip") == name_of(1)
    page.keyboard.press("Space")
    is_playing(page, ".card.current video")
    page.keyboard.press("Space")
    assert page.locator(".card video").count() == 0
    page.keyboard.press("Enter")
    is_playing(page, "dialog video")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type(name_of(4))
    page.wait_for_function("() => document.querySelectorAll('.card').length === 1")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.inner_text("dialog h2") == name_of(4)


@pytest.mark.parametrize(
    ("key", "first"),
    [
        ("labelled", lambda number: number % 251),
        ("residual", lambda number: number * 7919 % 10_000),
        ("jitter", lambda number: number % 97),
    ],
)
def test_ten_thousand_clips_are_sorted(page: Any, large: Path, key: str, first: Any) -> None:
    opened(page, large)
    page.select_option("#status", "drawn")
    page.select_option("#sort", key)
    page.click("#order")
    expected = sorted(range(10_000), key=lambda number: (-first(number), number))
    met = names(page)
    assert 4 <= len(met) < 100  # only what is in view exists
    assert met == [f"clip{n:07d}_{n}_{n + 10}" for n in expected[: len(met)]]


def test_what_is_not_known_comes_last_either_way(page: Any, large: Path) -> None:
    opened(page, large)
    page.select_option("#sort", "size")
    for _ in range(2):
        page.keyboard.press("Escape")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("End")
        assert "person\n–" in page.inner_text(f'[data-clip="{names(page)[-2]}"]')
        page.click("#order")


def test_ten_thousand_clips_are_filtered_and_scrolled(page: Any, large: Path) -> None:
    opened(page, large)
    assert page.inner_text("#count") == "10,001 clips, 1 failed"
    page.select_option("#status", "warned")
    assert page.inner_text("#count") == "1,000 of 10,001 clips"
    page.select_option("#status", "")
    page.fill("#search", "0001234_")
    page.wait_for_function("() => document.querySelectorAll('.card').length === 1")
    assert names(page) == ["clip0001234_1234_1244"]
    page.fill("#search", "no such clip")
    page.wait_for_selector("#empty", state="visible")
    page.fill("#search", "")
    page.wait_for_selector(".card")
    page.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
    page.wait_for_function("() => !document.querySelector('[data-clip^=clip0000000]')")
    middle = int(names(page)[0][4:11])
    assert 4000 < middle < 6000
    assert page.locator(".card").count() < 100


def test_hostile_text_is_only_text(page: Any, large: Path) -> None:
    opened(page, large)
    page.select_option("#status", "failed")
    assert HOSTILE in page.inner_text(".card")
    page.locator(".card").click()
    assert HOSTILE in page.inner_text("dialog .error")
    assert page.locator("script").count() == 2


def test_a_narrow_window_has_fewer_columns(page: Any, large: Path) -> None:
    opened(page, large)
    for width, columns in ((1280, 4), (640, 2), (360, 1)):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function(
            "columns => columns ==="
            " new Set([...document.querySelectorAll('.card')].map(card => card.style.left)).size",
            arg=columns,
        )
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
