"""Makes body_model.npz, a mannequin in SMPL's own file format that anyone may copy.

    python samples/make_body.py          # writes samples/body_model.npz, about a minute

The surface is a smooth union of limbs: each is a tube with an elliptic cross-section, and all of
them together are one signed distance. The left half is meshed on a grid, reduced to the right
number of triangles, evened out on the surface, and mirrored. Skinning weights diffuse over the
surface from the nearest bone; the pose corrections make linear blend skinning move like dual
quaternions. Space is SMPL's rest space: metres, x to the person's left, y up, z forward.
Covered by tests/test_samples.py.
"""

from __future__ import annotations

import heapq
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import interpolate, sparse
from scipy.sparse import linalg as sparse_linalg
from skimage import measure

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

FOLDER = Path(__file__).resolve().parent
SEED = 20190411
N_FACES = 13776
GRID_STEP = 0.005
FLOOR_Y = -1.16

# Name, parent, position. The right side is the left one mirrored.
JOINTS: list[tuple[str, int, tuple[float, float, float]]] = [
    ("pelvis", -1, (0.0, -0.225, -0.010)),
    ("left_hip", 0, (0.090, -0.300, -0.004)),
    ("right_hip", 0, (-0.090, -0.300, -0.004)),
    ("spine1", 0, (0.0, -0.110, -0.022)),
    ("left_knee", 1, (0.101, -0.690, 0.000)),
    ("right_knee", 2, (-0.101, -0.690, 0.000)),
    ("spine2", 3, (0.0, 0.010, -0.024)),
    ("left_ankle", 4, (0.095, -1.080, -0.026)),
    ("right_ankle", 5, (-0.095, -1.080, -0.026)),
    ("spine3", 6, (0.0, 0.085, -0.026)),
    ("left_foot", 7, (0.103, -1.132, 0.090)),
    ("right_foot", 8, (-0.103, -1.132, 0.090)),
    ("neck", 9, (0.0, 0.285, -0.034)),
    ("left_collar", 9, (0.070, 0.205, -0.026)),
    ("right_collar", 9, (-0.070, 0.205, -0.026)),
    ("head", 12, (0.0, 0.365, -0.012)),
    ("left_shoulder", 13, (0.172, 0.230, -0.030)),
    ("right_shoulder", 14, (-0.172, 0.230, -0.030)),
    ("left_elbow", 16, (0.440, 0.219, -0.035)),
    ("right_elbow", 17, (-0.440, 0.219, -0.035)),
    ("left_wrist", 18, (0.690, 0.219, -0.030)),
    ("right_wrist", 19, (-0.690, 0.219, -0.030)),
    ("left_hand", 20, (0.775, 0.215, -0.028)),
    ("right_hand", 21, (-0.775, 0.215, -0.028)),
]
PARENTS = [parent for _, parent, _ in JOINTS]
POSITIONS: Array = np.array([position for _, _, position in JOINTS])

# The 19 cocoplus joints: a position, and whether it lies on the surface or inside.
COCOPLUS: list[tuple[str, tuple[float, float, float], bool]] = [
    ("right_ankle", (-0.095, -1.080, -0.026), False),
    ("right_knee", (-0.101, -0.690, 0.000), False),
    ("right_hip", (-0.092, -0.308, -0.002), False),
    ("left_hip", (0.092, -0.308, -0.002), False),
    ("left_knee", (0.101, -0.690, 0.000), False),
    ("left_ankle", (0.095, -1.080, -0.026), False),
    ("right_wrist", (-0.690, 0.219, -0.030), False),
    ("right_elbow", (-0.440, 0.219, -0.035), False),
    ("right_shoulder", (-0.178, 0.228, -0.030), False),
    ("left_shoulder", (0.178, 0.228, -0.030), False),
    ("left_elbow", (0.440, 0.219, -0.035), False),
    ("left_wrist", (0.690, 0.219, -0.030), False),
    ("neck", (0.0, 0.285, -0.034), False),
    ("head_top", (0.0, 0.560, -0.010), True),
    ("nose", (0.0, 0.412, 0.111), True),
    ("left_eye", (0.030, 0.438, 0.084), True),
    ("right_eye", (-0.030, 0.438, 0.084), True),
    ("left_ear", (0.086, 0.425, -0.008), True),
    ("right_ear", (-0.086, 0.425, -0.008), True),
]


def main() -> None:
    """Makes the body and writes it beside this script."""
    vertices, faces = mannequin()
    mirror = mirrored_vertices(vertices)
    weights = skinning_weights(vertices, faces, mirror)
    np.savez_compressed(
        FOLDER / "body_model.npz",
        v_template=vertices.astype(np.float32),
        shapedirs=shape_directions(vertices, faces, weights, mirror).astype(np.float32),
        posedirs=pose_directions(vertices, weights, mirror).astype(np.float32),
        J_regressor=joint_regressor(vertices, mirror).astype(np.float32),
        weights=weights.astype(np.float32),
        kintree_table=np.array([PARENTS, range(24)], dtype=np.int64).astype(np.uint32),
        f=faces.astype(np.uint32),
        cocoplus_regressor=cocoplus_regressor(vertices, faces, mirror).astype(np.float32),
    )


