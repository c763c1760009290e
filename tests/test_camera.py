from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from annotations import ClipAnnotations, validate
from camera import (
    ResolvedCamera,
    View,
    WeakPerspectiveCamera,
    fit_cameras,
    resolve_camera,
    seen_from,
    turn,
)

Array = npt.NDArray[Any]
SEED = 894621
N = 12

SIZES = [(640, 360), (360, 640), (340, 256), (1920, 800)]
CONVENTIONS = ["inside", "outside"]
UNITS = ["height", "frame"]
ROWS = ["19", "19 and 5 more", "skeleton"]
EVERY_COMBINATION = list(itertools.product(SIZES, CONVENTIONS, UNITS, ROWS))

# A standing person, metres, camera axes: SMPL's 24 skeleton joints without the body's own
# left/right symmetry, so that no two joints can be taken for each other.
_SKELETON = np.array(
    [
        *[(0.00, 0.22, 0.0), (0.07, 0.31, 0.0), (-0.07, 0.32, 0.0), (0.00, 0.11, 0.0)],
        *[(0.12, 0.69, 0.05), (-0.15, 0.70, -0.1), (0.00, -0.02, 0.0), (0.20, 1.08, 0.1)],
        *[(-0.18, 1.09, 0.0), (0.00, -0.08, 0.0), (0.22, 1.14, -0.1), (-0.2, 1.15, -0.1)],
        *[(0.0, -0.29, 0.0), (0.08, -0.2, 0.0), (-0.08, -0.2, 0.0), (0.01, -0.36, -0.05)],
        *[(0.18, -0.24, 0.0), (-0.18, -0.23, 0.0), (0.42, -0.1, 0.1), (-0.30, 0.00, 0.1)],
        *[(0.62, -0.22, 0.0), (-0.36, 0.24, -0.1), (0.7, -0.24, 0.0), (-0.37, 0.32, -0.1)],
    ]
)
_COCOPLUS_OF_SKELETON = [8, 5, 2, 1, 4, 7, 21, 19, 17, 16, 18, 20, 12]
_HEAD = [
    *[(0.0, -0.55, 0.0), (0.0, -0.4, -0.15), (0.03, -0.43, -0.13)],
    *[(-0.03, -0.43, -0.13), (0.07, -0.41, -0.03), (-0.07, -0.41, -0.03)],
]


def moving_person(rng: np.random.Generator) -> tuple[Array, Array]:
    """(N, 24, 3) skeleton joints and (N, 19, 3) cocoplus joints of a lively motion."""
    body = np.concatenate([_SKELETON, _HEAD])
    joints = np.repeat(body[None], N, 0)
    joints += np.cumsum(rng.normal(0, 0.02, joints.shape), 0)
    turn = rng.uniform(0, 2 * np.pi) + 0.1 * np.arange(N)
    c, s, zero, one = np.cos(turn), np.sin(turn), np.zeros(N), np.ones(N)
    about_y = np.array([[c, zero, s], [zero, one, zero], [-s, zero, c]]).transpose(2, 0, 1)
    joints = joints @ about_y.transpose(0, 2, 1)
    return joints[:, :24], joints[:, [*_COCOPLUS_OF_SKELETON, *range(24, 30)]]


