"""Draws the sample's video: a loft with a wooden floor, and the body as a dancer in it.

    backdrop = Backdrop(floor=-1.16)                    # the room, drawn once
    picture = backdrop.frame(camera, 640, 360)          # what the camera sees of it
    picture = draw_dancer(picture, camera, dancer)      # (360, 640, 3) uint8, RGB

The room is ray-traced from a camera far away and pitched down a little; the dancer is drawn with
the dataset's own near-orthographic camera, so that its mesh covers the figure exactly. Picture
coordinates of the stage: metres in the plane through the stage's origin that faces the camera, x
right, y down. Covered by tests/test_samples.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numba
import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

Array = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]

SEED = 20190412
PITCH_DEG = 8.0
DISTANCE = 9.0
"""How far the camera that draws the room is from the stage's origin, metres."""
CAMERA_TURN: Rotation = Rotation.from_euler("x", 180 + PITCH_DEG, degrees=True)
"""Stage axes (x to the dancer's left, y up, z forward) to camera axes (x right, y down, z away)."""

BACK_Z, LEFT_X = -2.9, -3.0
WINDOWS = [(-2.35, -0.95), (1.30, 2.70)]
WINDOW_SILL, WINDOW_TOP = 0.85, 2.75
EXTENT = (-3.0, 3.0, -1.75, 1.75)
PIXELS_PER_METRE = 240
SUPERSAMPLING = 3

KEY_LIGHT: Array = np.array([-0.62, 0.78, 0.62])
KEY_COLOUR: Array = np.array([1.00, 0.92, 0.80]) * 2.1
SKY_COLOUR: Array = np.array([0.62, 0.70, 0.84]) * 0.85
BOUNCE_COLOUR: Array = np.array([0.55, 0.36, 0.22]) * 0.75
RIM_LIGHT: Array = np.array([0.55, 0.45, -0.80])
RIM_COLOUR: Array = np.array([0.75, 0.90, 1.10]) * 1.1


class Camera(NamedTuple):
    """The dataset's camera over the stage: pixel = height · scale · (xy + offset)."""

    scale: float
    offset: tuple[float, float]


class Dancer(NamedTuple):
    """The body at one moment."""

    vertices: Array  # (n, 3) stage axes
    pixels: Array  # (n, 2) where they are in the frame
    rest: Array  # (n, 3) the same vertices at rest, by which the body is coloured
    faces: npt.NDArray[np.int64]
    floor: float


# ---- the room ------------------------------------------------------------------------------