# ---- the surface ---------------------------------------------------------------------------


class Tube(NamedTuple):
    """A tube along one axis with elliptic cross-sections, rounded at both ends.

    `table` rows: position along the axis, centre (2), half-widths (2), in the order of the two
    other axes. `ends` are the lengths over which the ends are rounded off.
    """

    axis: int
    table: list[tuple[float, float, float, float, float]]
    ends: tuple[float, float]
    power: float = 2.0


# Rows: y, centre x, centre z, half-width x, half-width z.
TORSO = Tube(
    1,
    [
        (-0.405, 0, -0.012, 0.100, 0.080),
        (-0.330, 0, -0.013, 0.148, 0.099),
        (-0.260, 0, -0.014, 0.163, 0.106),
        (-0.180, 0, -0.006, 0.151, 0.099),
        (-0.090, 0, 0.004, 0.134, 0.090),
        (-0.010, 0, 0.002, 0.136, 0.095),
        (0.060, 0, -0.004, 0.150, 0.104),
        (0.120, 0, -0.012, 0.161, 0.108),
        (0.180, 0, -0.021, 0.166, 0.099),
        (0.230, 0, -0.029, 0.148, 0.081),
        (0.270, 0, -0.034, 0.100, 0.062),
        (0.310, 0, -0.034, 0.055, 0.050),
    ],
    (0.10, 0.03),
    2.3,
)
NECK = Tube(
    1,
    [
        (0.220, 0, -0.040, 0.062, 0.060),
        (0.270, 0, -0.036, 0.055, 0.057),
        (0.320, 0, -0.026, 0.050, 0.054),
        (0.400, 0, -0.012, 0.050, 0.058),
    ],
    (0.02, 0.02),
)
LEG = Tube(
    1,
    [
        (-1.140, 0.095, -0.028, 0.028, 0.036),
        (-1.090, 0.095, -0.028, 0.030, 0.038),
        (-1.040, 0.095, -0.027, 0.028, 0.034),
        (-0.980, 0.097, -0.026, 0.032, 0.036),
        (-0.920, 0.100, -0.026, 0.040, 0.044),
        (-0.850, 0.103, -0.025, 0.049, 0.054),
        (-0.800, 0.103, -0.021, 0.051, 0.056),
        (-0.740, 0.102, -0.010, 0.047, 0.052),
        (-0.690, 0.101, 0.000, 0.047, 0.053),
        (-0.640, 0.101, 0.002, 0.051, 0.057),
        (-0.570, 0.101, 0.004, 0.060, 0.067),
        (-0.490, 0.100, 0.004, 0.070, 0.077),
        (-0.410, 0.098, 0.001, 0.078, 0.085),
        (-0.340, 0.095, -0.003, 0.083, 0.090),
        (-0.260, 0.090, -0.005, 0.076, 0.086),
        (-0.180, 0.082, -0.006, 0.064, 0.076),
    ],
    (0.01, 0.12),
)
# Rows: x, centre y, centre z, half-width y, half-width z.
ARM = Tube(
    0,
    [
        (0.110, 0.214, -0.030, 0.060, 0.062),
        (0.160, 0.226, -0.031, 0.065, 0.065),
        (0.200, 0.229, -0.031, 0.062, 0.063),
        (0.250, 0.227, -0.030, 0.052, 0.055),
        (0.320, 0.223, -0.030, 0.045, 0.050),
        (0.380, 0.221, -0.033, 0.040, 0.044),
        (0.435, 0.219, -0.035, 0.035, 0.039),
        (0.480, 0.219, -0.033, 0.037, 0.043),
        (0.530, 0.219, -0.031, 0.036, 0.042),
        (0.600, 0.219, -0.030, 0.029, 0.034),
        (0.660, 0.219, -0.030, 0.020, 0.026),
        (0.720, 0.219, -0.030, 0.017, 0.028),
    ],
    (0.05, 0.02),
)
PALM = Tube(
    0,
    [
        (0.680, 0.219, -0.030, 0.018, 0.025),
        (0.715, 0.218, -0.028, 0.017, 0.035),
        (0.750, 0.217, -0.028, 0.016, 0.041),
        (0.790, 0.215, -0.030, 0.013, 0.041),
        (0.830, 0.210, -0.031, 0.011, 0.036),
        (0.868, 0.203, -0.031, 0.009, 0.028),
    ],
    (0.02, 0.018),
    2.6,
)
# Rows: z, centre x, centre y, half-width x, half-width y.
FOOT = Tube(
    2,
    [
        (-0.078, 0.095, -1.122, 0.030, 0.036),
        (-0.045, 0.095, -1.116, 0.033, 0.044),
        (0.000, 0.096, -1.114, 0.034, 0.044),
        (0.045, 0.099, -1.122, 0.038, 0.038),
        (0.090, 0.103, -1.133, 0.044, 0.029),
        (0.130, 0.105, -1.140, 0.045, 0.022),
        (0.182, 0.102, -1.143, 0.037, 0.018),
    ],
    (0.03, 0.035),
    2.4,
)