class MadeClip:
    """A clip whose conventions are known, and the pixels where its joints belong."""

    def __init__(
        self,
        size: tuple[int, int] = (640, 360),
        convention: str = "inside",
        units: str = "height",
        rows: str = "19",
        *,
        noise_px: float = 0.0,
        body_scale: float = 0.45,
        apart: float = 0.0,
        seed: int = SEED,
        still: bool = False,
    ) -> None:
        rng = np.random.default_rng(seed)
        width, height = size
        skeleton, cocoplus = moving_person(rng)
        if still:
            skeleton, cocoplus = (np.repeat(joints[:1], N, 0) for joints in (skeleton, cocoplus))
        self.size = size
        wobble = 0.0 if still else 0.02
        scale = body_scale * np.exp(np.cumsum(rng.normal(0, wobble, (N, 1)), 0))
        centre = rng.uniform((0.3 * width / height, 0.35), (0.7 * width / height, 0.6))
        origin = centre + np.cumsum(rng.normal(0, wobble, (N, 2)), 0)
        self.cameras_px = np.hstack([scale, origin]) * height
        self.keypoints_px = cocoplus[..., :2] * self.cameras_px[:, None, :1]
        self.keypoints_px += self.cameras_px[:, None, 1:]
        self.keypoints_px += rng.normal(0, 1, self.keypoints_px.shape) * noise_px
        skeleton = skeleton + apart * rng.normal(0, 1, (24, 3)) / np.sqrt(3)
        self.content: dict[str, Array] = {
            "time": np.arange(N) / 25,
            "smpl_shape": np.zeros((N, 10)),
            "smpl_pose": np.zeros((N, 72)),
            "3d_keypoints": {
                "19": cocoplus,
                "19 and 5 more": np.concatenate([cocoplus, skeleton[:, :5]], 1),
                "skeleton": skeleton,
            }[rows],
            "2d_keypoints": self.keypoints_px
            / {"height": [height, height], "frame": [width, height]}[units],
            "cameras": np.hstack([scale, origin / scale if convention == "inside" else origin]),
        }

    def annotations(self) -> ClipAnnotations:
        return validate(self.content, "clip.pkl")

    def resolved(self, **overrides: Any) -> ResolvedCamera:
        return resolve_camera(self.annotations(), *self.size, **overrides)

    def with_useless_cameras(self) -> MadeClip:
        self.content["cameras"] = np.random.default_rng(SEED).normal(0, 1, (N, 3))
        return self


@pytest.mark.parametrize(("size", "convention", "units", "rows"), EVERY_COMBINATION)
@pytest.mark.parametrize("body_scale", [0.12, 0.45, 1.3])
def test_every_combination(
    size: tuple[int, int], convention: str, units: str, rows: str, body_scale: float
) -> None:
    clip = MadeClip(size, convention, units, rows, body_scale=body_scale)
    resolved = clip.resolved()
    assert (resolved.convention, resolved.keypoint_units) == (convention, units)
    assert resolved.joint_set == ("smpl" if rows == "skeleton" else "cocoplus")
    assert resolved.warnings == ()
    np.testing.assert_allclose(resolved.cameras_px, clip.cameras_px, atol=1e-6)
    np.testing.assert_allclose(resolved.keypoints_px, clip.keypoints_px, atol=1e-6)
    assert resolved.residual_px_max is not None
    assert resolved.residual_px_max < 1e-6
    assert resolved.residuals_px.shape == (N, 12 if rows == "skeleton" else 19)


@pytest.mark.parametrize(("size", "convention", "units", "rows"), EVERY_COMBINATION)
@pytest.mark.parametrize("still", [False, True])
def test_every_combination_with_noise(
    size: tuple[int, int], convention: str, units: str, rows: str, still: bool
) -> None:
    clip = MadeClip(size, convention, units, rows, noise_px=4.0, still=still)
    resolved = clip.resolved()
    assert (resolved.convention, resolved.keypoint_units) == (convention, units)
    assert resolved.joint_set == ("smpl" if rows == "skeleton" else "cocoplus")
    assert resolved.warnings == ()
    # The length of two normal errors of 4 px has this median.
    assert resolved.residual_px_median == pytest.approx(4 * 1.177, rel=0.2)


@pytest.mark.parametrize(
    ("size", "convention", "units"), list(itertools.product(SIZES, CONVENTIONS, UNITS))
)
@pytest.mark.parametrize("seed", range(5))
def test_skeleton_joints_that_lie_centimetres_from_the_cocoplus_ones(
    size: tuple[int, int], convention: str, units: str, seed: int
) -> None:
    clip = MadeClip(size, convention, units, "skeleton", apart=0.04, noise_px=1.0, seed=seed)
    resolved = clip.resolved()
    assert (resolved.convention, resolved.keypoint_units) == (convention, units)
    assert resolved.joint_set == "smpl"
    assert resolved.warnings == ()
    np.testing.assert_allclose(resolved.cameras_px, clip.cameras_px, atol=1e-6)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_close_person_whose_skeleton_joints_lie_elsewhere_keeps_the_files_camera(
    convention: str,
) -> None:
    """A shift that all joints share is not a reason to give the file's cameras up."""
    clip = MadeClip(convention=convention, rows="skeleton", body_scale=1.3)
    clip.content["3d_keypoints"][..., 1] += 0.03
    resolved = clip.resolved()
    assert (resolved.convention, resolved.warnings) == (convention, ())


