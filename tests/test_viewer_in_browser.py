"""The viewer's page in a real browser: what it shows is read from its pixels."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from viewing import ROOT, served

from annotations import read_annotations
from keypoints import CENTRE_COLOUR, LEFT_COLOUR, RIGHT_COLOUR, side_colour
from labels import LabelMatcher
from video_io import VideoReader

Array = npt.NDArray[Any]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None and os.environ.get("REQUIRE_CHROMIUM") != "1":
    pytest.skip("no Chromium: apt-get install chromium", allow_module_level=True)

# WebGL without a graphics card; containers allow no sandbox, and the page is our own.
ARGUMENTS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
SIZE: Any = {"width": 1280, "height": 800}
PATIENCE_SEC = 180  # a page without a graphics card draws a frame in some seconds
PICKLE = ROOT / "samples/sampleDance_10_14.pkl"
VIDEO = ROOT / "samples/sampleDance_000010_000014.mp4"
WITHOUT_LABEL = {*range(45, 60), *range(85, 94)}  # and two frames from those that have one
SMALL = (64, 36)
NOWHERE = np.zeros((0, 2))
KEYPOINT_UNIT = 360  # the sample's are in units of its height

# Where things are on the page, below rerun's own bar and the views' titles.
VIDEO_VIEW = np.s_[64:580, 0:784]
BODY_VIEW = np.s_[64:580, 792:1276]
CURVES = {
    (60, 420): (255, 170, 60),
    (487, 847): (235, 110, 170),
    (914, 1280): (110, 190, 255),
}


class Clip(NamedTuple):
    """What the sample shows: small pictures, and the keypoints of those that have a label."""

    pictures: Array
    keypoints: dict[int, Array]


@pytest.fixture(scope="module")
def clip() -> Clip:
    annotations = read_annotations(PICKLE)
    pictures, keypoints = [], {}
    with VideoReader(VIDEO) as reader:
        for frame, row in LabelMatcher(annotations.time).match(reader.frames()):
            pictures.append(cv2.resize(frame.picture(), SMALL, interpolation=cv2.INTER_AREA))
            if row is not None:
                keypoints[len(pictures) - 1] = annotations.keypoints_2d[row] * KEYPOINT_UNIT
    return Clip(np.array(pictures, np.float32), keypoints)


class Seen(NamedTuple):
    """A screenshot, which frame of the clip it shows, and where: left, top, pixels per pixel."""

    screenshot: Array
    frame: int
    difference: float
    place: tuple[int, int, float]

    def skeleton(self) -> int:
        """Pixels in the half for the body that have a side's bright colour."""
        view = self.screenshot[BODY_VIEW].astype(int)
        return sum(
            int((np.abs(view - colour).max(2) < 60).sum())
            for colour in (LEFT_COLOUR, RIGHT_COLOUR, CENTRE_COLOUR)
        )

    def body(self, empty: Seen) -> Array:
        """Where that half has the mesh's greyish blue, and had not when it was empty."""
        view = self.screenshot[BODY_VIEW].astype(int)
        is_new = np.abs(view - empty.screenshot[BODY_VIEW]).max(2) > 25
        red, green, blue = np.moveaxis(view, 2, 0)
        is_mesh: Array = is_new & (blue > green) & (green > red)
        return is_mesh

    def floor(self) -> Array:
        """The grid below the feet: it moves with the eye, and with nothing else."""
        return self.screenshot[BODY_VIEW][-40:]

    def joints_found(self, keypoints: Array) -> int:
        """How many of the 19 joints have their side's colour where they should be."""
        left, top, scale = self.place
        found = 0
        for joint, point in enumerate(keypoints):
            x, y = np.rint((point + 0.5) * scale + (left, top)).astype(int)
            around = self.screenshot[y - 3 : y + 4, x - 3 : x + 4].reshape(-1, 3).astype(int)
            found += bool((np.abs(around - side_colour(joint)).max(1) < 40).sum() >= 4)
        return found