def body_distance(points: Array) -> Array:
    """About the signed distance (n,) of points (n, 3) to the skin; exact where it is zero."""
    mirrored = points * (-1, 1, 1)
    trunk = smooth_min(tube_distance(points, TORSO), tube_distance(points, NECK), 0.05)
    left, right = limb_distance(points), limb_distance(mirrored)
    body = smooth_min(smooth_min(trunk, left, 0.035), right, 0.035)
    return smooth_min(body, head_distance(np.abs(points * (1, 0, 0)) + points * (0, 1, 1)), 0.025)


def limb_distance(p: Array) -> Array:
    """The left arm and leg with the muscles that join them to the trunk."""
    hand = smooth_min(
        tube_distance(p, PALM),
        smooth_min(
            cone_distance(p, (0.705, 0.214, -0.012), (0.752, 0.205, 0.022), 0.017, 0.0135),
            cone_distance(p, (0.752, 0.205, 0.022), (0.795, 0.199, 0.038), 0.0135, 0.009),
            0.008,
        ),
        0.014,
    )
    arm = smooth_min(tube_distance(p, ARM), hand, 0.015)
    shoulder = cone_distance(p, (0.020, 0.295, -0.042), (0.150, 0.243, -0.034), 0.030, 0.034)
    chest = ellipsoid_distance(p, (0.070, 0.124, 0.058), (0.076, 0.062, 0.036))
    arm = smooth_min(smooth_min(arm, shoulder, 0.05), chest, 0.04)
    foot = tube_distance(p, FOOT)
    foot = -smooth_min(-foot, p[:, 1] - FLOOR_Y, 0.008)
    leg = smooth_min(tube_distance(p, LEG), foot, 0.03)
    buttock = ellipsoid_distance(p, (0.074, -0.290, -0.076), (0.074, 0.084, 0.055))
    kneecap = ellipsoid_distance(p, (0.101, -0.685, 0.040), (0.026, 0.034, 0.016))
    leg = smooth_min(smooth_min(leg, buttock, 0.05), kneecap, 0.02)
    return np.minimum(arm, leg)


def head_distance(p: Array) -> Array:
    """The head; `p` has x ≥ 0."""
    skull = ellipsoid_distance(p, (0, 0.462, -0.008), (0.073, 0.095, 0.094))
    face = ellipsoid_distance(p, (0, 0.405, 0.022), (0.059, 0.078, 0.068))
    head = smooth_min(skull, face, 0.04)
    jaw = cone_distance(p, (0.040, 0.372, 0.018), (0.010, 0.343, 0.066), 0.020, 0.017)
    head = smooth_min(head, jaw, 0.025)
    brow = cone_distance(p, (0.010, 0.453, 0.080), (0.038, 0.454, 0.066), 0.010, 0.011)
    head = smooth_min(head, brow, 0.014)
    eye = ellipsoid_distance(p, (0.030, 0.436, 0.098), (0.019, 0.011, 0.018))
    head = -smooth_min(-head, eye, 0.014)
    bridge = cone_distance(p, (0, 0.446, 0.084), (0, 0.413, 0.098), 0.008, 0.0115)
    wing = ellipsoid_distance(p, (0.010, 0.408, 0.090), (0.010, 0.009, 0.013))
    head = smooth_min(head, smooth_min(bridge, wing, 0.008), 0.010)
    lips = ellipsoid_distance(p, (0, 0.378, 0.081), (0.022, 0.010, 0.012))
    head = smooth_min(head, lips, 0.010)
    ear = ellipsoid_distance(p, (0.077, 0.426, -0.008), (0.009, 0.031, 0.018))
    return smooth_min(head, ear, 0.010)


def smooth_min(a: Array, b: Array, radius: float) -> Array:
    """Minimum with the crease rounded off: Quilez's cubic polynomial smooth minimum."""
    h = np.maximum(radius - np.abs(a - b), 0) / radius
    union: Array = np.minimum(a, b) - h**3 * radius / 6
    return union


def tube_distance(points: Array, tube: Tube) -> Array:
    """About the signed distance (n,) of points (n, 3) to a tube."""
    others = [axis for axis in range(3) if axis != tube.axis]
    table = np.array(tube.table)
    start, end = table[0, 0], table[-1, 0]
    along = np.clip(points[:, tube.axis], start, end)
    section = interpolate.Akima1DInterpolator(table[:, 0], table[:, 1:])(along)
    rounding = np.sqrt(
        np.clip(_dome((along - start) / tube.ends[0]) * _dome((end - along) / tube.ends[1]), 0, 1)
    )
    centre, half = section[:, :2], np.maximum(section[:, 2:] * rounding[:, None], 1e-4)
    offset = points[:, others] - centre
    ratio = np.abs(offset) / half
    level = np.maximum((ratio**tube.power).sum(1), 1e-12) ** (1 / tube.power)
    gradient = ratio ** (tube.power - 1) / half * level[:, None] ** (1 - tube.power)
    slope = np.maximum(np.linalg.norm(gradient, axis=1), 1 / half.max(1))
    across = (level - 1) / slope
    beyond = np.abs(points[:, tube.axis] - along)
    distance: Array = np.where(beyond > 0, np.hypot(np.maximum(across, 0), beyond), across)
    return distance