@pytest.mark.parametrize(("size", "units", "rows"), list(itertools.product(SIZES, UNITS, ROWS)))
def test_cameras_that_fit_nothing_are_fitted_again(
    size: tuple[int, int], units: str, rows: str
) -> None:
    clip = MadeClip(size, "inside", units, rows).with_useless_cameras()
    resolved = clip.resolved()
    assert (resolved.convention, resolved.keypoint_units) == ("refitted", units)
    (warning,) = resolved.warnings
    assert warning.startswith("`cameras` fits no reading (the best leaves ")
    np.testing.assert_allclose(resolved.cameras_px, clip.cameras_px, atol=1e-6)
    assert resolved.residual_px_max is not None
    assert resolved.residual_px_max < 1e-6


@pytest.mark.parametrize("size", [(640, 360), (360, 640)])
@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("seed", range(25))
def test_units_of_a_small_noisy_person_without_useful_cameras(
    size: tuple[int, int], units: str, seed: int
) -> None:
    clip = MadeClip(size, units=units, body_scale=0.12, noise_px=4.0, seed=seed)
    assert clip.with_useless_cameras().resolved().keypoint_units == units


def test_cameras_of_another_unit_are_fitted_again() -> None:
    """Offsets in pixels instead of heights, say: no reading covers that."""
    clip = MadeClip()
    clip.content["cameras"] = clip.cameras_px
    resolved = clip.resolved()
    assert resolved.convention == "refitted"
    np.testing.assert_allclose(resolved.cameras_px, clip.cameras_px, atol=1e-6)


@pytest.mark.parametrize("units", UNITS)
def test_a_requested_convention_is_kept_even_where_it_does_not_fit(units: str) -> None:
    clip = MadeClip(units=units)
    resolved = clip.resolved(convention="outside")
    assert (resolved.convention, resolved.keypoint_units) == ("outside", units)
    np.testing.assert_allclose(resolved.cameras_px, clip.content["cameras"] * 360)
    (warning,) = resolved.warnings
    assert warning.startswith("the requested camera convention `outside` leaves ")


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("seed", range(10))
def test_useless_cameras_of_a_requested_convention_do_not_pick_the_units(
    units: str, seed: int
) -> None:
    clip = MadeClip((360, 640), units=units, seed=seed).with_useless_cameras()
    resolved = clip.resolved(convention="inside")
    assert (resolved.convention, resolved.keypoint_units) == ("inside", units)


@pytest.mark.parametrize("units", UNITS)
def test_requested_units_are_kept_even_where_they_do_not_fit(units: str) -> None:
    clip = MadeClip((360, 640), units="height" if units == "frame" else "frame")
    resolved = clip.resolved(units=units)
    assert resolved.keypoint_units == units
    expected = clip.content["2d_keypoints"] * [640 if units == "height" else 360, 640]
    np.testing.assert_allclose(resolved.keypoints_px, expected)
    assert resolved.warnings


def test_requests_that_are_right_change_nothing() -> None:
    clip = MadeClip(convention="outside", units="frame")
    resolved = clip.resolved(convention="outside", units="frame")
    assert resolved.warnings == ()
    np.testing.assert_allclose(resolved.cameras_px, clip.cameras_px, atol=1e-6)


@pytest.mark.parametrize(("convention", "units"), list(itertools.product(CONVENTIONS, UNITS)))
def test_in_a_square_frame_both_units_are_the_same(convention: str, units: str) -> None:
    clip = MadeClip((320, 320), convention, units)
    resolved = clip.resolved()
    assert (resolved.convention, resolved.keypoint_units) == (convention, "height")
    np.testing.assert_allclose(resolved.keypoints_px, clip.keypoints_px, atol=1e-6)