def seen(screenshot: Array, clip: Clip) -> Seen:
    """Finds the video's picture in the view on the left, and which frame it is."""
    view = screenshot[VIDEO_VIEW].astype(int)
    is_picture = np.abs(view - view[2, 2]).max(2) > 8
    rows = np.flatnonzero(is_picture.mean(1) > 0.5)
    columns = np.flatnonzero(is_picture.mean(0) > 0.5)
    if len(rows) < 20 or len(columns) < 20:
        return Seen(screenshot, -1, np.inf, (0, 0, 1.0))
    top, left = int(rows[0]), int(columns[0])
    shown = view[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.uint8)
    small = cv2.resize(shown, SMALL, interpolation=cv2.INTER_AREA)
    differences = np.abs(clip.pictures - small).mean((1, 2, 3))
    frame = int(differences.argmin())
    place = (left, top + VIDEO_VIEW[0].start, shown.shape[1] / 640)
    return Seen(screenshot, frame, float(differences[frame]), place)


class Browser:
    """The page, and what is seen on it."""

    def __init__(self, page: Any, clip: Clip, folder: Path) -> None:
        self.page = page
        self._clip = clip
        self._folder = folder

    def look(self) -> Seen:
        data = np.frombuffer(self.page.screenshot(), np.uint8)
        screenshot: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
        return seen(cv2.cvtColor(screenshot, cv2.COLOR_BGR2RGB), self._clip)

    def wait_for(self, is_wanted: Callable[[Seen], bool]) -> Seen:
        end = time.monotonic() + PATIENCE_SEC
        while not is_wanted(found := self.look()):
            if time.monotonic() > end:
                path = self._folder / "seen.png"
                cv2.imwrite(str(path), cv2.cvtColor(found.screenshot, cv2.COLOR_RGB2BGR))
                pytest.fail(f"not seen within {PATIENCE_SEC} s; the last of it: {path}")
            self.page.wait_for_timeout(200)
        return found

    def drag_body(self) -> None:
        rows, columns = BODY_VIEW
        x, y = (columns.start + columns.stop) / 2, (rows.start + rows.stop) / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for step in range(1, 9):
            self.page.mouse.move(x + 20 * step, y)
            self.page.wait_for_timeout(50)
        self.page.mouse.up()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, clip: Clip) -> Iterator[Browser]:
    """A page that must log no error."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 not needed without Chromium

    folder = tmp_path_factory.mktemp("viewer")
    errors: list[str] = []
    with served(folder, "--filename", PICKLE) as viewer, sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = started.new_page(viewport=SIZE, color_scheme="light")
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        # rerun asks for its newest version and counts its use; no test needs the network.
        page.route(re.compile(r"^https://"), lambda route: route.fulfill(json={}))
        page.goto(viewer.page)
        yield Browser(page, clip, folder)
        started.close()
    assert errors == []


# The video's decoder may be a few frames behind the rest while it plays, on a slow machine: what
# belongs together must be seen together at some time, not at all times.


@pytest.fixture(scope="module")
def empty(browser: Browser) -> Seen:
    """The page at a frame without a label: the video alone."""
    return browser.wait_for(
        lambda now: now.frame in WITHOUT_LABEL and now.difference < 5 and now.skeleton() == 0
    )


def test_video_joints_and_body_are_shown_together(
    browser: Browser, clip: Clip, empty: Seen
) -> None:
    def is_whole(now: Seen) -> bool:
        return (
            now.difference < 5
            and now.joints_found(clip.keypoints.get(now.frame, NOWHERE)) >= 16
            and now.skeleton() > 200
            and now.body(empty).sum() > 5000
        )

    found = browser.wait_for(is_whole)
    assert found.frame in clip.keypoints


def test_a_frame_without_a_label_has_no_joints(clip: Clip, empty: Seen) -> None:
    assert max(empty.joints_found(points) for points in clip.keypoints.values()) < 10


def test_curves_are_drawn(browser: Browser) -> None:
    found = browser.wait_for(lambda now: now.frame >= 0)
    for view, colour in CURVES.items():
        met = found.screenshot[:, view[0] : view[1]][630:760].astype(int)
        assert (np.abs(met - colour).max(2) < 30).sum() > 100


def test_the_body_is_turned_while_the_clip_plays(browser: Browser, clip: Clip, empty: Seen) -> None:
    before = browser.wait_for(lambda now: now.frame not in {-1, empty.frame})
    np.testing.assert_array_equal(before.floor(), empty.floor())
    browser.drag_body()
    after = browser.wait_for(lambda now: now.frame not in {-1, before.frame})
    assert (after.floor() != before.floor()).any(axis=2).mean() > 0.02
    browser.wait_for(lambda now: now.body(after).sum() > 2000 and now.skeleton() > 200)