def _dome(fraction: Array) -> Array:
    """Squared profile of a quarter circle: 0 at 0, 1 from 1 on."""
    return np.where(fraction < 1, 1 - (1 - fraction) ** 2, 1.0)


def cone_distance(
    points: Array,
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    start_radius: float,
    end_radius: float,
) -> Array:
    """About the signed distance (n,) to a rod with round ends whose radius changes evenly."""
    axis = np.subtract(end, start)
    offset = points - start
    along = np.clip(offset @ axis / (axis @ axis), 0, 1)
    radius = start_radius + (end_radius - start_radius) * along
    distance: Array = np.linalg.norm(offset - along[:, None] * axis, axis=1) - radius
    return distance


def ellipsoid_distance(
    points: Array, centre: tuple[float, float, float], radii: tuple[float, float, float]
) -> Array:
    """About the signed distance (n,) to an ellipsoid."""
    offset = (points - centre) / radii
    level = np.maximum(np.linalg.norm(offset, axis=1), 1e-6)
    slope = np.linalg.norm(offset / radii, axis=1) / level
    distance: Array = (level - 1) / np.maximum(slope, 1e-6)
    return distance


def body_gradient(points: Array) -> Array:
    """Gradient (n, 3) of `body_distance` by central differences."""
    step = 5e-4
    return np.stack(
        [
            (body_distance(points + step * axis) - body_distance(points - step * axis)) / (2 * step)
            for axis in np.eye(3)
        ],
        axis=1,
    )


# ---- the mesh ------------------------------------------------------------------------------