def test_at_scale_one_both_conventions_are_the_same_and_the_documented_one_is_named() -> None:
    clip = MadeClip(convention="outside")
    scale = clip.content["cameras"][:, :1]
    clip.content["3d_keypoints"] = clip.content["3d_keypoints"] * scale[:, None]
    clip.content["cameras"][:, 0] = 1.0
    resolved = clip.resolved()
    assert (resolved.convention, resolved.warnings) == ("inside", ())
    assert resolved.residual_px_max is not None
    assert resolved.residual_px_max < 1e-6


def test_tiny_offsets_leave_the_documented_convention() -> None:
    clip = MadeClip(convention="outside")
    clip.content["2d_keypoints"] -= clip.content["cameras"][:, None, 1:]
    clip.content["cameras"][:, 1:] = 1e-6
    clip.content["2d_keypoints"] += 1e-6
    assert clip.resolved().convention == "inside"


@pytest.mark.parametrize(("convention", "units"), list(itertools.product(CONVENTIONS, UNITS)))
def test_one_bad_frame_is_named_and_does_not_decide(convention: str, units: str) -> None:
    clip = MadeClip((360, 640), convention, units)
    clip.content["cameras"][4] = (0.7, 3.0, -2.0)
    resolved = clip.resolved()
    assert (resolved.convention, resolved.keypoint_units) == (convention, units)
    (warning,) = resolved.warnings
    assert warning.startswith("1 of 12 labelled frames leave more than 2.6 px between")
    assert warning.endswith("(first in row 4)")
    assert resolved.residual_px_median is not None
    assert resolved.residual_px_median < 1e-6


@pytest.mark.parametrize(
    ("convention", "units", "rows"), list(itertools.product(CONVENTIONS, UNITS, ROWS))
)
def test_unknown_joints_are_left_out(convention: str, units: str, rows: str) -> None:
    clip = MadeClip((640, 360), convention, units, rows)
    rng = np.random.default_rng(SEED)
    clip.content["2d_keypoints"][rng.random((N, 19)) < 0.4] = np.nan
    clip.content["3d_keypoints"][rng.random(clip.content["3d_keypoints"].shape[:2]) < 0.3] = np.inf
    clip.content["2d_keypoints"][3] = np.nan
    resolved = clip.resolved()
    assert (resolved.convention, resolved.keypoint_units) == (convention, units)
    assert resolved.warnings == ()
    assert np.isnan(resolved.residuals_px[3]).all()
    assert resolved.residual_px_max is not None
    assert resolved.residual_px_max < 1e-6


@pytest.mark.parametrize("key", ["2d_keypoints", "3d_keypoints"])
def test_no_joint_known_at_all(key: str) -> None:
    clip = MadeClip()
    clip.content[key][:] = np.nan
    resolved = clip.resolved()
    assert (resolved.convention, resolved.keypoint_units) == ("inside", "height")
    assert (resolved.residual_px_median, resolved.residual_px_max) == (None, None)
    assert "no joint is known" in resolved.warnings[0]
    np.testing.assert_allclose(resolved.cameras_px, clip.cameras_px, atol=1e-6)


def test_a_frame_that_cannot_be_fitted_gets_a_camera_between_its_neighbours() -> None:
    clip = MadeClip().with_useless_cameras()
    clip.content["2d_keypoints"][3, 1:] = np.nan
    clip.content["2d_keypoints"][0] = np.nan
    cameras = clip.resolved().cameras_px
    np.testing.assert_allclose(cameras[3], (cameras[2] + cameras[4]) / 2)
    np.testing.assert_allclose(cameras[0], cameras[1])
    np.testing.assert_allclose(cameras[4:], clip.cameras_px[4:], atol=1e-6)


def test_cameras_of_scale_zero_and_joints_in_one_point() -> None:
    clip = MadeClip()
    clip.content["cameras"][:] = 0
    assert clip.resolved().convention == "refitted"
    clip.content["3d_keypoints"][:] = 0
    with np.errstate(all="raise"):
        resolved = clip.resolved()
    assert np.isfinite(resolved.cameras_px).all()


def test_keypoints_in_one_point() -> None:
    clip = MadeClip(rows="skeleton")
    clip.content["2d_keypoints"][:] = 0
    with np.errstate(all="raise"):
        resolved = clip.resolved()
    assert np.isfinite(resolved.cameras_px).all()


