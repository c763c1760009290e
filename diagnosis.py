"""Whether one clip's numbers agree with each other, with the documentation and with a body.

    diagnosis = diagnose(read_annotations(path), load_body_model(model_path))
    diagnosis.verdict                               # ok, odd or wrong
    [finding.name for finding in diagnosis.findings]

No video is needed. What is found is put right before the next check, so that one fault is named
once: joints in millimetres are not also cameras that do not fit. Covered by
tests/test_check_annotations.py.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from annotations import NUM_KEYPOINTS, TIME_NOT_ASCENDING, ClipAnnotations
from body_model import BodyModel, regress_joints
from camera import SHARED_WITH_SMPL, JointSet, resolve_camera
from clip_names import parse_clip_name
from errors import ClipNameError
from keypoints import JOINT_NAMES
from measures import are_neighbours, jitter_mm, mean_length, usual_step

Array = npt.NDArray[Any]
Severity = Literal["odd", "wrong"]
Verdict = Literal["ok", "odd", "wrong"]

LINES = 1080
"""Residuals are given in pixels of a frame of this height."""

# Axes, cameras and keypoints.
MISFIT_MM = 50.0
"""Joints nearer than this to their keypoints, on the body, cannot have their axes exchanged; it is
also how far SMPL's skeleton lies from the cocoplus joints."""
BETTER = 0.5
"""Other axes must leave at most this share of the misfit to be believed."""
MISFIT_PX = 0.004 * LINES
"""Noise of a keypoint detector: a misfit below it says nothing, however small the person."""
FAR_MISFIT_MM = 150.0
"""Half a forearm: beyond it the joints are not those of the keypoints."""
FRAME_APART = 5.0
"""Times the clip's own residual that a frame may leave."""
SCALE_TOLERANCE = {"cocoplus": 0.03, "smpl": 0.1}
"""Relative: noise moves a scale by less; the nearest frames in use, 5:4, are 1.25 from square."""
STEADY_SCALE = 0.25
"""Relative: a factor between cameras and keypoints is one of units only if all frames share it."""
ROUGHLY = 0.15
"""Relative: how far the joints' spread alone, with noise, can be off a unit."""
PIXELS_FROM = 50.0
"""Keypoints of which so many make a frame's height are in pixels."""
PLAUSIBLE_ASPECT = 5.0

# The body.
LIMB_SUM_M = 2.66
"""Both shins, thighs, upper arms and forearms of an average adult; children have half of it."""
VERTICES_MM = 5.0
"""Editions of SMPL and single precision differ by less."""
REGRESSOR_MM = 10.0
"""No joint of the right regressor is farther off; HMR's and the dataset's differ by more."""
OTHER_BODY_MM = 100.0
"""Beyond this it is not the regressor or the edition that differs, but the body or its pose."""
BONE_MM = 30.0
"""Joints regressed from the skin move by a few millimetres with the pose; this is a tenth of a
forearm."""
SHAPE_DEVIATION = 1.0
"""One standard deviation of the population: another person."""

# Motion.
NOISE_SIGMAS = 10.0
"""A step stands out when it is so many deviations (by the median) above the clip's median."""
FASTEST_STEP_SEC = 0.1
"""Labels farther apart say nothing about jumps: people turn round in less."""
FLIP_M = 0.08
"""Out and back, mean over all joints, at 25 frames per second: 10 g. Slower labels leave more time
to move, by the square."""
FLIP_ORIENTATION_RAD = 1.0
FLIP_POSE_RAD = 0.3
"""The same for the global orientation, and for the mean over the other 23 joints."""
JUMP_M = 0.4
"""Mean over all joints in one step, 10 m/s about the root: nobody's whole body does that."""
JITTER_MM = 50.0
"""Per frame² at 25 frames per second; networks that look at single frames leave less."""

