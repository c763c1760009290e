"""Which camera a clip's numbers mean, settled from the numbers; body space to pixels.

    resolved = resolve_camera(annotations, width=640, height=360)
    resolved.camera(0)                 # WeakPerspectiveCamera in pixels, for the mesh
    resolved.keypoints_px[0]           # (19, 2) pixels
    resolved.convention, resolved.residual_px_median

The dataset's page and its code disagree on two points (see CONVENTIONS.md): whether the camera's
offset is scaled, and whether 1.0 is the frame's height on both axes. Only the right reading of a
clip leaves 3D joints and 2D keypoints on top of each other. Covered by tests/test_camera.py.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from annotations import NUM_KEYPOINTS, ClipAnnotations

Array = npt.NDArray[Any]

CameraConvention = Literal["inside", "outside", "refitted"]
KeypointUnits = Literal["height", "frame"]
JointSet = Literal["cocoplus", "smpl"]
View = float | Literal["top"]
"""Degrees about the vertical axis, or from above."""

NEAR_ORTHOGRAPHIC_DISTANCE = 100.0
"""Metres that the released code moves the body away, with a focal length as many times longer."""

# SMPL's 24 skeleton joints that are also among the 19: (row in SMPL's 24, row in the 19).
# The neck is left out: the two sets put it in different places.
SHARED_WITH_SMPL = np.array(
    [
        *[(8, 0), (5, 1), (2, 2), (1, 3), (4, 4), (7, 5)],  # ankle, knee, hip; hip, knee, ankle
        *[(21, 6), (19, 7), (17, 8), (16, 9), (18, 10), (20, 11)],  # wrist, elbow, shoulder; ...
    ]
)

# A reading fits when it leaves at most this share of the frame's height ...
_FIT_TOLERANCE = 0.004
# ... or not much more than the best weak-perspective camera that there is for each frame ...
_FIT_RATIO = 2.0
# Where even that camera leaves this share of the height, no camera is to blame.
_HOPELESS = 0.05
# ... or, where the joints themselves are only alike, no more metres than SMPL's skeleton and the
# cocoplus joints lie apart.
_SKELETON_TOLERANCE = 0.05


@dataclasses.dataclass(frozen=True)
class WeakPerspectiveCamera:
    """Body space, camera axes in metres, to pixels; integer pixels are pixel centres.

    A point (x, y, z) lands at `scale · (x, y) · D / (D + z) + (offset_x, offset_y)` with
    D = `NEAR_ORTHOGRAPHIC_DISTANCE`, which is what the released code draws.

    Attributes:
        scale: pixels per metre.
        offset_x: pixel column of the body's origin.
        offset_y: pixel row of the body's origin.
    """

    scale: float
    offset_x: float
    offset_y: float

    def project(self, points: Array) -> Array:
        """(..., 3) metres to (..., 2) pixels."""
        distance = NEAR_ORTHOGRAPHIC_DISTANCE
        factor = self.scale * distance / (distance + points[..., 2:3])
        pixels: Array = points[..., :2] * factor + np.array([self.offset_x, self.offset_y])
        return pixels

    def moved(self, columns: float, rows: float) -> WeakPerspectiveCamera:
        """The same camera for a picture whose first pixel lies elsewhere."""
        return WeakPerspectiveCamera(self.scale, self.offset_x + columns, self.offset_y + rows)


@dataclasses.dataclass(frozen=True)
class ResolvedCamera:
    """A clip's cameras and keypoints in pixels, and how they were read.

    Attributes:
        cameras_px: (N, 3) float64: scale in pixels per metre, column and row of the body's origin.
        keypoints_px: (N, 19, 2) float64, pixels; not finite where unknown.
        convention: where the offset stands; `refitted` where no reading of `cameras` fits.
        keypoint_units: what 1.0 means in `2d_keypoints`.
        joint_set: what the rows of `3d_keypoints` are.
        residuals_px: (N, J) float64, distance between each joint's projection and its keypoint.
        warnings: contradictions met.
    """

    cameras_px: Array
    keypoints_px: Array
    convention: CameraConvention
    keypoint_units: KeypointUnits
    joint_set: JointSet
    residuals_px: Array
    warnings: tuple[str, ...]

    def camera(self, row: int) -> WeakPerspectiveCamera:
        """The camera of one labelled frame."""
        return WeakPerspectiveCamera(*self.cameras_px[row].tolist())

    def project(self, joints: Array) -> Array:
        """(N, J, 3) joints in metres to (N, J, 2) pixels, as `2d_keypoints` are defined.

        Unlike the mesh, which is drawn nearly orthographically, keypoints ignore depth.
        """
        pixels: Array = (
            joints[..., :2] * self.cameras_px[:, None, :1] + self.cameras_px[:, None, 1:]
        )
        return pixels

    def resized(self, factor: float) -> ResolvedCamera:
        """The same for a picture that has `factor` times as many columns and rows."""
        moved = np.array([0.0, 0.5, 0.5])  # from the pixel's centre to the picture's corner
        return dataclasses.replace(
            self,
            cameras_px=(self.cameras_px + moved) * factor - moved,
            keypoints_px=(self.keypoints_px + 0.5) * factor - 0.5,
            residuals_px=self.residuals_px * factor,
        )

    @property
    def residual_px_median(self) -> float | None:
        """Median over all joints of all frames; None where no joint can be compared."""
        return _median(self._known_residuals) if self._known_residuals.size else None

    @property
    def residual_px_max(self) -> float | None:
        """Largest over all joints of all frames; None where no joint can be compared."""
        return float(self._known_residuals.max()) if self._known_residuals.size else None

    @property
    def _known_residuals(self) -> Array:
        return self.residuals_px[np.isfinite(self.residuals_px)]


@dataclasses.dataclass(frozen=True)
class _Joints:
    """The joints that 3D and 2D share: points (N, J, 3) and their rows among the 19."""

    name: JointSet
    points: Array
    rows: Array


@dataclasses.dataclass(frozen=True)
class _Reading:
    """One way to read a clip's numbers, and what it leaves between 3D and 2D."""

    convention: CameraConvention
    units: KeypointUnits
    cameras_px: Array
    keypoints_px: Array
    errors_px: Array

    @functools.cached_property
    def residuals_px(self) -> Array:
        return _lengths(self.errors_px)

    @functools.cached_property
    def typical_px(self) -> float:
        return _median(self.residuals_px)