def mannequin() -> tuple[Array, Indices]:
    """The body as one closed, symmetric mesh: vertices (6890, 3), faces (13776, 3)."""
    mesh = HalfMesh(*march())
    for n_faces in (3 * N_FACES // 4, N_FACES // 2):
        mesh.collapse_to(n_faces)
        for _ in range(8):
            mesh.flip_edges()
            mesh.relax(4)
    mesh.relax(4)
    return mesh.whole()


def march() -> tuple[Array, Indices]:
    """The half of the surface with x ≥ 0, as marching cubes leaves it."""
    low, high = np.array([0, -1.18, -0.18]), np.array([0.90, 0.58, 0.21])
    counts = np.ceil((high - low) / GRID_STEP).astype(int) + 1
    axes = [low[i] + GRID_STEP * np.arange(counts[i]) for i in range(3)]
    field = np.stack(
        [
            body_distance(np.stack(np.meshgrid([x], *axes[1:], indexing="ij"), -1).reshape(-1, 3))
            for x in axes[0]
        ]
    ).reshape(counts)
    vertices, faces, *_ = measure.marching_cubes(field, 0.0, spacing=(GRID_STEP,) * 3)
    vertices, faces = vertices.astype(np.float64) + low, faces.astype(np.int64)
    return vertices, faces


def size_field(points: Array) -> Array:
    """How long edges should be at points (n, 3), relative to each other."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    hand = _ramp(x, 0.66, 0.76)
    head = _ramp(y, 0.32, 0.36) * (1 - 0.25 * (1 - _ramp(z, -0.03, 0.04)))
    face = _ramp(z, 0.04, 0.08) * _ramp(y, 0.33, 0.36) * (1 - _ramp(y, 0.46, 0.50))
    ear = np.exp(-(np.sum((np.abs(points) - (0.08, 0.426, 0.008)) ** 2, 1)) / 0.03**2)
    foot = 1 - _ramp(y, -1.12, -1.04)
    size: Array = 1 - np.maximum.reduce(
        [0.56 * hand, 0.36 * head, 0.60 * face, 0.58 * ear, 0.36 * foot]
    )
    return size


def _ramp(value: Array, low: float, high: float) -> Array:
    """0 up to `low`, 1 from `high` on, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


class HalfMesh:
    """The half of the body with x ≥ 0: a disk whose rim lies in the plane x = 0."""

    def __init__(self, vertices: Array, faces: Indices) -> None:
        self.vertices = vertices
        self.faces: dict[int, tuple[int, int, int]] = {
            i: (int(a), int(b), int(c)) for i, (a, b, c) in enumerate(faces)
        }
        self.around: list[set[int]] = [set() for _ in vertices]
        for i, face in self.faces.items():
            for vertex in face:
                self.around[vertex].add(i)
        self.on_rim = np.zeros(len(vertices), dtype=bool)
        for a, b in self.rim_edges():
            self.on_rim[[a, b]] = True
        self.vertices[self.on_rim, 0] = 0

    def edges(self) -> dict[tuple[int, int], list[int]]:
        """Each edge (smaller vertex first) with the faces beside it."""
        edges: dict[tuple[int, int], list[int]] = {}
        for i, (a, b, c) in self.faces.items():
            for u, v in ((a, b), (b, c), (c, a)):
                edges.setdefault((min(u, v), max(u, v)), []).append(i)
        return edges

    def rim_edges(self) -> list[tuple[int, int]]:
        """The edges that have one face."""
        return [edge for edge, faces in self.edges().items() if len(faces) == 1]

    def collapse_to(self, n_faces: int) -> None:
        """Merges the ends of the relatively shortest edge until `n_faces` faces are left."""
        edges = np.array(sorted(self.edges()))
        lengths = self.relative_lengths(edges[:, 0], edges[:, 1])
        heap = [(float(d), int(a), int(b)) for d, (a, b) in zip(lengths, edges, strict=True)]
        heapq.heapify(heap)
        while len(self.faces) > n_faces:
            length, a, b = heapq.heappop(heap)
            if not self.around[a] or not self.around[b]:
                continue
            if length != self.relative_lengths([a], [b])[0]:
                continue
            if not self.try_collapse(a, b, len(self.faces) - n_faces):
                continue
            neighbours = sorted(self.neighbours(a))
            lengths = self.relative_lengths([a] * len(neighbours), neighbours)
            for d, other in zip(lengths, neighbours, strict=True):
                heapq.heappush(heap, (float(d), min(a, other), max(a, other)))

    def relative_lengths(self, a: Any, b: Any) -> Array:
        """Edge lengths over the size field."""
        start, end = self.vertices[a], self.vertices[b]
        lengths: Array = np.linalg.norm(start - end, axis=1) / size_field((start + end) / 2)
        return lengths

    def neighbours(self, vertex: int) -> set[int]:
        """Vertices that share an edge with `vertex`."""
        return {v for i in self.around[vertex] for v in self.faces[i]} - {vertex}

    def try_collapse(self, a: int, b: int, most_faces: int) -> bool:
        """Merges b into a, if the mesh stays a disk and no face turns over."""
        shared = self.around[a] & self.around[b]
        if not shared or len(shared) > most_faces:
            return False
        both_on_rim = bool(self.on_rim[a] and self.on_rim[b])
        if len(shared) != (1 if both_on_rim else 2):
            return False
        if len(self.neighbours(a) & self.neighbours(b)) != len(shared):
            return False
        place = (self.vertices[a] + self.vertices[b]) / 2
        if self.on_rim[a] != self.on_rim[b]:
            place = self.vertices[a if self.on_rim[a] else b].copy()
        rest = (self.around[a] | self.around[b]) - shared
        old = np.array([self.faces[i] for i in sorted(rest)])
        before = self.vertices[old]
        after = np.where(((old == a) | (old == b))[:, :, None], place, before)
        n0, n1 = _face_normals(before), _face_normals(after)
        if np.any((n0 * n1).sum(1) < 0.2 * np.linalg.norm(n0, axis=1) * np.linalg.norm(n1, axis=1)):
            return False
        for i in shared:
            for v in self.faces.pop(i):
                self.around[v].discard(i)
        for i in sorted(self.around[b]):
            x, y, z = (a if v == b else v for v in self.faces[i])
            self.faces[i] = (x, y, z)
            self.around[a].add(i)
        self.around[b] = set()
        self.vertices[a] = place
        self.on_rim[a] |= self.on_rim[b]
        return True

    def flip_edges(self) -> None:
        """Turns each edge whose opposite angles add up to more than a half turn (Delaunay)."""
        for (a, b), beside in sorted(self.edges().items()):
            shared = self.around[a] & self.around[b]
            if len(beside) != 2 or len(shared) != 2:
                continue
            i, j = sorted(shared)
            face = self.faces[i]
            if face[(face.index(a) + 1) % 3] != b:
                i, j = j, i
            c = next(v for v in self.faces[i] if v not in (a, b))
            d = next(v for v in self.faces[j] if v not in (a, b))
            if c in self.neighbours(d) or (self.on_rim[c] and self.on_rim[d]):
                continue
            p = self.vertices
            if _angle(p[a] - p[c], p[b] - p[c]) + _angle(p[a] - p[d], p[b] - p[d]) < np.pi + 0.05:
                continue
            old = _face_normals(p[np.array([[a, b, c], [b, a, d]])]).sum(0)
            new = _face_normals(p[np.array([[a, d, c], [d, b, c]])])
            if np.any(new @ old < 0.5 * np.linalg.norm(new, axis=1) * np.linalg.norm(old)):
                continue
            self.faces[i], self.faces[j] = (a, d, c), (d, b, c)
            self.around[a].discard(j)
            self.around[b].discard(i)
            self.around[c].add(j)
            self.around[d].add(i)

    def relax(self, n_passes: int) -> None:
        """Moves vertices along the surface to the middle of their neighbours."""
        edges = np.array(sorted(self.edges()))
        rim = np.array(sorted(self.rim_edges()))
        used = np.unique(edges)
        for _ in range(n_passes):
            middle = _weighted_middle(self.vertices, edges)
            middle[self.on_rim] = _weighted_middle(self.vertices, rim)[self.on_rim]
            moved = self.vertices[used] + 0.5 * (middle[used] - self.vertices[used])
            rim_used = self.on_rim[used]
            for _ in range(3):
                gradient = body_gradient(moved)
                gradient[rim_used, 0] = 0
                distance = body_distance(moved) / np.maximum((gradient**2).sum(1), 0.05)
                moved -= np.clip(distance, -0.004, 0.004)[:, None] * gradient
            moved[rim_used, 0] = 0
            moved[~rim_used, 0] = np.maximum(moved[~rim_used, 0], 0.0008)
            self.vertices[used] = moved

    def whole(self) -> tuple[Array, Indices]:
        """This half and its mirror image, sewn together along the rim."""
        faces = np.array([self.faces[i] for i in sorted(self.faces)])
        used = np.unique(faces)
        renumber = np.full(len(self.vertices), -1)
        renumber[used] = np.arange(len(used))
        vertices, faces, rim = self.vertices[used], renumber[faces], self.on_rim[used]
        mirror = np.arange(len(used))
        mirror[~rim] = len(used) + np.arange((~rim).sum())
        both = np.concatenate([vertices, vertices[~rim] * (-1, 1, 1)])
        both = np.round(both, 5) + 0.0
        return both, np.concatenate([faces, mirror[faces][:, ::-1]])


def _weighted_middle(vertices: Array, edges: Indices) -> Array:
    """For each vertex the middle of its neighbours, long edges (for their place) pulling more."""
    a, b = edges[:, 0], edges[:, 1]
    middle = (vertices[a] + vertices[b]) / 2
    pull = np.linalg.norm(vertices[a] - vertices[b], axis=1) / size_field(middle)
    total = np.zeros_like(vertices)
    weight = np.full(len(vertices), 1e-12)
    for source, target in ((a, b), (b, a)):
        np.add.at(total, target, pull[:, None] * vertices[source])
        np.add.at(weight, target, pull)
    placed: Array = total / weight[:, None]
    return placed


def _face_normals(corners: Array) -> Array:
    """Normals (n, 3) of triangles (n, 3, 3), twice as long as their area."""
    normals: Array = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normals


def _angle(u: Array, v: Array) -> float:
    return float(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v))


