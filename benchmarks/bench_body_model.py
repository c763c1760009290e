"""What computing a frame's vertices costs, beside rasterising that frame at 640×360.

    python -m benchmarks.bench_body_model

On the sample's body and poses, one thread, the best of a few rounds over 250 frames.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from annotations import read_annotations
from body_model import BodyModel, load_body_model, regress_joints
from camera import WeakPerspectiveCamera
from renderer import FastRenderer

SAMPLES = Path(__file__).parents[1] / "samples"
FRAMES = 250
ROUNDS = 7
WIDTH, HEIGHT = 640, 360


def milliseconds_per_frame(work: Callable[[], object]) -> float:
    """The least of several rounds: other programs can only add to it."""
    work()
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds) / FRAMES * 1e3


def rasterising(
    body: BodyModel, vertices: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> float:
    """The body of every frame, four fifths of the picture high, in its middle."""
    renderer = FastRenderer(body.faces)
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    low, high = vertices[0].min(axis=0), vertices[0].max(axis=0)
    scale = 0.8 * HEIGHT / (high[1] - low[1])
    middle = np.array([WIDTH, HEIGHT]) / 2 - scale * (low + high)[:2] / 2
    camera = WeakPerspectiveCamera(float(scale), float(middle[0]), float(middle[1]))

    def draw_all() -> None:
        for frame in vertices:
            renderer.draw(picture, frame, camera)

    return milliseconds_per_frame(draw_all)


def forward_and_rasterise() -> tuple[float, float]:
    """Milliseconds a frame, for the two."""
    body = load_body_model(SAMPLES / "body_model.npz")
    annotations = read_annotations(SAMPLES / "sampleDance_10_14.pkl")
    rows = np.resize(np.arange(len(annotations)), FRAMES)
    shapes, poses = annotations.shape[rows], annotations.pose[rows]
    vertices, _ = body.forward(shapes, poses)
    forward = milliseconds_per_frame(lambda: body.forward(shapes, poses))
    return forward, rasterising(body, vertices)


def main() -> None:
    start = time.perf_counter()
    body = load_body_model(SAMPLES / "body_model.npz")
    print(f"load the model            {(time.perf_counter() - start) * 1e3:8.1f} ms")
    annotations = read_annotations(SAMPLES / "sampleDance_10_14.pkl")
    rows = np.resize(np.arange(len(annotations)), FRAMES)
    shapes, poses = annotations.shape[rows], annotations.pose[rows]
    vertices, _ = body.forward(shapes, poses)

    def one_by_one() -> None:
        for t in range(FRAMES):
            body.forward(shapes[t : t + 1], poses[t : t + 1])

    forward = milliseconds_per_frame(lambda: body.forward(shapes, poses))
    rasterise = rasterising(body, vertices)
    print(f"vertices, whole clip      {forward:8.3f} ms a frame")
    print(f"vertices, frame by frame  {milliseconds_per_frame(one_by_one):8.3f} ms a frame")
    regress = milliseconds_per_frame(lambda: regress_joints(body.J_regressor, vertices))
    print(f"joints from vertices      {regress:8.3f} ms a frame")
    print(f"rasterise at {WIDTH}×{HEIGHT}      {rasterise:8.3f} ms a frame")
    print(f"vertices / rasterise      {forward / rasterise:8.2f} (1 or less is the aim)")


if __name__ == "__main__":
    main()