def y_up(points: Array) -> Array:
    """Camera axes, (..., 3), to what 3D programs expect: x right, y up, z towards the camera."""
    turned: Array = points * np.array([1.0, -1.0, -1.0], points.dtype)
    return turned


def resolve_camera(
    annotations: ClipAnnotations,
    width: int,
    height: int,
    convention: Literal["auto", "inside", "outside"] = "auto",
    units: Literal["auto", "height", "frame"] = "auto",
) -> ResolvedCamera:
    """Settles a clip's conventions on the whole clip, in pixels of a `width` × `height` frame.

    Args:
        annotations: one clip.
        width: columns of the upright picture.
        height: rows of the upright picture.
        convention: `auto`, or the reading of `cameras` to insist on.
        units: `auto`, or the reading of `2d_keypoints` to insist on.
    """
    keypoints = _keypoints_px(annotations.keypoints_2d, width, height, units)
    cameras = _cameras_px(annotations.cameras, height, convention)
    joints, refits = _pick_joint_set(annotations.joints_3d, keypoints)
    readings = [
        _read(joints, camera_name, units_name, cameras_px, keypoints_px)
        for units_name, keypoints_px in keypoints.items()
        for camera_name, cameras_px in cameras.items()
    ]
    best = _first_of_the_best(readings)
    refit = min(refits, key=lambda reading: _misfit_of_units(reading, width / height))
    limit = max(_FIT_TOLERANCE * height, _FIT_RATIO * refit.typical_px)
    if joints.name == "smpl":
        limit = max(limit, _SKELETON_TOLERANCE * abs(_median(refit.cameras_px[:, 0])))
    warnings = []
    if not np.isfinite(best.residuals_px).any():
        warnings.append("no joint is known in both 2D and 3D: the conventions were not checked")
    elif not best.typical_px <= limit:
        left = f"leaves {best.typical_px:.1f} px between 3D and 2D joints (median)"
        if convention == "auto":
            warnings.append(
                f"`cameras` fits no reading (the best {left}): each frame's camera was fitted "
                "again to its joints by least squares"
            )
            best = _without_gaps(refit, annotations.time, best)
        else:
            best = _first_of_the_best([r for r in readings if r.units == refit.units])
            left = f"leaves {best.typical_px:.1f} px between 3D and 2D joints (median)"
            warnings.append(f"the requested camera convention `{convention}` {left}")
    if np.inf > refit.typical_px > _HOPELESS * height:
        warnings.append(
            f"even the best camera of each frame leaves {refit.typical_px:.1f} px between 3D and "
            "2D joints (median): they do not belong together"
        )
    warnings += _frames_apart(best.residuals_px, limit)
    return ResolvedCamera(
        cameras_px=best.cameras_px,
        keypoints_px=best.keypoints_px,
        convention=best.convention,
        keypoint_units=best.units,
        joint_set=joints.name,
        residuals_px=best.residuals_px,
        warnings=tuple(warnings),
    )