def vertex_normals(vertices: Array, faces: Indices) -> Array:
    """Unit normals (n, 3), weighted by area."""
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], _face_normals(vertices[faces]))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return normals


def mirrored_vertices(vertices: Array) -> Indices:
    """For each vertex the index of its mirror image."""
    order = {tuple(v): i for i, v in enumerate(vertices.tolist())}
    return np.array([order[(-x + 0.0, y, z)] for x, y, z in vertices.tolist()])


# ---- what moves it -------------------------------------------------------------------------

MIRRORED_JOINTS = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20]
MIRRORED_JOINTS += [23, 22]

# Joint, where its bone ends, and the flesh's radius around it.
BONES: list[tuple[int, tuple[float, float, float], float]] = [
    (0, (0.0, -0.330, -0.010), 0.165),
    (0, (0.060, -0.245, -0.010), 0.130),
    (3, (0.0, -0.020, -0.022), 0.135),
    (6, (0.0, 0.070, -0.020), 0.140),
    (9, (0.0, 0.200, -0.026), 0.150),
    (12, (0.0, 0.360, -0.012), 0.056),
    (15, (0.0, 0.500, 0.010), 0.085),
    (13, (0.165, 0.230, -0.030), 0.075),
    (16, (0.440, 0.219, -0.035), 0.052),
    (18, (0.690, 0.219, -0.030), 0.040),
    (20, (0.770, 0.215, -0.028), 0.036),
    (22, (0.870, 0.203, -0.030), 0.034),
    (1, (0.101, -0.690, 0.000), 0.088),
    (4, (0.095, -1.075, -0.026), 0.055),
    (7, (0.103, -1.120, 0.080), 0.050),
    (10, (0.104, -1.140, 0.180), 0.045),
]


def skinning_weights(vertices: Array, faces: Indices, mirror: Indices) -> Array:
    """Weights (6890, 24), at most 4 a row: the nearest bone's, diffused over the surface."""
    folded = np.abs(vertices * (1, 0, 0)) + vertices * (0, 1, 1)
    nearest = np.full(len(vertices), np.inf)
    owner = np.zeros(len(vertices), dtype=int)
    radius = np.zeros(len(vertices))
    for joint, end, flesh in BONES:
        distance = cone_distance(folded, tuple(POSITIONS[joint]), end, 0, 0) / flesh
        closer = distance < nearest
        nearest[closer], owner[closer], radius[closer] = distance[closer], joint, flesh
    right = vertices[:, 0] < 0
    owner[right] = np.array(MIRRORED_JOINTS)[owner[right]]
    smoothing, mass = surface_laplacian(vertices, faces, 0.55 * radius)
    start = sparse.csc_matrix((np.ones(len(owner)), (np.arange(len(owner)), owner)), (6890, 24))
    solve = sparse_linalg.factorized((sparse.diags(mass) + smoothing).tocsc())
    weights: Array = np.stack([solve(mass * column) for column in start.toarray().T], axis=1)
    weights = (weights + weights[mirror][:, MIRRORED_JOINTS]) / 2
    weights[weights <= np.sort(weights, axis=1)[:, -5:-4]] = 0  # a tie goes as one
    weights[weights < 0.02] = 0
    weights /= weights.sum(1, keepdims=True)
    weights = np.round(weights * 1024) / 1024
    weights[np.arange(6890), weights.argmax(1)] += 1 - weights.sum(1)
    return weights