class Backdrop:
    """The empty room, drawn once in stage picture coordinates."""

    def __init__(self, floor: float) -> None:
        left, right, top, bottom = EXTENT
        width, height = (
            round((right - left) * PIXELS_PER_METRE),
            round((bottom - top) * PIXELS_PER_METRE),
        )
        room = Room(floor)
        over = 2
        u = left + (np.arange(width * over) + 0.5) / (PIXELS_PER_METRE * over)
        v = top + (np.arange(height * over) + 0.5) / (PIXELS_PER_METRE * over)
        rows = []
        for strip in np.array_split(v, 24):
            grid = np.stack(np.meshgrid(u, strip), -1).reshape(-1, 2)
            rays = np.concatenate([grid, np.full((len(grid), 1), DISTANCE)], axis=1)
            origin = CAMERA_TURN.inv().apply([0.0, 0.0, -DISTANCE])
            colour = room.colour(origin, CAMERA_TURN.inv().apply(rays))
            rows.append(colour.reshape(len(strip), len(u), 3).astype(np.float32))
        sharp = cv2.resize(np.concatenate(rows), (width, height), interpolation=cv2.INTER_AREA)
        self.floor = floor
        self.light = _defocus(np.asarray(sharp, dtype=np.float32), v[::over], floor)

    def frame(self, camera: Camera, width: int, height: int) -> Array:
        """Linear light (height, width, 3) of what the camera sees."""
        pixel = height * camera.scale / PIXELS_PER_METRE
        shift = [
            height * camera.scale * (EXTENT[2 * axis] + camera.offset[axis]) + (pixel - 1) / 2
            for axis in range(2)
        ]
        matrix = np.array([[pixel, 0, shift[0]], [0, pixel, shift[1]]])
        over = 2
        zoomed = cv2.warpAffine(
            self.light,
            matrix * over + [[0, 0, (over - 1) / 2]] * 2,
            (width * over, height * over),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return cv2.resize(zoomed, (width, height), interpolation=cv2.INTER_AREA).astype(float)


def _defocus(light: npt.NDArray[np.float32], v: Array, floor: float) -> npt.NDArray[np.float32]:
    """Blurs what lies behind the dancer, the more the farther."""
    wall_row = _wall_foot(floor)
    blur = np.interp(v, [wall_row - 0.02, wall_row + 0.05, -floor, 1.75], [1.0, 0.8, 0.12, 0.5])
    out = light.copy()
    levels = [0.0, 1.0, 2.0, 3.5]
    stack = [light] + [cv2.GaussianBlur(light, (0, 0), s) for s in levels[1:]]
    sigma = blur * 3.4
    for row, s in enumerate(sigma):
        upper = int(np.clip(np.searchsorted(levels, s), 1, len(levels) - 1))
        part = np.clip((s - levels[upper - 1]) / (levels[upper] - levels[upper - 1]), 0, 1)
        out[row] = stack[upper - 1][row] * (1 - part) + stack[upper][row] * part
    return out


def _wall_foot(floor: float) -> float:
    """Picture y of the line where the back wall meets the floor."""
    _, y, z = CAMERA_TURN.apply([0.0, floor, BACK_Z])
    return float(y * DISTANCE / (z + DISTANCE))


class Room:
    """Surfaces and lights of the room; `colour` follows rays."""

    def __init__(self, floor: float) -> None:
        self.floor = floor
        rng = np.random.default_rng(SEED)
        self.tables = [rng.uniform(0, 1, (257, 257)) for _ in range(4)]

    def colour(self, origin: Array, rays: Array, mirrored: bool = False) -> Array:
        """Linear light (n, 3) that comes along rays (n, 3) from `origin` (3,) or (n, 3)."""
        origin = np.broadcast_to(origin, rays.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            to_back = (BACK_Z - origin[:, 2]) / rays[:, 2]
            to_left = (LEFT_X - origin[:, 0]) / rays[:, 0]
            to_floor = (self.floor - origin[:, 1]) / rays[:, 1]
        distances = np.stack([to_back, to_left, to_floor])
        distances[~(distances > 1e-6)] = np.inf
        if mirrored:
            distances[2] = np.inf
        boxes = [self._box_distance(origin, rays, box) for box in BOXES]
        distances = np.concatenate([distances, np.stack([d for d, _ in boxes])])
        nearest = distances.argmin(0)
        hit = origin + rays * distances.min(0)[:, None]
        light = np.zeros_like(rays)
        for surface in range(len(distances)):
            at = nearest == surface
            if not at.any():
                continue
            if surface == 0:
                light[at] = self._back_wall(hit[at])
            elif surface == 1:
                light[at] = self._left_wall(hit[at])
            elif surface == 2:
                light[at] = self._floor(hit[at], rays[at])
            else:
                box = BOXES[surface - 3]
                light[at] = self._box(hit[at], boxes[surface - 3][1][at], box)
        return light

    def _noise(self, table: int, u: Array, v: Array) -> Array:
        """Smooth value noise in 0…1, one cell per unit."""
        uv = np.stack([u, v]) % 256
        whole = uv.astype(int)
        part = uv - whole
        part = part * part * (3 - 2 * part)
        values, (i, j), (s, t) = self.tables[table], whole, part
        near = values[i, j] * (1 - s) + values[i + 1, j] * s
        far = values[i, j + 1] * (1 - s) + values[i + 1, j + 1] * s
        noise: Array = near * (1 - t) + far * t
        return noise

    def _fractal(self, table: int, u: Array, v: Array) -> Array:
        return sum(
            (self._noise(table, u * 2**k + 17 * k, v * 2**k) * 0.5 ** (k + 1) for k in range(4)),
            start=np.zeros_like(u),
        )

    def _cell(self, table: int, i: Array, j: Array) -> Array:
        """A random value for each whole cell."""
        value: Array = self.tables[table][i.astype(int) % 257, j.astype(int) % 257]
        return value

    def _back_wall(self, hit: Array) -> Array:
        x, y = hit[:, 0], hit[:, 1] - self.floor
        light = self._bricks(x, y)
        slant, rise = x - 0.30 * (y - 1.6), y + 0.16 * x
        sun = _soft_box(slant, rise, (-0.62, 0.92), (1.02, 2.75), 0.06)
        sun = sun * (1 - _lines(slant + 0.62, 0.513, 0.05, 0.04))
        sun = sun * (1 - _lines(rise - 1.02, 0.43, 0.05, 0.04))
        fall = 0.30 + 0.30 * np.exp(-(((x + 0.1) / 1.7) ** 2)) + 0.06 * np.clip(y / 2.5, 0, 1)
        near = 1 - 0.45 * np.exp(-y / 0.22) - 0.40 * np.exp(-(x - LEFT_X) / 0.35)
        near = near * (1 - 0.35 * self._behind_boxes(x, y))
        light = light * (fall * near)[:, None] * (1.0, 0.97, 0.94)
        light += self._bricks(x, y) * sun[:, None] * np.array([1.15, 0.88, 0.55]) * 0.62
        skirting = y < 0.13
        board = np.array([0.20, 0.17, 0.15]) * (0.6 + 0.5 * (y / 0.13))[:, None] * near[:, None]
        light[skirting] = board[skirting]
        for window in WINDOWS:
            light = self._window(light, x, y, window)
        return light

    def _behind_boxes(self, x: Array, y: Array) -> Array:
        shade = np.zeros_like(x)
        for low, high, _ in BOXES:
            shade = np.maximum(
                shade, _soft_box(x, y, (low[0] + 0.05, high[0] + 0.1), (-1, high[1] + 0.05), 0.15)
            )
        return shade

    def _bricks(self, x: Array, y: Array) -> Array:
        row = np.floor(y / 0.085)
        along = x / 0.26 + 0.5 * (row % 2) + 0.05 * self._noise(2, row * 3.1, row)
        column = np.floor(along)
        gap = np.maximum(_edge(along - column, 0.045, 0.02), _edge(y / 0.085 - row, 0.13, 0.06))
        tint = self._cell(0, row + 90, column + 90)
        grain = self._fractal(1, x * 22, y * 22)
        age = self._fractal(2, x * 1.3 + 7, y * 1.3)
        brick = np.array([0.36, 0.135, 0.075]) * (0.55 + 0.75 * tint + 0.5 * (grain - 0.5))[:, None]
        brick = brick + (self._cell(3, row, column) > 0.86)[:, None] * np.array([-0.1, -0.03, 0.0])
        mortar = np.array([0.34, 0.29, 0.25]) * (0.7 + 0.4 * grain)[:, None]
        wall = brick * (1 - gap[:, None]) + mortar * gap[:, None]
        light: Array = np.clip(wall * (0.72 + 0.5 * age)[:, None], 0.005, 1)
        return light

    def _window(self, light: Array, x: Array, y: Array, window: tuple[float, float]) -> Array:
        left, right = window
        frame = _soft_box(x, y, (left - 0.07, right + 0.07), (WINDOW_SILL - 0.07, 2.82), 0.004)
        pane = _soft_box(x, y, (left, right), (WINDOW_SILL, WINDOW_TOP), 0.004)
        pane = pane * (1 - _lines(x - left, (right - left) / 3, 0.035, 0.004))
        pane = pane * (1 - _lines(y - WINDOW_SILL, (WINDOW_TOP - WINDOW_SILL) / 4, 0.035, 0.004))
        leaves = self._fractal(3, x * 2.1 + 3, y * 2.1)
        tree = np.clip((leaves - 0.34 - 0.10 * (y - 1.5)) * 6, 0, 1)[:, None]
        sky = np.array([0.95, 1.10, 1.25]) * (0.75 + 0.20 * (y - 0.8))[:, None]
        outside = (
            sky * (1 - 0.75 * tree)
            + np.array([0.20, 0.36, 0.10])
            * 0.9
            * tree
            * (0.6 + 0.8 * self._fractal(1, x * 6, y * 6))[:, None]
        )
        metal = np.array([0.020, 0.021, 0.024])
        light = light * (1 - frame[:, None]) + metal * frame[:, None]
        light = light * (1 - pane[:, None]) + 0.9 * outside * pane[:, None]
        glow = np.exp(-_outside(x, y, (left, right), (WINDOW_SILL, WINDOW_TOP)) / 0.18)
        glowing: Array = light + 0.035 * glow[:, None] * np.array([0.9, 1.0, 1.1])
        return glowing

    def _left_wall(self, hit: Array) -> Array:
        z, y = hit[:, 2], hit[:, 1] - self.floor
        plaster = 0.85 + 0.3 * (self._fractal(1, z * 3, y * 3) - 0.5)
        light = np.array([0.34, 0.35, 0.34]) * plaster[:, None]
        shade = 0.42 * (1 - 0.45 * np.exp(-(z - BACK_Z) / 0.35) - 0.45 * np.exp(-y / 0.25))
        return light * shade[:, None]

    def _floor(self, hit: Array, rays: Array) -> Array:
        x, z = hit[:, 0], hit[:, 2]
        plank = np.floor(x / 0.125)
        shift = self._cell(0, plank + 60, plank * 0 + 3) * 1.9
        board = np.floor((z + shift) / 1.9)
        tint = self._cell(1, plank + 120, board + 50)
        grain = self._fractal(2, x * 60 + 31 * tint, z * 2.2 + 11 * tint)
        streak = self._noise(3, x * 240, z * 6 + 5 * tint)
        gap = np.maximum(
            _edge(x / 0.125 - plank, 0.016, 0.03), _edge((z + shift) / 1.9 - board, 0.0016, 0.002)
        )
        warm = np.array([0.30, 0.165, 0.080]) * (0.72 + 0.5 * tint)[:, None]
        wood = warm * (0.72 + 0.42 * grain + 0.16 * streak)[:, None] * (1 - 0.6 * gap)[:, None]
        pool = 0.42 + 0.55 * np.exp(-((x / 2.2) ** 2 + ((z + 0.1) / 2.0) ** 2))
        near = 1 - 0.5 * np.exp(-(z - BACK_Z) / 0.28) - 0.4 * np.exp(-(x - LEFT_X) / 0.3)
        for low, high, _ in BOXES:
            gap_to = _outside(x, z, (low[0], high[0]), (low[2], high[2]))
            near = near * (1 - 0.6 * np.exp(-gap_to / 0.12))
        light = wood * (pool * near)[:, None] * np.array([1.0, 0.97, 0.92])
        bent = rays * (1, -1, 1)
        bent = bent / np.linalg.norm(bent, axis=1, keepdims=True)
        rough = np.stack(
            [
                0.012 * (tint - 0.5) + 0.004 * (grain - 0.5),
                0.012 * (self._cell(3, plank + 20, board + 90) - 0.5),
                np.zeros_like(x),
            ],
            axis=1,
        )
        mirror = np.zeros_like(light)
        spread = np.linspace(-0.07, 0.09, 11)
        for k, tilt in enumerate(spread):
            blurred = bent + rough + (0.010 * (k * 4 % 11 - 5) / 5, tilt, 0)
            mirror += self.colour(hit + np.array([0, 1e-4, 0]), blurred, True)
        facing = np.clip(bent[:, 1], 0, 1)
        fresnel = 0.05 + 0.50 * (1 - facing) ** 5
        gloss = fresnel * (0.75 + 0.5 * grain) * (1 - 0.7 * gap)
        glossy: Array = light + np.minimum(mirror / len(spread), 1.5) * gloss[:, None]
        return glossy

    def _box_distance(self, origin: Array, rays: Array, box: Box) -> tuple[Array, Any]:
        """Distance (n,) to a box on the floor, and which axis (n,) the ray enters by."""
        low = np.array(box.low) + np.array([0, self.floor, 0])
        high = np.array(box.high) + np.array([0, self.floor, 0])
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = (low - origin) / rays, (high - origin) / rays
        enter, leave = np.minimum(a, b), np.maximum(a, b).min(1)
        first = enter.max(1)
        return np.where((first < leave) & (first > 0), first, np.inf), enter.argmax(1)

    def _box(self, hit: Array, axis: Any, box: Box) -> Array:
        low, high, kind = box
        place = hit - np.array(low) - (0, self.floor, 0)
        size = np.subtract(high, low)
        shade = np.choose(axis, [0.55, 1.0, 0.75])
        shade = shade * (0.75 + 0.25 * np.clip(place[:, 1] / 0.4, 0, 1))
        u, v = place[:, 0] - size[0] / 2, place[:, 1]
        light = np.full((len(hit), 3), 0.014) * np.array([1.0, 1.0, 1.05])
        if kind == "speaker":
            for centre, radius in ((0.32, 0.24), (0.78, 0.15)):
                r = np.hypot(u, v - size[1] * centre) / (radius * size[0] / 0.6)
                cone = (axis == 2) & (r < 1)
                ring = np.exp(-(((r - 0.93) / 0.06) ** 2)) * 0.10
                bowl = 0.008 + 0.03 * r**2 * (0.6 + 0.4 * (v - size[1] * centre) / radius)
                bowl = np.where(r < 0.3, 0.05 + 0.06 * (0.3 - r) / 0.3, bowl) + ring
                light[cone] = bowl[cone, None]
            light[(axis == 2) & (v < 0.03)] = 0.01
        else:
            slat = (np.floor(v / 0.12) % 2)[:, None]
            grain = self._fractal(1, u * 8 + 5, v * 60)
            wood = np.array([0.30, 0.19, 0.10]) * (0.6 + 0.6 * grain + 0.08 * slat[:, 0])[:, None]
            light = wood * (1 - 0.85 * _edge(v / 0.12 % 1, 0.06, 0.03))[:, None]
        shaded: Array = light * shade[:, None]
        return shaded


class Box(NamedTuple):
    """A box on the floor: two corners, y counted from the floor, and what it looks like."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    kind: str


BOXES = [
    Box((0.62, 0.0, -2.85), (1.14, 1.02, -2.40), "speaker"),
    Box((-2.75, 0.0, -2.80), (-2.05, 0.46, -2.25), "crate"),
    Box((-2.60, 0.46, -2.72), (-2.18, 0.80, -2.35), "crate"),
]


def _soft_box(
    x: Array, y: Array, width: tuple[float, float], height: tuple[float, float], blur: float
) -> Array:
    """1 inside a rectangle, 0 outside, over a soft edge."""
    inside = np.minimum.reduce([x - width[0], width[1] - x, y - height[0], height[1] - y])
    level: Array = np.clip(inside / blur + 0.5, 0, 1)
    return level


def _outside(x: Array, y: Array, width: tuple[float, float], height: tuple[float, float]) -> Array:
    """Distance to a rectangle, 0 inside."""
    dx = np.maximum(np.maximum(width[0] - x, x - width[1]), 0)
    dy = np.maximum(np.maximum(height[0] - y, y - height[1]), 0)
    return np.hypot(dx, dy)


def _lines(x: Array, period: float, width: float, blur: float) -> Array:
    """1 on lines at every multiple of `period`."""
    distance = np.abs((x / period + 0.5) % 1 - 0.5) * period
    return np.clip((width / 2 - distance) / blur + 0.5, 0, 1)


def _edge(fraction: Array, width: float, blur: float) -> Array:
    """1 within `width` of a cell's edges (in cells)."""
    return np.clip((width - np.minimum(fraction, 1 - fraction)) / blur + 0.5, 0, 1)


# ---- the dancer ----------------------------------------------------------------------------


def draw_dancer(backdrop: Array, camera: Camera, dancer: Dancer) -> Picture:
    """The frame (H, W, 3) as uint8 RGB: the backdrop in linear light, shaded, and the dancer."""
    height, width = backdrop.shape[:2]
    lamps = _lamps(dancer)
    backdrop = backdrop * _floor_shadow(lamps, camera, dancer, width, height)
    over = SUPERSAMPLING
    depth = CAMERA_TURN.apply(dancer.vertices)[:, 2]
    points = np.column_stack([(dancer.pixels + 0.5) * over - 0.5, depth])
    face, weight = rasterise(points, dancer.faces, height * over, width * over)
    seen = face >= 0
    corners = dancer.faces[face[seen]]
    share = weight[seen][:, :, None]
    place = (dancer.vertices[corners] * share).sum(1)
    rest = (dancer.rest[corners] * share).sum(1)
    normal = (_normals(dancer.vertices, dancer.faces)[corners] * share).sum(1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    colour = np.zeros((*face.shape, 3), dtype=np.float32)
    colour[seen] = _display(_shade(place, normal, rest, lamps, dancer.floor))
    small = cv2.resize(colour, (width, height), interpolation=cv2.INTER_AREA)
    cover = cv2.resize(seen.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    picture = _display(backdrop) * (1 - cover[:, :, None]) + small
    return np.asarray(np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8))


class Lamp(NamedTuple):
    """A distant light with its shadow map."""

    direction: Array
    colour: Array
    axes: Array  # (2, 3): across the light
    low: Array
    cell: float
    depths: npt.NDArray[np.float32]
    kind: str

    def lit(self, points: Array, bias: float) -> Array:
        """How much (n,) of the light reaches points (n, 3)."""
        uv = (points @ self.axes.T - self.low) / self.cell
        depth = points @ self.direction + bias
        size = self.depths.shape[0]
        whole = np.floor(uv).astype(int)
        part = uv - whole
        total = np.zeros(len(points))
        for dx in (0, 1):
            for dy in (0, 1):
                i = np.clip(whole[:, 1] + dy, 0, size - 1)
                j = np.clip(whole[:, 0] + dx, 0, size - 1)
                share = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
                total += share * (self.depths[i, j] <= depth)
        return np.clip(total, 0, 1)


def _lamps(dancer: Dancer) -> list[Lamp]:
    """A soft key light, a light from behind and the sky, as single directions."""
    rng = np.random.default_rng(SEED)
    lamps = []
    key_axes = _across(KEY_LIGHT)
    for offset in _disc(10):
        direction = KEY_LIGHT + 0.20 * offset @ key_axes
        lamps.append(_lamp(dancer, direction, KEY_COLOUR / 10, "key"))
    for offset in _disc(4):
        direction = RIM_LIGHT + 0.15 * offset @ _across(RIM_LIGHT)
        lamps.append(_lamp(dancer, direction, RIM_COLOUR / 4, "rim"))
    count = 28
    for k in range(count):
        up = np.sqrt((k + 0.5) / count)
        angle = 2.39996 * k + rng.uniform(0, 0.3)
        flat = np.sqrt(1 - up**2)
        direction = np.array([flat * np.cos(angle), up, flat * np.sin(angle)])
        lamps.append(_lamp(dancer, direction, SKY_COLOUR * 2 / count, "sky"))
    return lamps


def _disc(count: int) -> Array:
    k = np.arange(count) + 0.5
    points: Array = (np.sqrt(k / count) * np.stack([np.cos(2.39996 * k), np.sin(2.39996 * k)])).T
    return points


def _across(direction: Array) -> Array:
    side = np.cross(direction, [0.3, 0.1, 0.9])
    side /= np.linalg.norm(side)
    other = np.cross(direction, side)
    return np.stack([side, other / np.linalg.norm(other)])


def _lamp(dancer: Dancer, direction: Array, colour: Array, kind: str) -> Lamp:
    direction = direction / np.linalg.norm(direction)
    axes = _across(direction)
    flat = dancer.vertices @ axes.T
    size = 420
    low = flat.min(0) - 0.05
    cell = float((flat.max(0) + 0.05 - low).max() / (size - 1))
    toward = dancer.vertices @ direction
    points = np.column_stack([(flat - low) / cell, -toward])
    face, weight = rasterise(points, dancer.faces, size, size)
    depths = np.full((size, size), -1e9, dtype=np.float32)
    seen = face >= 0
    depths[seen] = (toward[dancer.faces[face[seen]]] * weight[seen]).sum(1)
    return Lamp(direction, colour, axes, low, cell, depths, kind)


def _floor_shadow(
    lamps: list[Lamp], camera: Camera, dancer: Dancer, width: int, height: int
) -> Array:
    """What part (H, W, 1) of the light on the floor the dancer leaves."""
    v, u = np.mgrid[0:height, 0:width]
    xy = np.stack([u, v], -1).reshape(-1, 2) / (height * camera.scale) - camera.offset
    rows = xy[:, 1] > _wall_foot(dancer.floor)
    # Along the camera's axis, as the dancer is seen, so that feet and shadow meet.
    back = CAMERA_TURN.inv()
    start, along = back.apply(np.column_stack([xy[rows], 0 * xy[rows, 0]])), back.apply([0, 0, 1])
    points = start + along * ((dancer.floor + 0.001 - start[:, 1]) / along[1])[:, None]
    got, full = np.zeros(len(points)), 0.0
    for lamp in lamps:
        power = float(lamp.colour.mean() * lamp.direction[1])
        power *= {"key": 1.4, "rim": 0.5, "sky": 1.0}[lamp.kind]
        got += power * lamp.lit(points, 0.0)
        full += power
    shade = np.ones(height * width)
    shade[rows] = 0.06 + 0.94 * (got / full) ** 1.5
    soft = cv2.GaussianBlur(shade.reshape(height, width), (0, 0), 0.8)
    return np.asarray(soft, dtype=np.float64)[:, :, None]


def _shade(place: Array, normal: Array, rest: Array, lamps: list[Lamp], floor: float) -> Array:
    """Linear light (n, 3) of the dancer's skin and clothes."""
    albedo, cloth = _clothes(rest)
    normal = normal + cloth[:, None] * _folds(rest)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    light = np.zeros_like(place)
    for lamp in lamps:
        wrap = 0.12 if lamp.kind == "sky" else 0.05
        cosine = np.clip((normal @ lamp.direction + wrap) / (1 + wrap), 0, None)
        lit = lamp.lit(place + 0.006 * normal, 0.010)
        light += (lit * cosine)[:, None] * lamp.colour
    below = np.clip(0.5 - 0.5 * normal[:, 1], 0, 1)
    reach = 0.45 + 0.55 * np.exp(-(place[:, 1] - floor) / 0.9)
    light += (below * reach)[:, None] * BOUNCE_COLOUR
    light += 0.06
    view = CAMERA_TURN.inv().apply([0.0, 0.0, -1.0])
    edge = (1 - np.clip(normal @ view, 0, 1)) ** 3
    half = KEY_LIGHT / np.linalg.norm(KEY_LIGHT) + view
    shine = np.clip(normal @ (half / np.linalg.norm(half)), 0, 1) ** 28
    gloss = np.where(cloth > 0, 0.015, 0.07)
    light = albedo * light * 0.62 + (gloss * shine)[:, None]
    shaded: Array = light + (0.05 * edge)[:, None] * SKY_COLOUR
    return shaded


def _folds(rest: Array) -> Array:
    """Small tilts (n, 3) of the normals of cloth."""
    x, y, z = rest.T
    warp = 2.2 * np.sin(9 * y + 5 * x) + 1.5 * np.sin(13 * z - 7 * y)
    a = np.sin(62 * y + 38 * np.abs(x) + warp)
    b = np.sin(47 * x - 30 * y + 21 * z + 1.7 * warp)
    c = np.sin(85 * y - 26 * z + 2.1 * warp)
    return np.stack([0.09 * b, 0.10 * a + 0.07 * c, 0.06 * c], 1)


def _clothes(rest: Array) -> tuple[Array, Array]:
    """Linear albedo (n, 3) by place on the body at rest, and 1 where it is cloth."""
    x, y, z = rest.T
    side = np.abs(x)
    albedo = np.tile(_linear(0xC9, 0x8D, 0x6B), (len(rest), 1))
    cloth = np.zeros(len(rest))

    def paint(where: Any, red: int, green: int, blue: int, is_cloth: float = 0.0) -> None:
        albedo[where] = _linear(red, green, blue)
        cloth[where] = is_cloth

    blush = np.exp(-(((side - 0.036) / 0.018) ** 2) - ((y - 0.405) / 0.016) ** 2) * (z > 0.04)
    albedo[:] *= 1 + blush[:, None] * np.array([0.10, -0.08, -0.10])
    collar = np.maximum(np.hypot(x, 0.9 * (z + 0.034)) - 0.074, 0.225 - y)
    shirt = (y > -0.262) & (y < 0.31) & (collar > 0) & (side < 0.315)
    paint(shirt, 0xD8, 0x96, 0x1E, 1.0)
    paint(shirt & (np.abs(y - 0.075) < 0.052) & (side < 0.20), 0xF0, 0xE6, 0xD2, 1.0)
    paint(shirt & (np.abs(y - 0.075) < 0.026) & (side < 0.20), 0xA8, 0x32, 0x26, 1.0)
    paint(shirt & ((side > 0.303) | (collar < 0.011)), 0xA8, 0x32, 0x26, 1.0)
    trousers = (y <= -0.262) & (y > -1.045)
    paint(trousers, 0x2C, 0x32, 0x42, 1.0)
    paint(trousers & (np.abs(z + 0.005) < 0.010) & (side > 0.12), 0xD0, 0xC8, 0xB8, 1.0)
    paint((y <= -1.045) & (y > -1.075), 0xE8, 0xE4, 0xDA, 0.5)
    paint(y <= -1.075, 0xB4, 0x2C, 0x24, 0.2)
    paint((y <= -1.075) & (z > 0.125), 0xEE, 0xEA, 0xE0, 0.2)
    paint(y < -1.137, 0xF2, 0xEE, 0xE6, 0.0)
    paint((x > 0.650) & (x < 0.682), 0x20, 0x20, 0x24, 0.5)
    head = (y > 0.34) & (side < 0.078)
    hair = head & (
        np.minimum(y - 0.352, y - 0.352 - 1.40 * (z + 0.020) - 1.2 * np.maximum(0.030 - side, 0))
        > 0
    )
    strands = 0.75 + 0.5 * np.sin(260 * x + 3 * np.sin(40 * y)) ** 2
    paint(hair, 0x3E, 0x26, 0x18, 0.6)
    albedo[hair] *= strands[hair, None]
    front = (z > 0.055) & (y > 0.34)
    paint(front & _oval(side, y, (0.030, 0.4375), (0.0125, 0.0050)), 0xF0, 0xEC, 0xE6)
    paint(front & _oval(side, y, (0.030, 0.4375), (0.0058, 0.0056)), 0x2A, 0x1B, 0x14)
    paint(front & _oval(side, y, (0.031, 0.4535), (0.0165, 0.0034)), 0x3A, 0x26, 0x1C)
    paint(front & _oval(side, y, (0.0, 0.3780), (0.0215, 0.0075)), 0xB0, 0x5A, 0x50)
    return albedo, cloth


def _oval(x: Array, y: Array, centre: tuple[float, float], radii: tuple[float, float]) -> Any:
    return ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 < 1


def _linear(red: int, green: int, blue: int) -> Array:
    return (np.array([red, green, blue]) / 255.0) ** 2.2


def _display(light: Array) -> Array:
    """Linear light to display values 0…1: Hable's filmic curve, then gamma."""

    def curve(x: Array) -> Array:
        return (x * (0.22 * x + 0.03) + 0.002) / (x * (0.22 * x + 0.3) + 0.06) - 0.02 / 0.6

    scaled = np.clip(curve(np.maximum(light, 0) * 3.4) / curve(np.array(9.0)), 0, 1)
    shown: Array = scaled ** (1 / 2.2)
    return shown


def _normals(vertices: Array, faces: npt.NDArray[np.int64]) -> Array:
    corners = vertices[faces]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], flat)
    unit: Array = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return unit


def rasterise(
    points: Array, faces: npt.NDArray[np.int64], height: int, width: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Nearest face (H, W), −1 for none, and its corners' weights (H, W, 3).

    `points` (n, 3) are pixels x, y (integers are pixel centres) and depth.
    """
    face = np.full((height, width), -1, dtype=np.int32)
    weight = np.zeros((height, width, 3), dtype=np.float32)
    _rasterise(points, faces, np.full((height, width), np.inf), face, weight)
    return face, weight


@numba.njit(cache=True)
def _rasterise(points: Any, faces: Any, depth: Any, face: Any, weight: Any) -> None:
    height, width = depth.shape
    for f in range(len(faces)):
        ax, ay, az = points[faces[f, 0]]
        bx, by, bz = points[faces[f, 1]]
        cx, cy, cz = points[faces[f, 2]]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0:
            continue
        left = max(0, int(np.ceil(min(ax, bx, cx))))
        right = min(width - 1, int(np.floor(max(ax, bx, cx))))
        top = max(0, int(np.ceil(min(ay, by, cy))))
        bottom = min(height - 1, int(np.floor(max(ay, by, cy))))
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                wa = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
                wb = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
                wc = 1 - wa - wb
                if wa < 0 or wb < 0 or wc < 0:
                    continue
                z = wa * az + wb * bz + wc * cz
                if z < depth[y, x]:
                    depth[y, x] = z
                    face[y, x] = f
                    weight[y, x, 0] = wa
                    weight[y, x, 1] = wb
                    weight[y, x, 2] = wc
