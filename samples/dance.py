"""The sample's dance: SMPL poses and a path on the floor for each moment.

    move = dance(joints, floor, times)   # move.pose (T, 72), move.pelvis (T, 3)

A choreography of eight beats: side steps, waves, a full turn, a star jump and a last pose. Feet
are steps in a table and never slide, because the legs follow them by two-bone inverse
kinematics; pelvis, spine, head and arms are splines through keys on the beats. The stage's axes
are SMPL's (metres, x to the person's left, y up, z forward), with the camera along −z.
Covered by tests/test_samples.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import interpolate
from scipy.spatial.transform import Rotation

Array = npt.NDArray[np.float64]

BEAT_SEC = 0.5
TURN_BEATS = (3.95, 5.85)
JUMP_BEATS = (6.50, 7.30)
GRAVITY = 9.81
UP: Array = np.array([0.0, 1.0, 0.0])
FORWARD: Array = np.array([0.0, 0.0, 1.0])


class Move(NamedTuple):
    """A dance in stage axes: rotations relative to the parent, and where the pelvis is."""

    pose: Array  # (T, 72) axis-angle
    pelvis: Array  # (T, 3) metres


class Step(NamedTuple):
    """One foot's step: beats, where the ball of the foot comes to rest, the heel's angle there."""

    start: float
    end: float
    x: float
    z: float
    heel: float = 0.0


# Where the balls of the feet go. The left foot is the one at larger x when facing the camera.
LEFT_STEPS = [
    Step(-0.60, -0.10, 0.12, 0.02, 0.0),
    Step(0.00, 0.45, 0.40, 0.00),
    Step(1.50, 1.95, 0.02, 0.06, 0.45),
    Step(2.05, 2.45, 0.34, 0.02),
    Step(3.00, 3.25, 0.34, 0.02, 0.40),
    Step(3.45, 3.70, 0.34, 0.02, 0.0),
    Step(4.15, 4.60, 0.00, -0.10, 0.15),
    Step(5.00, 5.45, 0.25, 0.01),
    Step(6.50, 7.30, 0.38, 0.02),
    Step(7.55, 7.85, 0.44, 0.10, 0.35),
]
RIGHT_STEPS = [
    Step(-0.60, -0.10, -0.12, 0.00, 0.3),
    Step(0.50, 0.95, 0.16, 0.06, 0.45),
    Step(1.00, 1.45, -0.24, 0.00),
    Step(2.50, 2.75, -0.24, 0.00, 0.40),
    Step(2.95, 3.20, -0.24, 0.00, 0.0),
    Step(3.70, 4.10, -0.06, 0.05, 0.15),
    Step(4.60, 5.00, 0.13, -0.17, 0.15),
    Step(5.42, 5.85, -0.03, 0.00),
    Step(6.50, 7.30, -0.16, 0.00),
]

# Beat, x, height against standing, z, then degrees: lean forward, lean to the left.
PELVIS_KEYS = [
    (-0.5, 0.02, -0.045, -0.09, 4, 0),
    (0.0, 0.02, -0.070, -0.09, 5, -2),
    (0.5, 0.28, -0.045, -0.10, 4, 5),
    (1.0, 0.24, -0.075, -0.09, 5, 3),
    (1.5, -0.10, -0.045, -0.10, 4, -5),
    (2.0, -0.08, -0.075, -0.09, 5, -3),
    (2.5, 0.12, -0.050, -0.09, 2, 5),
    (3.0, -0.05, -0.070, -0.09, 2, -7),
    (3.5, 0.14, -0.055, -0.09, 2, 7),
    (4.0, 0.08, -0.090, -0.09, 4, 0),
    (4.5, 0.08, -0.035, -0.07, 3, 2),
    (5.0, 0.12, -0.030, -0.07, 3, 2),
    (5.5, 0.12, -0.040, -0.08, 4, 1),
    (6.0, 0.11, -0.060, -0.10, 7, 0),
    (6.35, 0.11, -0.200, -0.15, 24, 0),
    (6.62, 0.11, -0.005, -0.09, 2, 0),
    (7.0, 0.11, 0.000, -0.08, -2, 0),
    (7.28, 0.11, -0.020, -0.09, 5, 0),
    (7.52, 0.10, -0.150, -0.13, 14, -1),
    (7.85, 0.05, -0.075, -0.09, 3, -6),
    (8.2, 0.05, -0.075, -0.09, 3, -6),
]

# Beat, then degrees: spine forward, spine to the left, spine turned left; head the same.
TRUNK_KEYS = [
    (-0.5, 6, 0, 10, 0, 0, -8),
    (0.0, 8, 0, 4, 4, 0, -2),
    (0.5, 4, -8, -18, -4, 6, 18),
    (1.0, 8, 0, -6, 6, 2, 6),
    (1.5, 4, 8, 18, -4, -6, -18),
    (2.0, 8, 0, 6, 6, -2, -6),
    (2.5, -4, -8, -6, -4, 6, 8),
    (3.0, 0, 12, 6, 0, -8, -6),
    (3.5, 0, -12, -6, 0, 8, 6),
    (4.0, 6, 0, -22, 2, 0, 14),
    (4.5, 2, 0, 14, 0, 0, 24),
    (5.0, 2, 0, 10, 0, 0, 8),
    (5.5, 3, 0, 6, 0, 0, 26),
    (6.0, 6, 0, 0, 2, 0, 4),
    (6.35, 22, 0, 0, -22, 0, 0),
    (6.85, -10, 0, 0, -8, 0, 0),
    (7.3, 4, 0, 0, 0, 0, 0),
    (7.52, 14, 0, 4, -12, 0, 0),
    (7.85, -2, 10, 14, -6, -8, 10),
    (8.2, -2, 10, 14, -6, -8, 10),
]

# Beat, direction of the upper arm, direction of the forearm: (outward, up, forward) of the chest.
LEFT_ARM_KEYS = [
    (-0.5, (0.35, -0.90, 0.25), (-0.30, -0.10, 0.90)),
    (0.0, (0.40, -0.85, 0.20), (0.10, -0.05, 0.95)),
    (0.5, (0.85, -0.40, 0.00), (0.75, 0.35, 0.55)),
    (1.0, (0.45, -0.80, 0.25), (0.10, 0.05, 0.95)),
    (1.5, (0.25, -0.75, 0.55), (-0.75, 0.30, 0.60)),
    (2.0, (0.45, -0.70, 0.45), (0.00, 0.40, 0.90)),
    (2.5, (0.62, 0.70, 0.25), (0.20, 0.95, 0.20)),
    (3.0, (0.38, 0.85, 0.25), (-0.40, 0.90, 0.15)),
    (3.5, (0.85, 0.50, 0.20), (0.62, 0.78, 0.15)),
    (4.0, (0.95, -0.10, -0.10), (0.85, 0.10, 0.50)),
    (4.5, (0.70, -0.50, 0.50), (-0.60, 0.10, 0.80)),
    (5.3, (0.70, -0.52, 0.48), (-0.60, 0.15, 0.80)),
    (5.9, (0.85, -0.45, 0.15), (0.75, 0.00, 0.60)),
    (6.30, (0.50, -0.75, -0.50), (0.40, -0.80, -0.30)),
    (6.60, (0.85, -0.25, 0.05), (0.75, -0.15, 0.40)),
    (6.95, (0.72, 0.68, 0.10), (0.58, 0.82, 0.15)),
    (7.3, (0.85, 0.35, 0.18), (0.75, 0.50, 0.40)),
    (7.58, (0.88, 0.05, 0.30), (0.62, 0.35, 0.65)),
    (7.95, (0.66, 0.72, 0.12), (0.58, 0.80, 0.12)),
    (8.3, (0.66, 0.72, 0.12), (0.58, 0.80, 0.12)),
]
RIGHT_ARM_KEYS = [
    (-0.5, (0.80, -0.45, 0.00), (0.75, 0.20, 0.55)),
    (0.0, (0.45, -0.80, 0.25), (0.10, 0.05, 0.95)),
    (0.5, (0.25, -0.75, 0.55), (-0.75, 0.30, 0.60)),
    (1.0, (0.45, -0.80, 0.25), (0.10, 0.05, 0.95)),
    (1.5, (0.85, -0.40, 0.00), (0.75, 0.35, 0.55)),
    (2.0, (0.45, -0.70, 0.45), (0.00, 0.40, 0.90)),
    (2.5, (0.62, 0.70, 0.25), (0.20, 0.95, 0.20)),
    (3.0, (0.85, 0.50, 0.20), (0.62, 0.78, 0.15)),
    (3.5, (0.38, 0.85, 0.25), (-0.40, 0.90, 0.15)),
    (4.0, (0.45, -0.60, 0.60), (-0.70, 0.10, 0.70)),
    (4.5, (0.70, -0.50, 0.50), (-0.60, 0.10, 0.80)),
    (5.3, (0.70, -0.52, 0.48), (-0.60, 0.15, 0.80)),
    (5.9, (0.85, -0.45, 0.15), (0.75, 0.00, 0.60)),
    (6.30, (0.50, -0.75, -0.50), (0.40, -0.80, -0.30)),
    (6.60, (0.85, -0.25, 0.05), (0.75, -0.15, 0.40)),
    (6.95, (0.72, 0.68, 0.10), (0.58, 0.82, 0.15)),
    (7.3, (0.85, 0.35, 0.18), (0.75, 0.50, 0.40)),
    (7.60, (0.86, -0.22, 0.22), (0.50, -0.05, 0.80)),
    (7.95, (0.74, -0.66, -0.14), (-0.72, -0.60, 0.30)),
    (8.3, (0.74, -0.66, -0.14), (-0.72, -0.60, 0.30)),
]


def dance(joints: Array, floor: float, times: Array) -> Move:
    """The dance of a body with these rest joints.

    Args:
        joints: (24, 3) SMPL joints at rest, metres.
        floor: y of the body's soles at rest, and of the stage's floor.
        times: (T,) seconds.
    """
    beats = times / BEAT_SEC
    pelvis_keys = _spline(PELVIS_KEYS, beats)
    trunk_keys = np.radians(_spline(TRUNK_KEYS, beats))
    arms = [_arm_directions(keys, beats) for keys in (LEFT_ARM_KEYS, RIGHT_ARM_KEYS)]
    poses, places = [], []
    for t, beat in enumerate(beats):
        place = joints[0] + (pelvis_keys[t, 0], pelvis_keys[t, 1] + _jump(beat), pelvis_keys[t, 2])
        places.append(place)
        local = np.zeros((24, 3))
        lean = Rotation.from_euler("xz", pelvis_keys[t, 3:5] * np.array([1, -1]), degrees=True)
        root = _turn(beat) * lean
        local[0] = root.as_rotvec()
        spine = _bend(trunk_keys[t, :3] / 3)
        local[[3, 6, 9]] = spine.as_rotvec()
        local[[12, 15]] = _bend(trunk_keys[t, 3:] / 2).as_rotvec()
        for side, steps in enumerate((LEFT_STEPS, RIGHT_STEPS)):
            chain = np.array([1, 4, 7, 10]) + side
            local[chain] = _leg(joints, chain, root, place, _foot(steps, beat, floor, side))
            upper, fore = (_unit(direction) for direction in arms[side][t])
            chain = np.array([13, 16, 18, 20]) + side
            local[chain] = _arm(joints, chain, upper, fore)
        poses.append(local.ravel())
    return Move(np.array(poses), np.array(places))


def _spline(keys: Sequence[tuple[float, ...]], beats: Array) -> Array:
    table = np.array(keys, dtype=float)
    values: Array = interpolate.Akima1DInterpolator(table[:, 0], table[:, 1:], method="makima")(
        beats
    )
    return values


def _arm_directions(
    keys: list[tuple[float, tuple[float, float, float], tuple[float, float, float]]], beats: Array
) -> Array:
    """(T, 2, 3): upper arm and forearm."""
    return _spline([(beat, *upper, *fore) for beat, upper, fore in keys], beats).reshape(-1, 2, 3)


def _smooth_step(fraction: float) -> float:
    t = min(max(fraction, 0.0), 1.0)
    return t * t * t * (10 - 15 * t + 6 * t * t)


def _turn(beat: float) -> Rotation:
    start, end = TURN_BEATS
    return Rotation.from_rotvec(2 * np.pi * _smooth_step((beat - start) / (end - start)) * UP)


def _jump(beat: float) -> float:
    """Height of the jump: free fall between take-off and landing."""
    start, end = JUMP_BEATS
    if not start < beat < end:
        return 0.0
    return GRAVITY / 2 * BEAT_SEC**2 * (beat - start) * (end - beat)


def _bend(angles: Array) -> Rotation:
    """Forward, to the left and turned left, in radians."""
    return Rotation.from_euler("yxz", [angles[2], angles[0], -angles[1]])


class _Foot(NamedTuple):
    ball: Array
    turn: Rotation


def _foot(steps: list[Step], beat: float, floor: float, side: int) -> _Foot:
    """Where the ball of the foot is, and how the foot is turned from its rest pose."""
    before, step = steps[0], steps[0]
    for following in steps[1:]:
        if following.start > beat:
            break
        before, step = step, following
    fraction = (beat - step.start) / (step.end - step.start)
    done = _smooth_step(fraction)
    swing = np.sin(np.pi * min(max(fraction, 0.0), 1.0)) ** 2
    jumping = step.start == JUMP_BEATS[0]
    distance = np.hypot(step.x - before.x, step.z - before.z)
    lift = _jump(beat) * 0.92 if jumping else swing * (0.02 + 0.12 * distance)
    heel = before.heel + (step.heel - before.heel) * done
    heel += swing * (0.75 if jumping else min(0.35, 1.2 * distance))
    ball = np.array(
        [
            before.x + (step.x - before.x) * done,
            floor + lift,
            before.z + (step.z - before.z) * done,
        ]
    )
    outward = Rotation.from_rotvec((0.24 if side == 0 else -0.24) * UP)
    return _Foot(ball, _turn(beat) * outward * Rotation.from_rotvec((heel, 0, 0)))


def _leg(joints: Array, chain: Array, root: Rotation, pelvis: Array, foot: _Foot) -> Array:
    """Local rotations (4, 3) of hip, knee, ankle and foot that bring the ball of the foot there."""
    hip, knee, ankle, ball = joints[chain]
    sole = np.array([ball[0], joints[[10, 11], 1].mean() - 0.028, ball[2]])
    hip_place = pelvis + root.apply(hip - joints[0])
    target = foot.ball + foot.turn.apply(ankle - sole)
    thigh, shin = float(np.linalg.norm(knee - hip)), float(np.linalg.norm(ankle - knee))
    reach = target - hip_place
    distance = min(float(np.linalg.norm(reach)), 0.9985 * (thigh + shin))
    along = _unit(reach)
    pole = _unit(foot.turn.apply(FORWARD) * (1, 0, 1) + root.apply(FORWARD))
    pole = _unit(pole - along * (pole @ along))
    cosine = (thigh**2 + distance**2 - shin**2) / (2 * thigh * distance)
    knee_place = hip_place + thigh * (along * cosine + pole * np.sqrt(max(1 - cosine**2, 0)))
    ankle_place = hip_place + along * distance
    upper = _aim(knee - hip, FORWARD, knee_place - hip_place, pole)
    lower = _aim(ankle - knee, FORWARD, ankle_place - knee_place, pole)
    local = np.zeros((4, 3))
    local[0] = (root.inv() * upper).as_rotvec()
    local[1] = (upper.inv() * lower).as_rotvec()
    local[2] = (lower.inv() * foot.turn).as_rotvec()
    local[3, 0] = -0.8 * max(0.0, float(foot.turn.apply(FORWARD)[1] * -1))
    return local


def _arm(joints: Array, chain: Array, upper: Array, fore: Array) -> Array:
    """Local rotations (4, 3) of collar, shoulder, elbow and wrist, directions in chest axes."""
    _, shoulder, elbow, wrist = joints[chain]
    outward = np.sign(shoulder[0])
    upper, fore = upper * (outward, 1, 1), fore * (outward, 1, 1)
    swing = _shortest(elbow - shoulder, upper)
    collar = Rotation.from_rotvec(0.22 * swing.as_rotvec())
    bend = _shortest(wrist - elbow, swing.inv().apply(fore))
    local = np.zeros((4, 3))
    local[0] = collar.as_rotvec()
    local[1] = (collar.inv() * swing).as_rotvec()
    local[2] = bend.as_rotvec()
    local[3] = (0, 0, 0.12 * outward)
    return local


def _aim(bone: Array, front: Array, new_bone: Array, new_front: Array) -> Rotation:
    """The rotation that lays `bone` along `new_bone` and turns `front` towards `new_front`."""
    return _frame(new_bone, new_front) * _frame(bone, front).inv()


def _frame(bone: Array, front: Array) -> Rotation:
    along = _unit(bone)
    ahead = _unit(front - along * (front @ along))
    return Rotation.from_matrix(np.stack([along, ahead, np.cross(along, ahead)], axis=1))


def _shortest(start: Array, end: Array) -> Rotation:
    """The smallest rotation from one direction to another."""
    a, b = _unit(start), _unit(end)
    axis = np.cross(a, b)
    sine = float(np.linalg.norm(axis))
    return Rotation.from_rotvec(axis / max(sine, 1e-12) * np.arctan2(sine, a @ b))


def _unit(vector: Array) -> Array:
    unit: Array = vector / np.linalg.norm(vector)
    return unit