_COCOPLUS_LIMBS = ((0, 1), (1, 2), (5, 4), (4, 3), (6, 7), (7, 8), (11, 10), (10, 9))
_SMPL_LIMBS = ((8, 5), (5, 2), (7, 4), (4, 1), (21, 19), (19, 17), (20, 18), (18, 16))
_LIMB_NAMES = tuple(JOINT_NAMES[a] + "-" + JOINT_NAMES[b] for a, b in _COCOPLUS_LIMBS)
_AXES = "xyz"
_FIT_ROUNDS = 20
_SIGMA = 1.4826  # of a normal distribution, by its median absolute deviation


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        name: one of few words that stay the same, such as `flipped-frame`.
        severity: `wrong` where numbers contradict each other or the documentation; `odd` where
          they can be right and are worth a look.
        message: what was met, what was expected.
        rows: the labelled frames concerned; empty where it is the whole clip.
    """

    name: str
    severity: Severity
    message: str
    rows: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What the numbers of one clip say of themselves. None is what could not be measured.

    Attributes:
        clip: the pickle's name without `.pkl`.
        frames: labelled frames, N.
        labelled_share: of the clip's frames, by its name and the step between labels.
        step_sec: seconds between consecutive labels.
        camera_convention: which reading of `cameras` holds, `neither` where none does.
        inside_px, outside_px: median distance of joints and keypoints under each reading.
        refitted_px: the same under the best weak-perspective camera of each frame.
        keypoint_units: what 1.0 is in `2d_keypoints`: the frame's `height` on both axes, its width
          and height (`frame`), or something `other`.
        aspect: width / height of the frame, where units of `frame` or `other` tell.
        joint_set: what the rows of `3d_keypoints` are.
        joints_mm_median, joints_mm_max: `3d_keypoints` to the joints of the body.
        vertices_mm_median, vertices_mm_max: `vertices` to those of the body model.
        bone_mm: deviation (by the median) of the least constant of eight limbs' lengths.
        bone_worst: that limb.
        jitter_mm: see `measures.jitter_mm`.
        jump_rows: frames with outlying jumps.
        shape_deviation: largest distance of a shape coefficient from its median.
        warnings: what reading the file put right.
        findings: what is odd or wrong.
    """

    clip: str
    frames: int
    labelled_share: float | None
    step_sec: float | None
    camera_convention: Literal["inside", "outside", "neither"] | None
    inside_px: float | None
    outside_px: float | None
    refitted_px: float | None
    keypoint_units: Literal["height", "frame", "other"] | None
    aspect: float | None
    joint_set: JointSet
    joints_mm_median: float | None
    joints_mm_max: float | None
    vertices_mm_median: float | None
    vertices_mm_max: float | None
    bone_mm: float | None
    bone_worst: str | None
    jitter_mm: float | None
    jump_rows: tuple[int, ...]
    shape_deviation: float
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings."""
        severities = {finding.severity for finding in self.findings}
        return "wrong" if "wrong" in severities else "odd" if severities else "ok"


def diagnose(
    annotations: ClipAnnotations,
    body: BodyModel | None = None,
    regressor: npt.NDArray[np.float32] | None = None,
) -> Diagnosis:
    """Checks one clip.

    Args:
        annotations: the clip.
        body: the dataset's body model; without it shape and pose are not compared with the rest.
        regressor: (19, V), from `load_joint_regressor`; the body's own where it is not given.
    """
    findings: list[Finding] = []
    step = usual_step(annotations.time)
    share = _check_time(annotations, step, findings)
    points = _in_metres(annotations.joints_3d, findings)
    camera = _check_camera(annotations, points, findings)
    if regressor is None and body is not None:
        regressor = body.cocoplus_regressor
    mesh = _check_mesh(annotations, camera, body, regressor, findings)
    bone_mm, bone_worst = _check_bones(camera, findings)
    together = are_neighbours(annotations.time)
    jitter = _check_jitter(annotations.time, camera.points, findings)
    jumps = _check_jumps(annotations, camera.points, together, step, findings)
    return Diagnosis(
        clip=annotations.name,
        frames=len(annotations),
        labelled_share=share,
        step_sec=step,
        camera_convention=camera.convention,
        inside_px=camera.inside_px,
        outside_px=camera.outside_px,
        refitted_px=camera.refitted_px,
        keypoint_units=camera.units,
        aspect=camera.aspect,
        joint_set=camera.joint_set,
        joints_mm_median=mesh.joints_mm[0],
        joints_mm_max=mesh.joints_mm[1],
        vertices_mm_median=mesh.vertices_mm[0],
        vertices_mm_max=mesh.vertices_mm[1],
        bone_mm=bone_mm,
        bone_worst=bone_worst,
        jitter_mm=jitter,
        jump_rows=jumps,
        shape_deviation=_check_shape(annotations.shape, findings),
        warnings=annotations.warnings,
        findings=tuple(findings),
    )


# Time


def _check_time(clip: ClipAnnotations, step: float | None, findings: list[Finding]) -> float | None:
    findings += [
        Finding("time-order", "wrong", warning)
        for warning in clip.warnings
        if warning.startswith(TIME_NOT_ASCENDING)
    ]
    repeated = np.flatnonzero(np.diff(clip.time) == 0) + 1
    if len(repeated):
        message = f"`time` repeats in {_rows(repeated)}: two bodies for one frame"
        findings.append(Finding("time-repeated", "odd", message, _tuple(repeated)))
    try:
        duration = parse_clip_name(clip.name).duration_sec
    except ClipNameError:
        return None
    slack = step or 0.0
    outside = np.flatnonzero((clip.time < -slack) | (clip.time > duration + slack))
    if len(outside):
        message = (
            f"`time` is {clip.time[outside[0]]:g} s in {_rows(outside)}; by its name the clip "
            f"lasts {duration} s, and times count from its start"
        )
        severity: Severity = "wrong" if 2 * len(outside) > len(clip) else "odd"
        findings.append(Finding("time-outside", severity, message, _tuple(outside)))
    return min(1.0, len(np.unique(clip.time)) * step / duration) if step else None


# Units and axes of the joints


def _in_metres(points: Array, findings: list[Finding]) -> Array:
    """The joints, divided by a power of ten where limbs are not as long as people's."""
    limbs = _COCOPLUS_LIMBS if points.shape[1] == NUM_KEYPOINTS else _COCOPLUS_LIMBS + _SMPL_LIMBS
    lengths = np.array([_median(_lengths(points, limb)) for limb in limbs])
    size = _median(lengths) * len(_COCOPLUS_LIMBS) / LIMB_SUM_M
    factor = _power_of_ten(size)
    if factor == 1.0:
        return points
    findings.append(
        Finding(
            "joint-units",
            "wrong",
            f"`3d_keypoints` {_in_units(factor)}: limbs are {_median(lengths):.3g} long (median); "
            "expected metres, about 0.33",
        )
    )
    return points / factor