def turn(azimuth: float, elevation: float = 0.0) -> Array:
    """(3, 3) float64: what turns row vectors in camera axes, p · R.

    Args:
        azimuth: degrees about the vertical axis, as CONVENTIONS.md has it.
        elevation: degrees by which the camera then rises, looking down; 90 is from above, with
          what lay away from the camera at the picture's top.
    """
    c, s = math.cos(math.radians(azimuth)), math.sin(math.radians(azimuth))
    up, down = math.cos(math.radians(elevation)), math.sin(math.radians(elevation))
    about_vertical = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    turned: Array = about_vertical @ np.array([[1, 0, 0], [0, up, down], [0, -down, up]])
    return turned


def seen_from(vertices: Array, view: View) -> Array:
    """(V, 3) vertices, turned about their centroid so that the camera sees them from there."""
    matrix = turn(0.0, 90.0) if view == "top" else turn(view)
    centre = np.full(len(vertices), 1 / len(vertices), vertices.dtype) @ vertices  # fast mean(0)
    matrix = matrix.astype(vertices.dtype)
    turned: Array = vertices @ matrix + (centre - centre @ matrix)
    return turned


def fit_cameras(points: Array, keypoints_px: Array) -> Array:
    """The weak-perspective camera of each frame that leaves the least squared distance.

    Args:
        points: (N, J, 3) metres, camera axes; not finite where unknown.
        keypoints_px: (N, J, 2) pixels; not finite where unknown.

    Returns:
        (N, 3) scale in pixels per metre, column and row of the body's origin; NaN for frames
        with fewer than two joints known in both.
    """
    u, v = keypoints_px[..., 0], keypoints_px[..., 1]
    known: Array = np.isfinite(points[..., 0] + points[..., 1] + u + v)
    weight = known / np.maximum(known.sum(1), 1)[:, None]
    xy = np.where(known[..., None], points[..., :2], 0.0)
    uv = np.where(known[..., None], keypoints_px, 0.0)
    xy_mean, uv_mean = np.einsum("nj,njk->nk", weight, xy), np.einsum("nj,njk->nk", weight, uv)
    xy, uv = xy - xy_mean[:, None], uv - uv_mean[:, None]
    xy_spread = np.einsum("nj,njk,njk->n", weight, xy, xy)
    together = np.einsum("nj,njk,njk->n", weight, xy, uv)
    scale = np.where(xy_spread > 0, together, np.nan) / np.where(xy_spread > 0, xy_spread, 1.0)
    offset = uv_mean - scale[:, None] * xy_mean
    return np.column_stack([scale, offset])


def _keypoints_px(
    keypoints: Array, width: int, height: int, units: str
) -> dict[KeypointUnits, Array]:
    readings: dict[KeypointUnits, Array] = {
        "height": keypoints * float(height),
        "frame": keypoints * np.array([width, height], np.float64),
    }
    return {name: value for name, value in readings.items() if units in {"auto", name}}


def _cameras_px(cameras: Array, height: int, convention: str) -> dict[CameraConvention, Array]:
    scale, offset = cameras[:, :1] * height, cameras[:, 1:] * height
    readings: dict[CameraConvention, Array] = {
        "inside": np.hstack([scale, offset * cameras[:, :1]]),
        "outside": np.hstack([scale, offset]),
    }
    return {name: value for name, value in readings.items() if convention in {"auto", name}}


