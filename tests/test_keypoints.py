from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from keypoints import (
    CENTRE_COLOUR,
    JOINT_NAMES,
    LEFT_COLOUR,
    LIMBS,
    PARENTS,
    RIGHT_COLOUR,
    draw_keypoints,
    side_colour,
)

Array = npt.NDArray[Any]
NOWHERE = np.full((19, 2), np.nan)
WIDTH, HEIGHT = 640, 360


def drawn(keypoints: Array, width: int = WIDTH, height: int = HEIGHT) -> Array:
    picture = np.full((height, width, 3), 128, np.uint8)
    draw_keypoints(picture, keypoints)
    return picture


def touched(picture: Array) -> Array:
    mask: Array = (picture != 128).any(-1)
    return mask


def only(**joints: tuple[float, float]) -> Array:
    keypoints = NOWHERE.copy()
    for name, position in joints.items():
        keypoints[JOINT_NAMES.index(name)] = position
    return keypoints


def scattered() -> Array:
    """The 19 joints on a grid, far from each other."""
    return np.array([(60.0 + 120 * (i % 5), 40.0 + 90 * (i // 5)) for i in range(19)])


def test_names_and_limbs_are_the_datasets() -> None:
    assert len(JOINT_NAMES) == len(PARENTS) == 19
    limbs = {(JOINT_NAMES[child], JOINT_NAMES[parent]) for child, parent in LIMBS}
    assert ("left_wrist", "left_elbow") in limbs
    assert ("right_ankle", "right_knee") in limbs
    assert ("neck", "nose") in limbs
    assert ("right_ear", "right_eye") in limbs
    assert len(limbs) == 16


def test_side_colours() -> None:
    assert len({LEFT_COLOUR, RIGHT_COLOUR, CENTRE_COLOUR}) == 3
    for joint, name in enumerate(JOINT_NAMES):
        expected = {"left": LEFT_COLOUR, "right": RIGHT_COLOUR}.get(name.split("_")[0])
        assert side_colour(joint) == (expected or CENTRE_COLOUR), name


def test_each_joint_is_at_its_pixel_in_the_colour_of_its_side() -> None:
    keypoints = scattered()
    picture = drawn(keypoints)
    for joint, (x, y) in enumerate(keypoints.astype(int)):
        assert tuple(picture[y, x]) == side_colour(joint), JOINT_NAMES[joint]


@pytest.mark.parametrize("joint", range(19))
def test_a_joint_alone_is_a_small_disc_about_its_pixel(joint: int) -> None:
    keypoints = NOWHERE.copy()
    keypoints[joint] = (200, 100)
    mask = touched(drawn(keypoints))
    rows, columns = np.nonzero(mask)
    assert 20 < mask.sum() < 120
    assert (rows.mean(), columns.mean()) == (100, 200)
    assert mask[100, 200]


def test_the_disc_is_symmetric_about_a_pixels_centre() -> None:
    picture = drawn(only(nose=(200, 100))).astype(int)
    window = picture[90:111, 190:211]
    rounding = 5  # OpenCV's anti-aliasing differs by that between opposite sides
    np.testing.assert_allclose(window, window[::-1], rtol=0, atol=rounding)
    np.testing.assert_allclose(window, window[:, ::-1], rtol=0, atol=rounding)


def test_the_disc_lies_between_pixels_where_the_joint_does() -> None:
    """Anti-aliased edges carry the position between pixels."""
    for fraction in (0.25, 0.5, 0.75):
        change = np.abs(drawn(only(nose=(200 + fraction, 100))).astype(float) - 128).sum((0, 2))
        column = (change * np.arange(WIDTH)).sum() / change.sum()
        assert column == pytest.approx(200 + fraction, abs=0.1)


@pytest.mark.parametrize(("child", "parent"), LIMBS)
def test_each_limb_joins_its_two_joints(child: int, parent: int) -> None:
    keypoints = NOWHERE.copy()
    keypoints[child], keypoints[parent] = (100, 80), (300, 240)
    picture = drawn(keypoints)
    assert tuple(picture[160, 200]) == side_colour(child)
    keypoints[parent] = np.nan
    assert not touched(drawn(keypoints))[160, 200]


def test_joints_that_share_no_limb_are_not_joined() -> None:
    mask = touched(drawn(only(left_ankle=(100, 80), right_wrist=(300, 240))))
    assert not mask[160, 200]


@pytest.mark.parametrize(
    "position",
    [
        (-0.6, 100),
        (WIDTH - 0.4, 100),
        (100, -0.6),
        (100, HEIGHT - 0.4),
        (np.nan, 100),
        (100, np.inf),
        (-np.inf, np.nan),
        (1e300, 1e300),
    ],
)
def test_joints_that_are_not_in_the_picture_are_left_out_with_their_limbs(
    position: tuple[float, float],
) -> None:
    alone = drawn(only(left_elbow=(300, 200)))
    picture = drawn(only(left_elbow=(300, 200), left_wrist=position))
    np.testing.assert_array_equal(picture, alone)


@pytest.mark.parametrize(
    "position", [(-0.5, 100), (WIDTH - 0.5, 100), (100, -0.5), (100, HEIGHT - 0.5)]
)
def test_joints_on_the_pictures_edge_are_drawn(position: tuple[float, float]) -> None:
    assert touched(drawn(only(nose=position))).any()


def test_size_follows_the_picture() -> None:
    small = touched(drawn(only(nose=(100, 100)), 340, 256)).sum()
    large = touched(drawn(only(nose=(100, 100)), 1920, 1080)).sum()
    assert large > 5 * small


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 2), (7, 5), (16, 9), (3, 200)])
def test_tiny_pictures(width: int, height: int) -> None:
    keypoints = np.random.default_rng(7).uniform(-1, max(width, height), (19, 2))
    keypoints[0] = 0
    assert touched(drawn(keypoints, width, height))[0, 0]


def test_the_keypoints_given_are_not_changed() -> None:
    keypoints = scattered()
    drawn(keypoints)
    np.testing.assert_array_equal(keypoints, scattered())