def surface_laplacian(vertices: Array, faces: Indices, reach: Array) -> tuple[Any, Array]:
    """Cotangent Laplacian (n, n) that diffuses over `reach` (n,) metres, and vertex areas (n,)."""
    size = len(vertices)
    matrix = sparse.csc_matrix((size, size))
    for corner in range(3):
        k, i, j = (faces[:, (corner + shift) % 3] for shift in range(3))
        u, v = vertices[i] - vertices[k], vertices[j] - vertices[k]
        cotangent = (u * v).sum(1) / np.linalg.norm(np.cross(u, v), axis=1)
        weight = np.maximum(cotangent, 0.05) / 2 * (reach[i] * reach[j])
        matrix = matrix + sparse.csc_matrix((weight, (i, j)), (size, size))
    matrix = matrix + matrix.T
    area = np.linalg.norm(_face_normals(vertices[faces]), axis=1) / 6
    mass: Array = np.bincount(faces.ravel(), np.repeat(area, 3), size).astype(np.float64)
    return sparse.diags(np.asarray(matrix.sum(1)).ravel()) - matrix, mass


def joint_regressor(vertices: Array, mirror: Indices) -> Array:
    """(24, 6890): each joint as a weighted mean of the vertices around it."""
    rows = [ring_weights(vertices, position) for position in POSITIONS]
    return _symmetric_rows(np.stack(rows), MIRRORED_JOINTS, mirror)


def cocoplus_regressor(vertices: Array, faces: Indices, mirror: Indices) -> Array:
    """(19, 6890): the 19 cocoplus joints, inside the limbs or on the head's surface."""
    rows = [
        surface_weights(vertices, faces, np.array(place))
        if on_surface
        else ring_weights(vertices, np.array(place))
        for _, place, on_surface in COCOPLUS
    ]
    mirrored = [5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 12, 13, 14, 16, 15, 18, 17]
    return _symmetric_rows(np.stack(rows), mirrored, mirror)


def ring_weights(vertices: Array, place: Array) -> Array:
    """Weights (n,) ≥ 0 whose weighted mean of vertices is `place`, on the nearest that can.

    They are the most even such weights: those of the maximum-entropy distribution, found by
    Newton's method on its dual. Vertices are added until they surround the place well.
    """
    distance = np.linalg.norm(vertices - place, axis=1)
    other_side = vertices[:, 0] * np.sign(np.round(place[0], 6)) < 0
    order = np.argsort(distance + 10 * other_side, kind="stable")
    for count in range(40, 800, 20):
        near = order[:count]
        weight, mean = _even_weights((vertices[near] - place) / distance[near].mean())
        if np.linalg.norm(mean) < 1e-4 and weight.max() < 4 / count:
            break
    row = np.zeros(len(vertices))
    row[near] = weight
    return row


def surface_weights(vertices: Array, faces: Indices, place: Array) -> Array:
    """Weights (n,) of one face's corners that give the surface's nearest point to `place`."""
    corners = vertices[faces]
    near = np.argsort(np.linalg.norm(corners.mean(1) - place, axis=1), kind="stable")[:16]
    shares = np.array([(i, j, 10 - i - j) for i in range(11) for j in range(11 - i)]) / 10
    distance = np.linalg.norm(shares @ corners[near] - place, axis=2)
    face, share = np.unravel_index(distance.argmin(), distance.shape)
    row = np.zeros(len(vertices))
    row[faces[near[face]]] = shares[share]
    return row


def _even_weights(offset: Array) -> tuple[Array, Array]:
    """Maximum-entropy weights (n,) of offsets (n, 3) with mean zero, and the mean they reach."""
    tilt = np.zeros(3)
    for _ in range(60):
        weight = np.exp(offset @ tilt)
        weight /= weight.sum()
        mean = weight @ offset
        spread = (offset * weight[:, None]).T @ offset - np.outer(mean, mean)
        step = np.linalg.solve(spread + 1e-6 * np.eye(3), mean)
        tilt -= step / max(1.0, float(np.linalg.norm(step)))
    return weight, mean


def _symmetric_rows(rows: Array, mirrored: list[int], mirror: Indices) -> Array:
    rows = (rows + rows[mirrored][:, mirror]) / 2
    means: Array = rows / rows.sum(1, keepdims=True)
    return means


# ---- how it varies -------------------------------------------------------------------------