def _power_of_ten(ratio: float) -> float:
    """The nearest, if the ratio is far from 1; children and giants are not."""
    if not np.isfinite(ratio) or 0.2 < ratio < 5.0 or ratio <= 0:
        return 1.0
    return float(10.0 ** np.round(np.log10(ratio)))


def _in_units(factor: float) -> str:
    names = {1000.0: "are in millimetres", 100.0: "are in centimetres"}
    return names.get(factor, f"are {factor:g} times too large")


def _lengths(points: Array, limb: tuple[int, int]) -> Array:
    lengths: Array = np.linalg.norm(points[:, limb[0]] - points[:, limb[1]], axis=-1)
    return lengths


class _Relation(NamedTuple):
    """2D keypoints as 3D joints seen along two of their axes.

    `scales` is (N, 2), per frame, of x and y; `ratio` the clip's x scale by its y scale.
    """

    joint_set: JointSet
    axes: tuple[int, int]
    scales: Array
    ratio: float
    misfit_mm: float


def _relate(
    points: Array, keypoints: Array, joint_set: JointSet, axes: tuple[int, int]
) -> _Relation:
    points, keypoints = _pairs(points, keypoints, joint_set)
    points = points[..., list(axes)]
    scales, _ = _fit(points, keypoints, same_scale=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = _median(scales[:, 0] / scales[:, 1])
        if not 1 / PLAUSIBLE_ASPECT < abs(ratio) < PLAUSIBLE_ASPECT:
            return _Relation(joint_set, axes, scales, ratio, np.inf)
        same_scale, residuals = _fit(points, keypoints / [ratio, 1.0], same_scale=True)
        misfit = 1000 * _median(residuals / np.abs(same_scale[:, 1:]))
    return _Relation(joint_set, axes, scales, ratio, misfit)


def _pairs(points: Array, keypoints: Array, joint_set: JointSet) -> tuple[Array, Array]:
    if joint_set == "smpl":
        return points[:, SHARED_WITH_SMPL[:, 0]], keypoints[:, SHARED_WITH_SMPL[:, 1]]
    return points[:, :NUM_KEYPOINTS], keypoints


def _fit(xy: Array, uv: Array, *, same_scale: bool) -> tuple[Array, Array]:
    """Scales and shifts `xy` onto `uv` (N, J, 2) in each frame, with the least sum of distances.

    Sums of distances, unlike their squares, forgive a few joints that were never seen and stand
    at (0, 0). They are found as least squares weighted anew by the distances left.

    Returns:
        (N, 2) scales, and (N, J) distances, not finite where unknown.
    """
    known = np.isfinite(np.concatenate([xy, uv], -1)).all(-1, keepdims=True)
    xy, uv = np.where(known, xy, 0.0), np.where(known, uv, 0.0)
    nothing = 1e-6 * np.maximum(np.abs(uv).max((1, 2), keepdims=True), 1e-6)
    weights = known.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(_FIT_ROUNDS):
            total = weights.sum(1, keepdims=True)
            x = xy - (weights * xy).sum(1, keepdims=True) / total
            u = uv - (weights * uv).sum(1, keepdims=True) / total
            alike, spread = (weights * x * u).sum(1), (weights * x**2).sum(1)
            if same_scale:
                alike, spread = (v.sum(1, keepdims=True).repeat(2, 1) for v in (alike, spread))
            scales = alike / spread
            left = np.linalg.norm(u - scales[:, None] * x, axis=-1, keepdims=True)
            weights = known / np.maximum(left, nothing)
    return scales, np.where(known, left, np.nan)[..., 0]


def _settle_axes(points: Array, keypoints: Array) -> _Relation:
    sets: tuple[JointSet, ...] = (
        ("cocoplus",) if points.shape[1] == NUM_KEYPOINTS else ("cocoplus", "smpl")
    )

    def best(choices: Iterable[tuple[int, int]]) -> _Relation:
        related = (_relate(points, keypoints, s, axes) for axes in choices for s in sets)
        return min(related, key=lambda relation: relation.misfit_mm)

    expected = best([(0, 1)])
    if expected.misfit_mm <= MISFIT_MM:
        return expected
    other = best(itertools.permutations(range(3), 2))
    return other if other.misfit_mm < BETTER * expected.misfit_mm else expected


# Camera


class _Camera(NamedTuple):
    """The camera's part of a diagnosis, and the joints in the documented unit and axes."""

    points: Array
    joint_set: JointSet
    convention: Literal["inside", "outside", "neither"] | None = None
    inside_px: float | None = None
    outside_px: float | None = None
    refitted_px: float | None = None
    units: Literal["height", "frame", "other"] | None = None
    aspect: float | None = None


def _check_camera(clip: ClipAnnotations, points: Array, findings: list[Finding]) -> _Camera:
    relation = _settle_axes(points, clip.keypoints_2d)
    if not np.isfinite(relation.misfit_mm):
        if np.isfinite(relation.scales).any():
            message = "`2d_keypoints` are not `3d_keypoints` seen along any two axes"
            findings.append(Finding("joints-misfit", "wrong", message))
        else:
            message = "no frame has enough joints known in both 2D and 3D to compare them"
            findings.append(Finding("joints-unknown", "odd", message))
        return _Camera(points, relation.joint_set)
    points, keypoints = _put_axes_right(clip, points, relation, findings)
    relation = _relate(points, keypoints, relation.joint_set, (0, 1))
    return _check_units_and_offset(clip, points, keypoints, relation, findings)


def _put_axes_right(
    clip: ClipAnnotations, points: Array, relation: _Relation, findings: list[Finding]
) -> tuple[Array, Array]:
    i, j = relation.axes
    keypoints = clip.keypoints_2d
    exchanged = points[..., [i, j, 3 - i - j]]
    if (i, j) == (1, 0) and _offset_misfit(clip, points, keypoints[..., ::-1]) <= _offset_misfit(
        clip, exchanged, keypoints
    ):
        message = "`2d_keypoints` are (y, x); expected (x, y)"
        findings.append(Finding("2d-axes-swapped", "wrong", message))
        keypoints = keypoints[..., ::-1]
    elif (i, j) != (0, 1):
        order = ", ".join(_AXES[axis] for axis in np.argsort([i, j, 3 - i - j]))
        message = f"`3d_keypoints` are ({order}); expected (x, y, z): x right, y down, z away"
        findings.append(Finding("3d-axes-swapped", "wrong", message))
        points = exchanged
    scales = _relate(points, keypoints, relation.joint_set, (0, 1)).scales
    signs = np.sign([_median(scales[:, 0]), _median(scales[:, 1]), 1.0])
    flipped = [_AXES[axis] for axis in np.flatnonzero(signs < 0)]
    if flipped:
        message = (
            f"`3d_keypoints` and `2d_keypoints` have opposite {' and '.join(flipped)}; expected x "
            "right and y down in both"
        )
        findings.append(Finding("axes-flipped", "wrong", message))
        points = points * signs
    return points, keypoints


def _offset_misfit(clip: ClipAnnotations, points: Array, keypoints: Array) -> float:
    """What the better of the two readings of the offset leaves, in the cameras' own unit."""
    relation = _relate(points, keypoints, "cocoplus", (0, 1))
    both = dataclasses.replace(
        clip, joints_3d=points, keypoints_2d=keypoints / [relation.ratio, 1.0]
    )
    left = [_px(both, "inside"), _px(both, "outside")]
    return min((px for px in left if px is not None), default=np.inf)


def _check_units_and_offset(
    clip: ClipAnnotations,
    points: Array,
    keypoints: Array,
    relation: _Relation,
    findings: list[Finding],
) -> _Camera:
    tolerance = SCALE_TOLERANCE[relation.joint_set]
    unit, ratio = _settle_units(clip, points, keypoints, relation, tolerance)
    aspect = None if ratio == 1.0 else 1 / ratio
    units: Literal["height", "frame", "other"] = "height" if ratio == 1.0 else "frame"
    if unit != 1.0:
        units = "other"
        aspect, message = _about_units(unit, ratio, tolerance)
        findings.append(Finding("keypoint-units", "wrong", message))
    # In heights of the frame on both axes the two conventions can be told apart.
    in_heights = _in_heights(clip, points, keypoints, unit, ratio)
    resolved = resolve_camera(in_heights, LINES, LINES, units="height")
    inside, outside = _px(in_heights, "inside"), _px(in_heights, "outside")
    xyz, uv = _pairs(points, in_heights.keypoints_2d * LINES, relation.joint_set)
    refitted = _median(_fit(xyz[..., :2], uv, same_scale=True)[1])
    if refitted > MISFIT_PX and relation.misfit_mm > MISFIT_MM:
        far = refitted > 2 * MISFIT_PX and relation.misfit_mm > FAR_MISFIT_MM
        message = (
            f"even the best camera of each frame leaves {refitted:.1f} px between "
            f"`3d_keypoints` and `2d_keypoints` ({relation.misfit_mm:.0f} mm on the body)"
        )
        findings.append(Finding("joints-misfit", "wrong" if far else "odd", message))
    if resolved.convention == "outside":
        message = (
            f"2d = s · xy + t holds ({outside:.1f} px); the documented 2d = s · (xy + t) leaves "
            f"{inside:.1f} px"
        )
        findings.append(Finding("camera-outside", "odd", message))
    if resolved.convention == "refitted":
        message = (
            f"`cameras` fit neither 2d = s · (xy + t) ({inside:.1f} px) nor 2d = s · xy + t "
            f"({outside:.1f} px); the best camera of each frame leaves {refitted:.1f} px"
        )
        findings.append(Finding("camera-misfit", "wrong", message))
    _check_frames_apart(resolved.residuals_px, findings)
    return _Camera(
        points=points,
        joint_set=relation.joint_set,
        convention="neither" if resolved.convention == "refitted" else resolved.convention,
        inside_px=inside,
        outside_px=outside,
        refitted_px=refitted,
        units=units,
        aspect=aspect,
    )


def _px(clip: ClipAnnotations, convention: Literal["inside", "outside"]) -> float | None:
    return resolve_camera(clip, LINES, LINES, convention, "height").residual_px_median


def _in_heights(
    clip: ClipAnnotations, points: Array, keypoints: Array, unit: float, ratio: float
) -> ClipAnnotations:
    scaled = keypoints / (unit * np.array([ratio, 1.0]))
    return dataclasses.replace(clip, joints_3d=points, keypoints_2d=scaled)


def _settle_units(
    clip: ClipAnnotations, points: Array, keypoints: Array, relation: _Relation, tolerance: float
) -> tuple[float, float]:
    """How many of the keypoints' vertical units make the cameras' one, and x units per y unit.

    The joints' spread tells both whatever the offset means, but a small person's only roughly;
    the place of the person in the frame tells them well, for either reading of the offset. The
    reading that leaves least is believed.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        units = relation.scales[:, 1] / clip.cameras[:, 0]
    unit = _median(units)
    is_steady = np.isfinite(unit) and unit > 0 and _deviation(units) <= STEADY_SCALE * unit
    rough = np.array([relation.ratio, 1.0]) * (unit if is_steady else 1.0)
    xyz, uv = _pairs(points, keypoints, relation.joint_set)
    scale, offset = clip.cameras[:, None, :1], clip.cameras[:, None, 1:]
    tried = []
    readings: tuple[tuple[Literal["inside", "outside"], Array], ...] = (
        ("inside", scale * (xyz[..., :2] + offset)),
        ("outside", scale * xyz[..., :2] + offset),
    )
    for convention, seen in readings:
        fine = np.array([_factor(seen[..., axis], uv[..., axis]) for axis in (0, 1)])
        for factors in (rough, np.where(np.abs(fine / rough - 1) < ROUGHLY, fine, rough)):
            unit = _snapped(factors[1], tolerance) if is_steady else 1.0
            ratio = _snapped(factors[0] / unit, tolerance)
            left = _px(_in_heights(clip, points, keypoints, unit, ratio), convention)
            tried.append((np.inf if left is None else left, unit, ratio))
    _, unit, ratio = min(tried, key=lambda item: item[0])
    return unit, ratio


def _snapped(factor: float, tolerance: float) -> float:
    return 1.0 if abs(factor - 1) <= tolerance else float(factor)


def _factor(given: Array, wanted: Array) -> float:
    """The one that takes `given` to `wanted` with the least sum of distances."""
    known = np.isfinite(given) & np.isfinite(wanted) & (given != 0)
    if not known.any():
        return float("inf")
    ratios, weights = wanted[known] / given[known], np.abs(given[known])
    order = np.argsort(ratios)
    total = np.cumsum(weights[order])
    return float(ratios[order][np.searchsorted(total, total[-1] / 2)])


def _about_units(unit: float, ratio: float, tolerance: float) -> tuple[float | None, str]:
    """The frame's aspect if the units tell, and what they are."""
    expected = "expected the frame's height on both axes, or its width and its height"
    if unit >= PIXELS_FROM:
        return None, (
            f"`2d_keypoints` are in pixels of a frame of {unit:.0f} lines, by the cameras' scale; "
            f"{expected}"
        )
    if ratio == 1.0 and 1 / PLAUSIBLE_ASPECT < unit < PLAUSIBLE_ASPECT:
        return 1 / unit, (
            f"1.0 in `2d_keypoints` is {1 / unit:.3f} of the frame's height on both axes, by the "
            f"cameras' scale: its width, in a frame of that aspect? {expected}"
        )
    if abs(unit * ratio - 1) <= tolerance:
        return 1 / unit, (
            "1.0 in `2d_keypoints` is the frame's height in x and its width in y (aspect "
            f"{1 / unit:.3f}): divided by the wrong sides; {expected}"
        )
    return None, (
        f"1.0 in `2d_keypoints` is {1 / (unit * ratio):.3g} of the cameras' unit in x and "
        f"{1 / unit:.3g} in y; {expected}"
    )


def _check_frames_apart(residuals_px: Array, findings: list[Finding]) -> None:
    per_frame = np.array([_median(row) for row in residuals_px])
    limit = max(2 * MISFIT_PX, FRAME_APART * _median(per_frame))
    rows = np.flatnonzero(np.isfinite(per_frame) & (per_frame > limit))
    if len(rows):
        message = (
            f"{_rows(rows)}: up to {per_frame[rows].max():.0f} px between `3d_keypoints` and "
            f"`2d_keypoints`; the rest leave {_median(per_frame):.1f} px"
        )
        findings.append(Finding("frames-apart", "odd", message, _tuple(rows)))


# Mesh


class _Mesh(NamedTuple):
    """Median and maximum, in millimetres."""

    joints_mm: tuple[float | None, float | None] = (None, None)
    vertices_mm: tuple[float | None, float | None] = (None, None)


def _check_mesh(
    clip: ClipAnnotations,
    camera: _Camera,
    body: BodyModel | None,
    regressor: npt.NDArray[np.float32] | None,
    findings: list[Finding],
) -> _Mesh:
    vertices = clip.vertices
    if vertices is not None:
        vertices = _vertices_in_metres(vertices, camera.points, findings)
    posed, skeleton = (None, None) if body is None else body.forward(clip.shape, clip.pose)
    vertices_mm: tuple[float | None, float | None] = (None, None)
    if vertices is not None and posed is not None:
        if vertices.shape != posed.shape:
            message = (
                f"`vertices` has {vertices.shape[1]} vertices, the body model {posed.shape[1]}"
            )
            findings.append(Finding("vertices-misfit", "wrong", message))
        else:
            vertices = _vertex_axes_right(vertices, posed, findings)
            vertices_mm = _check_vertices(vertices, posed, findings)
    skin = posed if vertices is None else vertices
    if camera.joint_set == "smpl":
        if skeleton is None:
            return _Mesh(vertices_mm=vertices_mm)
        return _Mesh(_check_joints(camera.points, skeleton, "skeleton", findings), vertices_mm)
    if regressor is None or skin is None or regressor.shape[1] != skin.shape[1]:
        return _Mesh(vertices_mm=vertices_mm)
    regressed = regress_joints(regressor, skin)
    points = camera.points[:, :NUM_KEYPOINTS]
    return _Mesh(_check_joints(points, regressed, "regressor", findings), vertices_mm)


def _vertices_in_metres(vertices: Array, points: Array, findings: list[Finding]) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = _power_of_ten(_median(_extent(vertices) / _extent(points)))
    if factor == 1.0:
        return vertices
    tall = _median(_extent(vertices))
    message = f"`vertices` {_in_units(factor)}: the body is {tall:.4g} across; expected metres"
    findings.append(Finding("vertex-units", "wrong", message))
    return vertices / np.float32(factor)


def _extent(points: Array) -> Array:
    """(N,) diagonals of the boxes around (N, P, 3) points; 0 where none is finite."""
    known = np.isfinite(points)
    high = np.where(known, points, -np.inf).max(1)
    low = np.where(known, points, np.inf).min(1)
    extent: Array = np.linalg.norm(np.maximum(high - low, 0.0), axis=-1)
    return extent


def _vertex_axes_right(vertices: Array, posed: Array, findings: list[Finding]) -> Array:
    some = slice(None, None, max(1, len(vertices) // 8))
    given, expected = vertices[some, ::10], posed[some, ::10]

    def misfit(turn: Array) -> float:
        return 1000 * _median(np.linalg.norm(given @ turn - expected, axis=-1))

    usual = misfit(np.eye(3))
    if usual <= MISFIT_MM:
        return vertices
    turns = [
        np.eye(3)[list(order)] * signs
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1.0, -1.0), repeat=3)
    ]
    turn = min(turns, key=misfit)
    if misfit(turn) >= BETTER * usual:
        return vertices
    axes = ", ".join(
        ("−" if row.sum() < 0 else "") + _AXES[int(np.abs(row).argmax())] for row in turn
    )
    message = f"`vertices` are ({axes}); expected (x, y, z): x right, y down, z away"
    findings.append(Finding("vertex-axes", "wrong", message))
    return vertices @ turn.astype(np.float32)


def _check_vertices(vertices: Array, posed: Array, findings: list[Finding]) -> tuple[float, float]:
    apart = vertices - posed
    per_frame = 1000 * np.median(np.linalg.norm(apart, axis=-1), axis=1)
    typical = float(np.median(per_frame))
    severity: Severity = "wrong" if typical > OTHER_BODY_MM else "odd"
    if typical > VERTICES_MM:
        shifted = apart - apart.mean(1, keepdims=True)
        aligned = 1000 * _median(np.linalg.norm(shifted, axis=-1))
        message = (
            f"`vertices` are {typical:.1f} mm from the body model's (median; {aligned:.1f} mm once "
            "moved onto each other): another model, shape or pose"
        )
        findings.append(Finding("vertices-misfit", severity, message))
    rows = np.flatnonzero(per_frame > max(MISFIT_MM, FRAME_APART * typical))
    if len(rows):
        message = (
            f"{_rows(rows)}: `vertices` are up to {per_frame[rows].max():.0f} mm from the body "
            f"model's; the rest {typical:.1f} mm"
        )
        severity = "wrong" if per_frame[rows].max() > OTHER_BODY_MM else "odd"
        findings.append(Finding("vertices-apart", severity, message, _tuple(rows)))
    return typical, 1000 * float(np.linalg.norm(apart, axis=-1).max())


def _check_joints(
    points: Array, expected: Array, name: str, findings: list[Finding]
) -> tuple[float | None, float | None]:
    apart_mm = 1000 * np.linalg.norm(points - expected, axis=-1)
    known = apart_mm[np.isfinite(apart_mm)]
    if not len(known):
        return None, None
    per_joint = np.array([_median(column) for column in apart_mm.T])
    worst = int(np.argmax(np.where(np.isfinite(per_joint), per_joint, 0.0)))
    if per_joint[worst] > REGRESSOR_MM:
        joint = JOINT_NAMES[worst] if name == "regressor" else f"joint {worst}"
        message = (
            f"{joint} is {per_joint[worst]:.0f} mm from where this {name} puts it (median of all "
            f"joints {np.median(known):.1f} mm)"
        )
        if name == "regressor":
            message += "; the dataset's own is custom_joint_regressor.pkl (--joint_regressor)"
        severity: Severity = "wrong" if np.median(known) > OTHER_BODY_MM else "odd"
        findings.append(Finding(name, severity, message))
    return float(np.median(known)), float(known.max())


# Constancy


def _check_bones(camera: _Camera, findings: list[Finding]) -> tuple[float | None, str | None]:
    limbs = _SMPL_LIMBS if camera.joint_set == "smpl" else _COCOPLUS_LIMBS
    spread = [1000 * _deviation(_lengths(camera.points, limb)) for limb in limbs]
    if not np.isfinite(spread).any():
        return None, None
    worst = int(np.nanargmax(np.where(np.isfinite(spread), spread, np.nan)))
    if spread[worst] > BONE_MM:
        message = (
            f"{_LIMB_NAMES[worst]} changes its length by {spread[worst]:.0f} mm; expected less "
            f"than {BONE_MM:.0f}"
        )
        findings.append(Finding("bones", "odd", message))
    return spread[worst], _LIMB_NAMES[worst]


def _check_shape(shape: Array, findings: list[Finding]) -> float:
    apart = np.abs(shape - np.median(shape, axis=0)).max(1)
    deviation = float(apart.max())
    rows = np.flatnonzero(apart > SHAPE_DEVIATION)
    if len(rows):
        message = (
            f"`smpl_shape` is up to {deviation:.1f} from its median in {_rows(rows)}; one person's "
            "is constant"
        )
        findings.append(Finding("shape", "odd", message, _tuple(rows)))
    return deviation


# Motion


def _check_jitter(time: Array, points: Array, findings: list[Finding]) -> float | None:
    jitter = jitter_mm(time, points)
    limit = JITTER_MM * (25 * (usual_step(time) or 0.0)) ** 2
    if jitter is not None and jitter > limit:
        message = f"joints shake by {jitter:.0f} mm/frame²; expected less than {limit:.0f}"
        findings.append(Finding("jitter", "odd", message))
    return jitter


class _Steps(NamedTuple):
    """How far each frame is from the next, and from the one after that."""

    name: str
    floor: float
    ones: Array  # (N - 1,)
    twos: Array  # (N - 2,)


def _check_jumps(
    clip: ClipAnnotations,
    points: Array,
    together: Array,
    step: float | None,
    findings: list[Finding],
) -> tuple[int, ...]:
    if step is None or step > FASTEST_STEP_SEC:
        return ()
    slow = max(1.0, 25 * step)
    one, two = _angles(clip.pose, 1), _angles(clip.pose, 2)
    joint_steps = [mean_length(points[lag:] - points[:-lag]) for lag in (1, 2)]
    signals = [
        _Steps("joints", FLIP_M * slow**2, joint_steps[0], joint_steps[1]),
        _Steps("global orientation", FLIP_ORIENTATION_RAD * slow**2, one[:, 0], two[:, 0]),
        _Steps("pose", FLIP_POSE_RAD * slow**2, one[:, 1:].mean(1), two[:, 1:].mean(1)),
    ]
    flipped: dict[int, list[str]] = {}
    for signal in signals:
        for row in _flipped(signal, together):
            flipped.setdefault(row, []).append(signal.name)
    if flipped:
        names = sorted({name for named in flipped.values() for name in named})
        message = (
            f"{_rows(sorted(flipped))}: away from both neighbours, which agree ({', '.join(names)})"
        )
        findings.append(Finding("flipped-frame", "wrong", message, tuple(sorted(flipped))))
    far = _outlying(joint_steps[0], together, JUMP_M * slow)
    jumps = [row for row in (np.flatnonzero(far) + 1).tolist() if not {row, row - 1} & set(flipped)]
    if jumps:
        message = f"the body jumps at {_rows(jumps)}, by up to {joint_steps[0][far].max():.2f} m"
        findings.append(Finding("jump", "odd", message, tuple(jumps)))
    return tuple(sorted({*flipped, *jumps}))


def _angles(pose: Array, lag: int) -> Array:
    """(N - lag, 24) radians between each joint's rotation and that of `lag` rows later."""
    axes = pose.reshape(len(pose), -1, 3).astype(np.float64)
    angle = np.linalg.norm(axes, axis=-1, keepdims=True)
    turns = np.concatenate([np.cos(angle / 2), np.sinc(angle / (2 * np.pi)) * axes / 2], -1)
    cosine = np.abs((turns[lag:] * turns[:-lag]).sum(-1))
    angles: Array = 2 * np.arccos(np.minimum(cosine, 1.0))
    return angles


def _outlying(steps: Array, together: Array, floor: float) -> Array:
    """Which steps between consecutive frames stand out from the rest of the clip."""
    usual = steps[together]
    limit = max(floor, _median(usual) + NOISE_SIGMAS * _deviation(usual)) if len(usual) else np.inf
    far: Array = together & (steps > limit)
    return far


def _flipped(steps: _Steps, together: Array) -> list[int]:
    """Rows that are far from both neighbours while these are near each other.

    Beside a gap there is one neighbour only. Then the row's step stands out and the next does
    not, and as nothing shows the way back it has to be twice as far for the same acceleration.
    """
    near = np.pad(together, 2)  # near[row + 1] and near[row + 2]: before and after the row
    far = np.pad(_outlying(steps.ones, together, steps.floor), 2)
    at_end = np.pad(_outlying(steps.ones, together, 2 * steps.floor), 2)
    rows = []
    for row in range(len(together) + 1):
        before, after = row + 1, row + 2
        if near[before] and near[after]:
            least = min(steps.ones[row - 1], steps.ones[row])
            is_flipped = far[before] and far[after] and steps.twos[row - 1] < least / 2
        else:
            step, beyond = (after, after + 1) if near[after] else (before, before - 1)
            is_flipped = at_end[step] and near[beyond] and not far[beyond]
        if is_flipped:
            rows.append(row)
    return rows


# Small things


def _median(values: Array) -> float:
    """Of the finite ones; infinite where there is none."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("inf")


def _deviation(values: Array) -> float:
    """The standard deviation, as the median sees it."""
    return (
        _SIGMA * _median(np.abs(values - _median(values))) if np.isfinite(values).any() else np.inf
    )


def _tuple(rows: Array) -> tuple[int, ...]:
    return tuple(rows.tolist())


def _rows(rows: Array | list[int]) -> str:
    shown = ", ".join(str(row) for row in rows[:5])
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return f"row{'s' if len(rows) > 1 else ''} {shown}{more}"