def _pick_joint_set(
    joints_3d: Array, keypoints: dict[KeypointUnits, Array]
) -> tuple[_Joints, list[_Reading]]:
    """The 19 joints, unless 24 rows agree better with SMPL's skeleton than with them.

    Returns:
        The joints, and their best cameras with the keypoints in each unit.
    """
    joints = [_Joints("cocoplus", joints_3d[:, :NUM_KEYPOINTS], np.arange(NUM_KEYPOINTS))]
    if joints_3d.shape[1] != NUM_KEYPOINTS:
        joints.append(_Joints("smpl", joints_3d[:, SHARED_WITH_SMPL[:, 0]], SHARED_WITH_SMPL[:, 1]))
    refits = [[_refit(each, units, px) for units, px in keypoints.items()] for each in joints]
    misfits = [min(_residual_in_metres(refit) for refit in of_set) for of_set in refits]
    best = int(np.argmin(misfits))
    return joints[best], refits[best]


def _read(
    joints: _Joints,
    convention: CameraConvention,
    units: KeypointUnits,
    cameras_px: Array,
    keypoints_px: Array,
) -> _Reading:
    keypoints = keypoints_px[:, joints.rows]
    errors_px = np.empty_like(keypoints)
    for axis in range(2):  # one by one: numpy is slow where the last axis is short
        projected = joints.points[..., axis] * cameras_px[:, :1] + cameras_px[:, 1 + axis, None]
        errors_px[..., axis] = projected - keypoints[..., axis]
    return _Reading(convention, units, cameras_px, keypoints_px, errors_px)


def _refit(joints: _Joints, units: KeypointUnits, keypoints_px: Array) -> _Reading:
    cameras_px = fit_cameras(joints.points, keypoints_px[:, joints.rows])
    return _read(joints, "refitted", units, cameras_px, keypoints_px)


def _first_of_the_best(readings: list[_Reading]) -> _Reading:
    """Ties go to the first, the documented one: in a square frame both units are the same."""
    least = min(reading.typical_px for reading in readings)
    return next((r for r in readings if r.typical_px <= least + 0.01), readings[0])


def _residual_in_metres(reading: _Reading) -> float:
    """Comparable between joint sets: a fit to the wrong one also shrinks the body."""
    scale = np.abs(reading.cameras_px[:, :1])
    return _median(reading.residuals_px / np.where(scale > 0, scale, np.nan))


def _misfit_of_units(reading: _Reading, aspect: float) -> float:
    """Mean error with x in a unit halfway between the two in question.

    In its own pixels the reading that shrinks x also shrinks its errors, and would win wherever
    the keypoints are noisy.
    """
    stretch = aspect**0.5 if reading.units == "height" else aspect**-0.5
    errors = _lengths(reading.errors_px * [stretch, 1.0])
    known = errors[np.isfinite(errors)]
    return float(known.mean()) if known.size else float("inf")


def _without_gaps(refit: _Reading, time: Array, other: _Reading) -> _Reading:
    """Frames with too few joints for a fit get a camera between those of the frames around them."""
    fitted = np.isfinite(refit.cameras_px).all(1)
    if not fitted.any():
        return dataclasses.replace(refit, cameras_px=other.cameras_px)
    cameras = [np.interp(time, time[fitted], column[fitted]) for column in refit.cameras_px.T]
    return dataclasses.replace(refit, cameras_px=np.column_stack(cameras))


def _frames_apart(residuals_px: Array, limit: float) -> list[str]:
    """Names the frames that disagree although the clip as a whole agrees."""
    per_frame = _medians(residuals_px)
    apart = np.flatnonzero((limit < per_frame) & (per_frame < np.inf))
    if not len(apart) or _median(residuals_px) > limit:
        return []
    return [
        f"{len(apart)} of {len(per_frame)} labelled frames leave more than {limit:.1f} px between "
        f"3D and 2D joints (first in row {apart[0]})"
    ]


def _lengths(vectors: Array) -> Array:
    """Of (..., 2): numpy's own norm is slow where the last axis is short."""
    lengths: Array = np.hypot(vectors[..., 0], vectors[..., 1])
    return lengths


def _median(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("inf")


def _medians(rows: Array) -> Array:
    """(N,) `_median` of each of (N, J): numpy's own takes far longer over many short rows."""
    known = np.isfinite(rows)
    counts = known.sum(1)
    ordered = np.sort(np.where(known, rows, np.inf), axis=1)  # what is unknown comes last
    every, last = np.arange(len(rows)), rows.shape[1] - 1
    lower, upper = (counts - 1) // 2, np.minimum(counts // 2, last)
    medians: Array = 0.5 * (ordered[every, lower] + ordered[every, upper])
    return np.where(counts > 0, medians, np.inf)