def shape_directions(vertices: Array, faces: Indices, weights: Array, mirror: Indices) -> Array:
    """(6890, 3, 10): metres per unit of each shape coefficient, about one standard deviation."""
    normals = vertex_normals(vertices, faces)
    x, y, z = vertices.T
    across, side = np.abs(x), np.sign(x)
    legs = weights[:, [1, 2, 4, 5, 7, 8, 10, 11]].sum(1)
    arms = weights[:, 16:].sum(1)
    head = weights[:, [12, 15]].sum(1)
    trunk = weights[:, [0, 3, 6, 9, 13, 14]].sum(1)
    shin = _ramp(-y, 0.30, 1.08)
    zero = np.zeros_like(x)
    stack = np.stack
    out_and_in = np.where(z > 0, 1.0, 0.35) * np.exp(-(((y + 0.12) / 0.13) ** 2)) * trunk
    fields = [
        vertices * 0.028,  # overall size
        normals * (0.011 * (trunk + 0.8 * legs + 0.55 * arms + 0.3 * head))[:, None],  # girth
        stack([zero, -0.030 * shin, zero], 1),  # length of the legs
        stack([side * 0.028 * _ramp(across, 0.20, 0.70), zero, zero], 1),  # length of the arms
        stack([side * 0.012 * _ramp(across, 0.0, 0.17) * _ramp(y, -0.02, 0.18), zero, zero], 1),
        stack([side * 0.010 * _ramp(across, 0.0, 0.14), zero, zero], 1)
        * (np.exp(-(((y + 0.29) / 0.14) ** 2)) * (trunk + legs))[:, None],  # width of the hips
        stack([zero, zero, 0.014 * out_and_in], 1) + normals * (0.003 * out_and_in)[:, None],
        stack([zero, zero, 0.010 * np.exp(-(((y - 0.10) / 0.09) ** 2)) * trunk * np.sign(z)], 1)
        * _ramp(np.abs(z), 0.0, 0.08)[:, None],  # depth of the chest
        (vertices - (0, 0.33, -0.01)) * (0.035 * head)[:, None],  # size of the head
        normals * (0.004 * (legs + arms) - 0.003 * trunk)[:, None],  # limbs against trunk
    ]
    directions = np.stack(fields, axis=2)
    mirrored = directions[mirror] * np.array([-1.0, 1, 1])[:, None]
    rounded: Array = np.round((directions + mirrored) / 2 * 2**14) / 2**14
    return rounded


def pose_directions(vertices: Array, weights: Array, mirror: Indices) -> Array:
    """(6890, 3, 207): metres per element of R − I, 9 for each joint but the root.

    Blending the matrices of a bent joint thins it. For a joint that turns alone, blending dual
    quaternions instead (Kavan et al., 2007) is a turn by a part of the angle; what that moves a
    vertex beyond the blended matrices, taken back to the rest pose, is fitted linearly in R − I.
    """
    rng = np.random.default_rng(SEED)
    axes = rng.normal(size=(160, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    angles = rng.uniform(0.1, 1.9, 160)
    turns = rotations(axes * angles[:, None])
    features = (turns - np.eye(3)).reshape(-1, 9)
    fit = np.linalg.solve(features.T @ features + 0.5 * np.eye(9), features.T)
    directions = np.zeros((len(vertices), 3, 207))
    for joint in range(1, 24):
        share = weights[:, descendants(joint)].sum(1)
        bent = np.flatnonzero((share > 0.01) & (share < 0.99))
        arm = vertices[bent] - POSITIONS[joint]
        w = share[bent]
        half = angles[:, None] / 2
        part = 2 * np.arctan2(w * np.sin(half), 1 - w + w * np.cos(half))
        wanted = rotations(axes[:, None] * part[:, :, None])
        blended = (1 - w)[:, None, None] * np.eye(3) + w[:, None, None] * turns[:, None]
        change = np.linalg.solve(blended, (wanted - blended) @ arm[:, :, None])[..., 0]
        change *= np.minimum(1, 0.05 / np.maximum(np.linalg.norm(change, axis=2), 1e-9))[..., None]
        solved = np.tensordot(fit, change, axes=1)  # (9, bent, 3)
        directions[bent, :, 9 * (joint - 1) : 9 * joint] = solved.transpose(1, 2, 0)
    directions = (directions + _mirrored_pose(directions, mirror)) / 2
    rounded: Array = np.round(directions * 2**12) / 2**12
    return rounded + 0.0


def _mirrored_pose(directions: Array, mirror: Indices) -> Array:
    """What the same directions are for the mirrored body in the mirrored pose."""
    flip = np.array([-1.0, 1, 1])
    parts = directions.reshape(-1, 3, 23, 9)[mirror] * flip[:, None, None]
    order = [joint - 1 for joint in MIRRORED_JOINTS[1:]]
    mirrored: Array = (parts[:, :, order] * np.outer(flip, flip).ravel()).reshape(-1, 3, 207)
    return mirrored


def descendants(joint: int) -> list[int]:
    """A joint and all that hang from it."""
    found = [joint]
    for child in range(joint + 1, 24):
        if PARENTS[child] in found:
            found.append(child)
    return found


def rotations(vectors: Array) -> Array:
    """Rotation matrices (..., 3, 3) of axis-angle vectors (..., 3): Rodrigues' formula."""
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vectors / np.maximum(angle[..., 0], 1e-12), -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    matrices: Array = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return matrices


if __name__ == "__main__":
    main()