def test_fit_is_the_least_squares_solution() -> None:
    rng = np.random.default_rng(SEED)
    points, keypoints = rng.normal(size=(5, 19, 3)), rng.normal(size=(5, 19, 2))
    keypoints[2, 4] = np.nan
    points[3, :17] = np.nan
    for row, fitted in enumerate(fit_cameras(points, keypoints)):
        known = np.isfinite(points[row, :, 0]) & np.isfinite(keypoints[row, :, 0])
        x, y = points[row, known, :2].T
        one, zero = np.ones_like(x), np.zeros_like(x)
        equations = np.concatenate([np.stack([x, one, zero], 1), np.stack([y, zero, one], 1)])
        solution = np.linalg.lstsq(equations, keypoints[row, known].T.ravel(), rcond=None)[0]
        np.testing.assert_allclose(fitted, solution)


@pytest.mark.parametrize("known", [0, 1])
def test_fewer_than_two_joints_are_not_fitted(known: int) -> None:
    points, keypoints = np.ones((1, 19, 3)), np.ones((1, 19, 2))
    keypoints[0, known:] = np.nan
    assert np.isnan(fit_cameras(points, keypoints)).all()


def test_projection_is_nearly_orthographic() -> None:
    """The released code moves the body 100 m away with a focal length of 100 × the scale."""
    camera = WeakPerspectiveCamera(scale=300.0, offset_x=320.0, offset_y=180.0)
    rng = np.random.default_rng(SEED)
    points = rng.normal(0, 1, (4, 7, 3))
    moved = points + np.array([0, 0, 100])
    expected = 300.0 * 100 * moved[..., :2] / moved[..., 2:] + [320, 180]
    np.testing.assert_allclose(camera.project(points), expected)
    np.testing.assert_allclose(camera.project(np.array([0.5, -0.25, 0])), [470, 105])
    np.testing.assert_allclose(camera.project(np.array([1.0, 0, 100])), [470, 180])


def test_the_camera_of_a_row_puts_joints_on_keypoints() -> None:
    clip = MadeClip((360, 640), "outside", "frame")
    resolved = clip.resolved()
    joints = clip.content["3d_keypoints"].copy()
    joints[..., 2] = 0
    for row in range(N):
        landed = resolved.camera(row).project(joints[row])
        np.testing.assert_allclose(landed, clip.keypoints_px[row], atol=1e-6)


@pytest.mark.parametrize("factor", [0.5, 1 / 3, 2.0])
def test_a_picture_of_another_size_shows_the_same(factor: float) -> None:
    """Pixels' centres are integers, so it is the pictures' corners that stay together."""
    clip = MadeClip((640, 360), "inside", "frame", noise_px=3.0)
    resolved = clip.resolved()
    resized = resolved.resized(factor)
    points = np.random.default_rng(SEED).uniform(-1, 1, (7, 3))
    before, after = (which.camera(3).project(points) for which in (resolved, resized))
    assert after == pytest.approx((before + 0.5) * factor - 0.5)
    assert resized.keypoints_px + 0.5 == pytest.approx((resolved.keypoints_px + 0.5) * factor)
    apart = resized.project(clip.annotations().joints_3d) - resized.keypoints_px
    assert np.linalg.norm(apart, axis=-1) == pytest.approx(resized.residuals_px, abs=1e-6)


def test_turns_are_turns() -> None:
    for azimuth, elevation in itertools.product((0.0, 60.0, -60.0, 200.0), (0.0, 12.0, 90.0)):
        matrix = turn(azimuth, elevation)
        assert matrix @ matrix.T == pytest.approx(np.eye(3))
        assert np.linalg.det(matrix) == pytest.approx(1)
    assert np.array([0, 0, 1.0]) @ turn(90.0) == pytest.approx([-1, 0, 0], abs=1e-12)
    assert np.array([0, -1.0, 0]) @ turn(33.0) == pytest.approx([0, -1, 0])


def test_a_view_keeps_the_centroid_and_the_type() -> None:
    vertices = np.random.default_rng(SEED).normal(3, 1, (500, 3)).astype(np.float32)
    views: list[View] = [60.0, -60.0, "top"]
    for view in views:
        seen = seen_from(vertices, view)
        assert seen.dtype == np.float32
        assert seen.mean(0) == pytest.approx(vertices.mean(0), abs=1e-5)
